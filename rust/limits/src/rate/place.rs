//! A place in a table: the tag of the key that holds it, and the word of its bucket.
//!
//! Rule kept: nobody takes from a place after it has changed hands, and what was taken before is not forgotten.
//!
//! How it changes hands: the tag is cleared, the word moved to a new generation, the new tag set. A taker reads the
//! word and then the tag once more, so a taker of the old key has either moved the word first (the place is not idle
//! then) or fails its swap. `tests/loom.rs` goes through every execution of the two.

use super::key::Key;
use crate::bucket::State;
use crate::sync::{AtomicU64, Ordering};

/// The tag of a place nobody holds. It looks idle.
const VACANT: u64 = 0;

/// 16 bytes.
pub(super) struct Place {
    tag: AtomicU64,
    word: AtomicU64,
}

impl Place {
    pub(super) fn vacant() -> Self {
        Self { tag: AtomicU64::new(VACANT), word: AtomicU64::new(0) }
    }

    pub(super) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// The bucket, if `key` holds this place. A swap of the word from what is answered succeeds only while it does.
    #[inline]
    pub(super) fn held_by(&self, key: Key) -> Option<State> {
        if self.tag.load(Ordering::Relaxed) != key.tag() {
            return None;
        }
        let seen = self.state();
        (self.tag.load(Ordering::Acquire) == key.tag()).then_some(seen)
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        State(self.word.load(Ordering::Acquire))
    }

    /// Gives the place to `key` if it is idle at `now_ns`, with the debt that `debt_of` answers to the old one's.
    /// `None` if it is in use. One caller at a time.
    pub(super) fn change_hands(&self, key: Key, now_ns: u64, mut debt_of: impl FnMut(u64) -> u64) -> Option<State> {
        let before = self.tag.load(Ordering::Acquire);
        self.tag.store(VACANT, Ordering::Release);
        let mut seen = self.state();
        while seen.tat_ns() <= now_ns {
            let next = State::new(seen.generation() + 1, debt_of(seen.tat_ns()));
            match self.word.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.tag.store(key.tag(), Ordering::Release);
                    return Some(next);
                }
                Err(actual) => seen = State(actual),
            }
        }
        self.tag.store(before, Ordering::Release);
        None
    }
}
