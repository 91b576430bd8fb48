//! What one mutex guards: the places of a shard's entries in the queues, and when they end.

use super::expiry::Expiry;
use super::policy::{Left, Policy, Slot};

#[derive(Debug)]
pub(super) struct Shard<K> {
    pub(super) policy: Policy<K>,
    pub(super) expiry: Expiry,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) inserts: u64,
    pub(super) evictions: u64,
    pub(super) expired: u64,
    pub(super) too_large: u64,
}

impl<K> Shard<K> {
    pub(super) fn new(max_bytes: u64, max_items: usize) -> Self {
        Self { policy: Policy::new(max_bytes, max_items), expiry: Expiry::default(), counts: Counts::default() }
    }

    /// The entry of this slot is gone.
    pub(super) fn forget(&mut self, slot: Slot) -> Option<Left<K>> {
        self.expiry.unset(slot);
        self.policy.remove(slot)
    }
}
