//! Entries on their way: into the levels, up because they are asked for, down because others need the room.
//!
//! No entry is packed under a lock, and of two levels that an entry leaves and enters only the lower may lack it: an
//! entry that is nowhere for a moment is a miss, an entry in two places is the same in both.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::moves::Since;
use super::{Cold, Levels, Warm};
use crate::compressed::{Codec, Packed, SMALLEST};
use crate::disk::{Admitted, Disk, Record};
use crate::ram::Inserted;
use crate::{Entry, Freshness, Key};

impl Levels {
    pub(super) fn keep(&self, key: &Key, mut warm: Warm, to_disk: Option<Packed>, now_ms: u64) -> Inserted {
        let since = self.moves.since();
        let record = to_disk.map(|packed| record(&warm.entry, packed, warm.group));
        let mut leaving = Vec::new();
        let inserted = self.moves.change(key, || {
            match (&self.disk, record) {
                (Some(disk), Some(record)) => {
                    self.remove_cold(key);
                    warm.on_disk = disk.put(key, record) == Admitted::Queued;
                }
                _ => _ = self.remove_below(key),
            }
            self.insert(key, warm, &mut leaving)
        });
        self.demote(leaving, since, now_ms);
        inserted
    }

    pub(super) fn promote(&self, key: &Key, warm: Warm, since: Since, now_ms: u64) {
        let mut leaving = Vec::new();
        let before = self.moves.since();
        let mut kept = false;
        let moved = self.moves.carry(key, since, || {
            kept = self.insert(key, warm, &mut leaving) == Inserted::Kept;
            if kept {
                self.remove_cold(key);
            }
        });
        if kept || !moved {
            count(moved, &self.counters.promoted, &self.counters.overtaken);
        }
        self.demote(leaving, before, now_ms);
    }

    /// Puts an entry into L1, and collects those that leave it and should go down.
    fn insert(&self, key: &Key, warm: Warm, leaving: &mut Vec<(Key, Warm)>) -> Inserted {
        let (weight, life) = (warm.entry.weight(), warm.entry.life);
        self.warm.insert(*key, warm, weight, life, &mut |key, warm, hits| {
            if warm.asked || hits > 0 {
                leaving.push((*key, warm.clone()));
            }
        })
    }

    fn demote(&self, leaving: Vec<(Key, Warm)>, since: Since, now_ms: u64) {
        for (key, warm) in leaving {
            if warm.entry.life.state(now_ms) == Freshness::Expired || (self.cold.is_none() && self.disk.is_none()) {
                continue;
            }
            let packed = self.pack(warm.group, &warm.entry, now_ms);
            let moved = self.moves.carry(&key, since, || self.put_below(&key, warm, packed, now_ms));
            count(moved, &self.counters.demoted, &self.counters.overtaken);
        }
    }

    fn put_below(&self, key: &Key, warm: Warm, packed: Packed, now_ms: u64) {
        let Warm { entry, group, on_disk, .. } = warm;
        let writes = !on_disk && self.writes_to_disk() && self.may_write(&packed, &entry, now_ms);
        let written = writes
            && self
                .disk
                .as_ref()
                .is_some_and(|disk| disk.put(key, record(&entry, packed.clone(), group)) == Admitted::Queued);
        // What packing does not make smaller would take room here that L1 uses better, unless it is tiny.
        let smaller = packed.codec != Codec::Plain || entry.body.len() < SMALLEST;
        if let Some(level) = self.cold.as_ref().filter(|_| smaller) {
            let weight = (size_of::<Key>() + entry.head.len() + packed.bytes.len()) as u64;
            let life = entry.life;
            let cold = Cold { life, head: entry.head, packed, group, on_disk: on_disk || written };
            level.insert(*key, cold, weight, life, &mut |_, _, _| ());
        }
    }

    pub(super) fn remove_below(&self, key: &Key) -> bool {
        let cold = self.remove_cold(key);
        self.disk.as_ref().is_some_and(|disk| disk.remove(key)) || cold
    }

    fn remove_cold(&self, key: &Key) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.remove(key))
    }

    pub(super) fn pack(&self, group: u32, entry: &Entry, now_ms: u64) -> Packed {
        let (packed, due) = self.packer.pack(group, &entry.body, entry.life.stale_until_ms);
        if due {
            self.trainer.wake(&self.packer, now_ms);
        }
        packed
    }

    pub(super) fn writes_to_disk(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::is_on)
    }

    pub(super) fn may_write(&self, packed: &Packed, entry: &Entry, now_ms: u64) -> bool {
        let allowed = self.wear.take((entry.head.len() + packed.bytes.len()) as u64, now_ms);
        if !allowed {
            self.counters.spared.fetch_add(1, Relaxed);
        }
        allowed
    }
}

fn record(entry: &Entry, packed: Packed, group: u32) -> Record {
    let entry = Entry { life: entry.life, head: entry.head.clone(), body: packed.bytes };
    Record { entry, codec: packed.codec as u8, group }
}

fn count(moved: bool, yes: &AtomicU64, no: &AtomicU64) {
    if moved { yes } else { no }.fetch_add(1, Relaxed);
}
