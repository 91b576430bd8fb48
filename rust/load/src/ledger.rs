//! What was sent and what came back, counted by one thread; the counts of all threads are added up at the end.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::check::Verdict;
use crate::plan::Plan;
use crate::requests::Call;
use crate::tally::{Tally, histogram};
use crate::timeline::Timeline;
use crate::trail::Trail;

/// The counts of one thread, or of all.
pub(crate) struct Ledger {
    pub(crate) sent: u64,
    pub(crate) right: u64,
    pub(crate) wrong: u64,
    pub(crate) duplicate: u64,
    pub(crate) unasked: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    /// The first few wrong answers, in words.
    pub(crate) samples: Vec<String>,
    /// Calls due after the warm-up, by phase.
    pub(crate) phases: Vec<Tally>,
    /// The same calls by their place in the mix,
    pub(crate) tools: Vec<Tally>,
    /// by era (modern, legacy),
    pub(crate) eras: [Tally; 2],
    /// and by when they were due.
    pub(crate) timeline: Timeline,
    /// Right answers that came before their deadline and in the window, whenever they were due.
    pub(crate) good: u64,
    /// Right answers after their deadline.
    pub(crate) late: u64,
    /// From the real instant of sending.
    pub(crate) service: Histogram<u64>,
    /// How late an open loop woke up for its arrivals.
    pub(crate) lag: Histogram<u64>,
    /// Errors the peer answered to calls due after the warm-up, from the real instant of sending.
    pub(crate) refusals: BTreeMap<String, Histogram<u64>>,
    /// Every call that ended, if it is wanted.
    pub(crate) trail: Option<Trail>,
    /// Arrivals that found all places taken and waited for one.
    pub(crate) waited: u64,
    /// Arrivals given up before they were sent: no place came free in time.
    pub(crate) unsent: u64,
    /// Connections the target closed while there was still something to send.
    pub(crate) connections_lost: u64,
    measured_from: Instant,
    until: Instant,
    /// Where each phase ends.
    ends: Vec<Instant>,
}

/// When a call was due, when it went out, until when it is wanted; and which of the mix it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) intended: Instant,
    pub(crate) sent: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) tool: usize,
    pub(crate) legacy: bool,
}

impl Times {
    /// Those of a call that goes out now.
    pub(crate) fn of(call: Call, intended: Instant) -> Self {
        let Call { deadline, tool, legacy, .. } = call;
        Self { intended, sent: Instant::now(), deadline, tool, legacy }
    }

    fn is_late(self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now > deadline)
    }
}

/// How a measured call ended, for the sums it belongs to.
#[derive(Clone, Copy)]
enum End<'a> {
    Right { latency_ns: u64, in_window: bool },
    Wrong,
    Error(&'a str),
}

impl Ledger {
    /// An empty one for a run that starts then.
    pub(crate) fn new(plan: &Plan, started: Instant) -> io::Result<Self> {
        let steps = plan.steps();
        let tallies = |count: usize| (0..count).map(|_| Tally::new()).collect::<io::Result<Vec<_>>>();
        let measured_from = started + plan.warm_up;
        let until = steps.last().map_or(measured_from, |&(end, _)| started + end);
        Ok(Self {
            sent: 0,
            right: 0,
            wrong: 0,
            duplicate: 0,
            unasked: 0,
            errors: BTreeMap::new(),
            samples: Vec::new(),
            phases: tallies(steps.len())?,
            tools: tallies(plan.mix.len())?,
            eras: [Tally::new()?, Tally::new()?],
            timeline: Timeline::new(until - measured_from),
            good: 0,
            late: 0,
            service: histogram()?,
            lag: histogram()?,
            refusals: BTreeMap::new(),
            trail: plan.trail.is_some().then(Trail::default),
            waited: 0,
            unsent: 0,
            connections_lost: 0,
            measured_from,
            until,
            ends: steps.iter().map(|&(end, _)| started + end).collect(),
        })
    }

    /// Books one judged answer.
    pub(crate) fn book(&mut self, verdict: Verdict, times: Times, message: &[u8]) {
        let now = Instant::now();
        if let Some(trail) = &mut self.trail {
            trail.answered(&verdict, times.is_late(now), times, now, message);
        }
        match verdict {
            Verdict::Right => {
                self.right += 1;
                let late = times.is_late(now);
                self.late += u64::from(late);
                self.good += u64::from(!late && now >= self.measured_from && now <= self.until);
                let end = End::Right { latency_ns: ns(now - times.intended), in_window: now <= self.until };
                if self.measure(times, end) {
                    self.service.saturating_record(ns(now - times.sent));
                }
            }
            Verdict::Wrong(why) => {
                self.wrong += 1;
                self.sample(why, message);
                self.measure(times, End::Wrong);
            }
            Verdict::Error(kind) => {
                if times.intended >= self.measured_from {
                    self.refused(&kind, now - times.sent);
                }
                self.count_error(&kind, times);
            }
        }
    }

    /// Books a call that ended without an answer to judge.
    pub(crate) fn error(&mut self, kind: &str, times: Times) {
        if let Some(trail) = &mut self.trail {
            trail.failed(kind, times, Instant::now());
        }
        self.count_error(kind, times);
    }

    /// Adds a call to the sums it belongs to, if it was due after the warm-up.
    fn measure(&mut self, times: Times, end: End<'_>) -> bool {
        if times.intended < self.measured_from {
            return false;
        }
        let phase = self.ends.partition_point(|&end| end <= times.intended).min(self.phases.len().saturating_sub(1));
        let sums =
            [self.phases.get_mut(phase), self.tools.get_mut(times.tool), self.eras.get_mut(usize::from(times.legacy))];
        for sum in sums.into_iter().flatten() {
            match end {
                End::Right { latency_ns, in_window } => sum.right(latency_ns, in_window),
                End::Wrong => sum.wrong += 1,
                End::Error(kind) => sum.error(kind),
            }
        }
        let latency_ns = if let End::Right { latency_ns, .. } = end { Some(latency_ns) } else { None };
        self.timeline.book(times.intended - self.measured_from, latency_ns);
        true
    }

    fn refused(&mut self, kind: &str, after: Duration) {
        if !self.refusals.contains_key(kind) {
            // The bounds are those of the others: it is made.
            self.refusals.extend(histogram().ok().map(|empty| (kind.to_owned(), empty)));
        }
        if let Some(refusals) = self.refusals.get_mut(kind) {
            refusals.saturating_record(ns(after));
        }
    }

    fn count_error(&mut self, kind: &str, times: Times) {
        self.measure(times, End::Error(kind));
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(kind.to_owned(), 1)),
        }
    }

    /// Books an answer to a call that was answered before.
    pub(crate) fn duplicate(&mut self, message: &[u8]) {
        self.duplicate += 1;
        self.sample("answered twice", message);
    }

    /// Books an answer to a call never sent.
    pub(crate) fn unasked(&mut self, message: &[u8]) {
        self.unasked += 1;
        self.sample("never asked", message);
    }

    fn sample(&mut self, why: &str, message: &[u8]) {
        if self.samples.len() < 5 {
            let start = message.get(..message.len().min(300)).unwrap_or_default();
            self.samples.push(format!("{why}: {}", String::from_utf8_lossy(start)));
        }
    }

    /// The run ended before its time.
    pub(crate) fn cut(&mut self, until: Instant) {
        self.until = self.until.min(until);
    }

    /// Calls that ended, one way or another.
    pub(crate) fn ended(&self) -> u64 {
        self.right + self.wrong + self.errors.values().sum::<u64>()
    }

    /// All measured calls in one sum.
    pub(crate) fn measured(&self) -> io::Result<Tally> {
        Tally::sum(&self.eras)
    }

    /// Adds another thread's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.right += other.right;
        self.wrong += other.wrong;
        self.duplicate += other.duplicate;
        self.unasked += other.unasked;
        self.good += other.good;
        self.late += other.late;
        self.waited += other.waited;
        self.unsent += other.unsent;
        self.connections_lost += other.connections_lost;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        let own = self.phases.iter_mut().chain(&mut self.tools).chain(&mut self.eras);
        for (own, others) in own.zip(other.phases.iter().chain(&other.tools).chain(&other.eras)) {
            own.add(others);
        }
        self.timeline.add(&other.timeline);
        for (kind, others) in other.refusals {
            match self.refusals.get_mut(&kind) {
                // Same bounds on both sides: nothing to refuse.
                Some(own) => drop(own.add(others)),
                None => drop(self.refusals.insert(kind, others)),
            }
        }
        if let (Some(own), Some(others)) = (&mut self.trail, other.trail) {
            own.add(others);
        }
        self.samples.extend(other.samples);
        self.samples.truncate(5);
        for (own, others) in [(&mut self.service, other.service), (&mut self.lag, other.lag)] {
            // Same bounds on both sides: nothing to refuse.
            let _ = own.add(others);
        }
    }
}

/// Nanoseconds, for a histogram.
pub(crate) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
