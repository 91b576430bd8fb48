//! A caller's hold on a connection.

use std::{fmt, sync::Arc};

use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, watch,
};

use super::{
    Call, Exchange, Negotiated, Note, Question,
    attach::{Attachment, Seat, Unaddressed, Waste},
    ear::Ear,
    link::Link,
};
use crate::metrics::Tally;

/// A hold on a connection. Clones share it; the last one detaches.
#[derive(Clone)]
pub struct Lease {
    held: Arc<Held>,
}

struct Held {
    // Detaches before the connection can close.
    attachment: Attachment,
    link: Arc<Link>,
    server: Arc<str>,
    principal: Arc<str>,
    tally: Arc<Tally>,
}

impl Lease {
    pub(super) fn new(link: Arc<Link>, server: Arc<str>, principal: Arc<str>, seat: Seat, tally: Arc<Tally>) -> Self {
        let attachment = link.circle.attach(&principal, seat);
        Self { held: Arc::new(Held { attachment, link, server, principal, tally }) }
    }

    /// What was agreed with the upstream; its era is the one that was got, not the one that was wished.
    pub fn negotiated(&self) -> &Negotiated {
        &self.held.link.negotiated
    }

    /// True if a question of the upstream would reach this holder now.
    pub fn exclusive(&self) -> bool {
        self.held.attachment.seat != Seat::Guest && self.held.link.circle.owned_by(self.held.attachment.lease)
    }

    /// Begins a call.
    pub fn call(&self, call: Call) -> Exchange {
        let (idle, deadline) = (call.idle, call.deadline);
        let feed = self.held.link.call(call, &self.held.attachment, &self.held.principal);
        Exchange::new(feed, Arc::clone(&self.held.server), idle, deadline, Some(self.clone()))
    }

    /// Sends a notification (`params` a raw object, or empty) and does not wait for it.
    pub fn notify(&self, method: &str, params: &[u8]) {
        self.held.link.notify(method, params);
    }

    /// Notifications that name no request, as far as this principal may see them.
    pub fn notes(&self) -> Notes {
        let circle = &self.held.link.circle;
        Notes { heard: circle.listen(), ended: circle.watch(), principal: Arc::clone(&self.held.principal) }
    }

    /// For a session: the questions that come while none of its calls is in flight. There is one such
    /// receiver; who asks first gets it.
    pub fn questions(&self) -> Option<mpsc::Receiver<Question>> {
        self.held.attachment.questions.lock().take()
    }

    /// What came over this connection and was of no use.
    pub fn waste(&self) -> Waste {
        self.held.link.circle.bin.count()
    }

    /// Tells connections apart, as long as anyone holds or hears them.
    pub fn connection(&self) -> usize {
        Arc::as_ptr(&self.held.link.circle).addr()
    }

    /// An ear on the connection, which does not hold it.
    pub(crate) fn ear(&self) -> Ear {
        Ear::new(&self.held.link, &self.held.server)
    }

    /// True if the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.held.link.is_gone()
    }

    /// True if nothing new is to begin on the connection: it has ended, or is being replaced.
    pub fn is_stale(&self) -> bool {
        self.held.link.is_stale()
    }

    /// Waits until the connection is being replaced; what has begun may go on, what is new is to lease again.
    pub async fn retired(&self) {
        self.held.link.circle.retired().await;
    }

    /// What is counted of this server.
    pub fn tally(&self) -> &Tally {
        &self.held.tally
    }

    /// Waits for the end of the connection; to go on, lease again.
    pub async fn gone(&self) {
        let mut ended = self.held.link.circle.watch();
        let _ = ended.wait_for(Option::is_some).await;
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("server", &self.held.server)
            .field("principal", &self.held.principal)
            .field("seat", &self.held.attachment.seat)
            .finish_non_exhaustive()
    }
}

/// Notifications that name no request. A reader that is too slow loses the oldest.
#[derive(Debug)]
pub struct Notes {
    heard: broadcast::Receiver<Unaddressed>,
    ended: watch::Receiver<Option<Arc<str>>>,
    principal: Arc<str>,
}

impl Notes {
    /// The next one; `None` when the connection has ended.
    pub async fn recv(&mut self) -> Option<Note> {
        loop {
            let heard = tokio::select! {
                biased;
                heard = self.heard.recv() => heard,
                _ = self.ended.wait_for(Option::is_some) => return None,
            };
            match heard {
                Ok(Unaddressed { note, only }) if only.as_ref().is_none_or(|only| *only == self.principal) => {
                    return Some(note);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
