//! What a pool counts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use serde::Serialize;

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It broke, or what came over it could not be read.
    Broken,
    /// It rested too long.
    Idle,
    /// It was old.
    Age,
    /// The other side closed it while it rested.
    Peer,
    /// The other side asked for it: `Connection: close`, GOAWAY.
    Asked,
    /// The call on it was given up.
    Cancelled,
    /// There were enough.
    Surplus,
}

const WHYS: [(Why, &str); 7] = [
    (Why::Broken, "broken"),
    (Why::Idle, "idle"),
    (Why::Age, "age"),
    (Why::Peer, "peer"),
    (Why::Asked, "asked"),
    (Why::Cancelled, "cancelled"),
    (Why::Surplus, "surplus"),
];

/// Counters of a pool.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) open: AtomicUsize,
    pub(super) opened: AtomicU64,
    pub(super) reused: AtomicU64,
    pub(super) waited: AtomicU64,
    pub(super) refused: AtomicU64,
    closed: [AtomicU64; WHYS.len()],
}

impl Tally {
    /// A connection was opened.
    pub(super) fn open(self: &Arc<Self>) -> Opened {
        self.open.fetch_add(1, Relaxed);
        self.opened.fetch_add(1, Relaxed);
        Opened { tally: Arc::clone(self), why: Why::Broken }
    }

    /// A request goes over a connection that was open.
    pub(super) fn reused(&self) {
        self.reused.fetch_add(1, Relaxed);
    }

    /// A call waits for its turn.
    pub(super) fn waited(&self) {
        self.waited.fetch_add(1, Relaxed);
    }

    /// A call was refused.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// How many were closed, by reason.
    pub(super) fn closed(&self) -> Vec<(&'static str, u64)> {
        WHYS.iter().zip(&self.closed).map(|((_, name), count)| (*name, count.load(Relaxed))).collect()
    }
}

/// An open connection, counted as such until it is dropped.
#[derive(Debug)]
pub(super) struct Opened {
    tally: Arc<Tally>,
    /// What it will have been closed for.
    pub(super) why: Why,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.tally.open.fetch_sub(1, Relaxed);
        let counters = WHYS.iter().zip(&self.tally.closed);
        for (_, counter) in counters.filter(|((why, _), _)| *why == self.why) {
            counter.fetch_add(1, Relaxed);
        }
    }
}

/// A pool as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What the origin speaks, as far as is known: `1.1` or `2`.
    pub http: Option<&'static str>,
    /// Most connections at once.
    pub max: usize,
    /// Open connections.
    pub open: usize,
    /// Those in use.
    pub busy: usize,
    /// Those that rest.
    pub idle: usize,
    /// Calls that wait for one.
    pub waiting: usize,
    /// One that has rested so long is closed.
    pub idle_limit_ms: u64,
    /// The server has shown or told how long it leaves one open.
    pub learned: bool,
    /// Calls are refused for so long; 0: they are not.
    pub ejected_ms: u64,
    /// Connections opened.
    pub opened: u64,
    /// Requests sent over one that was open.
    pub reused: u64,
    /// Connections closed, by reason.
    #[serde(serialize_with = "map")]
    pub closed: Vec<(&'static str, u64)>,
    /// Calls that had to wait.
    pub waited: u64,
    /// Calls that were refused.
    pub refused: u64,
}

fn map<S: serde::Serializer>(pairs: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}
