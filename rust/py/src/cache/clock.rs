//! The two clocks of the cache, in milliseconds.

use rustix::time::{ClockId, clock_gettime};

/// For entries that live in this process only: never goes back, a few milliseconds coarse, read without a system call.
#[inline]
pub(crate) fn steady_ms() -> u64 {
    millis(ClockId::MonotonicCoarse)
}

/// For entries that outlive the process: since the Unix epoch.
pub(crate) fn wall_ms() -> u64 {
    millis(ClockId::RealtimeCoarse)
}

#[inline]
fn millis(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec.cast_unsigned() * 1_000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
