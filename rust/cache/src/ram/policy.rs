//! Who stays and who goes: S3-FIFO over entries that live elsewhere. No clock, no lock, no index.
//!
//! Three queues, first in, first out. New entries enter *small* (a tenth of the weight); one that was hit at least
//! twice by the time it reaches the end moves to *main*, any other leaves and is remembered, as a fingerprint only, in
//! the *ghost*. Who comes back while the ghost remembers it enters main at once. In main an entry that was hit goes
//! round again, for at most three rounds without a further hit. A scan so passes through small and leaves main alone.
//! Until the first eviction what small has no room for goes to main, else a loop over a little more than fits would
//! start with nine tenths of the room unused.
//!
//! The policy keeps what it needs of an entry (`T`: its key, or the entry itself) in a slab with the queues linked
//! through it: no allocation for an entry in a full cache, removal from anywhere in constant time.
//! An index over it is another's: [`Ram`](super::Ram) has one that readers find entries in without a lock, the Python
//! face one for a single thread.
//!
//! Cost: 32 bytes an entry beside `T`, and what the ghost costs.
//!
//! Source: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023.

use std::sync::atomic::{AtomicU8, Ordering};

use super::ghost::Ghost;

/// No slot.
const NONE: u32 = u32::MAX;
/// More hits than these in a row earn nothing.
const RECENT: u8 = 0b11;
/// All hits ever, above the recent ones, saturating.
const EVER: u8 = 0b100;

/// Where an entry's place in the queues is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Its number: slots are counted from 0, and a free one is used before a new one is made.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn from_index(index: u32) -> Self {
        Self(index)
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// The queue an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// New, on probation.
    Small,
    /// Proven.
    Main,
}

/// How often an entry was hit, in one byte. Readers of many threads count in it without a read-modify-write: a hit
/// lost to another at the same instant does not matter to the policy.
#[derive(Debug, Default)]
pub struct Hits(AtomicU8);

impl Hits {
    /// Counts a hit: one relaxed load, and one relaxed store until the byte is full.
    #[inline]
    pub fn touch(&self) {
        let seen = self.0.load(Ordering::Relaxed);
        let recent = u8::from(seen & RECENT != RECENT);
        let ever = if seen >= u8::MAX - RECENT { 0 } else { EVER };
        if recent | ever != 0 {
            self.0.store(seen + recent + ever, Ordering::Relaxed);
        }
    }

    /// Hits since it was inserted, at most 63.
    pub fn ever(&self) -> u8 {
        self.0.load(Ordering::Relaxed) / EVER
    }

    /// Whether an entry at the end of this queue stays.
    #[inline]
    pub fn earned(&self, queue: Queue) -> bool {
        let recent = self.0.load(Ordering::Relaxed) & RECENT;
        match queue {
            Queue::Small => recent >= 2,
            Queue::Main => recent >= 1,
        }
    }

    /// What staying costs: all recent hits for the move to main, one for a further round.
    #[inline]
    pub fn spend(&self, queue: Queue) {
        let seen = self.0.load(Ordering::Relaxed);
        let spent = match queue {
            Queue::Small => seen & !RECENT,
            Queue::Main => seen - u8::from(seen & RECENT != 0),
        };
        self.0.store(spent, Ordering::Relaxed);
    }
}

impl Clone for Hits {
    fn clone(&self) -> Self {
        Self(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }
}

/// The queues.
#[derive(Debug)]
pub struct Policy<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    small: List,
    main: List,
    ghost: Ghost,
    /// What small may hold before the first eviction: weight, and entries.
    small_at_first: (u64, usize),
    /// Somebody had to leave since it was empty.
    full: bool,
}

#[derive(Debug)]
struct Node<T> {
    item: Option<T>,
    hash: u64,
    weight: u64,
    queue: Queue,
    newer: u32,
    older: u32,
}

#[derive(Debug)]
struct List {
    newest: u32,
    oldest: u32,
    weight: u64,
    len: usize,
}

/// An entry that left its queue.
#[derive(Debug)]
pub struct Left<T> {
    /// What the policy kept of it.
    pub item: T,
    /// What it counted for.
    pub weight: u64,
    /// The place that is free now.
    pub slot: Slot,
}

impl<T> Policy<T> {
    /// Empty queues. They will be full at this weight or at this number of entries, as far as one can tell.
    pub fn new(max_weight: u64, max_len: usize) -> Self {
        Self {
            nodes: Vec::new(),
            free: NONE,
            small: List::new(),
            main: List::new(),
            ghost: Ghost::new(),
            small_at_first: ((max_weight / 10).max(1), (max_len / 10).max(1)),
            full: false,
        }
    }

    /// Entries in the queues.
    pub fn len(&self) -> usize {
        self.small.len + self.main.len
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their weight.
    pub fn weight(&self) -> u64 {
        self.small.weight + self.main.weight
    }

    /// Whether a key with this hash left small not long ago. To be asked once, before room is made for it.
    pub fn recall(&mut self, hash: u64) -> bool {
        self.ghost.take(hash)
    }

    /// A new entry, under the hash of its key; `known` as [recalled](Self::recall).
    pub fn admit(&mut self, hash: u64, known: bool, weight: u64, item: T) -> Slot {
        let (weight_at_first, len_at_first) = self.small_at_first;
        let early = !self.full && (self.small.weight >= weight_at_first || self.small.len >= len_at_first);
        let queue = if known || early { Queue::Main } else { Queue::Small };
        let slot = self.place(Node { item: Some(item), hash, weight, queue, newer: NONE, older: NONE });
        self.push(slot, queue);
        Slot(slot)
    }

    /// Takes one entry out to make room. `leaves` looks at an entry at the end of its queue: if it has not
    /// [earned](Hits::earned) its stay there it answers `true` and the entry leaves; else it [spends](Hits::spend) the
    /// hits that kept it and answers `false`.
    pub fn evict(&mut self, mut leaves: impl FnMut(&mut T, Queue) -> bool) -> Option<Left<T>> {
        self.full = true;
        loop {
            let from = self.due()?;
            let slot = self.list(from).oldest;
            let item = self.nodes.get_mut(slot as usize)?.item.as_mut()?;
            if leaves(item, from) {
                if from == Queue::Small {
                    let node = self.nodes.get(slot as usize)?;
                    let (hash, weight) = (node.hash, node.weight);
                    self.ghost.remember(hash, weight, self.len(), self.weight());
                }
                return self.remove(Slot(slot));
            }
            self.unlink(slot);
            self.push(slot, Queue::Main);
        }
    }

    /// Takes an entry out that is not to be remembered.
    pub fn remove(&mut self, slot: Slot) -> Option<Left<T>> {
        let node = self.nodes.get_mut(slot.index())?;
        let item = node.item.take()?;
        let weight = node.weight;
        self.unlink(slot.0);
        if let Some(node) = self.nodes.get_mut(slot.index()) {
            node.newer = self.free;
            self.free = slot.0;
        }
        self.full &= !self.is_empty();
        Some(Left { item, weight, slot })
    }

    /// What the policy keeps of an entry, to change.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.nodes.get_mut(slot.index())?.item.as_mut()
    }

    /// What an entry counts for.
    pub fn weight_of(&self, slot: Slot) -> u64 {
        self.nodes.get(slot.index()).map_or(0, |node| node.weight)
    }

    /// The entry keeps its place and counts for something else.
    pub fn reweigh(&mut self, slot: Slot, weight: u64) {
        if let Some(node) = self.nodes.get_mut(slot.index()) {
            let before = std::mem::replace(&mut node.weight, weight);
            let queue = node.queue;
            let list = self.list_mut(queue);
            list.weight = list.weight - before + weight;
        }
    }

    /// The queue whose oldest entry is looked at next: main only while it holds more than its nine tenths.
    fn due(&self) -> Option<Queue> {
        let main_is_over = self.main.weight > self.small.weight.saturating_mul(9);
        match (self.small.oldest, self.main.oldest) {
            (NONE, NONE) => None,
            (NONE, _) => Some(Queue::Main),
            (_, NONE) => Some(Queue::Small),
            _ => Some(if main_is_over { Queue::Main } else { Queue::Small }),
        }
    }

    fn place(&mut self, node: Node<T>) -> u32 {
        let slot = self.free;
        if let Some(unused) = self.nodes.get_mut(slot as usize) {
            self.free = unused.newer;
            *unused = node;
            return slot;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }

    fn push(&mut self, slot: u32, queue: Queue) {
        let newest = self.list(queue).newest;
        let Some(node) = self.nodes.get_mut(slot as usize) else { return };
        node.queue = queue;
        node.newer = NONE;
        node.older = newest;
        let weight = node.weight;
        match self.nodes.get_mut(newest as usize) {
            Some(before) => before.newer = slot,
            None => self.list_mut(queue).oldest = slot,
        }
        let list = self.list_mut(queue);
        list.newest = slot;
        list.weight += weight;
        list.len += 1;
    }

    fn unlink(&mut self, slot: u32) {
        let Some(node) = self.nodes.get(slot as usize) else { return };
        let (newer, older, queue, weight) = (node.newer, node.older, node.queue, node.weight);
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.list_mut(queue).newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.list_mut(queue).oldest = newer,
        }
        let list = self.list_mut(queue);
        list.weight -= weight;
        list.len -= 1;
    }

    fn list(&self, queue: Queue) -> &List {
        match queue {
            Queue::Small => &self.small,
            Queue::Main => &self.main,
        }
    }

    fn list_mut(&mut self, queue: Queue) -> &mut List {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }
}

impl List {
    fn new() -> Self {
        Self { newest: NONE, oldest: NONE, weight: 0, len: 0 }
    }
}
