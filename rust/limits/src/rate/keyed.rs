//! Token buckets by key: a table of fixed size, whose cells are one word each.
//!
//! Rules kept, whatever the interleaving:
//! - over any stretch of length `t`, a key is admitted at most `rate * t + burst`, also while keys come and go;
//! - memory is what it was at the start, 16 bytes a place, and no key can make it grow;
//! - a hit takes no lock and allocates nothing; a new key takes one, while it looks at sixteen places;
//! - what was taken can be given back exactly, or has come back by itself.
//!
//! A key has sixteen places, two sets of eight that its digest names. A new key takes the one idle (its bucket full)
//! for longest: who is evicted loses nothing, since a new bucket is full as well. If none of the sixteen is idle, the
//! key shares one *overflow* cell with all others in that position. That cell counts its debt in time, as each sharer's
//! own quota weighs it, so they are refused more often than their quotas say, and never less. A key that gets a place
//! of its own starts with that debt: to move out of the overflow grants nothing.
//!
//! A bucket belongs to a key under one quota. The quota comes with each call, and a changed one is another bucket,
//! full; what moves all rates at once is the clock (see `pace.rs`), and leaves every debt in place.
//!
//! Why no map of locked cells: a lock, a count of references and a pointer for each of three levels cost more than the
//! decision. Why no sweeper: each new key clears the place it needs, and no more.
//!
//! The generation in a word moves on when the place changes hands (see `place.rs`), and when an idle bucket starts
//! again: what was taken before has come back by then, and giving it back as well would grant it twice.

use std::time::Duration;

use super::key::Key;
use super::place::Place;
use crate::bucket::{State, arrive, since_origin_ns};
use crate::quota::{Cost, Quota};
use crate::refusal::Refusal;
use crate::sync::{AtomicU64, Mutex, Ordering};

const WAYS: usize = 8;

/// Token buckets by [`Key`]. Shared by reference; every method may be called from any thread.
///
/// The quota comes with each call; a key under another quota is another bucket.
pub struct Keyed {
    sets: Box<[Set]>,
    /// Its debt is a bound on what any key without a place, or just evicted, may owe.
    overflow: AtomicU64,
    arriving: Mutex<()>,
}

/// Eight places: two cache lines.
#[repr(align(128))]
struct Set([Place; WAYS]);

/// A decision not yet made true: the cell as it was seen, and as it shall be.
#[must_use]
pub(crate) struct Offer<'a> {
    word: &'a AtomicU64,
    seen: State,
    next: State,
    increment_ns: u64,
}

impl Keyed {
    /// A table with room for `keys` keys at the least. Takes 16 bytes for each, now.
    pub fn new(keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).max(1).checked_next_power_of_two().unwrap_or(1);
        Self {
            sets: (0..sets).map(|_| Set(std::array::from_fn(|_| Place::vacant()))).collect(),
            overflow: AtomicU64::new(0),
            arriving: Mutex::new(()),
        }
    }

    /// Takes `cost` tokens from the bucket of `key` at the instant `now`, or says why not.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was taken then.
    #[inline]
    pub fn try_take(&self, key: Key, quota: &Quota, cost: Cost, now: Duration) -> Result<(), Refusal> {
        let now_ns = since_origin_ns(now);
        while !self.ask(key, quota, cost, now_ns)?.accept() {}
        Ok(())
    }

    /// Decides, and takes nothing yet.
    #[inline]
    pub(crate) fn ask(&self, key: Key, quota: &Quota, cost: Cost, now_ns: u64) -> Result<Offer<'_>, Refusal> {
        let key = key.under(quota);
        let (word, seen) = match self.find(key) {
            Some(found) => found,
            None => self.settle(key, now_ns, now_ns + quota.burst_tolerance_ns()),
        };
        let tat_ns = arrive(seen.tat_ns(), now_ns, quota, cost)?;
        let was_idle = seen.tat_ns() < now_ns;
        Ok(Offer {
            word,
            seen,
            next: State::new(seen.generation() + u64::from(was_idle), tat_ns),
            increment_ns: tat_ns - seen.tat_ns().max(now_ns),
        })
    }

    /// The word of the key's own place.
    #[inline]
    fn find(&self, key: Key) -> Option<(&AtomicU64, State)> {
        for Set(places) in self.sets_of(key) {
            for place in places {
                if let Some(seen) = place.held_by(key) {
                    return Some((place.word(), seen));
                }
            }
        }
        None
    }

    /// A place for a key that has none, or the overflow cell. Of the debt there no more than `most_ns` can be the key's.
    #[cold]
    fn settle(&self, key: Key, now_ns: u64, most_ns: u64) -> (&AtomicU64, State) {
        let _turn = self.arriving.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = self.find(key) {
            return found;
        }
        while let Some(place) = self.idle_place(key, now_ns) {
            let debt_of = |evicted_ns| self.leave_overflow(evicted_ns).min(most_ns);
            if let Some(seen) = place.change_hands(key, now_ns, debt_of) {
                return (place.word(), seen);
            }
        }
        (&self.overflow, State(self.overflow.load(Ordering::Acquire)))
    }

    /// The place idle for longest, in the set with more idle ones.
    fn idle_place(&self, key: Key, now_ns: u64) -> Option<&Place> {
        let by_set = self.sets_of(key).map(|Set(places)| {
            let tats = places.each_ref().map(|place| place.state().tat_ns());
            let idle = tats.iter().filter(|&&tat_ns| tat_ns <= now_ns).count();
            (idle, places.iter().zip(tats).min_by_key(|&(_, tat_ns)| tat_ns))
        });
        let (idle, place) = by_set.into_iter().max_by_key(|&(idle, _)| idle)?;
        if idle == 0 { None } else { place.map(|(place, _)| place) }
    }

    /// The debt a key must bring to its own place. A new generation makes those fail that are about to take from the
    /// overflow cell: the key may be theirs. `evicted_ns` counts too: a caller with an older clock may still see a
    /// debt in what is idle by now.
    fn leave_overflow(&self, evicted_ns: u64) -> u64 {
        let mut seen = State(self.overflow.load(Ordering::Acquire));
        loop {
            let next = State::new(seen.generation() + 1, seen.tat_ns().max(evicted_ns));
            match self.overflow.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return next.tat_ns(),
                Err(actual) => seen = State(actual),
            }
        }
    }

    /// The two sets of a key; they may be the same one.
    #[inline]
    fn sets_of(&self, key: Key) -> [&Set; 2] {
        let last = self.sets.len() - 1;
        key.choices().map(|choice| &self.sets[choice & last])
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").field("places", &(self.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

impl Offer<'_> {
    /// Takes what was offered; `false` if the cell has changed since, and nothing was taken.
    #[inline]
    pub(crate) fn accept(&self) -> bool {
        self.word.compare_exchange_weak(self.seen.0, self.next.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives back what was taken, unless time has done so.
    #[cold]
    pub(crate) fn give_back(&self) {
        let mut seen = State(self.word.load(Ordering::Acquire));
        while seen.generation() == self.next.generation() {
            let next = State::new(seen.generation(), seen.tat_ns().saturating_sub(self.increment_ns));
            match self.word.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(actual) => seen = State(actual),
            }
        }
    }
}
