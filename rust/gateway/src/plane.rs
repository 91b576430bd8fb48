//! The plane: everything one gateway process holds, and its start, its messages and its end.
//!
//! It owns its threads; whoever embeds it (a Python process, a test) only starts it, passes messages and
//! asks it to drain. All shared state hangs here and is passed down; nothing is global.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Release},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use omnimind_wire::seal::Keyring;
use tokio::runtime::{Builder, Runtime};

use crate::{
    admission::Admission,
    aggregate::Shelves,
    cache::{Clock, EncoderFiles, Memory},
    compress::Compress,
    config::{Kind, ServerSpec, Snapshot},
    control::{CacheAsk, FromOrchestrator, Outbox, Start, State, ToOrchestrator},
    edge::{self, Doors, Tokens},
    metrics::Metrics,
    relay,
    session::Sessions,
    traces::{Buffer, Tracer},
    upstream::Fleet,
};

/// How often a plane that drains looks whether something is still open.
const LOOK: Duration = Duration::from_millis(5);

/// What a gateway process holds.
pub struct Plane {
    /// The configuration as of now.
    pub snapshot: ArcSwap<Snapshot>,
    /// The upstreams.
    pub fleet: Arc<Fleet>,
    /// What legacy clients have open.
    pub sessions: Sessions,
    /// What was answered before.
    pub(crate) memory: Arc<Memory>,
    /// What it takes to tell results in fewer tokens.
    pub(crate) compress: Arc<Compress>,
    /// Who may call, and when.
    pub(crate) admission: Arc<Admission>,
    /// What servers listed last, for the aggregate.
    pub(crate) shelves: Shelves,
    /// Keys of sealed tokens.
    pub keyring: ArcSwap<Keyring>,
    /// Counters.
    pub metrics: Metrics,
    /// Traces, if they are wanted.
    pub traces: Option<Arc<Tracer>>,
    /// The way to the orchestrator.
    pub outbox: Arc<Outbox>,
    /// Number of this process; part of every upstream id.
    pub epoch: u32,
    pub(crate) tokens: ArcSwap<Tokens>,
    /// Configurations that were applied. Whoever reads this, then the configuration or the tokens, and later finds the
    /// same number, read what still holds.
    pub(crate) applied: AtomicU64,
    doors: Doors,
}

impl Plane {
    /// A plane without listeners. Called inside a tokio runtime.
    pub fn new(epoch: u32, snapshot: Snapshot, outbox: Arc<Outbox>) -> Self {
        let none = Err("no encoder was named".to_owned());
        Self::with(epoch, snapshot, outbox, none, Clock::wall())
    }

    /// A plane that can read texts for the semantic level, or says why it cannot, and remembers by this clock.
    pub fn with(
        epoch: u32,
        snapshot: Snapshot,
        outbox: Arc<Outbox>,
        encoder: Result<EncoderFiles, String>,
        clock: Clock,
    ) -> Self {
        let sessions = Sessions::new();
        let memory = Memory::new(&snapshot, &sessions, process_number(epoch), encoder, clock);
        Self {
            fleet: Fleet::new(epoch, &snapshot, outbox.clone(), memory.clone()),
            sessions,
            memory,
            compress: Arc::new(Compress::new(&snapshot)),
            admission: Admission::new(&snapshot),
            shelves: Shelves::default(),
            keyring: ArcSwap::from_pointee(keyring(&snapshot)),
            metrics: Metrics::default(),
            traces: None,
            tokens: ArcSwap::from_pointee(Tokens::new(&snapshot.auth)),
            applied: AtomicU64::new(0),
            doors: Doors::new(snapshot.edge.connections),
            snapshot: ArcSwap::from_pointee(snapshot),
            outbox,
            epoch,
        }
    }

    /// At least one server answers.
    pub fn is_ready(&self) -> bool {
        self.fleet.servers().iter().any(|server| {
            matches!(server.state, State::Ready | State::Degraded)
                || matches!(server.spec.kind, Kind::Http | Kind::Unix)
        })
    }

    /// What the limits are and what they do: the answer an operator gets.
    pub fn limits(&self) -> serde_json::Value {
        self.admission.told()
    }

    fn apply(&self, snapshot: Snapshot) {
        self.tokens.store(Arc::new(Tokens::new(&snapshot.auth)));
        self.keyring.store(Arc::new(keyring(&snapshot)));
        let snapshot = Arc::new(snapshot);
        let before = self.snapshot.swap(Arc::clone(&snapshot));
        self.applied.fetch_add(1, Release);
        let stays = |old: &ServerSpec| snapshot.servers.iter().any(|new| new.is_but_for_limits(old));
        for old in before.servers.iter().filter(|old| !stays(old)) {
            self.sessions.schemas.forget(&old.name);
            self.shelves.forget(&old.name);
        }
        self.memory.apply(&snapshot);
        self.admission.apply(&snapshot);
        // Last, because it is announced: those who hear of the change are to see it.
        self.fleet.apply(&snapshot);
    }

    /// Takes one message.
    ///
    /// # Errors
    /// A descriptor that came with it cannot be used.
    pub fn hear(self: &Arc<Self>, message: FromOrchestrator, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        match message {
            FromOrchestrator::Server(change) => self.fleet.server_changed(change),
            FromOrchestrator::Child(answer) => self.fleet.child_answer(answer, descriptors),
            FromOrchestrator::ChildGone { child, reason } => self.fleet.child_gone(child, &reason),
            FromOrchestrator::ChildRetire { child, timeout_ms } => {
                self.fleet.child_retire(child, Duration::from_millis(timeout_ms));
            }
            FromOrchestrator::Apply { snapshot } => self.apply(*snapshot),
            FromOrchestrator::Listen(spec) => {
                for descriptor in descriptors {
                    self.doors.open(self, &spec.name, descriptor)?;
                }
            }
            FromOrchestrator::Unlisten { name } => self.doors.close(&name),
            FromOrchestrator::Beside => self.memory.beside(),
            FromOrchestrator::Alone => self.memory.alone(),
            FromOrchestrator::Drain { timeout_ms } => {
                self.doors.close_all();
                tokio::spawn(finish(Arc::clone(self), Duration::from_millis(timeout_ms)));
            }
            FromOrchestrator::Cache { request, ask } => {
                let plane = Arc::clone(self);
                tokio::spawn(async move {
                    let answer = operate(&plane, ask).await;
                    plane.outbox.send(&ToOrchestrator::Cache { request, answer });
                });
            }
            FromOrchestrator::Stats { request } => self.outbox.send(&self.metrics.stats(request, self)),
        }
        Ok(())
    }

    /// True when no connection is open and none can come.
    fn is_empty(&self) -> bool {
        !self.doors.is_accepting() && self.metrics.open_connections() == 0
    }
}

/// Waits until nothing is open any more, or for as long as there is patience, and says so.
async fn finish(plane: Arc<Plane>, patience: Duration) {
    let empty = async {
        while !plane.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = tokio::time::timeout(patience, empty).await;
    plane.outbox.send(&ToOrchestrator::Drained);
}

/// Does what an operator wants of the cache.
async fn operate(plane: &Arc<Plane>, ask: CacheAsk) -> serde_json::Value {
    match ask {
        CacheAsk::Stats => plane.memory.stats(),
        CacheAsk::Limits => plane.limits(),
        CacheAsk::Pool => plane.fleet.connections(),
        CacheAsk::Flush { server } => {
            let flushed = plane.memory.flush(server.as_deref());
            serde_json::json!({"flushed": flushed})
        }
        CacheAsk::Explain { server, principal, message } => {
            let Some(principal) = plane.tokens.load().named(&principal) else {
                return serde_json::json!({"error": format!("there is no principal {principal}")});
            };
            relay::explain(plane, principal, server.as_deref(), &message).await
        }
    }
}

/// A number that no other gateway process of this state folder has: epochs begin anew with every orchestrator.
fn process_number(epoch: u32) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() << 32) | u64::from(epoch)
}

fn keyring(snapshot: &Snapshot) -> Keyring {
    Keyring::new(snapshot.keys.iter().filter_map(|key| edge::digest(key)).collect())
}

/// A running plane with its threads.
pub struct Gateway {
    plane: Arc<Plane>,
    runtime: Runtime,
}

/// Why a gateway did not start, or did not take a message.
#[derive(Debug)]
pub enum StartError {
    /// The message does not say what it should.
    Message(serde_json::Error),
    /// The operating system refused something.
    System(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(error) => write!(formatter, "the message is not valid: {error}"),
            Self::System(error) => write!(formatter, "the system refused the gateway something: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Gateway {
    /// Starts serving on `listeners` (in the order the message lists them) and returns at once.
    ///
    /// # Errors
    /// The message is not a [`Start`], or the system refused threads or descriptors.
    pub fn start(message: &[u8], listeners: Vec<OwnedFd>) -> Result<Self, StartError> {
        let start: Start = serde_json::from_slice(message).map_err(StartError::Message)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores.saturating_sub(1).max(1))
            .max_blocking_threads(4)
            .thread_name("omnimind-net")
            .enable_all()
            .build()?;
        let outbox = Arc::new(Outbox::new()?);
        let inside = runtime.enter();
        let mut plane = Plane::with(start.epoch, start.snapshot, outbox, start.encoder.into(), Clock::wall());
        plane.traces = start.traces.map(|spec| Arc::new(Tracer::new(spec, relay::random())));
        let plane = Arc::new(plane);
        if start.beside {
            plane.memory.beside_from_the_start();
        }
        for (spec, descriptor) in start.listeners.iter().zip(listeners) {
            plane.doors.open(&plane, &spec.name, descriptor)?;
        }
        runtime.spawn(crate::session::sweep(plane.clone()));
        plane.outbox.send(&ToOrchestrator::Up { pid: std::process::id() });
        drop(inside);
        Ok(Self { plane, runtime })
    }

    /// Takes one message from the orchestrator, with the descriptors that came in its packet.
    ///
    /// # Errors
    /// The message is none the gateway knows, or its descriptor is of no use; nothing changed.
    pub fn tell(&self, message: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), StartError> {
        let message = FromOrchestrator::parse(message).map_err(StartError::Message)?;
        let _inside = self.runtime.enter();
        Ok(self.plane.hear(message, descriptors)?)
    }

    /// Messages for the orchestrator.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.plane.outbox
    }

    /// Where spans wait for whoever exports them, if traces are wanted.
    pub fn spans(&self) -> Option<Arc<Buffer>> {
        self.plane.traces.as_ref().map(|tracer| Arc::clone(tracer.buffer()))
    }

    /// Stops accepting, lets what is in flight finish for at most `patience`, then ends everything.
    /// Blocks the calling thread.
    pub fn drain(self, patience: Duration) {
        let until = Instant::now() + patience;
        self.plane.doors.close_all();
        while !self.plane.is_empty() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        self.runtime.shutdown_timeout(Duration::from_millis(500));
    }
}
