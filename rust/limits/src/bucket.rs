//! One token bucket, as a GCRA cell: a single word of state, moved by compare-and-swap.
//!
//! The word holds the *theoretical arrival time* (TAT) of the papers: the instant at which the bucket would be full
//! again. What lies between now and the TAT is the debt. A call of increment `i` conforms when
//! `max(TAT, now) + i <= now + tau`, and moves the TAT to the left side; else the gap is exactly how long to wait.
//!
//! Rules kept, whatever the interleaving:
//! - over any stretch of length `t` under one quota, the cost admitted is at most `rate * t + burst`;
//! - a refused caller that waits `retry_after`, and is alone, is admitted;
//! - a change of quota carries the debt over in *tokens*: an emptied bucket stays empty when its rate is lowered, and
//!   a raised rate counts at once. A lower burst forgives debt beyond it, a higher one grants the difference.
//!
//! Why a generation stands in the word: quota and TAT must be read as one. A change writes the new quota into the slot
//! not in use, then publishes slot and rescaled TAT by one compare-and-swap. A caller that read the old slot fails its
//! own swap and looks again. Callers take no lock and never wait for a change; changes take turns by a mutex.
//!
//! Cost: 88 bytes a cell; about 5 ns a decision. Source: ITU-T I.371 (GCRA), and `governor`'s `gcra.rs` for the
//! one-word form, whose quota is fixed when it is made.

use std::time::Duration;

use crate::quota::{Cost, Quota};
use crate::refusal::Refusal;
use crate::sync::{AtomicU64, Mutex, Ordering};

const TAT_BITS: u32 = 60;
const TAT_MASK: u64 = (1 << TAT_BITS) - 1;
/// Instants later than this (18 years after the origin) are taken for this one; it leaves room for any `tau`.
pub(crate) const HORIZON_NS: u64 = 1 << (TAT_BITS - 1);

/// A rate limiter for one key. Shared by reference; every method may be called from any thread.
///
/// Instants are durations since an origin the caller chose, the same for all calls on one bucket.
pub struct TokenBucket {
    state: AtomicU64,
    slots: [Slot; 2],
    changing: Mutex<()>,
}

/// A quota in atomics.
struct Slot([AtomicU64; 4]);

/// The word: generation (which slot holds, and whether a change came between) and TAT.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl TokenBucket {
    /// A full bucket.
    pub fn new(quota: Quota) -> Self {
        Self { state: AtomicU64::new(0), slots: [Slot::new(quota), Slot::new(quota)], changing: Mutex::new(()) }
    }

    /// Takes `cost` tokens at the instant `now`, or says why not. Lock-free.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was taken then.
    #[inline]
    pub fn try_take(&self, cost: Cost, now: Duration) -> Result<(), Refusal> {
        let now_ns = since_origin_ns(now);
        let mut seen = State(self.state.load(Ordering::Acquire));
        loop {
            let quota = self.slot(seen).load();
            match arrive(seen.tat_ns(), now_ns, &quota, cost) {
                Ok(tat_ns) => {
                    let next = State::new(seen.generation(), tat_ns);
                    match self.state.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => return Ok(()),
                        Err(actual) => seen = State(actual),
                    }
                }
                Err(refusal) => {
                    let again = State(self.state.load(Ordering::Acquire));
                    if again.generation() == seen.generation() {
                        return Err(refusal);
                    }
                    seen = again;
                }
            }
        }
    }

    /// Changes rate and burst at the instant `now`, by one store. The debt in tokens stays.
    pub fn set_quota(&self, quota: Quota, now: Duration) {
        let now_ns = since_origin_ns(now);
        let _turn = self.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut seen = State(self.state.load(Ordering::Acquire));
        let old = self.slot(seen).load();
        let generation = seen.generation() + 1;
        self.slot(State::new(generation, 0)).store(quota);
        loop {
            let next = State::new(generation, carry_over(seen.tat_ns(), now_ns, &old, &quota));
            match self.state.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(actual) => seen = State(actual),
            }
        }
    }

    /// The quota in force.
    pub fn quota(&self) -> Quota {
        self.read().1
    }

    /// Tokens that could be taken at the instant `now`.
    #[allow(clippy::cast_precision_loss)] // for showing, not for deciding
    pub fn available(&self, now: Duration) -> f64 {
        let (tat_ns, quota) = self.read();
        let debt_ns = tat_ns.saturating_sub(since_origin_ns(now));
        let left_ns = quota.burst_tolerance_ns().saturating_sub(debt_ns);
        (left_ns as f64 / quota.emission_interval_ns() as f64).min(quota.burst())
    }

    fn read(&self) -> (u64, Quota) {
        let mut seen = State(self.state.load(Ordering::Acquire));
        loop {
            let quota = self.slot(seen).load();
            let again = State(self.state.load(Ordering::Acquire));
            if again.generation() == seen.generation() {
                return (seen.tat_ns(), quota);
            }
            seen = again;
        }
    }

    #[inline]
    fn slot(&self, state: State) -> &Slot {
        let [even, odd] = &self.slots;
        if state.generation().is_multiple_of(2) { even } else { odd }
    }
}

impl std::fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quota = self.quota();
        f.debug_struct("TokenBucket")
            .field("per_s", &quota.per_s())
            .field("burst", &quota.burst())
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn new(quota: Quota) -> Self {
        Self(quota.to_words().map(AtomicU64::new))
    }

    // Acquire here and Release below: whoever sees a word of a later change also sees, at its next look at the state,
    // that the generation moved on.
    #[inline]
    fn load(&self) -> Quota {
        let [per_s, burst, interval, tolerance] = &self.0;
        Quota::from_words([per_s, burst, interval, tolerance].map(|word| word.load(Ordering::Acquire)))
    }

    fn store(&self, quota: Quota) {
        for (word, value) in self.0.iter().zip(quota.to_words()) {
            word.store(value, Ordering::Release);
        }
    }
}

impl State {
    /// Of the generation the lowest four bits count.
    #[inline]
    pub(crate) fn new(generation: u64, tat_ns: u64) -> Self {
        Self(generation << TAT_BITS | tat_ns & TAT_MASK)
    }

    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> TAT_BITS
    }

    #[inline]
    pub(crate) fn tat_ns(self) -> u64 {
        self.0 & TAT_MASK
    }
}

/// The GCRA decision: the new TAT, or the refusal.
#[inline]
pub(crate) fn arrive(tat_ns: u64, now_ns: u64, quota: &Quota, cost: Cost) -> Result<u64, Refusal> {
    let increment_ns = cost.increment_ns(quota).ok_or(Refusal::TooLarge { burst: quota.burst() })?;
    let next_ns = tat_ns.max(now_ns) + increment_ns;
    let conforming_until_ns = now_ns + quota.burst_tolerance_ns();
    if next_ns <= conforming_until_ns {
        Ok(next_ns)
    } else {
        Err(Refusal::TooSoon { retry_after: Duration::from_nanos(next_ns - conforming_until_ns) })
    }
}

/// The TAT under `new` that owes as many tokens as `tat_ns` did under `old`, at most a full bucket of them.
fn carry_over(tat_ns: u64, now_ns: u64, old: &Quota, new: &Quota) -> u64 {
    let debt_ns = u128::from(tat_ns.saturating_sub(now_ns));
    let scaled_ns = (debt_ns * u128::from(new.emission_interval_ns())).div_ceil(u128::from(old.emission_interval_ns()));
    let scaled_ns = u64::try_from(scaled_ns).unwrap_or(u64::MAX).min(new.burst_tolerance_ns());
    now_ns + scaled_ns
}

/// The instant as a number, not later than the horizon.
#[inline]
pub(crate) fn since_origin_ns(now: Duration) -> u64 {
    let ns = now.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(now.subsec_nanos()));
    ns.min(HORIZON_NS)
}
