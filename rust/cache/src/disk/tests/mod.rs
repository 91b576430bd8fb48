//! What the disk level promises. `OMNIMIND_FULL=1` runs as much of it as the project's bar asks for;
//! `OMNIMIND_DISK_KILLS` and `OMNIMIND_DISK_SEED` choose how many kills and which dice.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::print_stderr)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use super::*;
use crate::Life;

mod basics;
mod damage;
mod evict;
mod full;
mod kill;
mod model;
mod race;

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder::within(&std::env::temp_dir())
    }

    /// In memory where the system has such a place: for many small cases that each sync.
    fn fast() -> Folder {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Folder::within(memory) } else { Folder::new() }
    }

    fn within(parent: &Path) -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("omnimind-disk-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const NOW: u64 = 1_000_000;
const SMALL: DiskLimits =
    DiskLimits { max_bytes: 1 << 20, segment_bytes: 64 << 10, item_bytes: 16 << 10, queue_bytes: 1 << 20 };

fn open(folder: &Folder) -> Disk {
    Disk::open(&folder.0, SMALL, NOW).unwrap()
}

/// So many in the normal run, so many in the full one.
fn rounds(normal: usize, full: usize) -> usize {
    if std::env::var_os("OMNIMIND_FULL").is_some() { full } else { normal }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap())
}

/// A reproducible stream of numbers.
struct Dice(u64);

impl Dice {
    /// Another stream with every seed.
    fn seeded(stream: u64) -> Dice {
        Dice(stream + (number("OMNIMIND_DISK_SEED").unwrap_or_default() << 32))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        xxhash_rust::xxh3::xxh3_64(&self.0.to_le_bytes()) % end
    }
}

fn key(number: u64) -> Key {
    let mut key = Key::default();
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

/// A record whose every byte follows from key and version, so that a wrong one is seen.
fn record(number: u64, version: u64, len: usize) -> Record {
    let seed = xxhash_rust::xxh3::xxh3_64_with_seed(&number.to_le_bytes(), version);
    let body: Vec<u8> = (0..len as u64).map(|at| (seed.wrapping_mul(at | 1) >> 32) as u8).collect();
    let life = Life { created_ms: NOW, fresh_until_ms: NOW + 1_000, stale_until_ms: NOW + 2_000 };
    let head = Bytes::from(format!("{number}:{version}:{len}"));
    Record { entry: Entry { life, head, body: Bytes::from(body) }, codec: version as u8, group: (number % 7) as u32 }
}

/// The version that a record of this key says it is; checked to be that to the last byte.
fn version(number: u64, found: &Record) -> u64 {
    let head = std::str::from_utf8(&found.entry.head).unwrap();
    let [of, version, len] = head.split(':').map(|part| part.parse().unwrap()).collect::<Vec<u64>>()[..] else {
        unreachable!("a head of another test")
    };
    assert_eq!(of, number, "a record of another key");
    assert_eq!(*found, record(number, version, len as usize), "a record that nobody put");
    version
}
