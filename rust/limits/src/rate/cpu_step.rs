//! The project's first rule, to the letter: 500 requests a second; above 80 % CPU 250; below 30 % 1000; between the
//! two, the last value.
//!
//! It is kept because it was asked for and is easily understood. A step of two on a signal that lags is a coarse
//! controller; as the only guard of an overloaded server it gives away a good part of its capacity.

use std::time::Duration;

use super::policy::RatePolicy;
use crate::health::Health;
use crate::quota::Rate;

const NORMAL_PER_S: f64 = 500.0;
const BUSY_ABOVE: f64 = 0.80;
const CALM_BELOW: f64 = 0.30;

/// Half the rate on a busy machine, twice the rate on a calm one.
#[derive(Clone, Copy, Debug)]
pub struct CpuStep {
    normal: Rate,
    last: Rate,
}

impl CpuStep {
    /// The rule around another rate than 500.
    pub fn around(normal: Rate) -> Self {
        Self { normal, last: normal }
    }
}

impl Default for CpuStep {
    fn default() -> Self {
        Self::around(Rate::clamped(NORMAL_PER_S))
    }
}

impl RatePolicy for CpuStep {
    fn normal(&self) -> Rate {
        self.normal
    }

    fn step(&mut self, health: &Health, _now: Duration) -> Rate {
        match health.cpu {
            Some(cpu) if cpu.get() > BUSY_ABOVE => self.last = Rate::clamped(self.normal.per_s() / 2.0),
            Some(cpu) if cpu.get() < CALM_BELOW => self.last = Rate::clamped(self.normal.per_s() * 2.0),
            _ => {}
        }
        self.last
    }
}
