//! What was sent and what came back, counted by one thread; the counts of all threads are added up at the end.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::check::Verdict;
use crate::requests::Call;
use crate::trail::Trail;

/// Latencies from 1 µs to 2 minutes, to three digits.
const LONGEST_NS: u64 = 120_000_000_000;

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
    /// Right answers to calls due after the warm-up.
    pub(crate) measured: u64,
    /// Those of them that came before the end of the window.
    pub(crate) in_window: u64,
    /// Right answers that came before their deadline and in the window, whenever they were due.
    pub(crate) good: u64,
    /// Right answers after their deadline.
    pub(crate) late: u64,
    pub(crate) errors_measured: u64,
    /// From the intended instant of sending.
    pub(crate) latency: Histogram<u64>,
    /// From the real one.
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
}

/// When a call was due, when it went out, until when it is wanted; and which of the mix it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) intended: Instant,
    pub(crate) sent: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) tool: usize,
}

impl Times {
    /// Those of a call that goes out now.
    pub(crate) fn of(call: Call, intended: Instant) -> Self {
        Self { intended, sent: Instant::now(), deadline: call.deadline, tool: call.tool }
    }

    fn is_late(self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now > deadline)
    }
}

impl Ledger {
    pub(crate) fn new(measured_from: Instant, until: Instant, with_trail: bool) -> io::Result<Self> {
        Ok(Self {
            sent: 0,
            right: 0,
            wrong: 0,
            duplicate: 0,
            unasked: 0,
            errors: BTreeMap::new(),
            samples: Vec::new(),
            measured: 0,
            in_window: 0,
            good: 0,
            late: 0,
            errors_measured: 0,
            latency: histogram()?,
            service: histogram()?,
            lag: histogram()?,
            refusals: BTreeMap::new(),
            trail: with_trail.then(Trail::default),
            waited: 0,
            unsent: 0,
            connections_lost: 0,
            measured_from,
            until,
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
                if times.intended >= self.measured_from {
                    self.measured += 1;
                    self.in_window += u64::from(now <= self.until);
                    self.latency.saturating_record(ns(now - times.intended));
                    self.service.saturating_record(ns(now - times.sent));
                }
            }
            Verdict::Wrong(why) => {
                self.wrong += 1;
                self.sample(why, message);
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
        if times.intended >= self.measured_from {
            self.errors_measured += 1;
        }
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

    /// Calls that ended, one way or another.
    pub(crate) fn ended(&self) -> u64 {
        self.right + self.wrong + self.errors.values().sum::<u64>()
    }

    /// Adds another thread's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.right += other.right;
        self.wrong += other.wrong;
        self.duplicate += other.duplicate;
        self.unasked += other.unasked;
        self.measured += other.measured;
        self.in_window += other.in_window;
        self.good += other.good;
        self.late += other.late;
        self.errors_measured += other.errors_measured;
        self.waited += other.waited;
        self.unsent += other.unsent;
        self.connections_lost += other.connections_lost;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
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
        for (own, others) in
            [(&mut self.latency, other.latency), (&mut self.service, other.service), (&mut self.lag, other.lag)]
        {
            // Same bounds on both sides: nothing to refuse.
            let _ = own.add(others);
        }
    }
}

fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, LONGEST_NS, 3).map_err(io::Error::other)
}

/// Nanoseconds, for a histogram.
pub(crate) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
