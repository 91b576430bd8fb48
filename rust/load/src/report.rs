//! What a run found: counts, throughput, percentiles, and whether the generator itself was the limit.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fmt, io};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ledger::Ledger;
use crate::plan::{Loop, Plan, Target};
use crate::run::{Effort, Window};
use crate::schedule::Schedule;
use crate::tally::Tally;
use crate::timeline::Moment;

/// Kinds of error in which no answer came at all.
const SILENT: [&str; 5] = ["closed", "connect", "malformed", "reset", "timeout"];

/// A whole report; its JSON form is what tests and benchmarks read.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `http` or `unix`.
    pub transport: &'static str,
    /// `modern`, `legacy` or `both`.
    pub era: &'static str,
    /// `closed` or `open`.
    #[serde(rename = "loop")]
    pub pacing: &'static str,
    /// Calls in flight at most.
    pub in_flight: usize,
    /// Calls a second asked for in an open loop, on average.
    pub offered_per_s: Option<f64>,
    /// The measured stretch.
    pub elapsed_s: f64,
    /// Right answers a second in it.
    pub throughput_per_s: f64,
    /// Calls due after the warm-up that ended; what `phases`, `tools`, `servers` and `eras` each add up to.
    pub measured: u64,
    /// Of those and of the arrivals that were never sent, the share that was not answered right.
    pub failed_share: f64,
    /// All calls sent, warm-up included.
    pub sent: u64,
    /// All calls that ended with an answer, right or wrong, or an error of the peer.
    pub answered: u64,
    /// Answers with the id and canary of their call.
    pub right: u64,
    /// Answers with another's id or canary.
    pub wrong: u64,
    /// Answers to calls already answered.
    pub duplicate: u64,
    /// Answers to calls never sent.
    pub unasked: u64,
    /// Calls no answer came to.
    pub missing: u64,
    /// Connections of a Unix target that it closed before the end.
    pub connections_lost: u64,
    /// Errors by kind.
    pub errors: BTreeMap<String, u64>,
    /// Right answers a second that came before their deadline, in the measured stretch, whenever they were due.
    pub goodput_per_s: f64,
    /// Right answers that came after their deadline.
    pub late: u64,
    /// How soon the peer answered with an error, by its kind, from the real instant of sending.
    pub refusal_ms: BTreeMap<String, Percentiles>,
    /// The first wrong answers, in words.
    pub samples: Vec<String>,
    /// The measured calls by phase,
    pub phases: Vec<Part>,
    /// by tool: one for each of the mix,
    pub tools: Vec<Part>,
    /// by server,
    pub servers: Vec<Part>,
    /// and by era.
    pub eras: Vec<Part>,
    /// Of right answers, from the intended instant of sending.
    pub latency_ms: Percentiles,
    /// The same as a curve: a share of all in percent, and the milliseconds it did not exceed.
    pub curve: Vec<(f64, f64)>,
    /// The same by when calls were due.
    pub timeline: Vec<Moment>,
    /// Of right answers, from the real instant of sending.
    pub service_ms: Percentiles,
    /// How late an open loop was for its own schedule.
    pub lag_ms: Percentiles,
    /// Arrivals of an open loop that found every place in flight taken.
    pub waited_for_a_place: u64,
    /// Arrivals of an open loop given up before they were sent: no place came free within the timeout.
    pub unsent: u64,
    /// CPU of the generator's sending threads.
    pub cpu_s: f64,
    /// Share of the time that the busiest of them used.
    pub busy: f64,
    /// CPU of the generator for each call.
    pub cpu_us_per_call: f64,
    /// The generator was, or may have been, the limit: do not trust the figures.
    pub saturated: bool,
    /// Why.
    pub saturated_by: Vec<String>,
}

/// Some of the measured calls.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// Which.
    pub name: String,
    /// Calls that ended.
    pub calls: u64,
    /// Answered right,
    pub right: u64,
    /// with another's id or canary,
    pub wrong: u64,
    /// with an error, or not at all.
    pub errors: BTreeMap<String, u64>,
    /// Right answers a second: over the whole stretch, or over its own for a phase.
    pub throughput_per_s: f64,
    /// Calls a second asked for, of a phase of an open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_per_s: Option<f64>,
    /// How long a phase was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_s: Option<f64>,
    /// Of right answers, from the intended instant of sending.
    pub latency_ms: Percentiles,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine in ten are below.
    pub p90: f64,
    /// 99 in 100 are below.
    pub p99: f64,
    /// 999 in 1000 are below.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Report {
    #[allow(clippy::cast_precision_loss)] // counts far below 2^53
    pub(crate) fn new(plan: &Plan, ledger: &Ledger, window: Window, effort: Effort) -> io::Result<Self> {
        let elapsed = window.until.min(window.finished).saturating_duration_since(window.measured_from);
        let elapsed_s = elapsed.as_secs_f64().max(1e-9);
        let silent = SILENT.iter().filter_map(|kind| ledger.errors.get(*kind)).sum::<u64>();
        let offered_per_s = matches!(plan.pacing, Loop::Open { .. }).then(|| offered(plan));
        let saturated_by = saturation(plan, ledger, window, effort);
        let whole = ledger.measured()?;
        let measured = whole.right + whole.failed();
        let all = measured + ledger.unsent;
        Ok(Self {
            transport: if matches!(plan.target, Target::Http { .. }) { "http" } else { "unix" },
            era: plan.eras.name(),
            pacing: if offered_per_s.is_some() { "open" } else { "closed" },
            in_flight: plan.in_flight,
            offered_per_s,
            elapsed_s,
            throughput_per_s: whole.in_window as f64 / elapsed_s,
            measured,
            failed_share: (all - whole.right) as f64 / all.max(1) as f64,
            sent: ledger.sent,
            answered: ledger.ended() - silent,
            right: ledger.right,
            wrong: ledger.wrong,
            duplicate: ledger.duplicate,
            unasked: ledger.unasked,
            missing: ledger.sent - ledger.ended() + silent,
            connections_lost: ledger.connections_lost,
            errors: ledger.errors.clone(),
            goodput_per_s: ledger.good as f64 / elapsed_s,
            late: ledger.late,
            refusal_ms: ledger.refusals.iter().map(|(kind, times)| (kind.clone(), Percentiles::of(times))).collect(),
            samples: ledger.samples.clone(),
            phases: phases(plan, ledger, elapsed_s),
            tools: Part::each(plan.mix.iter().map(|call| call.tool.as_str()).zip(&ledger.tools), elapsed_s),
            servers: servers(plan, ledger, elapsed_s)?,
            eras: Part::each(["modern", "legacy"].into_iter().zip(&ledger.eras), elapsed_s)
                .into_iter()
                .filter(|part| part.calls > 0)
                .collect(),
            latency_ms: Percentiles::of(&whole.latency),
            curve: curve(&whole.latency),
            timeline: ledger.timeline.moments(),
            service_ms: Percentiles::of(&ledger.service),
            lag_ms: Percentiles::of(&ledger.lag),
            waited_for_a_place: ledger.waited,
            unsent: ledger.unsent,
            cpu_s: effort.cpu.as_secs_f64(),
            busy: effort.busy,
            cpu_us_per_call: effort.cpu.as_secs_f64() * 1e6 / ledger.sent.max(1) as f64,
            saturated: !saturated_by.is_empty(),
            saturated_by,
        })
    }

    /// Whether every call got its own answer, once.
    pub fn is_correct(&self) -> bool {
        self.wrong == 0 && self.duplicate == 0 && self.unasked == 0 && self.missing == 0 && self.connections_lost == 0
    }
}

impl Part {
    #[allow(clippy::cast_precision_loss)]
    fn new(name: &str, tally: &Tally, over_s: f64) -> Self {
        Self {
            name: name.to_owned(),
            calls: tally.right + tally.failed(),
            right: tally.right,
            wrong: tally.wrong,
            errors: tally.errors.clone(),
            throughput_per_s: tally.in_window as f64 / over_s.max(1e-9),
            offered_per_s: None,
            length_s: None,
            latency_ms: Percentiles::of(&tally.latency),
        }
    }

    fn each<'a>(parts: impl Iterator<Item = (&'a str, &'a Tally)>, over_s: f64) -> Vec<Self> {
        parts.map(|(name, tally)| Self::new(name, tally, over_s)).collect()
    }
}

/// Calls a second asked for, on average over the measured stretch.
fn offered(plan: &Plan) -> f64 {
    let (schedule, warm_up_s) = (Schedule::new(plan, 1), plan.warm_up.as_secs_f64());
    let end_s = plan.steps().last().map_or(warm_up_s, |&(end, _)| end.as_secs_f64());
    (schedule.until(end_s) - schedule.until(warm_up_s)) / (end_s - warm_up_s).max(1e-9)
}

/// The phases, each as long as it was before the run ended.
fn phases(plan: &Plan, ledger: &Ledger, elapsed_s: f64) -> Vec<Part> {
    let rate = if let Loop::Open { rate_per_s, .. } = plan.pacing { Some(rate_per_s) } else { None };
    let mut began_s = 0.0;
    let mut parts = Vec::new();
    for (at, ((end, pace), tally)) in plan.steps().into_iter().zip(&ledger.phases).enumerate() {
        let end_s = end.saturating_sub(plan.warm_up).as_secs_f64();
        let length_s = (end_s.min(elapsed_s) - began_s).max(0.0);
        began_s = end_s;
        let name = plan.phases.get(at).map_or("all", |phase| phase.name.as_str());
        let offered_per_s = rate.map(|rate| rate * pace);
        parts.push(Part { offered_per_s, length_s: Some(length_s), ..Part::new(name, tally, length_s) });
    }
    parts
}

/// The tools of each server together, in the order of the mix.
fn servers(plan: &Plan, ledger: &Ledger, elapsed_s: f64) -> io::Result<Vec<Part>> {
    let mut sums: Vec<(&str, Tally)> = Vec::new();
    for (call, tally) in plan.mix.iter().zip(&ledger.tools) {
        match sums.iter_mut().find(|(name, _)| *name == call.server) {
            Some((_, sum)) => sum.add(tally),
            None => sums.push((&call.server, Tally::sum([tally])?)),
        }
    }
    Ok(Part::each(sums.iter().map(|(name, tally)| (*name, tally)), elapsed_s))
}

/// Ten points for every tenth of what is left above: 0, 10 ... 90, 91 ... 99, 99.1 ... as far as there are calls.
#[allow(clippy::cast_precision_loss)]
fn curve(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let (mut from, mut step) = (0.0, 10.0);
    while !latency.is_empty() && points.len() < 90 {
        for tenth in 0..9 {
            let percent: f64 = from + step * f64::from(tenth);
            points.push((percent, ms(latency.value_at_quantile(percent / 100.0))));
        }
        from += 9.0 * step;
        step /= 10.0;
        if (100.0 - from) / 100.0 * (latency.len() as f64) < 1.0 {
            break;
        }
    }
    if !latency.is_empty() {
        points.push((100.0, ms(latency.max())));
    }
    points
}

/// The reasons, if any, to suspect the generator.
#[allow(clippy::cast_precision_loss)]
fn saturation(plan: &Plan, ledger: &Ledger, window: Window, effort: Effort) -> Vec<String> {
    let mut reasons = Vec::new();
    if effort.busy > BUSY {
        reasons.push(format!("a thread of it was busy {:.0} % of the time", effort.busy * 100.0));
    }
    let late = Duration::from_nanos(ledger.lag.value_at_quantile(0.99));
    if late > plan.lag_limit {
        reasons.push(format!("it woke {late:.1?} late for one arrival in a hundred"));
    }
    if matches!(plan.pacing, Loop::Open { .. }) && plan.count.is_none() {
        let due = Schedule::new(plan, 1).until((window.until - window.started).as_secs_f64());
        let made = ledger.lag.len() as f64;
        if made < due - 5.0 * due.sqrt() - 1.0 {
            reasons.push(format!("it made {made:.0} of {due:.0} arrivals"));
        }
    }
    reasons
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            mean: histogram.mean() / 1e6,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(histogram.max()),
        }
    }
}

fn ms(value_ns: u64) -> f64 {
    Duration::from_nanos(value_ns).as_secs_f64() * 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.latency_ms;
        writeln!(f, "{} {} {} loop, {} in flight", self.transport, self.era, self.pacing, self.in_flight)?;
        if let Some(offered) = self.offered_per_s {
            writeln!(f, "offered     {offered:>10.0} /s")?;
        }
        writeln!(f, "throughput  {:>10.0} /s over {:.2} s", self.throughput_per_s, self.elapsed_s)?;
        writeln!(
            f,
            "latency ms  p50 {:.3}  p90 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3}",
            latency.p50, latency.p90, latency.p99, latency.p999, latency.max
        )?;
        writeln!(
            f,
            "calls       {} sent, {} right, {} wrong, {} duplicate, {} unasked, {} missing",
            self.sent, self.right, self.wrong, self.duplicate, self.unasked, self.missing
        )?;
        if self.waited_for_a_place > 0 {
            writeln!(f, "arrivals    {} waited for a place, {} never got one", self.waited_for_a_place, self.unsent)?;
        }
        if self.late > 0 {
            writeln!(f, "in time     {:>10.0} /s, {} late", self.goodput_per_s, self.late)?;
        }
        for (kind, count) in &self.errors {
            match self.refusal_ms.get(kind) {
                Some(ms) => writeln!(f, "error       {kind}: {count}, after ms p50 {:.3}  p99 {:.3}", ms.p50, ms.p99)?,
                None => writeln!(f, "error       {kind}: {count}")?,
            }
        }
        for sample in &self.samples {
            writeln!(f, "wrong       {sample}")?;
        }
        writeln!(f, "own cpu     {:.2} s, {:.1} us a call", self.cpu_s, self.cpu_us_per_call)?;
        for reason in &self.saturated_by {
            writeln!(f, "saturated   {reason}: these figures may show the generator, not the target")?;
        }
        Ok(())
    }
}

/// A thread that is busy for more of the time has nothing in reserve.
const BUSY: f64 = 0.9;
/// The lateness an open loop tolerates unless told otherwise.
pub const LAG_LIMIT: Duration = Duration::from_millis(5);
