//! Reading: no lock, no waiting for the writer, and never an error. What does not hold is a miss.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;

use super::index::Spot;
use super::segment::{Now, Segment};
use super::{Record, Shared, format};
use crate::{Freshness, Key};

/// Larger records are read where waiting is allowed: copying them would hold up an async thread.
const AT_ONCE: u32 = 256 << 10;

/// What a lookup came to.
#[derive(Debug)]
pub enum Found {
    /// The record was in memory (the kernel's), and is alive.
    Here(Record),
    /// There is a record, but reading it may wait for the disk.
    Cold(ColdRead),
    /// There is none.
    Miss,
}

/// A read that may wait for the disk: for a thread that may.
#[derive(Debug)]
pub struct ColdRead {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    key: Key,
    fingerprint: u64,
    spot: Spot,
    now_ms: u64,
}

impl ColdRead {
    /// Reads it now. None if it is damaged, expired, or was removed or replaced meanwhile.
    pub fn read(self) -> Option<Record> {
        let bytes = self.segment.read(self.spot.place.offset(), self.spot.len).ok();
        // A removal that came between the lookup and the read counts.
        if !self.shared.is_on() || !self.shared.index.is_at(self.fingerprint, self.spot.place) {
            self.shared.counters.misses.fetch_add(1, Relaxed);
            return None;
        }
        self.shared.accept(&self.key, self.fingerprint, self.spot, bytes, self.now_ms)
    }
}

impl Shared {
    pub(super) fn get(self: &Arc<Shared>, key: &Key, now_ms: u64) -> Found {
        self.clock_ms.store(now_ms, Relaxed);
        self.look(key, now_ms).unwrap_or_else(|| {
            self.counters.misses.fetch_add(1, Relaxed);
            Found::Miss
        })
    }

    /// None where there is nothing to read.
    fn look(self: &Arc<Shared>, key: &Key, now_ms: u64) -> Option<Found> {
        if !self.is_on() {
            return None;
        }
        let fingerprint = format::fingerprint(key);
        let spot = self.index.find(fingerprint)?;
        let segments = self.segments.load();
        let Ok(at) = segments.binary_search_by_key(&spot.place.segment(), |segment| segment.number) else {
            self.index.drop_at(fingerprint, spot.place);
            return None;
        };
        let segment = &segments[at];
        let now = if spot.len > AT_ONCE { Now::Later } else { segment.read_now(spot) };
        let bytes = match now {
            Now::Bytes(bytes) => Some(bytes),
            Now::Failed => None,
            Now::Later => {
                self.counters.cold.fetch_add(1, Relaxed);
                let (shared, segment) = (Arc::clone(self), Arc::clone(segment));
                return Some(Found::Cold(ColdRead { shared, segment, key: *key, fingerprint, spot, now_ms }));
            }
        };
        Some(self.accept(key, fingerprint, spot, bytes, now_ms).map_or(Found::Miss, Found::Here))
    }

    /// Whether what was read is the record that was looked for, whole and alive. Counts the hit or the miss.
    fn accept(&self, key: &Key, fingerprint: u64, spot: Spot, bytes: Option<Vec<u8>>, now_ms: u64) -> Option<Record> {
        let bytes = bytes.map(Bytes::from);
        let header = bytes.as_ref().and_then(|bytes| format::verify(bytes, spot.place));
        let (Some(bytes), Some(header)) = (bytes, header) else {
            self.index.drop_at(fingerprint, spot.place);
            self.counters.damaged.fetch_add(1, Relaxed);
            self.counters.misses.fetch_add(1, Relaxed);
            return None;
        };
        let freshness = header.life.state(now_ms);
        if header.kind != format::Kind::Entry || header.key != *key || freshness == Freshness::Expired {
            // Another key with this fingerprint, or too old: it stays, for its owner or for the removal it stands for.
            self.counters.misses.fetch_add(1, Relaxed);
            return None;
        }
        let hits = if freshness == Freshness::Fresh { &self.counters.hits } else { &self.counters.stale_hits };
        hits.fetch_add(1, Relaxed);
        Some(format::entry(&header, &bytes))
    }
}
