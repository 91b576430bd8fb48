//! The finished calls of a while, long enough to mean something.
//!
//! A window closes after twice the time a call takes, 250 ms at least and one second at most, and not before it has 25
//! calls: fewer say little where one call in ten takes three times as long as the others.

use super::{Outcome, Sample};

const SHORTEST_NS: u64 = 250_000_000;
const LONGEST_NS: u64 = 1_000_000_000;
const FEWEST: u32 = 25;

/// Finished calls since the last look.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    opened_ns: Option<u64>,
    samples: u32,
    dropped: u32,
    most_in_flight: u32,
    service_ns: u64,
    /// The sum of what the policy made of the calls.
    sum: f64,
}

/// What a window showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// The mean of what was added.
    pub(super) mean: f64,
    /// The share of calls that were dropped.
    pub(super) dropped: f64,
    /// The most calls in flight at any start.
    pub(super) most_in_flight: u32,
}

impl Window {
    /// Adds a call, and `value`, what it says to the policy; shows the window when it closes by it.
    pub(super) fn add(&mut self, sample: &Sample, value: f64, now_ns: u64) -> Option<Shown> {
        let opened_ns = *self.opened_ns.get_or_insert(now_ns);
        self.samples = self.samples.saturating_add(1);
        self.dropped = self.dropped.saturating_add(u32::from(sample.outcome == Outcome::Dropped));
        self.most_in_flight = self.most_in_flight.max(sample.in_flight);
        self.service_ns = self.service_ns.saturating_add(sample.service_ns);
        self.sum += value;
        let twice_ns = (self.service_ns / u64::from(self.samples)).saturating_mul(2);
        let long_enough = now_ns.saturating_sub(opened_ns) >= twice_ns.clamp(SHORTEST_NS, LONGEST_NS);
        if self.samples < FEWEST || !long_enough {
            return None;
        }
        let samples = f64::from(self.samples);
        let shown = Shown {
            mean: self.sum / samples,
            dropped: f64::from(self.dropped) / samples,
            most_in_flight: self.most_in_flight,
        };
        *self = Self { opened_ns: Some(now_ns), ..Self::default() };
        Some(shown)
    }
}
