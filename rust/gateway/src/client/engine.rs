//! The threads that requests of programs run on: one set a process, started by the first request.
//!
//! They run for as long as the process does and never touch the interpreter, so nothing waits for them at its end. In a
//! fork there are none, only their memory as it was in some moment, with locks that nobody will ever give back. So
//! the check for it takes no lock, and what was made before the fork is given up as it is.

use std::{io, ops::Deref, process, sync::Arc, thread};

use arc_swap::ArcSwapOption;
use tokio::runtime::{Builder, Handle, Runtime};

/// Requests wait, most of the time; unpacking is what takes a processor.
const MOST_THREADS: usize = 4;

static ENGINE: ArcSwapOption<Native<Runtime>> = ArcSwapOption::const_empty();

/// The threads of this process.
pub(super) fn here() -> io::Result<Handle> {
    let found = ENGINE.load_full();
    if let Some(engine) = found.as_ref().filter(|engine| engine.is_native()) {
        return Ok(engine.handle().clone());
    }
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS));
    let runtime =
        Builder::new_multi_thread().worker_threads(threads).thread_name("omnimind-http").enable_all().build()?;
    let engine = Arc::new(Native::new(runtime));
    let handle = engine.handle().clone();
    let before = ENGINE.compare_and_swap(&found, Some(engine));
    match before.as_ref().filter(|engine| engine.is_native()) {
        // Another thread was faster.
        Some(engine) => Ok(engine.handle().clone()),
        None => Ok(handle),
    }
}

/// Something that is of use only in the process in which it was made; elsewhere it is never taken down.
#[derive(Debug)]
pub(super) struct Native<T> {
    process: u32,
    value: Arc<T>,
}

impl<T> Native<T> {
    pub(super) fn new(value: T) -> Self {
        Self { process: process::id(), value: Arc::new(value) }
    }

    /// True in the process in which it was made.
    pub(super) fn is_native(&self) -> bool {
        self.process == process::id()
    }
}

impl<T> Deref for Native<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Native<T> {
    fn drop(&mut self) {
        if !self.is_native() {
            std::mem::forget(Arc::clone(&self.value));
        }
    }
}
