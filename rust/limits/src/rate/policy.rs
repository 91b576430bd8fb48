//! How a rate follows the health of the machine: one trait, and the policy that does not follow it.

use std::time::Duration;

use crate::health::Health;
use crate::quota::Rate;

/// Decides a rate, step by step. Pure: the reading and the clock are arguments, and the same steps give the same rates.
///
/// An implementation MUST stay as it is where a reading it needs is not known, and MUST bear steps at any intervals.
/// What it answers goes into one bucket by [`TokenBucket::set_quota`](crate::TokenBucket::set_quota), or into all of
/// them at once by [`Admission::set_pace`](super::Admission::set_pace).
pub trait RatePolicy: Send {
    /// The rate in ordinary times: the one that quotas are written for.
    fn normal(&self) -> Rate;

    /// The rate from the instant `now` on.
    fn step(&mut self, health: &Health, now: Duration) -> Rate;
}

/// The same rate, whatever happens.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub Rate);

impl RatePolicy for Fixed {
    fn normal(&self) -> Rate {
        self.0
    }

    fn step(&mut self, _health: &Health, _now: Duration) -> Rate {
        self.0
    }
}
