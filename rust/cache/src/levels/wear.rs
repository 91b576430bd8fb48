//! What may be written to the disk, so that a cache does not use it up: so many bytes an hour, a quarter of them at once.

use parking_lot::Mutex;

const HOUR_MS: u64 = 3_600_000;
/// The part of an hour's bytes that may be written at once.
const BURST: u64 = 4;

pub(super) struct Wear {
    bytes_per_hour: u64,
    saved: Mutex<Saved>,
}

/// What may be written now, in bytes times `HOUR_MS`, so that a millisecond brings whole numbers.
struct Saved {
    amount: u64,
    at_ms: u64,
}

impl Wear {
    pub(super) fn new(bytes_per_hour: u64, now_ms: u64) -> Self {
        let bytes_per_hour = bytes_per_hour.min(u64::MAX / HOUR_MS);
        let saved = Saved { amount: bytes_per_hour / BURST * HOUR_MS, at_ms: now_ms };
        Self { bytes_per_hour, saved: Mutex::new(saved) }
    }

    /// Takes so many bytes, if they are there.
    pub(super) fn take(&self, bytes: u64, now_ms: u64) -> bool {
        let mut saved = self.saved.lock();
        let earned = self.bytes_per_hour.saturating_mul(now_ms.saturating_sub(saved.at_ms));
        let most = self.bytes_per_hour / BURST * HOUR_MS;
        saved.at_ms = saved.at_ms.max(now_ms);
        saved.amount = saved.amount.saturating_add(earned).min(most);
        let Some(rest) = bytes.checked_mul(HOUR_MS).and_then(|cost| saved.amount.checked_sub(cost)) else {
            return false;
        };
        saved.amount = rest;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_an_hours_bytes_at_once_and_the_rest_over_the_hour() {
        let wear = Wear::new(4_000, 0);
        assert!(wear.take(1_000, 0) && !wear.take(1, 0));
        assert!(!wear.take(1_000, HOUR_MS / 4 - 1));
        assert!(wear.take(1_000, HOUR_MS / 4));
        assert!(!wear.take(1_001, 100 * HOUR_MS), "what is saved up is bounded");
    }

    #[test]
    fn a_clock_that_goes_backwards_earns_nothing() {
        let wear = Wear::new(4_000, HOUR_MS);
        assert!(wear.take(1_000, HOUR_MS));
        assert!(!wear.take(1, 0));
        assert!(!wear.take(1, HOUR_MS));
        assert!(wear.take(1, HOUR_MS + 1_000));
    }
}
