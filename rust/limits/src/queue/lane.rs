//! The calls of one class of one tenant: a list linked through the slab, so that any of them leaves in one step.

use super::class::Class;
use crate::slab::{Key, Slab};

/// A call that waits.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) payload: T,
    pub(super) tenant: Key,
    pub(super) class: Class,
    pub(super) arrived_ns: u64,
    /// When waiting ceases to make sense.
    pub(super) gives_up_ns: u64,
    pub(super) cost_ns: u64,
    pub(super) older: Option<Key>,
    pub(super) newer: Option<Key>,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    oldest: Option<Key>,
    newest: Option<Key>,
    len: usize,
    /// Since when somebody has always stood here.
    standing_since_ns: u64,
}

impl Lane {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn oldest(&self) -> Option<Key> {
        self.oldest
    }

    /// Whether the newest goes first: who has stood for long will hardly be in time, who has just come will. `standing`
    /// is since when somebody must have stood here, if standing matters.
    pub(super) fn newest_first(&self, standing: Option<u64>) -> bool {
        self.len > 0 && standing.is_some_and(|since_ns| self.standing_since_ns < since_ns)
    }

    /// Who goes next.
    pub(super) fn next(&self, standing: Option<u64>) -> Option<Key> {
        if self.newest_first(standing) { self.newest } else { self.oldest }
    }

    /// Puts the entry, which is in the slab already, behind the others.
    pub(super) fn push<T>(&mut self, entries: &mut Slab<Entry<T>>, key: Key, now_ns: u64) {
        if let Some(before) = self.newest.replace(key) {
            if let Some(entry) = entries.get_mut(before) {
                entry.newer = Some(key);
            }
            if let Some(entry) = entries.get_mut(key) {
                entry.older = Some(before);
            }
        } else {
            self.oldest = Some(key);
            self.standing_since_ns = now_ns;
        }
        self.len = self.len.saturating_add(1);
    }

    /// Unlinks an entry that was just taken out of the slab.
    pub(super) fn unlink<T>(&mut self, entries: &mut Slab<Entry<T>>, gone: &Entry<T>) {
        match gone.older.and_then(|key| entries.get_mut(key)) {
            Some(older) => older.newer = gone.newer,
            None => self.oldest = gone.newer,
        }
        match gone.newer.and_then(|key| entries.get_mut(key)) {
            Some(newer) => newer.older = gone.older,
            None => self.newest = gone.older,
        }
        self.len = self.len.saturating_sub(1);
    }
}
