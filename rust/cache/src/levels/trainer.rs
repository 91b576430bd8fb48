//! The thread that trains dictionaries. It is started when a training is due, ends when there is none left, and is
//! waited for when its owner goes: at most one training long.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::compressed::Packer;

/// Everything else goes first.
const NICENESS: i32 = 10;

#[derive(Default)]
pub(super) struct Trainer {
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Trainer {
    /// A training is due. Where no thread can be had, it stays due.
    pub(super) fn wake(&self, packer: &Arc<Packer>, now_ms: u64) {
        let mut thread = self.thread.lock();
        if thread.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let packer = Arc::clone(packer);
        let train = move || {
            // Of this thread alone, on Linux. If it is refused, the training is only less polite.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            while packer.train_due(now_ms) {}
        };
        *thread = thread::Builder::new().name("cache-learn".to_owned()).spawn(train).ok();
    }

    /// Waits for the thread, if there is one.
    pub(super) fn wait(&self) {
        let running = self.thread.lock().take();
        if let Some(running) = running {
            drop(running.join());
        }
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.wait();
    }
}
