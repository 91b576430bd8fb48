//! The middle and the hundredth slowest of many.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

/// In nanoseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    /// Half were faster.
    pub(crate) p50_ns: u64,
    /// Of a hundred, one was slower.
    pub(crate) p99_ns: u64,
}

impl Spread {
    /// Of these; nothing if there are too few to speak of a hundredth.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        if times.len() < 100 {
            return None;
        }
        times.sort_unstable();
        let clock = clock();
        let at = |place: usize| u64::try_from(times[place].saturating_sub(clock).as_nanos()).unwrap_or(u64::MAX);
        Some(Self { p50_ns: at(times.len() / 2), p99_ns: at(times.len() * 99 / 100) })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |ns: u64| ns as f64 / 1_000.0;
        f.pad(&format!("{:.2} / {:.2} µs", micros(self.p50_ns), micros(self.p99_ns)))
    }
}

/// What it takes to read the clock.
fn clock() -> Duration {
    let mut times: Vec<Duration> = (0..1_000).map(|_| Instant::now().elapsed()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
