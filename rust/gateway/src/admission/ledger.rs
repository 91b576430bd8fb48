//! What is counted at a gate.

use omnimind_limits::{concurrency::Outcome, queue::Reason};

use super::spread::{Recent, Spread};
use crate::metrics::Times;

/// The books of one gate.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) started: u64,
    /// Of all that have left, what they waited; most did not.
    pub(super) waits: Times,
    /// Of all that were served, what they took.
    pub(super) services: Times,
    /// In the order of [`Reason::ALL`].
    pub(super) refused: [u64; Reason::ALL.len()],
    pub(super) served: u64,
    pub(super) recent: Recent<Lately>,
}

/// What was seen lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Lately {
    pub(super) waits: Spread,
    pub(super) services: Spread,
    pub(super) dropped: u32,
}

impl Ledger {
    pub(super) fn started(&mut self, waited_ns: u64, now_ns: u64) {
        self.started = self.started.saturating_add(1);
        self.recent.at(now_ns).waits.add(waited_ns);
    }

    pub(super) fn refused(&mut self, reason: Reason) {
        let place = Reason::ALL.iter().position(|other| *other == reason);
        if let Some(count) = place.and_then(|place| self.refused.get_mut(place)) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn finished(&mut self, took_ns: u64, outcome: Outcome, now_ns: u64) {
        self.served = self.served.saturating_add(1);
        self.services.add(took_ns);
        let lately = self.recent.at(now_ns);
        lately.services.add(took_ns);
        lately.dropped = lately.dropped.saturating_add(u32::from(outcome == Outcome::Dropped));
    }
}

impl Ledger {
    /// Both halves of what is recent.
    pub(super) fn lately(&self) -> Lately {
        let mut lately = Lately::default();
        self.recent.halves().into_iter().for_each(|half| lately.merge(half));
        lately
    }
}

impl Lately {
    pub(super) fn merge(&mut self, other: &Self) {
        self.waits.merge(&other.waits);
        self.services.merge(&other.services);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}
