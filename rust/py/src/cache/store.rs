//! Python objects by reference: an index over the queues of `omnimind_cache::ram`.
//!
//! The gateway's [`Ram`](omnimind_cache::ram::Ram) finds entries without a lock; here the interpreter lets one thread
//! in at a time anyway, and what leaves must be let go at once, by its thread, with nothing in use: an object's end may
//! run anybody's code. So the queues, the ghost and the expiry are the same, the index is a plain table, and whatever
//! leaves is handed to the caller. What a hit needs lies in 32 bytes, apart from what only changes need.

use hashbrown::HashTable;
use omnimind_cache::Life;
use omnimind_cache::ram::{Expiry, Hits, Policy, Queue, RamStats, Slot};
use pyo3::prelude::*;

use super::key::Hashed;

/// Never: an entry without an end.
pub(crate) const NEVER: u64 = u64::MAX;
/// Entries that have ended which an insertion takes out on its way.
const SWEPT: usize = 2;

/// What left the store, to be dropped when it is no longer in use.
#[derive(Default)]
pub(crate) struct Leaving {
    first: [Option<Py<PyAny>>; 2],
    rest: Vec<Py<PyAny>>,
}

impl Leaving {
    fn add(&mut self, object: Py<PyAny>) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(object),
            None => self.rest.push(object),
        }
    }
}

/// What a lookup came to.
pub(crate) enum Looked<'a> {
    Fresh(&'a Py<PyAny>),
    Stale(&'a Py<PyAny>),
    /// It is there, and has ended.
    Ended,
    Nothing,
}

/// The values, their bounds and their counts.
pub(crate) struct Store {
    index: HashTable<u32>,
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    policy: Policy<u32>,
    expiry: Expiry,
    limits: Bounds,
    stats: RamStats,
}

/// What the store may hold.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_bytes: u64,
    pub(crate) max_items: usize,
}

impl Bounds {
    /// The weight of one entry.
    fn item_bytes(self) -> u64 {
        (self.max_bytes / 8).max(1)
    }
}

/// What a hit looks at.
struct Hot {
    key: Option<Py<PyAny>>,
    value: Option<Py<PyAny>>,
    fresh_until_ms: u64,
    hash: u32,
    hits: Hits,
}

#[derive(Clone, Copy)]
struct Cold {
    slot: Slot,
    stale_until_ms: u64,
}

impl Store {
    pub(crate) fn new(limits: Bounds) -> Self {
        Self {
            index: HashTable::new(),
            hot: Vec::new(),
            cold: Vec::new(),
            policy: Policy::new(limits.max_bytes, limits.max_items),
            expiry: Expiry::default(),
            limits,
            stats: RamStats::default(),
        }
    }

    /// Looks a key up and counts it. The clock is read only for an entry that has an end.
    #[inline]
    pub(crate) fn get(&mut self, asked: &Hashed<'_, '_>, now_ms: impl FnOnce() -> u64) -> Looked<'_> {
        let Some(at) = self.find(asked) else {
            self.stats.misses += 1;
            return Looked::Nothing;
        };
        let Some(Hot { value: Some(value), fresh_until_ms, hits, .. }) = self.hot.get(at) else {
            return Looked::Nothing;
        };
        if *fresh_until_ms != NEVER {
            let now_ms = now_ms();
            if *fresh_until_ms <= now_ms {
                if self.cold.get(at).is_none_or(|cold| cold.stale_until_ms <= now_ms) {
                    self.stats.misses += 1;
                    return Looked::Ended;
                }
                self.stats.hits += 1;
                self.stats.stale_hits += 1;
                hits.touch();
                return Looked::Stale(value);
            }
        }
        self.stats.hits += 1;
        hits.touch();
        Looked::Fresh(value)
    }

    /// The lookup that found an entry that has ended will be repeated.
    pub(crate) fn uncount_miss(&mut self) {
        self.stats.misses -= 1;
    }

    /// A lookup that found a stale entry was asked for a fresh one.
    pub(crate) fn count_stale_as_miss(&mut self) {
        self.stats.hits -= 1;
        self.stats.stale_hits -= 1;
        self.stats.misses += 1;
    }

    /// Whether a key has a fresh value; counts nothing.
    pub(crate) fn holds(&self, asked: &Hashed<'_, '_>, now_ms: u64) -> bool {
        self.find(asked).and_then(|at| self.hot.get(at)).is_some_and(|hot| hot.fresh_until_ms > now_ms)
    }

    /// Puts a value in, in place of the one the key had. False if it is too heavy; the old one is gone then too.
    pub(crate) fn insert(
        &mut self,
        asked: &Hashed<'_, '_>,
        value: Py<PyAny>,
        weight: u64,
        life: &Life,
        leaving: &mut Leaving,
    ) -> bool {
        if weight > self.limits.item_bytes() || self.limits.max_items == 0 {
            self.stats.too_large += 1;
            leaving.add(value);
            self.remove(asked, leaving);
            return false;
        }
        self.stats.inserts += 1;
        self.sweep(life.created_ms, SWEPT, leaving);
        if let Some(at) = self.find(asked) {
            self.replace(at, value, weight, life, leaving);
            self.make_room(0, 0, leaving);
        } else {
            let known = self.policy.recall(asked.hash());
            self.make_room(weight, 1, leaving);
            self.admit(asked, known, value, weight, life);
        }
        true
    }

    /// Takes a key out; whether it was there.
    pub(crate) fn remove(&mut self, asked: &Hashed<'_, '_>, leaving: &mut Leaving) -> bool {
        let Some(at) = self.find(asked) else { return false };
        self.take_out(at, leaving)
    }

    /// Takes a key out that has ended.
    pub(crate) fn remove_ended(&mut self, asked: &Hashed<'_, '_>, leaving: &mut Leaving) {
        if self.remove(asked, leaving) {
            self.stats.expired += 1;
        }
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self, leaving: &mut Leaving) {
        for at in 0..self.hot.len() {
            self.take_out(at, leaving);
        }
    }

    /// Takes at most `at_most` entries out that have ended.
    pub(crate) fn sweep(&mut self, now_ms: u64, at_most: usize, leaving: &mut Leaving) {
        for _ in 0..at_most {
            let Some(slot) = self.expiry.ended(now_ms) else { break };
            if !self.take_out(slot.index(), leaving) {
                break;
            }
            self.stats.expired += 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.policy.weight()
    }

    pub(crate) fn stats(&self) -> RamStats {
        self.stats
    }

    /// Every object in it.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.hot.iter().flat_map(|hot| [hot.key.as_ref(), hot.value.as_ref()]).flatten()
    }

    #[inline]
    fn find(&self, asked: &Hashed<'_, '_>) -> Option<usize> {
        let hash = short(asked.hash());
        let is_it = |at: &u32| {
            let hot = self.hot.get(*at as usize);
            hot.is_some_and(|hot| hot.hash == hash && hot.key.as_ref().is_some_and(|key| asked.is(key)))
        };
        self.index.find(spread(hash), is_it).map(|at| *at as usize)
    }

    fn admit(&mut self, asked: &Hashed<'_, '_>, known: bool, value: Py<PyAny>, weight: u64, life: &Life) {
        let slot = self.policy.admit(asked.hash(), known, weight, 0);
        let at = slot.index();
        let Ok(number) = u32::try_from(at) else { return };
        if let Some(own) = self.policy.get_mut(slot) {
            *own = number;
        }
        let hash = short(asked.hash());
        let hot = Hot {
            key: Some(asked.object()),
            value: Some(value),
            fresh_until_ms: life.fresh_until_ms,
            hash,
            hits: Hits::default(),
        };
        let cold = Cold { slot, stale_until_ms: life.stale_until_ms };
        if let (Some(old_hot), Some(old_cold)) = (self.hot.get_mut(at), self.cold.get_mut(at)) {
            (*old_hot, *old_cold) = (hot, cold);
        } else {
            self.hot.push(hot);
            self.cold.push(cold);
        }
        let hot = &self.hot;
        self.index.insert_unique(spread(hash), number, |at| spread(hot.get(*at as usize).map_or(0, |hot| hot.hash)));
        self.expiry.set(slot, life);
    }

    fn replace(&mut self, at: usize, value: Py<PyAny>, weight: u64, life: &Life, leaving: &mut Leaving) {
        let (Some(hot), Some(cold)) = (self.hot.get_mut(at), self.cold.get_mut(at)) else { return };
        if let Some(old) = hot.value.replace(value) {
            leaving.add(old);
        }
        hot.fresh_until_ms = life.fresh_until_ms;
        hot.hits.touch();
        cold.stale_until_ms = life.stale_until_ms;
        self.policy.reweigh(cold.slot, weight);
        self.expiry.set(cold.slot, life);
    }

    fn make_room(&mut self, bytes: u64, items: usize, leaving: &mut Leaving) {
        while self.policy.weight().saturating_add(bytes) > self.limits.max_bytes
            || self.policy.len() + items > self.limits.max_items
        {
            let hot = &self.hot;
            let leaves = |at: &mut u32, queue: Queue| {
                let Some(Hot { hits, .. }) = hot.get(*at as usize) else { return true };
                let earned = hits.earned(queue);
                if earned {
                    hits.spend(queue);
                }
                !earned
            };
            let Some(left) = self.policy.evict(leaves) else { break };
            self.stats.evictions += 1;
            self.expiry.unset(left.slot);
            self.empty(left.slot.index(), leaving);
        }
    }

    fn take_out(&mut self, at: usize, leaving: &mut Leaving) -> bool {
        let Some(slot) = self.cold.get(at).map(|cold| cold.slot) else { return false };
        if self.policy.remove(slot).is_none() {
            return false;
        }
        self.expiry.unset(slot);
        self.empty(at, leaving);
        true
    }

    /// The place at `at` is no longer in the queues.
    fn empty(&mut self, at: usize, leaving: &mut Leaving) {
        let Some(hot) = self.hot.get_mut(at) else { return };
        if let Ok(entry) = self.index.find_entry(spread(hot.hash), |other| *other as usize == at) {
            entry.remove();
        }
        [hot.key.take(), hot.value.take()].into_iter().flatten().for_each(|object| leaving.add(object));
    }
}

/// What is kept of a hash: 32 bits tell nearly all keys of a table apart.
#[inline]
#[allow(clippy::cast_possible_truncation)] // the half that is wanted, with the other mixed in
fn short(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

/// What the table goes by: all of its bits depend on all that is kept.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
