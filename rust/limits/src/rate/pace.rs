//! How fast time passes for the buckets: one number that makes every one of them faster or slower at once.
//!
//! A bucket whose clock runs at half speed is a bucket of half the rate, with the same burst and the same debt in
//! tokens. So a policy that changes the rate of a hundred thousand buckets changes the clock they are shown, by one
//! store, and none of them is visited. The clock shown never jumps: a change of pace bends it.
//!
//! Readers take no lock: they read the slot the turn names, and look whether the turn still stands. A change writes the
//! other slot first; changes take turns by a mutex.

use std::time::Duration;

use crate::bucket::{HORIZON_NS, since_origin_ns};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// A pace of 1, as a fixed-point number.
const NORMAL: u64 = 1 << 32;
const SLOWEST: f64 = 1e-6;
const FASTEST: f64 = 1e6;

/// The clock of the buckets.
pub(super) struct Pace {
    turn: AtomicU64,
    bends: [[AtomicU64; 3]; 2],
    changing: Mutex<()>,
}

/// Since the instant `at_ns`, when the buckets' clock stood at `shown_ns`, it runs at `speed`.
#[derive(Clone, Copy)]
pub(super) struct Bend {
    at_ns: u64,
    shown_ns: u64,
    speed: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        let bend = || [0, 0, NORMAL].map(AtomicU64::new);
        Self { turn: AtomicU64::new(0), bends: [bend(), bend()], changing: Mutex::new(()) }
    }

    /// The bend in force.
    #[inline]
    pub(super) fn bend(&self) -> Bend {
        let mut turn = self.turn.load(Ordering::Acquire);
        loop {
            let [at_ns, shown_ns, speed] = self.slot(turn).each_ref().map(|word| word.load(Ordering::Acquire));
            let again = self.turn.load(Ordering::Acquire);
            if again == turn {
                return Bend { at_ns, shown_ns, speed };
            }
            turn = again;
        }
    }

    /// From the instant `now` the clock runs at `pace` times its normal speed, within a millionth and a million.
    pub(super) fn set(&self, pace: f64, now: Duration) {
        let now_ns = since_origin_ns(now);
        let _turn = self.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = self.turn.load(Ordering::Acquire);
        let next = [now_ns, self.bend().shown_ns(now_ns), fixed_point(pace)];
        for (word, value) in self.slot(turn + 1).iter().zip(next) {
            word.store(value, Ordering::Release);
        }
        self.turn.store(turn + 1, Ordering::Release);
    }

    #[inline]
    fn slot(&self, turn: u64) -> &[AtomicU64; 3] {
        let [even, odd] = &self.bends;
        if turn.is_multiple_of(2) { even } else { odd }
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}

impl Bend {
    /// What the buckets' clock shows at the instant `now_ns`.
    #[inline]
    pub(super) fn shown_ns(self, now_ns: u64) -> u64 {
        let passed = u128::from(now_ns.saturating_sub(self.at_ns)) * u128::from(self.speed) / u128::from(NORMAL);
        u64::try_from(passed).unwrap_or(HORIZON_NS).saturating_add(self.shown_ns).min(HORIZON_NS)
    }

    /// How long the buckets' clock takes for `shown`.
    pub(super) fn wait(self, shown: Duration) -> Duration {
        let ns = (shown.as_nanos() * u128::from(NORMAL)).div_ceil(u128::from(self.speed));
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// A pace in 2^-32.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // within the bounds
fn fixed_point(pace: f64) -> u64 {
    (pace.clamp(SLOWEST, FASTEST) * NORMAL as f64) as u64
}
