//! What a run found: counts, throughput, percentiles, and whether the generator itself was the limit.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ledger::Ledger;
use crate::plan::{Era, Loop, Plan, Target};
use crate::run::Window;

/// Kinds of error in which no answer came at all.
const SILENT: [&str; 5] = ["closed", "connect", "malformed", "reset", "timeout"];

/// A whole report; its JSON form is what tests and benchmarks read.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `http` or `unix`.
    pub transport: &'static str,
    /// `modern` or `legacy`.
    pub era: &'static str,
    /// `closed` or `open`.
    #[serde(rename = "loop")]
    pub pacing: &'static str,
    /// Calls in flight at most.
    pub in_flight: usize,
    /// Calls a second asked for, in an open loop.
    pub offered_per_s: Option<f64>,
    /// The measured stretch.
    pub elapsed_s: f64,
    /// Right answers a second in it.
    pub throughput_per_s: f64,
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
    /// Of right answers, from the intended instant of sending.
    pub latency_ms: Percentiles,
    /// Of right answers, from the real instant of sending.
    pub service_ms: Percentiles,
    /// How late an open loop was for its own schedule.
    pub lag_ms: Percentiles,
    /// Arrivals of an open loop that found every place in flight taken.
    pub waited_for_a_place: u64,
    /// Arrivals of an open loop given up before they were sent: no place came free within the timeout.
    pub unsent: u64,
    /// CPU of the generator.
    pub cpu_s: f64,
    /// CPU of the generator for each call.
    pub cpu_us_per_call: f64,
    /// The generator was, or may have been, the limit: do not trust the figures.
    pub saturated: bool,
    /// Why.
    pub saturated_by: Vec<String>,
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
    pub(crate) fn new(plan: &Plan, ledger: &Ledger, window: Window, cpu: Duration) -> Self {
        let elapsed = window.until.min(window.finished).saturating_duration_since(window.measured_from);
        let elapsed_s = elapsed.as_secs_f64().max(1e-9);
        let silent = SILENT.iter().filter_map(|kind| ledger.errors.get(*kind)).sum::<u64>();
        let offered_per_s = match plan.pacing {
            Loop::Open { rate_per_s, .. } => Some(rate_per_s),
            Loop::Closed => None,
        };
        let saturated_by = saturation(plan, ledger, window, cpu);
        Self {
            transport: if matches!(plan.target, Target::Http { .. }) { "http" } else { "unix" },
            era: if plan.era == Era::Modern { "modern" } else { "legacy" },
            pacing: if offered_per_s.is_some() { "open" } else { "closed" },
            in_flight: plan.in_flight,
            offered_per_s,
            elapsed_s,
            throughput_per_s: ledger.in_window as f64 / elapsed_s,
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
            latency_ms: Percentiles::of(&ledger.latency),
            service_ms: Percentiles::of(&ledger.service),
            lag_ms: Percentiles::of(&ledger.lag),
            waited_for_a_place: ledger.waited,
            unsent: ledger.unsent,
            cpu_s: cpu.as_secs_f64(),
            cpu_us_per_call: cpu.as_secs_f64() * 1e6 / ledger.sent.max(1) as f64,
            saturated: !saturated_by.is_empty(),
            saturated_by,
        }
    }

    /// Whether every call got its own answer, once.
    pub fn is_correct(&self) -> bool {
        self.wrong == 0 && self.duplicate == 0 && self.unasked == 0 && self.missing == 0 && self.connections_lost == 0
    }
}

/// The reasons, if any, to suspect the generator.
#[allow(clippy::cast_precision_loss)]
fn saturation(plan: &Plan, ledger: &Ledger, window: Window, cpu: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    let wall_s = window.finished.saturating_duration_since(window.started).as_secs_f64().max(1e-9);
    let busy = cpu.as_secs_f64() / (wall_s * plan.threads as f64);
    if busy > 0.9 {
        reasons.push(format!("its threads were busy {:.0} % of the time", busy * 100.0));
    }
    let late = Duration::from_nanos(ledger.lag.value_at_quantile(0.99));
    if late > plan.lag_limit {
        reasons.push(format!("it woke {late:.1?} late for one arrival in a hundred"));
    }
    if let Loop::Open { rate_per_s, .. } = plan.pacing
        && plan.count.is_none()
    {
        let due = rate_per_s * (window.until - window.started).as_secs_f64();
        let made = ledger.lag.len() as f64;
        if made < due - 5.0 * due.sqrt() - 1.0 {
            reasons.push(format!("it made {made:.0} of {due:.0} arrivals"));
        }
    }
    reasons
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Self {
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

/// The lateness an open loop tolerates unless told otherwise.
pub const LAG_LIMIT: Duration = Duration::from_millis(5);
