//! L2: the cache that outlives the process. An append-only log of segments in one folder.
//!
//! Two rules. **Nothing that was removed or replaced is ever read again**: a change is seen by the next lookup, and
//! after a restart the record that was written last wins. **What is on disk is never believed**: every record is
//! checked whole before it is given, and whatever does not hold is a miss, never an error.
//!
//! What it promises beyond the process. All that was queued before [`Disk::flush`] returned survives a kill; without
//! a flush, up to the last 5 ms may be lost, removals too. If the machine goes down, what the kernel had not written
//! yet is lost (segments that are full are synced), and with it removals of the last seconds: an owner for whom that
//! matters gives its entries a short [`Life`](crate::Life), or checks them when they are used.
//!
//! - `format`: bytes; `segment`: one file; `reopen`: a folder into an index; `index`: keys to places.
//! - `queue`, `writer`: one lock that orders changes, one thread that writes them.
//! - `read`: lookups, which take no lock and never wait for the writer.

mod format;
mod index;
mod queue;
mod read;
mod reopen;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use rustix::fs::FlockOperation;

pub use self::read::{ColdRead, Found};
use self::{index::Index, queue::Command, queue::Queue, segment::Segment, writer::Writer};
use crate::{Entry, Key};

/// The file whose lock says that the folder is in use.
const LOCK: &str = "lock";

/// What the disk keeps under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The answer; its body as it was given, packed or not.
    pub entry: Entry,
    /// How the body is packed: means something to the caller only.
    pub codec: u8,
    /// What it can be cleared by together with others.
    pub group: u32,
}

/// How much the level may take. What does not fit together is made to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLimits {
    /// All its files together; at least 64 KiB.
    pub max_bytes: u64,
    /// One file: the unit of eviction; at most 64 MiB and a quarter of all.
    pub segment_bytes: u64,
    /// One entry; at most a quarter of a segment.
    pub item_bytes: u64,
    /// What may wait in memory for the writer; beyond it puts are not admitted.
    pub queue_bytes: u64,
}

impl DiskLimits {
    /// The usual proportions: segments of 16 to 64 MiB, smaller ones for less than 256 MiB.
    pub fn of(max_bytes: u64) -> DiskLimits {
        let segment_bytes = (max_bytes / 16).min(64 << 20);
        DiskLimits { max_bytes, segment_bytes, item_bytes: segment_bytes / 4, queue_bytes: 16 << 20 }.fitted()
    }

    fn fitted(self) -> DiskLimits {
        let max_bytes = self.max_bytes.max(64 << 10);
        let segment_bytes = self.segment_bytes.clamp(4 << 10, u64::from(format::MAX_SEGMENT).min(max_bytes / 4));
        DiskLimits { max_bytes, segment_bytes, item_bytes: self.item_bytes.min(segment_bytes / 4), ..self }
    }
}

/// Why there is no disk level.
#[derive(Debug)]
pub enum DiskRefused {
    /// Another process uses the folder, or another level of this one.
    Locked,
    /// The folder cannot be used.
    Io(io::Error),
}

impl std::fmt::Display for DiskRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DiskRefused::Locked => f.write_str("the folder is used by another process"),
            DiskRefused::Io(error) => write!(f, "the folder cannot be used: {error}"),
        }
    }
}

impl std::error::Error for DiskRefused {}

impl From<io::Error> for DiskRefused {
    fn from(error: io::Error) -> DiskRefused {
        DiskRefused::Io(error)
    }
}

/// What became of a put. Whatever it is, what was under the key before is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It can be read when it is written: after some 5 ms, or a flush.
    Queued,
    /// Too much waits for the writer already.
    Full,
    /// Larger than an entry may be.
    TooLarge,
    /// The level is off.
    Off,
}

/// What the level did since it was opened, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub struct DiskStats {
    pub entries: u64,
    /// Of all files.
    pub bytes: u64,
    pub segments: u64,
    pub hits: u64,
    pub stale_hits: u64,
    pub misses: u64,
    /// Lookups that were not in the page cache.
    pub cold: u64,
    pub written: u64,
    /// Puts that were not admitted: the queue was full, or they were too large.
    pub refused: u64,
    pub removed: u64,
    pub evicted: u64,
    /// Records that were copied when their segment went, because they had been read.
    pub copied: u64,
    /// Records that were not as they had been written.
    pub damaged: u64,
    /// Why the level is off.
    pub off: Option<String>,
}

#[derive(Debug, Default)]
struct Counters {
    bytes: AtomicU64,
    segments: AtomicU64,
    hits: AtomicU64,
    stale_hits: AtomicU64,
    misses: AtomicU64,
    cold: AtomicU64,
    written: AtomicU64,
    refused: AtomicU64,
    removed: AtomicU64,
    evicted: AtomicU64,
    copied: AtomicU64,
    damaged: AtomicU64,
}

/// What callers and the writer share.
#[derive(Debug)]
struct Shared {
    index: Index,
    /// By number. A segment that goes is closed as soon as its last reader is done: only that gives its space back.
    segments: ArcSwap<Vec<Arc<Segment>>>,
    queue: Queue,
    counters: Counters,
    tickets: AtomicU64,
    /// The time the last caller brought: the writer's clock.
    clock_ms: AtomicU64,
    off: OnceLock<String>,
}

impl Shared {
    fn is_on(&self) -> bool {
        self.off.get().is_none()
    }
}

/// The level. Dropping it writes what is queued, ends the segment and waits for the disk.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    folder: PathBuf,
    limits: DiskLimits,
    writer: Option<JoinHandle<()>>,
    /// Held until the writer has ended.
    lock: File,
}

impl Disk {
    /// Opens the folder, or makes it. Files that are not ours are left alone; of ours, what cannot be read any more
    /// is deleted. Refused if the folder is in use or cannot be written.
    pub fn open(folder: &Path, limits: DiskLimits, now_ms: u64) -> Result<Disk, DiskRefused> {
        let limits = limits.fitted();
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => DiskRefused::Locked,
            other => DiskRefused::Io(other.into()),
        })?;
        let folder = fs::canonicalize(folder)?;
        let boot = boot();
        let reopen::Reopened { index, sealed, active } = reopen::reopen(&folder, boot)?;
        let segments = sealed.iter().map(|sealed| &sealed.segment).chain([&active.segment]).map(Arc::clone).collect();
        let shared = Arc::new(Shared {
            index,
            segments: ArcSwap::from_pointee(segments),
            queue: Queue::new(limits.queue_bytes),
            counters: Counters::default(),
            tickets: AtomicU64::new(0),
            clock_ms: AtomicU64::new(now_ms),
            off: OnceLock::new(),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            folder: folder.clone(),
            boot,
            max_bytes: limits.max_bytes,
            segment_bytes: limits.segment_bytes,
            sealed,
            active,
            batch: writer::Batch::default(),
            unsynced: Vec::new(),
            syncing: None,
        };
        let writer = std::thread::Builder::new().name("cache-disk".to_owned()).spawn(|| writer.run())?;
        Ok(Disk { shared, folder, limits, writer: Some(writer), lock })
    }

    /// Its folder: this process's alone as long as it is open.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Looks a key up; never waits for the disk.
    pub fn get(&self, key: &Key, now_ms: u64) -> Found {
        self.shared.get(key, now_ms)
    }

    /// Looks a key up; may wait for the disk.
    pub fn get_blocking(&self, key: &Key, now_ms: u64) -> Option<Record> {
        match self.shared.get(key, now_ms) {
            Found::Here(record) => Some(record),
            Found::Cold(cold) => cold.read(),
            Found::Miss => None,
        }
    }

    /// Queues an entry. What was under the key before is gone at once, admitted or not.
    pub fn put(&self, key: &Key, record: Record) -> Admitted {
        if !self.is_on() {
            return Admitted::Off;
        }
        let Record { entry, group, .. } = &record;
        let len = (format::RECORD_OVERHEAD + entry.head.len() + entry.body.len()) as u64;
        if len > self.limits.item_bytes || entry.head.len() >= 1 << 24 {
            self.forget(key);
            self.shared.counters.refused.fetch_add(1, Relaxed);
            return Admitted::TooLarge;
        }
        let (group, fingerprint) = (*group, format::fingerprint(key));
        let ticket = self.shared.tickets.fetch_add(1, Relaxed);
        let fits = self.shared.queue.change(len, |fits| {
            if fits {
                self.shared.index.queue(fingerprint, ticket, group);
                return Some(Command::Put { key: *key, fingerprint, ticket, record });
            }
            self.shared.index.remove(fingerprint).then_some(Command::Remove { key: *key })
        });
        if fits {
            return Admitted::Queued;
        }
        self.shared.counters.refused.fetch_add(1, Relaxed);
        Admitted::Full
    }

    /// Forgets a key, at once. Whether there was anything.
    pub fn remove(&self, key: &Key) -> bool {
        let removed = self.forget(key);
        if removed {
            self.shared.counters.removed.fetch_add(1, Relaxed);
        }
        removed
    }

    fn forget(&self, key: &Key) -> bool {
        let mut removed = false;
        self.shared.queue.change(0, |_| {
            removed = self.shared.index.remove(format::fingerprint(key));
            removed.then_some(Command::Remove { key: *key })
        });
        removed
    }

    /// Forgets a group, or everything, at once. Takes time in proportion to what is there.
    pub fn clear(&self, group: Option<u32>) {
        self.shared.queue.change(0, |_| {
            self.shared.index.clear(group);
            Some(Command::Clear { group })
        });
    }

    /// Waits until all that was queued before is in the file. False if the level is off.
    pub fn flush(&self) -> bool {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        self.shared.queue.change(0, |_| Some(Command::Flush(done)));
        wait.recv().is_ok() && self.is_on()
    }

    /// Whether the level works; [`DiskStats::off`] says why not.
    pub fn is_on(&self) -> bool {
        self.shared.is_on()
    }

    /// What it did and has.
    pub fn stats(&self) -> DiskStats {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        DiskStats {
            entries: self.shared.index.len() as u64,
            bytes: read(&counters.bytes),
            segments: read(&counters.segments),
            hits: read(&counters.hits),
            stale_hits: read(&counters.stale_hits),
            misses: read(&counters.misses),
            cold: read(&counters.cold),
            written: read(&counters.written),
            refused: read(&counters.refused),
            removed: read(&counters.removed),
            evicted: read(&counters.evicted),
            copied: read(&counters.copied),
            damaged: read(&counters.damaged),
            off: self.shared.off.get().cloned(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to say.
            let _ = writer.join();
        }
        // Closing is not enough: a process that was forked meanwhile may hold the same descriptor.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Which boot of the machine this is, where that can be known.
fn boot() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(xxhash_rust::xxh3::xxh3_128(text.trim().as_bytes()).to_le_bytes())
}
