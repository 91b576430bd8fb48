//! What legacy clients have open: sessions, and beside them the modern calls that wait for answers.
//!
//! A session belongs to one principal and one endpoint; whoever else presents its id learns only that there
//! is no such session. It ends by DELETE, after [`Edge::session_idle_ms`](crate::config::Edge) without use, or
//! with the process; the last kind of end is none, see [`id`]. Their number is capped: when the cap is met,
//! sessions that are over their time go first, then new ones are refused until there is room.

mod handles;
pub(crate) mod id;
pub(crate) mod interests;
#[allow(clippy::module_inception, reason = "a session is what this room is about")]
mod session;
pub(crate) mod signal;
pub(crate) mod stream;
mod wishes;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use omnimind_wire::{Reason, Refusal};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

pub(crate) use self::handles::{Asked, Streaming, Ticket};
pub use self::session::Session;
use self::{id::Ticketed, interests::Interests};
use crate::{
    config::Edge,
    plane::Plane,
    relay::{Caller, parked::Parking, paused::Paused, schemas::Schemas, state},
};

/// Keys of sessions made by an earlier process and ended in this one; the oldest is forgotten first. A
/// forgotten one could be taken up again, by its own principal.
const MOST_TOMBSTONES: usize = 16_384;
/// How often what is over its time is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// All sessions of a process.
#[derive(Default)]
pub struct Sessions {
    table: RwLock<HashMap<Arc<str>, Arc<Session>>>,
    tombstones: Mutex<Tombstones>,
    pub(crate) parking: Parking,
    pub(crate) paused: Paused,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) interests: Arc<Interests>,
}

#[derive(Default)]
struct Tombstones {
    keys: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

impl Sessions {
    /// No sessions. Limits are read from the snapshot when they matter.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.table.read().len()
    }

    /// True if none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many calls wait for answers of their clients.
    pub fn parked(&self) -> usize {
        self.parking.len()
    }

    /// Makes a session that nobody can find yet.
    pub(crate) fn make(caller: &Caller, said: Ticketed) -> Arc<Session> {
        let plane = &caller.plane;
        let sealed = said.seal(
            &plane.keyring.load(),
            &caller.principal.name,
            caller.target.backend(),
            state::now_s(),
            state::random(),
        );
        Self::build(caller, sealed.into(), said)
    }

    /// Puts a session where its client finds it; of two with one id the first stays.
    pub(crate) fn admit(&self, session: Arc<Session>, edge: &Edge) -> Result<Arc<Session>, Refusal> {
        if self.len() >= edge.sessions {
            self.sweep(Instant::now(), edge);
        }
        let mut table = self.table.write();
        if table.len() >= edge.sessions {
            let detail = format!(
                "{} sessions are open, which is the most this gateway keeps; end sessions that are no longer needed with DELETE",
                table.len()
            );
            return Err(Refusal::new(Reason::Overloaded, "global", detail).retry_after(5_000));
        }
        Ok(table.entry(session.id.clone()).or_insert(session).clone())
    }

    /// The session of an id, as far as the caller may know of it.
    ///
    /// # Errors
    /// Outer: there is room for no more sessions. Inner `None`: no such session.
    pub(crate) fn find(&self, caller: &Caller, id: &str) -> Result<Option<Arc<Session>>, Refusal> {
        let (principal, backend) = (&caller.principal.name, caller.target.backend());
        if let Some(session) = self.table.read().get(id) {
            let fits = session.principal == *principal && &*session.backend == backend;
            return Ok(fits.then(|| session.clone()));
        }
        let plane = &caller.plane;
        let opened = Ticketed::open(&plane.keyring.load(), id, principal, backend, state::now_s());
        let Some(said) = opened.filter(|said| said.epoch != plane.epoch) else { return Ok(None) };
        let session = Self::build(caller, id.into(), said);
        if self.tombstones.lock().keys.contains(&session.key) {
            return Ok(None);
        }
        self.admit(session, &plane.snapshot.load().edge).map(Some)
    }

    /// Ends a session for good.
    pub(crate) fn end(&self, session: &Session) {
        self.bury(session);
        self.table.write().remove(&session.id);
        session.end();
    }

    /// The seal of an id made by an earlier process says nothing of its end; this list does.
    fn bury(&self, session: &Session) {
        if session.inherited {
            self.tombstones.lock().add(&session.key);
        }
    }

    /// Ends what has not been used for too long.
    pub fn sweep(&self, now: Instant, edge: &Edge) {
        let life = Duration::from_millis(edge.session_idle_ms);
        let over = |session: &Arc<Session>| session.idle_since().is_some_and(|since| now.duration_since(since) >= life);
        let idle: Vec<Arc<Session>> = self.table.read().values().filter(|session| over(session)).cloned().collect();
        if !idle.is_empty() {
            let mut table = self.table.write();
            for session in &idle {
                table.remove(&session.id);
            }
        }
        for session in idle {
            self.bury(&session);
            session.end();
        }
        self.parking.sweep(now);
        self.paused.sweep(now);
    }

    fn build(caller: &Caller, id: Arc<str>, said: Ticketed) -> Arc<Session> {
        let key = format!("{:032x}", u128::from_be_bytes(said.key));
        let principal = caller.principal.name.clone();
        Arc::new(Session::new(id, key.into(), principal, caller.target.backend(), said, caller.plane.epoch))
    }
}

impl Tombstones {
    fn add(&mut self, key: &Arc<str>) {
        if self.keys.insert(key.clone()) {
            self.order.push_back(key.clone());
        }
        if self.order.len() > MOST_TOMBSTONES
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}

/// Looks for sessions and parked calls that are over their time, for the life of the plane.
pub async fn sweep(plane: Arc<Plane>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        plane.sessions.sweep(Instant::now(), &plane.snapshot.load().edge);
    }
}
