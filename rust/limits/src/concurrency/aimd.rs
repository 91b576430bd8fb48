//! One more while calls succeed, a tenth less when they fail.
//!
//! It finds the limit only by losing calls, and a deadline that a slow call missed looks to it like an overload: in the
//! arena it leaves a tenth and more of the capacity unused. For servers that say themselves when they have enough.
//!
//! Constants: a window with more than 5 % of its calls dropped counts as overloaded (below it, the long tail of ordinary
//! calls that meet their deadlines would hold the limit at its least); × 0.9 as in Netflix's `concurrency-limits`.

use super::{Bounds, Policy, Sample, Window, whole};

const TOO_MANY_DROPPED: f64 = 0.05;
const DECREASE: f64 = 0.9;

/// Additive increase, multiplicative decrease.
#[derive(Clone, Debug)]
pub struct Aimd {
    bounds: Bounds,
    limit: f64,
    window: Window,
}

impl Aimd {
    /// A policy that starts at `bounds.start`.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, limit: bounds.clamp(f64::from(bounds.start)), window: Window::default() }
    }
}

impl Policy for Aimd {
    fn finished(&mut self, sample: &Sample, now_ns: u64) {
        let Some(shown) = self.window.add(sample, 0.0, now_ns) else { return };
        if shown.dropped > TOO_MANY_DROPPED {
            self.limit = self.bounds.clamp(self.limit * DECREASE);
        } else if f64::from(shown.most_in_flight) >= self.limit / 2.0 {
            self.limit = self.bounds.clamp(self.limit + 1.0);
        }
    }

    fn limit(&self) -> u32 {
        whole(self.limit)
    }
}
