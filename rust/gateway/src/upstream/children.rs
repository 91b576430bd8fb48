//! Children by descriptor: asked of the orchestrator, used here, given back.
//!
//! The orchestrator answers a second wish for the same child with the same pipes, and two readers on one pipe
//! would tear its lines apart. So a child whose number is known is the connection that is already open. The
//! orchestrator may not know yet that a child has ended which it hands out: a child that closed its pipes, or is
//! being replaced, is not taken again; it is asked for until another comes.

use std::{
    collections::{BTreeSet, HashMap},
    os::fd::OwnedFd,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use omnimind_wire::{Era, Reason, Refusal};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    Fleet,
    attach::Circle,
    connect::{self, Peer},
    link::{Link, Transport},
    pipe::Attention,
    pool::{Key, Own},
};
use crate::{
    config::ServerSpec,
    control::{ChildAnswer, Outbox, ToOrchestrator},
};

/// Between two wishes, while the orchestrator still hands out a child that is over.
const AGAIN: Duration = Duration::from_millis(20);
/// After this it is told.
const INSIST: Duration = Duration::from_secs(1);
/// Children that are remembered as over; their numbers do not come again.
const MOST_OVER: usize = 1_024;

type Answer = (ChildAnswer, Vec<OwnedFd>);

/// The children in use, and those that are wished for.
#[derive(Debug, Default)]
pub(super) struct Children {
    serial: AtomicU64,
    wished: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    open: Mutex<HashMap<u64, Weak<Link>>>,
    over: Arc<Over>,
}

/// Numbers of children that are not to be used again.
#[derive(Debug, Default)]
struct Over(Mutex<BTreeSet<u64>>);

impl Over {
    fn add(&self, child: u64) {
        let mut numbers = self.0.lock();
        numbers.insert(child);
        if numbers.len() > MOST_OVER {
            numbers.pop_first();
        }
    }

    fn has(&self, child: u64) -> bool {
        self.0.lock().contains(&child)
    }
}

/// A child in use; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    number: u64,
    outbox: Arc<Outbox>,
    over: Arc<Over>,
    released: AtomicBool,
}

impl Child {
    /// Gives it back, once.
    pub(super) fn release(&self) {
        if !self.released.swap(true, Ordering::Relaxed) {
            self.outbox.send(&ToOrchestrator::ReleaseChild { child: self.number });
        }
    }

    /// It has ended by itself, whether the orchestrator knows or not.
    pub(super) fn is_over(&self) {
        self.over.add(self.number);
    }

    /// The orchestrator has said that it ended: there is nothing to give back.
    fn forget(&self) {
        self.released.store(true, Ordering::Relaxed);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.release();
    }
}

/// What an answer of the orchestrator comes to.
enum Taken {
    /// A connection.
    Open(Arc<Link>),
    /// The orchestrator does not know yet that this one is over.
    Over(u64),
}

/// Who wants a child.
pub(super) struct Wanted<'a> {
    pub fleet: &'a Arc<Fleet>,
    pub spec: &'a ServerSpec,
    pub peer: &'a Peer,
    pub key: &'a Key,
    pub circle: &'a Arc<Circle>,
    pub capabilities: &'a [u8],
}

impl Children {
    /// Asks for a child and takes its pipes into use.
    pub(super) async fn connect(&self, wanted: &Wanted<'_>) -> Result<Arc<Link>, Refusal> {
        let began = Instant::now();
        let mut insisted = false;
        loop {
            let (answer, descriptors) = self.ask(wanted).await?;
            if !answer.ok {
                return Err(declined(wanted.spec, &answer));
            }
            let child = match self.take(wanted, &answer, descriptors)? {
                Taken::Open(link) => return Ok(link),
                Taken::Over(child) => child,
            };
            if began.elapsed() >= INSIST && !std::mem::replace(&mut insisted, true) {
                let reason = "it has closed its output".to_owned();
                wanted.fleet.outbox.send(&ToOrchestrator::Stuck { child, reason });
            }
            sleep(AGAIN).await;
        }
    }

    /// Puts one wish and waits for its answer.
    async fn ask(&self, wanted: &Wanted<'_>) -> Result<Answer, Refusal> {
        let request = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let session = match &wanted.key.own {
            Own::Base => None,
            Own::Session(session, _) => Some(session.to_string()),
            Own::Extra(_) => Some(format!("call-{}-{request}", wanted.fleet.epoch)),
        };
        let capabilities = session.is_some().then(|| raw(wanted.capabilities)).flatten();
        let (sender, answered) = oneshot::channel();
        self.wished.lock().insert(request, sender);
        let _forget = Forget { children: self, request };
        wanted.fleet.outbox.send(&ToOrchestrator::WantChild {
            request,
            server: wanted.spec.name.clone(),
            principal: wanted.key.principal.to_string(),
            era: if wanted.key.era == Era::Modern { "modern" } else { "legacy" },
            session,
            capabilities,
        });
        answered.await.map_err(|_| wanted.peer.unreachable("the orchestrator did not answer"))
    }

    /// Takes a child's pipes into use, unless they are or are not to be.
    fn take(&self, wanted: &Wanted<'_>, answer: &ChildAnswer, descriptors: Vec<OwnedFd>) -> Result<Taken, Refusal> {
        let Wanted { fleet, spec, peer, key, circle, .. } = wanted;
        let mut open = self.open.lock();
        if let Some(link) = open.get(&answer.child).and_then(Weak::upgrade) {
            return Ok(if link.is_stale() { Taken::Over(answer.child) } else { Taken::Open(link) });
        }
        if self.over.has(answer.child) {
            return Ok(Taken::Over(answer.child));
        }
        if answer.inherited && &*key.principal == "*" {
            circle.crowd();
        }
        let outbox = Arc::clone(&fleet.outbox);
        let over = Arc::clone(&self.over);
        let child = Child { number: answer.child, outbox, over, released: AtomicBool::new(false) };
        let (negotiated, pipe) = connect::child(peer, answer, descriptors, spec.longest(), circle)?;
        let pipe = match spec.heartbeat() {
            None => pipe,
            Some(beat) => pipe.attended(Attention {
                beat,
                ping: peer.ping(negotiated.era),
                silent: Box::new(stuck(answer.child, &fleet.outbox)),
                ends: false,
            }),
        };
        let link = Link::new(negotiated, Arc::clone(circle), Transport::Pipe(pipe), Some(child));
        open.retain(|_, link| link.strong_count() > 0);
        open.insert(answer.child, Arc::downgrade(&link));
        Ok(Taken::Open(link))
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
            && self.open.lock().get(&answer.child).is_none_or(|link| link.strong_count() == 0)
        {
            outbox.send(&ToOrchestrator::ReleaseChild { child: answer.child });
        }
    }

    /// Ends the connection of a child that is gone.
    pub(super) fn gone(&self, child: u64, reason: &str) {
        let link = self.open.lock().remove(&child).and_then(|link| link.upgrade());
        if let Some(link) = link {
            if let Some(child) = link.child() {
                child.forget();
            }
            link.close(reason);
        }
    }

    /// Begins nothing new on a child that is replaced, and gives it back when it has answered all.
    pub(super) fn retire(&self, child: u64, patience: Duration, outbox: &Outbox) {
        self.over.add(child);
        match self.open.lock().get(&child).and_then(Weak::upgrade) {
            Some(link) => link.retire(Some(patience)),
            None => outbox.send(&ToOrchestrator::ReleaseChild { child }),
        }
    }
}

fn stuck(child: u64, outbox: &Arc<Outbox>) -> impl Fn(&str) + Send + Sync + 'static {
    let outbox = Arc::clone(outbox);
    move |why| outbox.send(&ToOrchestrator::Stuck { child, reason: why.to_owned() })
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
