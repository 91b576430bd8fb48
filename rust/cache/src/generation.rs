//! A generation: one counter that makes everything remembered before it old, in one step.
//!
//! The rule: whoever remembers something writes down the generation it *began* at, and what began at another
//! generation than the present one is neither served nor joined. So forgetting everything of a server costs one
//! addition, whatever is held of it; what is old by then leaves by being overwritten, evicted or expired.

use crate::sync::{AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Generation(AtomicU64);

impl Generation {
    /// The first generation.
    pub fn new() -> Self {
        Self::default()
    }

    /// The present generation. Whoever sees one also sees what was done before it began.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Begins the next generation and says which it is.
    pub fn advance(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}
