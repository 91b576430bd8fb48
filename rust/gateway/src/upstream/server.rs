//! One configured server: its state as the orchestrator tells it, what it speaks, and its connections.

use std::{
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use omnimind_wire::{Era, Reason, Refusal};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    Fleet, Lease, Negotiated, Wish,
    attach::Circle,
    connect,
    link::{Link, Transport},
    pool::{Choice, Key, Opening, Own, Pool},
    remote::{self, Remote},
};
use crate::{
    config::{Kind, ServerSpec},
    control::{ServerChange, State, ToOrchestrator},
};

/// One attempt to connect takes no longer.
const CONNECT: Duration = Duration::from_secs(15);
/// A server that is down gets this long to begin to start.
const WAKE: Duration = Duration::from_secs(2);
/// Pause between two attempts while a worker changes.
const AGAIN: Duration = Duration::from_millis(100);
/// What a child or shared connection declares that its client can do.
const ASKABLE: &[u8] = br#"{"sampling":{},"elicitation":{"form":{},"url":{}}}"#;

/// State of a server.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub state: State,
    pub reason: Option<String>,
    pub retry_after_ms: Option<u64>,
    pub path: Option<Arc<Path>>,
    pub key: Option<Arc<str>>,
}

/// One configured server.
#[derive(Debug)]
pub(super) struct Server {
    /// Its configuration.
    pub spec: Arc<ServerSpec>,
    status: watch::Sender<Status>,
    pool: Pool,
    spoken: Mutex<Spoken>,
    complained: AtomicBool,
    remote: Mutex<Option<Arc<Remote>>>,
}

/// What is known of the eras a server speaks.
#[derive(Debug, Clone, Copy, Default)]
struct Spoken {
    no_modern: bool,
    no_legacy: bool,
}

impl Server {
    /// A server of which nothing is known but its configuration. What runs elsewhere counts as ready until
    /// the orchestrator says otherwise.
    pub(super) fn new(spec: Arc<ServerSpec>) -> Arc<Self> {
        let state = match spec.kind {
            Kind::Worker | Kind::Stdio => State::Starting,
            Kind::Http | Kind::Unix => State::Ready,
        };
        let status = Status { state, reason: None, retry_after_ms: None, path: None, key: None };
        Arc::new(Self {
            spec,
            status: watch::Sender::new(status),
            pool: Pool::default(),
            spoken: Mutex::default(),
            complained: AtomicBool::new(false),
            remote: Mutex::default(),
        })
    }

    /// The state as of now.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Takes a change; true if the server became or ceased to be ready.
    pub(super) fn change(&self, change: ServerChange) -> bool {
        let before = self.status();
        let key: Option<Arc<str>> = change.key.map(Arc::from);
        if change.state == State::Starting || (key.is_some() && key != before.key) {
            self.pool.retire();
            *self.spoken.lock() = Spoken::default();
        }
        let after = Status {
            state: change.state,
            reason: change.reason,
            retry_after_ms: change.retry_after_ms,
            path: change.path.map(|path| Arc::from(Path::new(&path))),
            key,
        };
        self.complained.store(false, Ordering::Relaxed);
        let flipped = is_up(before.state) != is_up(after.state);
        self.status.send_replace(after);
        flipped
    }

    /// Keeps the state of the server that this one replaces.
    pub(super) fn inherit(&self, old: &Self) {
        self.status.send_replace(old.status());
    }

    /// Closes what nobody uses.
    pub(super) fn sweep(&self) {
        self.pool.sweep(Instant::now());
        if let Some(remote) = &*self.remote.lock() {
            remote.sweep();
        }
    }

    /// Gives a connection as wished, waiting for the server to come up and the connection to open.
    pub(super) async fn lease(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        wish: &Wish,
        until: Instant,
    ) -> Result<Lease, Refusal> {
        let mut status = self.status.subscribe();
        loop {
            self.up(fleet, until).await?;
            status.mark_unchanged();
            let refusal = match self.attempt(fleet, wish, until).await {
                Ok(lease) => return Ok(lease),
                Err(refusal) => refusal,
            };
            // A worker that has just died still counts as ready; the next word about it is on its way.
            let soon = (Instant::now() + AGAIN).min(until);
            if self.spec.kind != Kind::Worker || refusal.retry_after_ms.is_none() || soon >= until {
                return Err(refusal);
            }
            let _ = timeout_at(soon, status.changed()).await;
        }
    }

    /// Waits until the server is up.
    async fn up(&self, fleet: &Fleet, until: Instant) -> Result<(), Refusal> {
        let mut status = self.status.subscribe();
        let mut woken: Option<Instant> = None;
        loop {
            let now = status.borrow_and_update().clone();
            let mut patience = until;
            match now.state {
                State::Ready | State::Degraded => return Ok(()),
                State::Starting | State::Backoff => {}
                State::Draining => return Err(self.down(&now)),
                State::Stopped | State::Parked => {
                    let since = *woken.get_or_insert_with(|| {
                        fleet.outbox.send(&ToOrchestrator::Wake { server: self.spec.name.clone() });
                        Instant::now()
                    });
                    patience = (since + WAKE).min(until);
                }
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return Err(self.down(&now)) },
                () = sleep_until(patience) => return Err(self.down(&now)),
            }
        }
    }

    fn down(&self, status: &Status) -> Refusal {
        let state = match status.state {
            State::Stopped => "is stopped",
            State::Starting => "is still starting",
            State::Backoff => "waits for its next start",
            State::Parked => "is parked after failing too often",
            State::Draining => "is stopping",
            State::Ready | State::Degraded => "is up",
        };
        let reason = status.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        Refusal::new(Reason::ServerUnavailable, "server", format!("{} {state}{reason}", self.spec.name))
            .about(&*self.spec.name)
            .retry_after(status.retry_after_ms.unwrap_or(1_000))
    }

    async fn attempt(self: &Arc<Self>, fleet: &Arc<Fleet>, wish: &Wish, until: Instant) -> Result<Lease, Refusal> {
        loop {
            let era = self.effective(wish.era);
            let mut opening = match self.pool.choose(&self.spec, wish, era, |key| self.begin(fleet, key)) {
                Choice::Granted(lease) => return Ok(lease),
                Choice::Refused(refusal) => return Err(refusal),
                Choice::Wait(opening) => opening,
            };
            let outcome = match timeout_at(until, opening.wait_for(Option::is_some)).await {
                Err(_) => return Err(self.slow()),
                Ok(Err(_)) => continue,
                Ok(Ok(outcome)) => outcome.clone(),
            };
            if let Some(Err(refusal)) = outcome {
                return Err(refusal);
            }
        }
    }

    fn slow(&self) -> Refusal {
        let detail = format!("no connection to {} could be opened in time", self.spec.name);
        Refusal::new(Reason::ServerUnavailable, "server", detail).about(&*self.spec.name).retry_after(1_000)
    }

    /// The era to wish for, as far as is known.
    fn effective(&self, era: Era) -> Era {
        let spoken = *self.spoken.lock();
        match era {
            Era::Modern if spoken.no_modern => Era::Legacy,
            Era::Legacy if spoken.no_legacy => Era::Modern,
            era => era,
        }
    }

    /// Begins to connect; whoever gave up waiting in between does not stop it.
    fn begin(self: &Arc<Self>, fleet: &Arc<Fleet>, key: Key) -> Opening {
        let (sender, opening) = watch::channel(None);
        let (server, fleet) = (Arc::downgrade(self), Arc::clone(fleet));
        tokio::spawn(async move {
            let Some(strong) = Weak::upgrade(&server) else { return };
            let opened = timeout(CONNECT, strong.connect(&fleet, &key)).await.unwrap_or_else(|_| Err(strong.slow()));
            match &opened {
                Ok(link) => {
                    strong.learn(key.era, link.negotiated.era);
                    strong.pool.settle(&key, link);
                }
                Err(refusal) => strong.complain(&fleet, refusal),
            }
            sender.send_replace(Some(opened));
        });
        opening
    }

    fn learn(&self, wished: Era, spoken: Era) {
        if wished != spoken {
            let mut known = self.spoken.lock();
            match wished {
                Era::Modern => known.no_modern = true,
                Era::Legacy => known.no_legacy = true,
            }
        }
    }

    /// Tells the orchestrator, once a change, that a worker it calls ready cannot be reached.
    fn complain(&self, fleet: &Fleet, refusal: &Refusal) {
        let news = self.spec.kind == Kind::Worker && is_up(self.status().state);
        if news && !self.complained.swap(true, Ordering::Relaxed) {
            let (server, reason) = (self.spec.name.clone(), refusal.detail.clone());
            fleet.outbox.send(&ToOrchestrator::Down { server, reason });
        }
    }

    async fn connect(self: &Arc<Self>, fleet: &Arc<Fleet>, key: &Key) -> Result<Arc<Link>, Refusal> {
        let peer = connect::Peer {
            server: Arc::from(&*self.spec.name),
            epoch: fleet.epoch,
            own_version: Arc::clone(&fleet.own_version),
        };
        let circle = Circle::new(self.spec.first_party);
        let piped = |negotiated: Negotiated, circle, pipe| Link::new(negotiated, circle, Transport::Pipe(pipe), None);
        match self.spec.kind {
            Kind::Worker => {
                let status = self.status();
                let (Some(path), Some(secret)) = (status.path, status.key) else {
                    return Err(peer.unreachable("its socket is not known yet"));
                };
                let (negotiated, pipe) = connect::worker(&peer, &path, &secret, key.era, &circle).await?;
                Ok(piped(negotiated, circle, pipe))
            }
            Kind::Unix => {
                let path = self.spec.path.as_deref().ok_or_else(|| peer.unreachable("it has no path"))?;
                let (negotiated, pipe, circle) =
                    connect::unix(&peer, path, key.era, declared(&key.own, b"{}"), &circle).await?;
                Ok(piped(negotiated, circle, pipe))
            }
            Kind::Stdio => {
                fleet.children.connect(fleet, &self.spec, &peer, key, &circle, declared(&key.own, ASKABLE)).await
            }
            Kind::Http => {
                let remote = self.remote(fleet)?;
                let capabilities = Bytes::copy_from_slice(declared(&key.own, b"{}"));
                let (negotiated, transport) = remote::open(&remote, &circle, key.era, capabilities).await?;
                Ok(Link::new(negotiated, circle, transport, None))
            }
        }
    }

    fn remote(&self, fleet: &Fleet) -> Result<Arc<Remote>, Refusal> {
        let mut remote = self.remote.lock();
        if let Some(remote) = &*remote {
            return Ok(Arc::clone(remote));
        }
        let made = Remote::new(&self.spec, fleet.epoch, &fleet.own_version, &fleet.clients)?;
        *remote = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// The client capabilities a connection declares.
fn declared<'a>(own: &'a Own, shared: &'a [u8]) -> &'a [u8] {
    match own {
        Own::Session(_, capabilities) | Own::Extra(capabilities) if !capabilities.is_empty() => capabilities,
        _ => shared,
    }
}

/// True for a server that takes calls.
pub(super) fn is_up(state: State) -> bool {
    matches!(state, State::Ready | State::Degraded)
}
