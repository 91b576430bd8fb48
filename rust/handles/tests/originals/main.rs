//! The store as its owners use it: one process, several, and a disk that fails.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod damage;
mod disks;
mod processes;
mod rules;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use omnimind_handles::{Bounds, Original, Store};

/// Some day in 2026.
const NOW: u64 = 1_790_000_000_000;
const HOUR: u64 = 3_600_000;

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("omnimind-handles-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn handles(&self) -> PathBuf {
        self.0.join("handles")
    }

    fn store(&self) -> Store {
        self.bounded(Bounds::default())
    }

    fn bounded(&self, bounds: Bounds) -> Store {
        open(&self.handles(), bounds)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path, bounds: Bounds) -> Store {
    Store::open(folder, bounds, || Ok([7; 32])).unwrap()
}

fn text(bytes: &[u8]) -> Original<'_> {
    Original { bytes, mime: "text/plain", from: "logging/search" }
}

/// Bytes that do not pack, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    // The digest of a digest, block after block.
    for block in bytes.chunks_mut(32) {
        key = sum(&key);
        block.copy_from_slice(&key[..block.len()]);
    }
    bytes
}

fn sum(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn is_full_run() -> bool {
    std::env::var_os("OMNIMIND_FULL").is_some()
}
