//! Something that happens once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Happens once; who waits afterwards does not wait.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    fired: AtomicBool,
    waiting: Notify,
}

impl Signal {
    /// Makes it happen.
    pub(crate) fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    /// True once it has happened.
    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Waits until it happens.
    pub(crate) async fn fired(&self) {
        let waiting = self.waiting.notified();
        tokio::pin!(waiting);
        // Registered before the look, so that nothing falls between the two.
        waiting.as_mut().enable();
        if !self.has_fired() {
            waiting.await;
        }
    }
}
