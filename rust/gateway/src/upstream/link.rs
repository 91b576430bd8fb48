//! One open connection to a server, whatever carries it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    Call, Negotiated,
    attach::{Attachment, Circle, Seat},
    children::Child,
    exchange::Feed,
    pipe::Pipe,
    remote::{Remote, Session},
    watch::Change,
};

/// How often a retired connection is looked at. It must be found idle twice, because a call may be about to begin.
const LOOK: Duration = Duration::from_millis(20);

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
        circle.begin();
        Arc::new(Self { negotiated, circle, transport, child })
    }

    /// Begins a call.
    pub(super) fn call(&self, call: Call, by: &Attachment, principal: &Arc<str>) -> Feed {
        match &self.transport {
            Transport::Pipe(pipe) => Feed::Pipe(pipe.call(call, by.lease, principal)),
            Transport::Modern(remote) => Feed::Http(Arc::clone(remote).call(call, Arc::clone(&self.circle))),
            Transport::Legacy(session) => Feed::Http(session.call(call, by.seat == Seat::Call)),
        }
    }

    /// Begins a request of the gateway's own, for which nobody is attached.
    pub(super) fn ask(&self, call: Call) -> Feed {
        match &self.transport {
            Transport::Pipe(pipe) => Feed::Pipe(pipe.ask(call)),
            Transport::Modern(remote) => Feed::Http(Arc::clone(remote).call(call, Arc::clone(&self.circle))),
            Transport::Legacy(session) => Feed::Http(session.call(call, false)),
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

    /// True once nothing new is to begin on it.
    pub(super) fn is_stale(&self) -> bool {
        self.circle.is_over()
    }

    /// Begins nothing new on it, and closes it when nothing is in flight any more, or after `patience`. A
    /// connection over HTTP needs no closing: it ends with its last holder.
    pub(super) fn retire(self: &Arc<Self>, patience: Option<Duration>) {
        if self.circle.is_retired() {
            return;
        }
        self.circle.retire();
        if matches!(self.transport, Transport::Pipe(_)) {
            tokio::spawn(outlive(Arc::downgrade(self), patience.map(|patience| Instant::now() + patience)));
        }
    }

    /// The child whose pipes it is.
    pub(super) fn child(&self) -> Option<&Child> {
        self.child.as_ref()
    }

    fn is_busy(&self) -> bool {
        match &self.transport {
            Transport::Pipe(pipe) => pipe.is_busy(),
            Transport::Modern(_) | Transport::Legacy(_) => true,
        }
    }

    /// True if the other side ended it, not we.
    pub(super) fn is_broken(&self) -> bool {
        matches!(&self.transport, Transport::Pipe(pipe) if pipe.is_broken())
    }

    /// Ends it with everything on it; a child is given back.
    pub(super) fn close(&self, reason: &str) {
        if let Some(child) = &self.child {
            child.release();
            self.circle.lose(Change::Restarted);
        }
        match &self.transport {
            Transport::Pipe(pipe) => pipe.close(reason),
            Transport::Modern(_) | Transport::Legacy(_) => self.circle.end(reason),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            self.circle.lose(Change::Restarted);
            if self.is_broken() {
                child.is_over();
            }
        }
        self.circle.end("it was closed");
    }
}

/// Closes a retired connection in its time.
async fn outlive(link: Weak<Link>, until: Option<Instant>) {
    let mut idle = 0;
    while idle < 2 && until.is_none_or(|until| Instant::now() < until) {
        sleep(LOOK).await;
        let Some(link) = link.upgrade() else { return };
        idle = if link.is_busy() { 0 } else { idle + 1 };
    }
    if let Some(link) = link.upgrade() {
        link.close("it was replaced");
    }
}
