//! What the disk level promises.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use super::*;
use crate::Life;

mod basics;

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("omnimind-disk-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
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
