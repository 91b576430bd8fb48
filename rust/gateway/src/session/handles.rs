//! What others hold of a session; each gives its place back when it is dropped.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::{Session, signal::Signal};

/// A call in flight on a session; leaves the list when dropped.
pub(crate) struct Ticket {
    pub(super) session: Weak<Session>,
    pub(super) id: Bytes,
    pub(super) signal: Arc<Signal>,
}

impl Ticket {
    /// True once the client has cancelled the call, or the session has ended.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.signal.has_fired()
    }

    /// Waits until the client cancels the call; for ever if it cannot.
    pub(crate) async fn cancelled(ticket: Option<&Self>) {
        match ticket {
            Some(ticket) => ticket.signal.fired().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            session.finish(&self.id);
        }
    }
}

/// A question put to a client; dropped, it is taken back and refused upstream.
pub(crate) struct Asked {
    pub(super) session: Weak<Session>,
    pub(super) id: i64,
}

impl Asked {
    /// True while there is no answer and somebody waits for one.
    pub(crate) fn is_open(&self) -> bool {
        let Some(session) = self.session.upgrade() else { return false };
        session.is_open(self.id)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(session) = self.session.upgrade() else { return };
        session.withdraw(self.id);
    }
}

/// The one stream of a session; freed when dropped.
pub(crate) struct Streaming {
    /// Whose.
    pub(crate) session: Arc<Session>,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.session.close_stream();
    }
}
