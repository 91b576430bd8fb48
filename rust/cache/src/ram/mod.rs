//! L1: values in memory, found without a lock.
//!
//! The rules:
//! - **Reads never block.** The index is lock-free (papaya); a hit does at most one relaxed store to the entry and one
//!   to a counter of its own thread. It is the *reads* that are lock-free: an insert takes the mutex of its key's
//!   shard, and a reader that meets an ended entry takes it out only if that mutex is free.
//! - **The bounds hold at any time.** Weight and number of entries are taken from one budget before an entry goes in
//!   and given back after it came out; no shard has a share, so nothing is refused for one. What readers still look at
//!   or nobody has swept up yet lives on a little longer: about 32 entries or 1/64 of the bound (64 KiB at least) for
//!   each thread that inserts, unless a reader stands still with a value in its hands.
//! - **No foreign code under a lock.** Values are dropped, and evicted ones shown to the caller, with no lock held; so
//!   that a value's drop may use the cache. Keys are plain data: their `Hash`, `Eq` and `Clone` run under a lock.
//!
//! **The memory law.** Beside its value, an entry costs its key twice and about 125 bytes: 32 in the index and the
//! allocator's share, some 20 for its place in the table, 32 in the queues, 20 to 36 for the ghosts of former ones, 16
//! if it ends. `make bench` prints what the system gives: 190 bytes an entry with keys of 32. The weight is what the
//! caller says it is; none of this is in it. A cache has 2 KiB of counters.
//!
//! **The time.** `make bench` shows it beside the index alone, at about half of it, and beside a plain map, where an
//! insertion that evicts costs a tenth: the price of a lock-free index is paid by writers.

mod expiry;
mod few;
mod ghost;
mod hasher;
mod policy;
mod room;
mod shard;
mod tally;

use std::fmt;
use std::hash::{BuildHasher, Hash};

pub use self::expiry::Expiry;
use self::few::Few;
pub use self::hasher::{FirstBytes, KeyHasher};
pub use self::policy::{Hits, Left, Policy, Queue, Slot};
use self::room::{Budget, Evicted};
use self::shard::Shard;
use self::tally::{Count, Tally};
use crate::sync::{AtomicUsize, Guard, Index, LocalGuard, Mutex, Ordering};
use crate::{Freshness, Life};

/// More shards than these bring nothing where it was measured.
const MOST_SHARDS: u64 = 8;
/// A shard is worth it from so many entries on, or so many bytes.
const SHARD_ITEMS: u64 = 4_096;
const SHARD_BYTES: u64 = 4 << 20;
/// Ended entries of its shard that an insert takes out on its way.
const SWEPT_BY_AN_INSERT: usize = 2;
/// What a thread lets lie about at least, however small the cache.
const LEFT_BYTES: u64 = 64 << 10;

/// What a cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The weight of all entries together.
    pub max_bytes: u64,
    /// Their number.
    pub max_items: usize,
    /// The weight of one; a usual choice is an eighth of `max_bytes`.
    pub item_bytes: u64,
}

impl Limits {
    /// So many bytes, any number of entries, none of more than an eighth.
    pub fn bytes(max_bytes: u64) -> Self {
        Self { max_bytes, max_items: usize::MAX, item_bytes: (max_bytes / 8).max(1) }
    }
}

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is in.
    Kept,
    /// It is heavier than one entry may be; what was there before is gone.
    TooLarge,
}

/// What happened since the cache was made. Exact: `hits + misses` is the number of gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RamStats {
    /// Gets that found a value, fresh or stale.
    pub hits: u64,
    /// Those of them that found a stale one.
    pub stale_hits: u64,
    /// Gets that found none, or one that had ended.
    pub misses: u64,
    /// Values put in, new ones and replacements.
    pub inserts: u64,
    /// Entries taken out to make room.
    pub evictions: u64,
    /// Entries taken out because they had ended.
    pub expired: u64,
    /// Values refused because of their weight.
    pub too_large: u64,
}

/// The memory level. See the module's documentation for what it promises.
pub struct Ram<K, V, S> {
    index: Index<K, Held<V>, S>,
    hasher: S,
    shards: Box<[Mutex<Shard<K>>]>,
    budget: Budget,
    limits: Limits,
    tally: Tally,
    turn: AtomicUsize,
}

/// An entry in the index.
struct Held<V> {
    value: V,
    life: Life,
    slot: Slot,
    hits: Hits,
}

impl<K, V, S> Ram<K, V, S>
where
    K: Hash + Eq + Clone,
    S: BuildHasher + Clone,
{
    /// An empty cache.
    pub fn new(limits: Limits, hasher: S) -> Self {
        let items = u64::try_from(limits.max_items).unwrap_or(u64::MAX);
        let shards = (items / SHARD_ITEMS).min(limits.max_bytes / SHARD_BYTES).clamp(1, MOST_SHARDS);
        Self::with_shards(limits, hasher, shards as u32)
    }

    pub(crate) fn with_shards(limits: Limits, hasher: S, shards: u32) -> Self {
        let bytes = limits.max_bytes / u64::from(shards);
        let items = limits.max_items / shards as usize;
        Self {
            index: Index::with_hasher(hasher.clone()),
            hasher,
            shards: (0..shards).map(|_| Mutex::new(Shard::new(bytes, items))).collect(),
            budget: Budget::default(),
            limits,
            tally: Tally::new(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The value of a key, unless it has ended.
    #[inline]
    pub fn get(&self, key: &K, now_ms: u64) -> Option<(V, Freshness)>
    where
        V: Clone,
    {
        self.with(key, now_ms, |value, freshness| (value.clone(), freshness))
    }

    /// Looks at the value of a key, unless it has ended. Nothing that was removed meanwhile, by anybody, is freed
    /// before `look` returns: it must be short.
    #[inline]
    pub fn with<R>(&self, key: &K, now_ms: u64, look: impl FnOnce(&V, Freshness) -> R) -> Option<R> {
        let guard = self.index.guard();
        let Some(held) = self.index.get(key, &guard) else {
            self.tally.add(Count::Miss);
            return None;
        };
        let freshness = held.life.state(now_ms);
        match freshness {
            Freshness::Fresh => self.tally.add(Count::Hit),
            Freshness::Stale => self.tally.add(Count::StaleHit),
            Freshness::Expired => {
                self.tally.add(Count::Miss);
                self.take_ended(key, now_ms, &guard);
                return None;
            }
        }
        held.hits.touch();
        Some(look(&held.value, freshness))
    }

    /// Puts a value in, in place of the one the key had. `on_evict` is shown each entry that had to leave for it, with
    /// the number of its hits (at most 63); an entry that is replaced, removed or ended is not shown.
    pub fn insert(&self, key: K, value: V, weight: u64, life: Life, on_evict: &mut dyn FnMut(&K, &V, u8)) -> Inserted {
        let guard = self.index.guard();
        let hash = self.index_hash(&key);
        if weight > self.limits.item_bytes.min(self.limits.max_bytes) || self.limits.max_items == 0 {
            self.take_out(&key, &guard);
            self.shard(hash).lock().counts.too_large += 1;
            return Inserted::TooLarge;
        }
        let mut evicted = Evicted::new();
        let mut shard = self.shard(hash).lock();
        self.sweep_shard(&mut shard, life.created_ms, SWEPT_BY_AN_INSERT, &guard);
        let known = shard.policy.recall(hash);
        let old = self.make_room(&mut shard, &key, weight, &guard, &mut evicted);
        let (slot, hits) = if let Some(old) = old {
            (old.slot, old.hits.clone())
        } else {
            (shard.policy.admit(hash, known, weight, key.clone()), Hits::default())
        };
        shard.expiry.set(slot, &life);
        shard.counts.inserts += 1;
        self.index.insert(key, Held { value, life, slot, hits }, &guard);
        if old.is_some() {
            let before = shard.policy.weight_of(slot);
            shard.policy.reweigh(slot, weight);
            self.budget.give(before.saturating_sub(weight), 0);
        }
        let replaced = old.is_some();
        drop(shard);
        if replaced || !evicted.is_empty() {
            self.see_to(weight, &guard);
        }
        for (key, held) in evicted {
            on_evict(key, &held.value, held.hits.ever());
        }
        Inserted::Kept
    }

    /// Takes a key out; whether it was there.
    pub fn remove(&self, key: &K) -> bool {
        let guard = self.index.guard();
        self.take_out(key, &guard)
    }

    /// Keeps only the entries that pass. `keep` runs with no lock held; an entry that is replaced meanwhile may be
    /// taken out by what was said of the one before.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) {
        let guard = self.index.guard();
        for (key, held) in self.index.iter(&guard) {
            if !keep(key, &held.value) {
                self.take_out(key, &guard);
            }
        }
    }

    /// Takes everything out that is there when it begins.
    pub fn clear(&self) {
        self.retain(|_, _| false);
    }

    /// Takes at most `at_most` entries out that have ended; how many it were.
    pub fn sweep(&self, now_ms: u64, at_most: usize) -> usize {
        let guard = self.index.guard();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut swept = 0;
        for shard in (0..self.shards.len()).filter_map(|step| self.shards.get((first + step) % self.shards.len())) {
            swept += self.sweep_shard(&mut shard.lock(), now_ms, at_most - swept, &guard);
        }
        swept
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.budget.items.load(Ordering::Relaxed)
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their weight.
    pub fn bytes(&self) -> u64 {
        self.budget.bytes.load(Ordering::Relaxed)
    }

    /// What it may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What happened so far.
    pub fn stats(&self) -> RamStats {
        let stale_hits = self.tally.total(Count::StaleHit);
        let reads = RamStats {
            hits: self.tally.total(Count::Hit) + stale_hits,
            stale_hits,
            misses: self.tally.total(Count::Miss),
            ..RamStats::default()
        };
        self.shards.iter().fold(reads, |sum, shard| {
            let counts = shard.lock().counts;
            RamStats {
                inserts: sum.inserts + counts.inserts,
                evictions: sum.evictions + counts.evictions,
                expired: sum.expired + counts.expired,
                too_large: sum.too_large + counts.too_large,
                ..sum
            }
        })
    }

    fn index_hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// About this weight has left. Who looked at it may still do so; what nobody looks at any more is freed in batches,
    /// here before one is full if it is heavy.
    fn see_to(&self, weight: u64, guard: &LocalGuard<'_>) {
        if self.tally.left(weight, (self.limits.max_bytes / 64).max(LEFT_BYTES)) {
            guard.flush();
        }
    }

    /// By high bits of the hash: the index goes by low ones.
    fn shard(&self, hash: u64) -> &Mutex<Shard<K>> {
        let spread = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        let number = usize::try_from(spread).unwrap_or(0) % self.shards.len();
        &self.shards[number]
    }
}

impl<K, V, S> fmt::Debug for Ram<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ram").field("limits", &self.limits).finish_non_exhaustive()
    }
}
