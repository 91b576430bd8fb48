//! How times spread: a histogram of four buckets an octave, so that a share of them is known to within a fifth.
//!
//! Two of them in turn make what is *recent*: the one that fills and the full one before it. What is older is forgotten
//! whole, at no cost to whoever adds.

use std::time::Duration;

/// Up to 2²⁶ µs (67 s); what is longer counts as that.
const BUCKETS: usize = 104;
/// How long one fills.
const TURN_NS: u64 = 10_000_000_000;

/// Times by how long they are.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }
}

impl Spread {
    pub(super) fn add(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(place(ns / 1_000)) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// How many times are in it.
    pub(super) fn len(&self) -> u32 {
        self.total
    }

    /// The time that `share` of all (in a thousand) stay under; none if there are none.
    pub(super) fn under(&self, share: u32) -> Option<Duration> {
        let wanted = u64::from(self.total).saturating_mul(u64::from(share)).div_ceil(1_000).max(1);
        let mut seen = 0_u64;
        for (at, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(u64::from(*count));
            if seen >= wanted {
                return Some(Duration::from_micros(end_us(at)));
            }
        }
        None
    }
}

/// Where a time belongs.
fn place(us: u64) -> usize {
    if us < 4 {
        return usize::try_from(us).unwrap_or_default();
    }
    let octave = us.ilog2();
    let quarter = (us >> octave.saturating_sub(2)) & 3;
    let at = u64::from(octave.saturating_sub(1)).saturating_mul(4).saturating_add(quarter);
    usize::try_from(at).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The end of a bucket, in microseconds.
fn end_us(at: usize) -> u64 {
    let at = u32::try_from(at).unwrap_or_default();
    if at < 4 {
        return u64::from(at).saturating_add(1);
    }
    u64::from(at % 4).saturating_add(5) << (at / 4).saturating_sub(1)
}

/// What was seen lately: in the last ten seconds, and up to ten before.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent<T> {
    now: T,
    before: T,
    turned_ns: u64,
}

impl<T: Default> Recent<T> {
    /// What fills at the instant `now_ns`.
    pub(super) fn at(&mut self, now_ns: u64) -> &mut T {
        self.turn(now_ns);
        &mut self.now
    }

    /// What is recent at the instant that was named last, the older half first.
    pub(super) fn halves(&self) -> [&T; 2] {
        [&self.before, &self.now]
    }

    fn turn(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.turned_ns);
        if passed_ns < TURN_NS {
            return;
        }
        let full = std::mem::take(&mut self.now);
        self.before = if passed_ns < TURN_NS.saturating_mul(2) { full } else { T::default() };
        self.turned_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_times_is_known_to_within_a_quarter() {
        for us in [0_u64, 1, 3, 4, 5, 7, 8, 100, 1_000, 12_345, 1_000_000, 60_000_000] {
            let mut spread = Spread::default();
            spread.add(us * 1_000);
            let end = u64::try_from(spread.under(990).unwrap_or_default().as_micros()).unwrap_or_default();
            assert!(end > us && end <= us + us / 4 + 1, "{us} is said to be {end}");
        }
        assert_eq!(Spread::default().under(500), None);
    }

    #[test]
    fn half_of_the_times_stay_under_the_median() {
        let mut spread = Spread::default();
        (1..=1_000_u64).for_each(|ms| spread.add(ms * 1_000_000));
        let (half, most) = (spread.under(500).unwrap_or_default(), spread.under(990).unwrap_or_default());
        assert!((500..=640).contains(&half.as_millis()) && (990..=1_240).contains(&most.as_millis()));
        assert_eq!(spread.len(), 1_000);
    }

    #[test]
    fn what_is_twenty_seconds_old_is_forgotten() {
        const S: u64 = 1_000_000_000;
        let mut recent: Recent<u32> = Recent::default();
        for (at, more, halves) in [(1, 1, [0, 1]), (11, 0, [1, 0]), (12, 2, [1, 2]), (22, 0, [2, 0]), (60, 0, [0, 0])] {
            *recent.at(at * S) += more;
            assert_eq!(recent.halves().map(|half| *half), halves, "at {at} s");
        }
    }
}
