//! Children by descriptor: asked of the orchestrator, used here, given back.
//!
//! The orchestrator answers a second wish for the same child with the same pipes, and two readers on one pipe
//! would tear its lines apart. So a child whose number is known is the connection that is already open.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use omnimind_wire::{Era, Reason, Refusal};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::{
    Fleet,
    attach::Circle,
    connect::{self, Peer},
    link::{Link, Transport},
    pool::{Key, Own},
};
use crate::{
    config::ServerSpec,
    control::{ChildAnswer, Outbox, ToOrchestrator},
};

type Answer = (ChildAnswer, Vec<OwnedFd>);

/// The children in use, and those that are wished for.
#[derive(Debug, Default)]
pub(super) struct Children {
    serial: AtomicU64,
    wished: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    open: Mutex<HashMap<u64, Weak<Link>>>,
}

/// A child in use; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    number: u64,
    outbox: Arc<Outbox>,
    gone: AtomicBool,
}

impl Child {
    /// The child has ended: there is nothing to give back.
    pub(super) fn forget(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.gone.load(Ordering::Relaxed) {
            self.outbox.send(&ToOrchestrator::ReleaseChild { child: self.number });
        }
    }
}

impl Children {
    /// Asks for a child and takes its pipes into use.
    pub(super) async fn connect(
        &self,
        fleet: &Fleet,
        spec: &ServerSpec,
        peer: &Peer,
        key: &Key,
        circle: &Arc<Circle>,
        capabilities: &[u8],
    ) -> Result<Arc<Link>, Refusal> {
        let request = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let session = match &key.own {
            Own::Base => None,
            Own::Session(session, _) => Some(session.to_string()),
            Own::Extra(_) => Some(format!("call-{}-{request}", fleet.epoch)),
        };
        let capabilities = session.is_some().then(|| raw(capabilities)).flatten();
        let (sender, answered) = oneshot::channel();
        self.wished.lock().insert(request, sender);
        let _forget = Forget { children: self, request };
        fleet.outbox.send(&ToOrchestrator::WantChild {
            request,
            server: spec.name.clone(),
            principal: key.principal.to_string(),
            era: if key.era == Era::Modern { "modern" } else { "legacy" },
            session,
            capabilities,
        });
        let (answer, descriptors) = answered.await.map_err(|_| peer.unreachable("the orchestrator did not answer"))?;
        if !answer.ok {
            return Err(declined(spec, &answer));
        }
        if let Some(link) = self.known(answer.child) {
            return Ok(link);
        }
        if answer.inherited && &*key.principal == "*" {
            circle.crowd();
        }
        let child = Child { number: answer.child, outbox: Arc::clone(&fleet.outbox), gone: AtomicBool::new(false) };
        let (negotiated, pipe) = connect::child(peer, &answer, descriptors, spec.longest(), circle)?;
        let link = Link::new(negotiated, Arc::clone(circle), Transport::Pipe(pipe), Some(child));
        let mut open = self.open.lock();
        open.retain(|_, link| link.strong_count() > 0);
        open.insert(answer.child, Arc::downgrade(&link));
        Ok(link)
    }

    /// Takes the orchestrator's answer. Nobody waits any more: the child is given back.
    pub(super) fn answer(&self, answer: ChildAnswer, descriptors: Vec<OwnedFd>, outbox: &Arc<Outbox>) {
        let waiting = self.wished.lock().remove(&answer.request);
        let unheard = match waiting {
            Some(waiting) => waiting.send((answer, descriptors)).err(),
            None => Some((answer, descriptors)),
        };
        if let Some((answer, _)) = unheard
            && answer.ok
            && self.known(answer.child).is_none()
        {
            outbox.send(&ToOrchestrator::ReleaseChild { child: answer.child });
        }
    }

    /// Ends the connection of a child that is gone.
    pub(super) fn gone(&self, child: u64, reason: &str) {
        let link = self.open.lock().remove(&child).and_then(|link| link.upgrade());
        if let Some(link) = link {
            link.close(reason);
        }
    }

    fn known(&self, child: u64) -> Option<Arc<Link>> {
        self.open.lock().get(&child)?.upgrade().filter(|link| !link.is_gone())
    }
}

/// Takes a wish out when its waiter is gone.
struct Forget<'a> {
    children: &'a Children,
    request: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.children.wished.lock().remove(&self.request);
    }
}

fn raw(json: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(std::str::from_utf8(json).ok()?.to_owned()).ok()
}

fn declined(spec: &ServerSpec, answer: &ChildAnswer) -> Refusal {
    let why = answer.reason.as_deref().unwrap_or("it could not be started");
    Refusal::new(Reason::ServerUnavailable, "server", format!("{}: {why}", spec.name))
        .about(&*spec.name)
        .retry_after(answer.retry_after_ms.unwrap_or(1_000))
}
