//! Contexts of the compressor, lent out one at a time.
//!
//! Making one costs more than packing a small answer, and one a thread would be hundreds of megabytes in a process
//! whose threads come and go. So idle ones wait here, [`KEPT`] at most; who finds none makes one.

use parking_lot::Mutex;

/// Idle contexts that are kept: about 0.6 MB each to compress, 0.1 MB to inflate.
const KEPT: usize = 8;

pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    make: fn() -> Option<T>,
}

impl<T> Pool<T> {
    pub(super) fn new(make: fn() -> Option<T>) -> Self {
        Self { idle: Mutex::new(Vec::new()), make }
    }

    /// Lends a context to `work`; nothing if none could be made, or if `work` came to nothing.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut T) -> Option<R>) -> Option<R> {
        let idle = self.idle.lock().pop();
        let mut context = idle.or_else(self.make)?;
        let outcome = work(&mut context);
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(context);
        }
        outcome
    }
}
