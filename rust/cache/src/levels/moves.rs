//! What keeps an entry that is on its way between levels from undoing a change that overtook it.
//!
//! An entry that was evicted from one level is for a moment in none: it is in the hands of the thread that will put it
//! into the next one down. A removal, or a newer value, finds nothing to take out then, and the old entry would
//! reappear after it. The same goes for an entry found below, on its way up.
//!
//! So every change of a key notes the instant of its end with the key's stripe. Whoever carries an entry has noted the
//! instant *before* it began to look (or to evict), and puts the entry down under the stripe's lock, only if no change
//! of the stripe ended later. A change that ended earlier was over before the entry was picked up, so the entry is what
//! it left; a change under way holds the lock, and is waited for. Another key of the same stripe may cost an entry its
//! move, which costs a hit, not an answer.
//!
//! Clearing many keys first stops all moves and lets those under way end; then levels may be cleared from the top down.
//!
//! Cost: one uncontended lock a move or change; 16 bytes a stripe.

use crate::Key;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// No moves while this is the instant of the last clearing.
const CLEARING: u64 = u64::MAX;

pub(crate) struct Moves {
    /// The instants: changes that have ended.
    clock: AtomicU64,
    cleared: AtomicU64,
    clearing: Mutex<()>,
    /// When the last change of one of the stripe's keys ended.
    stripes: Box<[Mutex<u64>]>,
}

/// An instant before an entry was looked for, or evicted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since(u64);

impl Moves {
    pub(crate) fn new(stripes: usize) -> Self {
        Self {
            clock: AtomicU64::new(0),
            cleared: AtomicU64::new(0),
            clearing: Mutex::new(()),
            stripes: (0..stripes.max(1)).map(|_| Mutex::new(0)).collect(),
        }
    }

    /// The instant to note before an entry is picked up.
    pub(crate) fn since(&self) -> Since {
        Since(self.clock.load(Ordering::Acquire))
    }

    /// Changes what is under a key, in all levels.
    pub(crate) fn change<R>(&self, key: &Key, work: impl FnOnce() -> R) -> R {
        let mut ended = self.stripe(key).lock();
        let outcome = work();
        *ended = self.tick();
        outcome
    }

    /// Puts an entry down that was picked up after `since`, unless something changed what is under its key.
    pub(crate) fn carry(&self, key: &Key, since: Since, put_down: impl FnOnce()) -> bool {
        let ended = self.stripe(key).lock();
        let unchanged = *ended <= since.0 && self.cleared.load(Ordering::Acquire) <= since.0;
        if unchanged {
            put_down();
        }
        unchanged
    }

    /// Clears any keys in all levels. `work` must go through them in the direction in which entries are evicted.
    pub(crate) fn clear(&self, work: impl FnOnce()) {
        let _turn = self.clearing.lock();
        self.cleared.store(CLEARING, Ordering::Release);
        for stripe in &self.stripes {
            drop(stripe.lock());
        }
        work();
        let ended = self.tick();
        self.cleared.store(ended, Ordering::Release);
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn stripe(&self, key: &Key) -> &Mutex<u64> {
        let [.., a, b] = *key;
        let number = usize::from(u16::from_le_bytes([a, b]));
        &self.stripes[number % self.stripes.len()]
    }
}
