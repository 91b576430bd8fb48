//! One open connection to a server, whatever carries it.

use std::sync::Arc;

use super::{
    Call, Negotiated,
    attach::{Attachment, Circle},
    children::Child,
    exchange::Feed,
    pipe::Pipe,
    remote::{Remote, Session},
};

/// An open connection with what was agreed on it.
#[derive(Debug)]
pub(super) struct Link {
    /// What was agreed.
    pub negotiated: Negotiated,
    /// Who is on it.
    pub circle: Arc<Circle>,
    transport: Transport,
    child: Option<Child>,
}

/// What carries it.
#[derive(Debug)]
pub(super) enum Transport {
    /// A byte stream with many calls in flight.
    Pipe(Pipe),
    /// A modern server over HTTP: every call stands alone.
    Modern(Arc<Remote>),
    /// A session with a legacy server over HTTP.
    Legacy(Session),
}

impl Link {
    /// Puts a connection together; `child` is released with it.
    pub(super) fn new(
        negotiated: Negotiated,
        circle: Arc<Circle>,
        transport: Transport,
        child: Option<Child>,
    ) -> Arc<Self> {
        Arc::new(Self { negotiated, circle, transport, child })
    }

    /// Begins a call.
    pub(super) fn call(&self, call: Call, by: &Attachment, principal: &Arc<str>) -> Feed {
        match &self.transport {
            Transport::Pipe(pipe) => Feed::Pipe(pipe.call(call, by.lease, principal)),
            Transport::Modern(remote) => Feed::Http(Arc::clone(remote).call(call)),
            Transport::Legacy(session) => Feed::Http(session.call(call, by)),
        }
    }

    /// Sends a notification and does not wait for it.
    pub(super) fn notify(&self, method: &str, params: &[u8]) {
        match &self.transport {
            Transport::Pipe(pipe) => pipe.notify(method, params),
            Transport::Modern(remote) => remote.notify(method, params),
            Transport::Legacy(session) => session.notify(method, params),
        }
    }

    /// True if no call in flight could make the server ask a question.
    pub(super) fn unasking(&self) -> bool {
        match &self.transport {
            Transport::Pipe(pipe) => pipe.unasking(),
            Transport::Modern(_) | Transport::Legacy(_) => true,
        }
    }

    /// True once it is of no more use.
    pub(super) fn is_gone(&self) -> bool {
        self.circle.ended().is_some()
    }

    /// Ends it with everything on it.
    pub(super) fn close(&self, reason: &str) {
        if let Some(child) = &self.child {
            child.forget();
        }
        match &self.transport {
            Transport::Pipe(pipe) => pipe.close(reason),
            Transport::Modern(_) | Transport::Legacy(_) => self.circle.end(reason),
        }
    }
}
