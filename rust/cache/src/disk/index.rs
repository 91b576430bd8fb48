//! Where each key's record is. Looked up without a lock.
//!
//! A slot is 16 bytes beside an 8-byte fingerprint: with the table around it, some 50 to 70 bytes an entry. It holds
//! either a place in the log or the ticket of a put that is still queued. Every change compares first: the writer
//! publishes a place only over the ticket it was written for, and drops a slot only at the place it knows. So a
//! removal or a newer put, which change the slot at once, are never undone by something older that ends later.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use papaya::Operation;

use super::format::{Kind, Line, Place};

/// Set in a place that is a ticket: the record is not written yet. Segment numbers stay below 2^31.
const QUEUED: u64 = 1 << 63;
/// Set in the length of a record that was read since it was written.
const HIT: u32 = 1 << 31;

#[derive(Debug)]
struct Slot {
    place: u64,
    len: AtomicU32,
    group: u32,
}

/// A record to read: where, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) len: u32,
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
pub(super) struct Index {
    slots: papaya::HashMap<u64, Slot, BuildHasherDefault<Same>>,
}

impl Index {
    pub(super) fn with_capacity(entries: usize) -> Index {
        Index { slots: papaya::HashMap::builder().capacity(entries).hasher(BuildHasherDefault::default()).build() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The written record of a fingerprint, to be read now: it counts as a hit, which is one store at most.
    pub(super) fn find(&self, fingerprint: u64) -> Option<Spot> {
        let pinned = self.slots.pin();
        let slot = pinned.get(&fingerprint).filter(|slot| slot.place & QUEUED == 0)?;
        let len = slot.len.load(Relaxed);
        if len & HIT == 0 {
            slot.len.store(len | HIT, Relaxed);
        }
        Some(Spot { place: Place(slot.place), len: len & !HIT })
    }

    /// Whether the record at this place is still the one that counts.
    pub(super) fn is_at(&self, fingerprint: u64, place: Place) -> bool {
        self.slots.pin().get(&fingerprint).is_some_and(|slot| slot.place == place.0)
    }

    /// Whether the record at this place counts and was read since it was written.
    pub(super) fn was_hit(&self, fingerprint: u64, place: Place) -> bool {
        let pinned = self.slots.pin();
        pinned.get(&fingerprint).is_some_and(|slot| slot.place == place.0 && slot.len.load(Relaxed) & HIT != 0)
    }

    /// The key has a queued put: what it had before is not readable any more.
    pub(super) fn queue(&self, fingerprint: u64, ticket: u64, group: u32) {
        let slot = Slot { place: ticket | QUEUED, len: AtomicU32::new(0), group };
        self.slots.pin().insert(fingerprint, slot);
    }

    /// Whether the queued put with this ticket still counts.
    pub(super) fn is_queued(&self, fingerprint: u64, ticket: u64) -> bool {
        self.is_at(fingerprint, Place(ticket | QUEUED))
    }

    /// The queued put was written: it can be read from now on, if it still counts.
    pub(super) fn publish(&self, ticket: u64, line: &Line, place: Place) {
        self.replace(line, Place(ticket | QUEUED), place);
    }

    /// The record was copied to a new place.
    pub(super) fn replace(&self, line: &Line, from: Place, to: Place) {
        self.slots.pin().compute(line.fingerprint, |slot| match slot {
            Some((_, slot)) if slot.place == from.0 => {
                Operation::Insert(Slot { place: to.0, len: AtomicU32::new(line.len), group: line.group })
            }
            _ => Operation::Abort(()),
        });
    }

    /// The records of a segment, while the log is read from its beginning.
    pub(super) fn replay(&self, segment: u32, lines: &[Line]) {
        let pinned = self.slots.pin();
        for line in lines {
            match line.kind {
                Kind::Entry => {
                    let place = Place::new(segment, line.offset).0;
                    pinned.insert(line.fingerprint, Slot { place, len: AtomicU32::new(line.len), group: line.group });
                }
                Kind::Removed => {
                    pinned.remove(&line.fingerprint);
                }
                Kind::Cleared => pinned.retain(|_, slot| slot.group != line.group),
                Kind::Footer => {}
            }
        }
    }

    /// Whether there was anything.
    pub(super) fn remove(&self, fingerprint: u64) -> bool {
        self.slots.pin().remove(&fingerprint).is_some()
    }

    /// Forgets the record at this place, if it is the one that counts.
    pub(super) fn drop_at(&self, fingerprint: u64, place: Place) -> bool {
        let pinned = self.slots.pin();
        matches!(pinned.remove_if(&fingerprint, |_, slot| slot.place == place.0), Ok(Some(_)))
    }

    /// Forgets a group, or everything.
    pub(super) fn clear(&self, group: Option<u32>) {
        match group {
            Some(group) => self.slots.pin().retain(|_, slot| slot.group != group),
            None => self.slots.pin().clear(),
        }
    }
}
