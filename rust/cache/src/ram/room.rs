//! How room is made: the budget that all shards share, and who leaves when it is used up.

use std::hash::{BuildHasher, Hash};

use super::{Few, Held, Limits, Ram, Slot, shard::Shard};
use crate::Freshness;
use crate::sync::{AtomicU64, AtomicUsize, LocalGuard, Ordering, yield_now};

/// What is taken of the limits; never more than they allow.
#[derive(Debug, Default)]
pub(super) struct Budget {
    pub(super) bytes: AtomicU64,
    pub(super) items: AtomicUsize,
}

impl Budget {
    /// Takes both or nothing.
    fn take(&self, bytes: u64, items: usize, limits: &Limits) -> bool {
        let within = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limits.max_bytes);
        if self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_err() {
            return false;
        }
        let within = |used: usize| used.checked_add(items).filter(|sum| *sum <= limits.max_items);
        let taken = self.items.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok();
        if !taken {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn give(&self, bytes: u64, items: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.items.fetch_sub(items, Ordering::Relaxed);
    }
}

/// Entries that left, to be shown once no lock is held.
pub(super) type Evicted<'g, K, V> = Few<(&'g K, &'g Held<V>)>;

impl<K, V, S> Ram<K, V, S>
where
    K: Hash + Eq + Clone,
    S: BuildHasher + Clone,
{
    /// Takes what an entry needs from the budget, evicting until it is there, and says what the key has already.
    pub(super) fn make_room<'g>(
        &self,
        shard: &mut Shard<K>,
        key: &K,
        weight: u64,
        guard: &'g LocalGuard<'_>,
        evicted: &mut Evicted<'g, K, V>,
    ) -> Option<&'g Held<V>> {
        let mut old = self.index.get(key, guard);
        loop {
            let (bytes, items) = match old {
                Some(old) => (weight.saturating_sub(shard.policy.weight_of(old.slot)), 0),
                None => (weight, 1),
            };
            if self.budget.take(bytes, items, &self.limits) {
                return old;
            }
            if !self.evict_one(shard, guard, evicted) {
                self.evict_elsewhere(guard, evicted);
            }
            if old.is_some() {
                old = self.index.get(key, guard);
            }
        }
    }

    /// Evicts from this shard; `false` if it is empty.
    fn evict_one<'g>(&self, shard: &mut Shard<K>, guard: &'g LocalGuard<'_>, evicted: &mut Evicted<'g, K, V>) -> bool {
        let left = shard.policy.evict(|key, queue| {
            match self.index.remove_if(key, |_, held| !held.hits.earned(queue), guard) {
                Ok(gone) => {
                    if let Some((key, held)) = gone {
                        evicted.push((key, held));
                    }
                    true
                }
                Err((_, held)) => {
                    held.hits.spend(queue);
                    false
                }
            }
        });
        let Some(left) = left else { return false };
        shard.expiry.unset(left.slot);
        shard.counts.evictions += 1;
        self.budget.give(left.weight, 1);
        true
    }

    /// Evicts from any shard whose mutex is free. Who holds the others' has its room already, or needs some and is
    /// here as well; so somebody always goes on.
    fn evict_elsewhere<'g>(&self, guard: &'g LocalGuard<'_>, evicted: &mut Evicted<'g, K, V>) {
        let done = self
            .shards
            .iter()
            .filter_map(|other| other.try_lock())
            .any(|mut other| self.evict_one(&mut other, guard, evicted));
        if !done {
            yield_now();
        }
    }

    /// Takes a key out that may be there.
    pub(super) fn take_out(&self, key: &K, guard: &LocalGuard<'_>) -> bool {
        let mut shard = self.shard(self.index_hash(key)).lock();
        let Some(held) = self.index.remove(key, guard) else { return false };
        let left = shard.forget(held.slot);
        let weight = left.as_ref().map_or(0, |left| left.weight);
        self.budget.give(weight, 1);
        drop(shard);
        self.see_to(weight, guard);
        true
    }

    /// Takes a key out that was seen to have ended, unless a writer is at work in its shard.
    #[cold]
    pub(super) fn take_ended(&self, key: &K, now_ms: u64, guard: &LocalGuard<'_>) {
        let Some(mut shard) = self.shard(self.index_hash(key)).try_lock() else { return };
        let ended = |_: &K, held: &Held<V>| held.life.state(now_ms) == Freshness::Expired;
        let Ok(Some((_, held))) = self.index.remove_if(key, ended, guard) else { return };
        let left = shard.forget(held.slot);
        shard.counts.expired += 1;
        self.budget.give(left.as_ref().map_or(0, |left| left.weight), 1);
        drop(shard);
    }

    /// Takes at most `at_most` ended entries of one shard out.
    pub(super) fn sweep_shard(
        &self,
        shard: &mut Shard<K>,
        now_ms: u64,
        at_most: usize,
        guard: &LocalGuard<'_>,
    ) -> usize {
        let mut swept = 0;
        while swept < at_most
            && let Some(slot) = shard.expiry.ended(now_ms)
        {
            self.take_slot(shard, slot, guard);
            shard.counts.expired += 1;
            swept += 1;
        }
        swept
    }

    fn take_slot(&self, shard: &mut Shard<K>, slot: Slot, guard: &LocalGuard<'_>) {
        let Some(left) = shard.forget(slot) else { return };
        self.index.remove(&left.item, guard);
        self.budget.give(left.weight, 1);
    }
}
