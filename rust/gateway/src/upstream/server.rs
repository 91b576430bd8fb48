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
use omnimind_probes::restart;
use omnimind_wire::{Era, Reason, Refusal};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    Fleet, Lease, Negotiated, Wish,
    attach::Circle,
    children::Wanted,
    connect,
    link::{Link, Transport},
    pipe::{Attention, Pipe},
    pool::{Choice, Key, Opening, Own, Pool},
    remote::{self, Remote},
    watch::{Change, Reporter},
};
use crate::{
    config::{Kind, ServerSpec, Sharing},
    control::{ServerChange, State, ToOrchestrator},
    metrics::Tally,
    pool::Report,
};

/// One attempt to connect takes no longer.
const CONNECT: Duration = Duration::from_secs(15);
/// A server that is down gets this long to begin to start.
const WAKE: Duration = Duration::from_secs(2);
/// Pause between two attempts while a worker changes.
const AGAIN: Duration = Duration::from_millis(100);
/// A child that is to come sooner than this is waited for.
const SHORTLY_MS: u64 = 500;
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

impl Status {
    /// What is believed before the orchestrator says something.
    fn before_word(kind: Kind) -> Self {
        let state = match kind {
            Kind::Worker | Kind::Stdio => State::Starting,
            Kind::Http | Kind::Unix => State::Ready,
        };
        Self { state, reason: None, retry_after_ms: None, path: None, key: None }
    }
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
    left: AtomicBool,
    was_up: AtomicBool,
    remote: Mutex<Option<Arc<Remote>>>,
    reporter: Reporter,
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
    pub(super) fn new(spec: Arc<ServerSpec>, reporter: Reporter) -> Arc<Self> {
        let status = Status::before_word(spec.kind);
        Arc::new(Self::with(spec, status, Pool::default(), reporter))
    }

    fn with(spec: Arc<ServerSpec>, status: Status, pool: Pool, reporter: Reporter) -> Self {
        let was_up = AtomicBool::new(is_up(status.state));
        Self {
            spec,
            status: watch::Sender::new(status),
            pool,
            spoken: Mutex::default(),
            complained: AtomicBool::new(false),
            left: AtomicBool::new(false),
            was_up,
            remote: Mutex::default(),
            reporter,
        }
    }

    /// The state as of now.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Takes a change; true if the server became or ceased to be ready.
    ///
    /// A worker with another key or path is another process: nothing new goes to the old one, and what is in
    /// flight there ends there. Children are told apart by number, not here.
    pub(super) fn change(&self, change: ServerChange) -> bool {
        let before = self.status();
        let after = Status {
            state: change.state,
            reason: change.reason,
            retry_after_ms: change.retry_after_ms,
            path: change.path.map(|path| Arc::from(Path::new(&path))),
            key: change.key.map(Arc::from),
        };
        let another = after.key.is_some() && (after.key != before.key || after.path != before.path);
        let starts = after.state == State::Starting && before.state != State::Starting;
        let flipped = is_up(before.state) != is_up(after.state);
        let replaced = another && before.key.is_some() && is_up(before.state) && is_up(after.state);
        let again = flipped && is_up(after.state) && self.was_up.swap(true, Ordering::Relaxed);
        if replaced || again {
            self.tally().restarted();
            if restart::is_on() {
                restart::fire(&self.spec.name);
            }
        }
        self.complained.store(false, Ordering::Relaxed);
        self.status.send_replace(after);
        if another || starts {
            *self.spoken.lock() = Spoken::default();
            if self.spec.kind == Kind::Worker {
                self.pool.retire();
            }
        }
        if another || starts || (flipped && is_up(before.state)) {
            self.reporter.tell(Change::Restarted);
        }
        flipped
    }

    /// The same server, configured anew. A child's pipes stay in use, because children are the orchestrator's to
    /// replace; every other connection is opened anew.
    pub(super) fn successor(&self, spec: Arc<ServerSpec>) -> Arc<Self> {
        let keeps = spec.kind == Kind::Stdio && self.spec.kind == Kind::Stdio && spec.sessions == self.spec.sessions;
        let status = if spec.kind == self.spec.kind { self.status() } else { Status::before_word(spec.kind) };
        Arc::new(Self::with(spec, status, self.pool.successor(keeps), self.reporter.clone()))
    }

    /// Lets go of all connections: the configuration knows this server no more, or otherwise.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
        self.pool.retire();
        self.reporter.tell(Change::Restarted);
        self.status.send_modify(|_| {});
    }

    /// True once it has been replaced or removed.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// What is counted.
    pub(super) fn tally(&self) -> &Tally {
        self.pool.tally()
    }

    /// Closes what nobody uses.
    pub(super) fn sweep(&self) {
        self.pool.sweep(Instant::now());
    }

    /// Connections over HTTP; none if there has been no reason to open one.
    pub(super) fn connections(&self) -> Option<Report> {
        self.remote.lock().as_ref().map(|remote| remote.report())
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
            status.mark_unchanged();
            self.up(fleet, until).await?;
            let refusal = match self.attempt(fleet, wish, until, &mut status).await {
                Ok(Some(lease)) => return Ok(lease),
                Ok(None) => continue,
                Err(refusal) => refusal,
            };
            // What has just died still counts as ready; the next word about it is on its way.
            let soon = (Instant::now() + AGAIN).min(until);
            let passes = match self.spec.kind {
                Kind::Worker => refusal.retry_after_ms.is_some(),
                Kind::Stdio => refusal.retry_after_ms.is_some_and(|ms| ms <= SHORTLY_MS),
                Kind::Http | Kind::Unix => false,
            };
            if !passes || soon >= until {
                return Err(refusal);
            }
            let _ = timeout_at(soon, status.changed()).await;
        }
    }

    /// Waits until the server is up.
    async fn up(&self, fleet: &Fleet, until: Instant) -> Result<(), Refusal> {
        let mut status = self.status.subscribe();
        let mut woken: Option<Instant> = None;
        let mut stops: Option<Instant> = None;
        loop {
            let now = status.borrow_and_update().clone();
            let mut patience = until;
            match now.state {
                State::Ready | State::Degraded => return Ok(()),
                _ if self.has_left() => return Err(self.down(&now)),
                State::Starting | State::Backoff => {}
                // It may be about to start again.
                State::Draining => {
                    let since = *stops.get_or_insert_with(Instant::now);
                    patience = (since + WAKE).min(until);
                }
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

    /// Gets a connection; none if the server's state changed while one was opened, so that it may be of no use.
    async fn attempt(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        wish: &Wish,
        until: Instant,
        status: &mut watch::Receiver<Status>,
    ) -> Result<Option<Lease>, Refusal> {
        loop {
            // Who waited for a connection of it asks its successor.
            if self.has_left() {
                return Err(self.down(&self.status()));
            }
            let era = self.effective(wish.era);
            let mut opening = match self.pool.choose(&self.spec, wish, era, |key| self.begin(fleet, key)) {
                Choice::Granted(lease) => return Ok(Some(lease)),
                Choice::Refused(refusal) => return Err(refusal),
                Choice::Wait(opening) => opening,
            };
            let opened = tokio::select! {
                biased;
                opened = timeout_at(until, opening.wait_for(Option::is_some)) => opened,
                _ = status.changed() => return Ok(None),
            };
            let outcome = match opened {
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
                Err(refusal) => strong.complain(&fleet, &refusal.detail),
            }
            let link = opened.as_ref().ok().cloned();
            sender.send_replace(Some(opened));
            // Replaced while it was opened, it is not among those that were let go; a session would hold it for good.
            if let Some(link) = link.filter(|_| strong.has_left()) {
                link.retire(None);
            }
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

    /// Tells the orchestrator, once a change, that a server it calls ready cannot be reached over its socket.
    fn complain(&self, fleet: &Fleet, why: &str) {
        let news = matches!(self.spec.kind, Kind::Worker | Kind::Unix) && is_up(self.status().state);
        if news && !self.complained.swap(true, Ordering::Relaxed) {
            let (server, reason) = (self.spec.name.clone(), why.to_owned());
            fleet.outbox.send(&ToOrchestrator::Down { server, reason });
        }
    }

    /// What happens when a connection over a socket owes answers and does not even answer a ping.
    fn silent(self: &Arc<Self>, fleet: &Arc<Fleet>) -> impl Fn(&str) + Send + Sync + 'static {
        let (server, fleet) = (Arc::downgrade(self), Arc::downgrade(fleet));
        move |why| {
            if let (Some(server), Some(fleet)) = (server.upgrade(), fleet.upgrade()) {
                server.complain(&fleet, why);
            }
        }
    }

    async fn connect(self: &Arc<Self>, fleet: &Arc<Fleet>, key: &Key) -> Result<Arc<Link>, Refusal> {
        let peer = connect::Peer {
            server: Arc::from(&*self.spec.name),
            epoch: fleet.epoch,
            own_version: Arc::clone(&fleet.own_version),
            spool: Arc::clone(&fleet.spool),
        };
        let circle = Circle::new(self.spec.first_party, self.reporter(key));
        let piped = |negotiated: Negotiated, circle, pipe| Link::new(negotiated, circle, Transport::Pipe(pipe), None);
        match self.spec.kind {
            Kind::Worker => {
                let status = self.status();
                let (Some(path), Some(secret)) = (status.path, status.key) else {
                    return Err(peer.unreachable("its socket is not known yet"));
                };
                let (negotiated, pipe) = connect::worker(&peer, &path, &secret, key.era, &circle).await?;
                let pipe = self.attended(fleet, &peer, &negotiated, pipe);
                Ok(piped(negotiated, circle, pipe))
            }
            Kind::Unix => {
                let path = self.spec.path.as_deref().ok_or_else(|| peer.unreachable("it has no path"))?;
                let (negotiated, pipe, circle) =
                    connect::unix(&peer, path, key.era, declared(&key.own, b"{}"), &circle).await?;
                let pipe = self.attended(fleet, &peer, &negotiated, pipe);
                Ok(piped(negotiated, circle, pipe))
            }
            Kind::Stdio => {
                let capabilities = declared(&key.own, ASKABLE);
                let wanted = Wanted { fleet, spec: &self.spec, peer: &peer, key, circle: &circle, capabilities };
                fleet.children.connect(&wanted).await
            }
            Kind::Http => {
                let remote = self.remote(fleet)?;
                let capabilities = Bytes::copy_from_slice(declared(&key.own, b"{}"));
                let (negotiated, transport) = remote::open(&remote, &circle, key.era, capabilities).await?;
                Ok(Link::new(negotiated, circle, transport, None))
            }
        }
    }

    /// Reports what is said on a connection: where it is one principal's, it is of no concern to others.
    fn reporter(&self, key: &Key) -> Reporter {
        match self.spec.sessions {
            Sharing::Shared => self.reporter.clone(),
            Sharing::Principal | Sharing::Own => self.reporter.of(Arc::clone(&key.principal)),
        }
    }

    /// A connection over a socket, looked after while it owes answers.
    fn attended(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        peer: &connect::Peer,
        negotiated: &Negotiated,
        pipe: Pipe,
    ) -> Pipe {
        match self.spec.heartbeat() {
            None => pipe,
            Some(beat) => pipe.attended(Attention {
                beat,
                ping: peer.ping(negotiated.era),
                silent: Box::new(self.silent(fleet)),
                ends: true,
            }),
        }
    }

    fn remote(&self, fleet: &Fleet) -> Result<Arc<Remote>, Refusal> {
        let mut remote = self.remote.lock();
        if let Some(remote) = &*remote {
            return Ok(Arc::clone(remote));
        }
        let made = Remote::new(&self.spec, fleet.epoch, &fleet.own_version, &fleet.trust)?;
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
