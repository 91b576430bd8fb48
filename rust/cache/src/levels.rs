//! The levels as one: memory (L1), memory that holds packed answers (L3), the disk (L2).
//!
//! An entry begins in L1. One that was asked for and has to leave goes down, packed once for both: into L3, and onto
//! the disk as far as its wear allows. One that was never asked for just goes. What is found below comes up. What was
//! dear to make can be put onto the disk at once ([`Levels::put_through`]).
//!
//! The rule it keeps: whatever the interleaving, once [`Levels::remove`], [`Levels::clear`] or a newer `put` returned, no
//! lookup that begins then finds what was there before, in any level (see `moves`). And no entry is given past its
//! [`Life`], by any level.
//!
//! [`Levels::get`] takes no lock on a hit in L1 and never waits for the disk; a read that would is given back as a
//! [`ColdLookup`], for a thread that may wait. A hit below L1 pays for the way up: it unpacks, and may pack another.

mod moves;
mod moving;
mod stats;
#[cfg(test)]
mod tests;
mod trainer;
mod wear;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use crate::compressed::{Codec, Method, Packed, Packer};
use crate::disk::{self, ColdRead, Disk, Record};
use crate::ram::{Inserted, KeyHasher, Limits, Ram, RamStats};
use crate::{Entry, Freshness, Key, Life};
use moves::{Moves, Since};
pub use stats::{LevelStats, LevelsStats};
use trainer::Trainer;
use wear::Wear;

/// Stripes of keys: a thousandth of the changes stop a move they have nothing to do with.
const STRIPES: usize = 1_024;
/// What may be written to the disk in an hour: a drive of 150 TB written lasts 16 years at that.
const WRITTEN_PER_HOUR: u64 = 1 << 30;
/// The folder of dictionaries, in the disk's.
const DICTIONARIES: &str = "dictionaries";
/// Entries that one call of [`Levels::sweep`] looks at in a level.
const SWEPT: usize = 1_024;

/// What the levels may hold.
#[derive(Debug, Clone, Copy)]
pub struct LevelLimits {
    /// L1.
    pub ram: Limits,
    /// L3, in packed bytes; 0 is off.
    pub compressed_bytes: u64,
    /// What to pack with.
    pub method: Method,
    /// Bytes that may be written to the disk in an hour.
    pub written_per_hour: u64,
}

impl LevelLimits {
    /// So much memory for L1 and L3, the rest as usual.
    pub fn of(max_bytes: u64, max_items: usize, compressed_bytes: u64) -> Self {
        Self {
            ram: Limits { max_items, ..Limits::bytes(max_bytes) },
            compressed_bytes,
            method: Method::default(),
            written_per_hour: WRITTEN_PER_HOUR,
        }
    }
}

/// Where an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// L1.
    Ram,
    /// L3.
    Compressed,
    /// L2.
    Disk,
}

impl Level {
    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Compressed => "compressed",
            Self::Disk => "disk",
        }
    }
}

/// A found entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// It.
    pub entry: Entry,
    /// Whether it may be served as it is.
    pub freshness: Freshness,
    /// Where it was.
    pub level: Level,
    /// Its body as a zstd frame made without dictionary, where it was kept as that: see
    /// [`enclose`](crate::compressed::enclose).
    pub frame: Option<Bytes>,
}

/// What a lookup came to.
#[derive(Debug)]
pub enum Found {
    /// There it is.
    Hit(Hit),
    /// It may be on the disk; reading it may take a while.
    Cold(ColdLookup),
    /// It is nowhere.
    Miss,
}

/// A lookup that may have to wait for the disk: for [`Levels::read_cold`].
#[derive(Debug)]
pub struct ColdLookup {
    key: Key,
    since: Since,
    read: ColdRead,
}

/// An entry in L1.
#[derive(Clone)]
struct Warm {
    entry: Entry,
    group: u32,
    /// It was asked for before it came here.
    asked: bool,
    on_disk: bool,
}

/// An entry in L3.
#[derive(Clone)]
struct Cold {
    life: Life,
    head: Bytes,
    packed: Packed,
    group: u32,
    on_disk: bool,
}

#[derive(Default)]
struct Counters {
    promoted: AtomicU64,
    demoted: AtomicU64,
    overtaken: AtomicU64,
    spared: AtomicU64,
    unreadable: AtomicU64,
    unusable_on_disk: AtomicU64,
}

/// The levels. Shared by reference; every method may be called from any thread.
pub struct Levels {
    warm: Ram<Key, Warm, KeyHasher>,
    cold: Option<Ram<Key, Cold, KeyHasher>>,
    disk: Option<Disk>,
    moves: Moves,
    packer: Arc<Packer>,
    trainer: Trainer,
    wear: Wear,
    counters: Counters,
}

impl Levels {
    /// Empty memory, over a disk if there is one.
    pub fn new(limits: &LevelLimits, disk: Option<Disk>, now_ms: u64) -> Self {
        let largest = usize::try_from(limits.ram.item_bytes).unwrap_or(usize::MAX);
        let cold = (limits.compressed_bytes > 0).then(|| Ram::new(Limits::bytes(limits.compressed_bytes), KeyHasher));
        // What is on the disk can be read again only with the dictionaries it was packed with.
        let folder = disk.as_ref().map(|disk| disk.folder().join(DICTIONARIES));
        Self {
            warm: Ram::new(limits.ram, KeyHasher),
            cold,
            disk,
            moves: Moves::new(STRIPES),
            packer: Arc::new(Packer::new(limits.method, largest, folder.as_deref(), now_ms)),
            trainer: Trainer::default(),
            wear: Wear::new(limits.written_per_hour, now_ms),
            counters: Counters::default(),
        }
    }

    /// Looks a key up.
    pub fn get(&self, key: &Key, now_ms: u64) -> Found {
        let hit = |entry: &Entry, freshness| Hit { entry: entry.clone(), freshness, level: Level::Ram, frame: None };
        self.with_ram(key, now_ms, hit).map_or_else(|| self.get_below(key, now_ms), Found::Hit)
    }

    /// The first half of [`get`](Self::get): looks at the entry in L1, without sharing its bytes. `look` must be short.
    pub fn with_ram<R>(&self, key: &Key, now_ms: u64, look: impl FnOnce(&Entry, Freshness) -> R) -> Option<R> {
        self.warm.with(key, now_ms, |warm, freshness| look(&warm.entry, freshness))
    }

    /// Looks a key up; waits for the disk where it has to.
    pub fn get_blocking(&self, key: &Key, now_ms: u64) -> Option<Hit> {
        match self.get(key, now_ms) {
            Found::Hit(hit) => Some(hit),
            Found::Cold(cold) => self.read_cold(cold, now_ms),
            Found::Miss => None,
        }
    }

    /// Ends a lookup that may have to wait for the disk.
    pub fn read_cold(&self, cold: ColdLookup, now_ms: u64) -> Option<Hit> {
        let record = cold.read.read()?;
        self.found_on_disk(&cold.key, record, cold.since, now_ms)
    }

    /// Keeps an entry under a key, in place of what was there. `group` is the server it came from, by the same number
    /// in every run; see [`Levels::clear`].
    pub fn put(&self, key: &Key, group: u32, entry: Entry, now_ms: u64) -> Inserted {
        self.keep(key, Warm { entry, group, asked: false, on_disk: false }, None, now_ms)
    }

    /// As [`put`](Self::put), and onto the disk at once, as far as its wear allows: for what was dear to make.
    pub fn put_through(&self, key: &Key, group: u32, entry: Entry, now_ms: u64) -> Inserted {
        let packed = self.writes_to_disk().then(|| self.pack(group, &entry, now_ms));
        let packed = packed.filter(|packed| self.may_write(packed, &entry, now_ms));
        self.keep(key, Warm { entry, group, asked: false, on_disk: false }, packed, now_ms)
    }

    /// Takes a key out of all levels; whether it was in one.
    pub fn remove(&self, key: &Key) -> bool {
        self.moves.change(key, || {
            let warm = self.warm.remove(key);
            self.remove_below(key) || warm
        })
    }

    /// Takes a group out of all levels, or everything; what was learned of it too.
    pub fn clear(&self, group: Option<u32>) {
        let stays = |of: u32| group.is_some_and(|group| group != of);
        self.moves.clear(|| {
            self.warm.retain(|_, warm| stays(warm.group));
            if let Some(cold) = &self.cold {
                cold.retain(|_, cold| stays(cold.group));
            }
            if let Some(disk) = &self.disk {
                disk.clear(group);
            }
            self.packer.clear(group);
        });
    }

    /// Takes some of what has ended out of memory; how much. To be called now and then.
    pub fn sweep(&self, now_ms: u64) -> usize {
        self.warm.sweep(now_ms, SWEPT) + self.cold.as_ref().map_or(0, |cold| cold.sweep(now_ms, SWEPT))
    }

    /// Waits until what was given to the disk is written.
    pub fn flush(&self) {
        if let Some(disk) = &self.disk {
            disk.flush();
        }
    }

    /// What they did and hold.
    pub fn stats(&self) -> LevelsStats {
        let counted = |counter: &AtomicU64| counter.load(Relaxed);
        let (dictionaries, dictionary_bytes) = self.packer.dictionaries();
        let compressed = self.cold.as_ref().map(|cold| {
            let unreadable = counted(&self.counters.unreadable);
            let stats = of_ram(cold.stats(), cold.len(), cold.bytes());
            LevelStats {
                hits: stats.hits - unreadable,
                misses: stats.misses + unreadable,
                damaged: unreadable,
                ..stats
            }
        });
        LevelsStats {
            ram: of_ram(self.warm.stats(), self.warm.len(), self.warm.bytes()),
            compressed: compressed.unwrap_or_else(|| off("it was given no memory")),
            disk: self.disk.as_ref().map_or_else(|| off("there is none"), |disk| self.of_disk(disk.stats())),
            promoted: counted(&self.counters.promoted),
            demoted: counted(&self.counters.demoted),
            overtaken: counted(&self.counters.overtaken),
            spared: counted(&self.counters.spared),
            dictionaries,
            dictionary_bytes,
        }
    }

    /// The other half, for a key that was not in L1: it may unpack, and pack another entry.
    pub fn get_below(&self, key: &Key, now_ms: u64) -> Found {
        let since = self.moves.since();
        if let Some(hit) = self.found_cold(key, since, now_ms) {
            return Found::Hit(hit);
        }
        match self.disk.as_ref().map(|disk| disk.get(key, now_ms)) {
            Some(disk::Found::Here(record)) => {
                self.found_on_disk(key, record, since, now_ms).map_or(Found::Miss, Found::Hit)
            }
            Some(disk::Found::Cold(read)) => Found::Cold(ColdLookup { key: *key, since, read }),
            Some(disk::Found::Miss) | None => Found::Miss,
        }
    }

    fn found_cold(&self, key: &Key, since: Since, now_ms: u64) -> Option<Hit> {
        let level = self.cold.as_ref()?;
        let (Cold { life, head, packed, group, on_disk }, freshness) = level.get(key, now_ms)?;
        let Some(body) = self.packer.unpack(packed.codec, &packed.bytes) else {
            self.counters.unreadable.fetch_add(1, Relaxed);
            level.remove(key);
            return None;
        };
        let entry = Entry { life, head, body };
        let warm = Warm { entry: entry.clone(), group, asked: true, on_disk };
        self.promote(key, warm, since, now_ms);
        Some(Hit { entry, freshness, level: Level::Compressed, frame: packed.frame().cloned() })
    }

    fn found_on_disk(&self, key: &Key, record: Record, since: Since, now_ms: u64) -> Option<Hit> {
        let Record { entry, codec, group } = record;
        let freshness = entry.life.state(now_ms);
        let kept = Codec::from_number(codec).map(|codec| Packed { codec, bytes: entry.body.clone() });
        let body = kept.as_ref().and_then(|kept| self.packer.unpack(kept.codec, &kept.bytes));
        let (Some(kept), Some(body)) = (kept, body) else {
            // Its dictionary is gone: it will never be readable again.
            self.counters.unusable_on_disk.fetch_add(1, Relaxed);
            self.moves.carry(key, since, || _ = self.disk.as_ref().map(|disk| disk.remove(key)));
            return None;
        };
        if freshness == Freshness::Expired {
            // It ended while it was read.
            self.counters.unusable_on_disk.fetch_add(1, Relaxed);
            return None;
        }
        let entry = Entry { body, ..entry };
        self.promote(key, Warm { entry: entry.clone(), group, asked: true, on_disk: true }, since, now_ms);
        Some(Hit { entry, freshness, level: Level::Disk, frame: kept.frame().cloned() })
    }

    fn of_disk(&self, stats: disk::DiskStats) -> LevelStats {
        let unusable = self.counters.unusable_on_disk.load(Relaxed);
        LevelStats {
            off: stats.off,
            hits: (stats.hits + stats.stale_hits).saturating_sub(unusable),
            stale_hits: stats.stale_hits,
            misses: stats.misses + unusable,
            entries: stats.entries,
            bytes: stats.bytes,
            inserts: stats.written,
            evictions: stats.evicted,
            refused: stats.refused + self.counters.spared.load(Relaxed),
            damaged: stats.damaged,
        }
    }
}

fn off(why: &str) -> LevelStats {
    LevelStats { off: Some(why.to_owned()), ..LevelStats::default() }
}

fn of_ram(stats: RamStats, entries: usize, bytes: u64) -> LevelStats {
    LevelStats {
        off: None,
        hits: stats.hits,
        stale_hits: stats.stale_hits,
        misses: stats.misses,
        entries: entries as u64,
        bytes,
        inserts: stats.inserts,
        evictions: stats.evictions,
        refused: stats.too_large,
        damaged: 0,
    }
}
