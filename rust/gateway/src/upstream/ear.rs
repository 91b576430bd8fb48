//! The gateway's own ear on a connection.
//!
//! It hears what the connection brings and may ask the server to say more, but it is nobody: it does not keep the
//! connection from being closed as unused, its requests are no calls and no reason to ask anyone a question, and a
//! first-party worker is told of no principal. It never opens a connection.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use super::{Call, Change, Exchange, Negotiated, attach::Circle, link::Link, watch::Unasked};

/// An ear on a connection, as long as that lasts.
#[derive(Debug)]
pub(crate) struct Ear {
    link: Weak<Link>,
    circle: Arc<Circle>,
    server: Arc<str>,
    /// What was agreed with the server.
    pub(crate) negotiated: Negotiated,
}

impl Ear {
    pub(super) fn new(link: &Arc<Link>, server: &Arc<str>) -> Self {
        Self {
            link: Arc::downgrade(link),
            circle: Arc::clone(&link.circle),
            server: Arc::clone(server),
            negotiated: link.negotiated.clone(),
        }
    }

    /// The connection's number; no other has it while this is held.
    pub(crate) fn connection(&self) -> usize {
        Arc::as_ptr(&self.circle).addr()
    }

    /// The server.
    pub(crate) fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// Whose changes are heard here; `None` means everyone's.
    pub(crate) fn scope(&self) -> Option<&Arc<str>> {
        self.circle.scope()
    }

    /// True for a first-party worker.
    pub(crate) fn is_trusted(&self) -> bool {
        self.circle.is_trusted()
    }

    /// Whether what the server says unasked is heard, as of now and from now on.
    pub(crate) fn unasked(&self) -> watch::Receiver<Unasked> {
        self.circle.unasked().subscribe()
    }

    /// Begins a request of the gateway's own, which is given up after `patience`; none if the connection is gone.
    pub(crate) fn ask(&self, method: &str, params: Bytes, patience: Option<Duration>) -> Option<Exchange> {
        let call = Call {
            id: Bytes::from_static(b"0"),
            method: method.into(),
            params,
            headers: Vec::new(),
            operator: false,
            idle: None,
            deadline: patience.map(|patience| Instant::now() + patience),
            trace: None,
        };
        let deadline = call.deadline;
        let feed = self.link.upgrade().filter(|link| !link.is_stale())?.ask(call);
        Some(Exchange::new(feed, Arc::clone(&self.server), None, deadline, None))
    }

    /// Reports that something may have been missed.
    pub(crate) fn missed(&self) {
        if self.circle.is_over() {
            self.lost();
        } else {
            self.circle.report(Change::Lost);
        }
    }

    /// Reports that nothing more is heard here, unless that is known.
    pub(crate) fn lost(&self) {
        self.circle.lose(Change::Lost);
    }

    /// Waits until nothing new is to begin on the connection, or it has ended.
    pub(crate) async fn over(&self) {
        let mut ended = self.circle.watch();
        tokio::select! {
            _ = ended.wait_for(Option::is_some) => {}
            () = self.circle.retired() => {}
        }
    }
}
