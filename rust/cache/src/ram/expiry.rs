//! When entries end, in coarse buckets, so that what nobody asks for again gives its room back.
//!
//! Reading never needs this: it looks at the entry's own times. A bucket holds the entries that end within one grain,
//! a power of two of milliseconds: about a sixty-fourth of the time they had left, at least a second. So there are few
//! buckets, and an entry leaves at most that much late. Buckets are lists linked through an array beside the slab; a
//! cache whose entries never end has neither.

use std::collections::BTreeMap;

use super::policy::Slot;
use crate::Life;

const NONE: u32 = u32::MAX;
/// A bucket that is none: the entry never ends.
const NEVER: u64 = u64::MAX;
/// The finest grain: 1,024 ms.
const FINEST: u32 = 10;

/// When the entries of a slab end.
#[derive(Debug, Default)]
pub struct Expiry {
    links: Vec<Link>,
    /// The first entry of each bucket, by the time its last entry has ended.
    buckets: BTreeMap<u64, u32>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    bucket: u64,
    next: u32,
    before: u32,
}

const UNLINKED: Link = Link { bucket: NEVER, next: NONE, before: NONE };

impl Expiry {
    /// The entry of this slot has this life.
    pub fn set(&mut self, slot: Slot, life: &Life) {
        let bucket = bucket(life);
        if self.links.get(slot.index()).is_some_and(|link| link.bucket == bucket) {
            return;
        }
        self.unset(slot);
        if bucket == NEVER {
            return;
        }
        if slot.index() >= self.links.len() {
            self.links.resize(slot.index() + 1, UNLINKED);
        }
        let next = self.buckets.insert(bucket, slot.number()).unwrap_or(NONE);
        if let Some(first) = self.links.get_mut(next as usize) {
            first.before = slot.number();
        }
        if let Some(link) = self.links.get_mut(slot.index()) {
            *link = Link { bucket, next, before: NONE };
        }
    }

    /// The slot is no longer in use.
    pub fn unset(&mut self, slot: Slot) {
        let Some(link) = self.links.get_mut(slot.index()) else { return };
        let Link { bucket, next, before } = std::mem::replace(link, UNLINKED);
        if bucket == NEVER {
            return;
        }
        if let Some(after) = self.links.get_mut(next as usize) {
            after.before = before;
        }
        match self.links.get_mut(before as usize) {
            Some(link) => link.next = next,
            None if next == NONE => drop(self.buckets.remove(&bucket)),
            None => drop(self.buckets.insert(bucket, next)),
        }
    }

    /// A slot whose entry has ended.
    pub fn ended(&self, now_ms: u64) -> Option<Slot> {
        let (ends_ms, first) = self.buckets.first_key_value()?;
        (*ends_ms <= now_ms).then_some(Slot::from_index(*first))
    }
}

/// The end of the grain in which a life ends.
fn bucket(life: &Life) -> u64 {
    let ends_ms = life.stale_until_ms.max(life.fresh_until_ms);
    let grain = (ends_ms.saturating_sub(life.created_ms) >> 6).checked_ilog2().map_or(FINEST, |log| log.max(FINEST));
    (ends_ms >> grain).checked_add(1).and_then(|grains| grains.checked_mul(1 << grain)).unwrap_or(NEVER)
}
