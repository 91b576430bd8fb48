//! State that is changed only by a thread that holds the interpreter.
//!
//! Where the interpreter has its lock, a mutex beside it would guard against nobody and cost a tenth of a hit: the
//! lock is held for as long as there is a `Python` token, and nothing that runs inside [`Guarded::with`] may let it
//! go. So there this is a plain cell with a flag, against a callee that would come back; on an interpreter without
//! that lock it is a mutex.

use std::cell::{Cell, UnsafeCell};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

#[cfg(Py_GIL_DISABLED)]
use parking_lot::Mutex as Lock;

/// A value behind the interpreter's lock, or behind one of its own.
pub(crate) struct Guarded<T> {
    #[cfg(Py_GIL_DISABLED)]
    lock: Lock<()>,
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives the value to one thread at a time, as a mutex would: to the one that holds the interpreter's
// lock, or `lock` where there is no such. `busy` is read and written by that thread only.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Guarded<T> {}

/// Ends the use, also when it panicked.
struct Using<'a>(&'a Cell<bool>);

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            #[cfg(Py_GIL_DISABLED)]
            lock: Lock::new(()),
            busy: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Uses the value. What runs inside must not run Python code, drop objects, or let the interpreter go.
    #[inline]
    pub(crate) fn with<R>(&self, _py: Python<'_>, work: impl FnOnce(&mut T) -> R) -> PyResult<R> {
        self.enter(work).ok_or_else(|| PyRuntimeError::new_err("the cache was used by what it was using itself"))
    }

    /// The same for a slot of the garbage collector, which gets no token; nothing if the value is in use.
    #[allow(unsafe_code)]
    ///
    /// # Safety
    /// The calling thread holds the interpreter, as it does in `__traverse__`.
    pub(crate) unsafe fn visit<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.enter(work)
    }

    #[inline]
    fn enter<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        #[cfg(Py_GIL_DISABLED)]
        let _held = self.lock.lock();
        if self.busy.replace(true) {
            return None;
        }
        let _using = Using(&self.busy);
        // SAFETY: this thread holds the lock of the interpreter, or ours, until `work` is done, and `busy` says that
        // no frame of this thread below us has the value either.
        #[allow(unsafe_code)]
        let value = unsafe { &mut *self.value.get() };
        Some(work(value))
    }
}
