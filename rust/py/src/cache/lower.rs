//! Bytes in the levels of `omnimind_cache`: memory, packed memory, disk.
//!
//! What crosses is copied, because the levels outlive the objects. A key becomes a digest; the key itself is kept
//! before its value and compared when that is found, so that two keys of one digest are a miss and never each other's
//! answer. Both are one run of bytes, because each further place in memory is one more to wait for.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use omnimind_cache::disk::{Disk, DiskLimits};
use omnimind_cache::levels::{Found, Hit, LevelLimits, Levels, LevelsStats};
use omnimind_cache::ram::Inserted;
use omnimind_cache::{Entry, Freshness, Key, Life};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use xxhash_rust::xxh3::xxh3_128;

use super::clock::wall_ms;
use super::store::Bounds;

/// From so many bytes on, copying and packing is worth letting other threads run.
const LARGE: usize = 4 * 1024;
/// Bytes that come from memory together.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// What to make the levels with.
pub(crate) struct Plan {
    pub(crate) bounds: Bounds,
    pub(crate) compressed_bytes: u64,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) disk_bytes: u64,
}

/// The levels, and why there is no disk where there should be one.
pub(crate) struct Lower {
    levels: Levels,
    has_disk: bool,
    no_disk: Option<String>,
}

impl Lower {
    /// Opens the folder if there is one. That it cannot be had is no error: the cache works without, and says so.
    pub(crate) fn open(plan: &Plan) -> Self {
        let now_ms = wall_ms();
        let opened = plan.folder.as_deref().map(|folder| open(folder, plan.disk_bytes, now_ms));
        let (disk, no_disk) = match opened {
            None => (None, None),
            Some(Ok(disk)) => (Some(disk), None),
            Some(Err(why)) => (None, Some(why)),
        };
        let Bounds { max_bytes, max_items } = plan.bounds;
        let limits = LevelLimits::of(max_bytes, max_items, plan.compressed_bytes);
        Self { has_disk: disk.is_some(), levels: Levels::new(&limits, disk, now_ms), no_disk }
    }

    /// Why the disk is not used, if it should be and is not.
    pub(crate) fn no_disk(&self) -> Option<&str> {
        self.no_disk.as_deref()
    }

    /// The value of a key, and whether it is fresh.
    pub(crate) fn get<'py>(&self, py: Python<'py>, spelling: &[u8]) -> Option<(Bound<'py, PyBytes>, bool)> {
        let (key, now_ms) = (digest(spelling), wall_ms());
        let shown = |entry: &Entry, freshness| {
            gather(&entry.body);
            unframed(&entry.body, spelling).map(|value| (PyBytes::new(py, value), freshness == Freshness::Fresh))
        };
        if let Some(found) = self.levels.with_ram(&key, now_ms, shown) {
            return found;
        }
        let hit = self.below(&key, now_ms)?;
        shown(&hit.entry, hit.freshness)
    }

    /// What is not in memory as it is. The caller may be one that pyo3 knows nothing of, see `quick`; so it is told.
    #[cold]
    fn below(&self, key: &Key, now_ms: u64) -> Option<Hit> {
        Python::attach(|py| {
            py.detach(|| match self.levels.get_below(key, now_ms) {
                Found::Hit(hit) => Some(hit),
                Found::Cold(cold) => self.levels.read_cold(cold, now_ms),
                Found::Miss => None,
            })
        })
    }

    /// Keeps a value; onto the disk at once. False if it is too large.
    pub(crate) fn set(&self, py: Python<'_>, spelling: &[u8], body: &[u8], life: Life) -> bool {
        let key = digest(spelling);
        let entry = Entry { life, head: Bytes::new(), body: framed(spelling, body) };
        let put = || {
            if self.has_disk {
                self.levels.put_through(&key, 0, entry, life.created_ms)
            } else {
                self.levels.put(&key, 0, entry, life.created_ms)
            }
        };
        // A small one costs less than letting other threads run.
        let inserted = if self.has_disk || body.len() > LARGE { py.detach(put) } else { put() };
        matches!(inserted, Inserted::Kept)
    }

    /// Takes a key out of all levels.
    pub(crate) fn remove(&self, py: Python<'_>, spelling: &[u8]) -> bool {
        py.detach(|| self.levels.remove(&digest(spelling)))
    }

    /// Empties all levels.
    pub(crate) fn clear(&self, py: Python<'_>) {
        py.detach(|| self.levels.clear(None));
    }

    /// Waits until all that was set is in the file.
    pub(crate) fn flush(&self, py: Python<'_>) {
        py.detach(|| self.levels.flush());
    }

    pub(crate) fn stats(&self) -> LevelsStats {
        self.levels.stats()
    }
}

fn open(folder: &Path, max_bytes: u64, now_ms: u64) -> Result<Disk, String> {
    Disk::open(folder, DiskLimits::of(max_bytes), now_ms).map_err(|refused| refused.to_string())
}

/// A key, its length before it, and its value.
fn framed(spelling: &[u8], value: &[u8]) -> Bytes {
    let length = (spelling.len() as u64).to_le_bytes();
    Bytes::from([&length, spelling, value].concat())
}

/// The value, if it is that of this key.
#[inline]
fn unframed<'a>(body: &'a [u8], spelling: &[u8]) -> Option<&'a [u8]> {
    let (length, rest) = body.split_first_chunk()?;
    if u64::from_le_bytes(*length) != spelling.len() as u64 {
        return None;
    }
    rest.strip_prefix(spelling)
}

/// Has all lines of a body on their way at once. A copy goes from one to the next and would wait for the memory several
/// times, which was most of what a hit took.
#[inline]
fn gather(body: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in body.get(..LARGE).unwrap_or(body).chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, at an address that is there; it reads nothing.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = body;
}

/// Sixteen bytes are enough: two spellings of one digest are told apart when they are found. They stand there twice,
/// because the levels choose by bytes of both halves.
fn digest(spelling: &[u8]) -> Key {
    let half = xxh3_128(spelling).to_le_bytes();
    let mut key = Key::default();
    key.chunks_exact_mut(half.len()).for_each(|place| place.copy_from_slice(&half));
    key
}
