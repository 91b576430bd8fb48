//! The open connections of one server, and who gets which.
//!
//! A connection belongs to a principal (or to all, where the server is shared) and an era. Most callers share
//! the one of their key, the *base*. A legacy session gets one of its own where the server says so, where the
//! session is the upstream's too (HTTP), and on a stranger's Unix socket if its client can be asked. A leased
//! call wants to be alone: the base if nobody else could be meant by a question (a child's base declares that it
//! can be asked; elsewhere capabilities are the call's own), else one of a few extras, else the base as a guest,
//! which means its questions are refused. Whoever comes first opens; all others wait for the same outcome.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use omnimind_wire::{Era, Reason, Refusal};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{Lease, Owner, Wish, attach::Seat, link::Link};
use crate::{
    config::{Kind, ServerSpec, Sharing},
    metrics::Tally,
};

/// An unused connection is closed after this.
const IDLE: Duration = Duration::from_secs(600);
/// One that was a single session's is of no use to others.
const IDLE_OWN: Duration = Duration::from_secs(30);

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// `*` for all.
    pub principal: Arc<str>,
    /// The era wished on it.
    pub era: Era,
    /// For whom alone.
    pub own: Own,
}

/// For whom alone a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Own {
    /// For everyone of the principal.
    Base,
    /// For one session, with the capabilities of its client.
    Session(Arc<str>, Bytes),
    /// For one call at a time, with these capabilities.
    Extra(Bytes),
}

/// The outcome of an attempt to connect, once there is one.
pub(super) type Opening = watch::Receiver<Option<Result<Arc<Link>, Refusal>>>;

/// What a wish comes to.
pub(super) enum Choice {
    /// A connection.
    Granted(Lease),
    /// One is being opened.
    Wait(Opening),
    /// There is none left to give.
    Refused(Refusal),
}

/// The connections of one server.
#[derive(Debug, Default)]
pub(super) struct Pool {
    places: Mutex<HashMap<Key, Vec<Opening>>>,
    tally: Arc<Tally>,
}

enum Found {
    Open(Arc<Link>),
    Opening(Opening),
    Missing,
}

impl Pool {
    /// Decides on a wish in an era the server is believed to speak; `open` begins to connect.
    pub(super) fn choose(&self, spec: &ServerSpec, wish: &Wish, era: Era, open: impl Fn(Key) -> Opening) -> Choice {
        let principal = if spec.sessions == Sharing::Shared { Arc::from("*") } else { Arc::clone(&wish.principal) };
        let mut places = self.places.lock();
        let grant = |link: Arc<Link>, seat| {
            let (server, principal) = (Arc::from(&*spec.name), Arc::clone(&wish.principal));
            Choice::Granted(Lease::new(link, server, principal, seat, Arc::clone(&self.tally)))
        };
        let base = Key { principal, era, own: Own::Base };
        let (key, seat) = match &wish.owner {
            Owner::Shared => (base, Seat::Guest),
            Owner::Session { session, capabilities } if is_own(spec, era, capabilities) => {
                let own = Own::Session(Arc::clone(session), capabilities.clone());
                (Key { own, ..base }, Seat::Session)
            }
            Owner::Session { .. } => (base, Seat::Session),
            Owner::Call { capabilities } => return call(&mut places, spec, base, capabilities, grant, open),
        };
        let another = matches!(key.own, Own::Session(..)) && !places.contains_key(&key);
        if another && is_full(&mut places, spec.kind) {
            return Choice::Refused(full(spec));
        }
        match find(&mut places, &key) {
            Found::Open(link) => grant(link, seat),
            Found::Opening(opening) => Choice::Wait(opening),
            Found::Missing => Choice::Wait(begin(&mut places, key, open)),
        }
    }

    /// Files a connection that turned out to speak the other era under that one.
    pub(super) fn settle(&self, key: &Key, link: &Arc<Link>) {
        let spoken = link.negotiated.era;
        if key.era == spoken {
            return;
        }
        let mut places = self.places.lock();
        let Some(opening) = places.get_mut(key).and_then(Vec::pop) else { return };
        let key = Key { era: spoken, ..key.clone() };
        let taken = places.entry(key).or_default();
        taken.retain(|opening| !is_spent(opening));
        if taken.is_empty() {
            taken.push(opening);
        }
    }

    /// Lets go of all connections; what is in flight on them goes on.
    pub(super) fn retire(&self) {
        let places = std::mem::take(&mut *self.places.lock());
        for opening in places.into_values().flatten() {
            if let Some(Ok(link)) = &*opening.borrow() {
                link.retire(None);
            }
        }
    }

    /// A pool that goes on where this one is: with its counts, and with its connections if they are kept.
    pub(super) fn successor(&self, keeps: bool) -> Self {
        let places = if keeps { std::mem::take(&mut *self.places.lock()) } else { HashMap::new() };
        Self { places: Mutex::new(places), tally: Arc::clone(&self.tally) }
    }

    /// What is counted.
    pub(super) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Lets go of connections that have ended, or that nobody has used for long.
    pub(super) fn sweep(&self, now: Instant) {
        self.places.lock().retain(|key, places| {
            let keep = if matches!(key.own, Own::Session(..)) { IDLE_OWN } else { IDLE };
            places.retain(|opening| match &*opening.borrow() {
                Some(Ok(link)) => {
                    !link.is_stale() && link.circle.idle_since().is_none_or(|since| now.duration_since(since) < keep)
                }
                Some(Err(_)) => false,
                None => opening.has_changed().is_ok(),
            });
            !places.is_empty()
        });
    }
}

/// A session on HTTP is the upstream's too; on a stranger's socket a connection costs little.
fn is_own(spec: &ServerSpec, era: Era, capabilities: &[u8]) -> bool {
    spec.sessions == Sharing::Own
        || match spec.kind {
            Kind::Http => era == Era::Legacy,
            Kind::Unix => era == Era::Legacy && can_be_asked(capabilities),
            Kind::Worker | Kind::Stdio => false,
        }
}

fn can_be_asked(capabilities: &[u8]) -> bool {
    ["sampling", "elicitation", "roots"]
        .iter()
        .any(|key| omnimind_wire::json::find(capabilities, &[key]).ok().flatten().is_some())
}

/// Extras of one key.
fn most_extras(kind: Kind) -> usize {
    match kind {
        Kind::Stdio => 3,
        Kind::Worker | Kind::Unix => 8,
        Kind::Http => 32,
    }
}

/// Connections of single sessions.
fn most_own(kind: Kind) -> usize {
    match kind {
        Kind::Stdio => 32,
        Kind::Worker | Kind::Unix => 256,
        Kind::Http => 10_000,
    }
}

/// True if no more connections of single sessions may be opened, after those that have ended are let go.
fn is_full(places: &mut HashMap<Key, Vec<Opening>>, kind: Kind) -> bool {
    if places.len() < most_own(kind) {
        return false;
    }
    places.retain(|key, openings| {
        !matches!(key.own, Own::Session(..))
            || openings.iter().any(|opening| match &*opening.borrow() {
                Some(Ok(link)) => !link.is_stale() && link.circle.idle_since().is_none(),
                Some(Err(_)) => false,
                None => true,
            })
    });
    places.keys().filter(|key| matches!(key.own, Own::Session(..))).count() >= most_own(kind)
}

fn full(spec: &ServerSpec) -> Refusal {
    let detail = format!("{} has as many sessions of their own as it may have ({})", spec.name, most_own(spec.kind));
    Refusal::new(Reason::Overloaded, "server", detail).about(&*spec.name).retry_after(5_000)
}

/// A leased call.
fn call(
    places: &mut HashMap<Key, Vec<Opening>>,
    spec: &ServerSpec,
    base: Key,
    capabilities: &Bytes,
    grant: impl Fn(Arc<Link>, Seat) -> Choice,
    open: impl Fn(Key) -> Opening,
) -> Choice {
    let shared = match find(places, &base) {
        Found::Open(link) => link,
        Found::Opening(opening) => return Choice::Wait(opening),
        Found::Missing => return Choice::Wait(begin(places, base, open)),
    };
    if shared.negotiated.era == Era::Modern {
        return grant(shared, Seat::Guest);
    }
    if spec.kind == Kind::Stdio && shared.circle.unowned() && shared.unasking() {
        return grant(shared, Seat::Call);
    }
    // A child's extras declare what its base declares, so any of them will do.
    let capabilities = if spec.kind == Kind::Stdio { Bytes::new() } else { capabilities.clone() };
    let key = Key { own: Own::Extra(capabilities), ..base };
    let extras = places.entry(key.clone()).or_default();
    extras.retain(|opening| !is_spent(opening));
    let free = extras.iter().find_map(|opening| match &*opening.borrow() {
        Some(Ok(link)) if link.circle.unowned() => Some(Arc::clone(link)),
        _ => None,
    });
    if let Some(link) = free {
        return grant(link, Seat::Call);
    }
    if extras.len() < most_extras(spec.kind) {
        return Choice::Wait(begin(places, key, open));
    }
    grant(shared, Seat::Guest)
}

fn find(places: &mut HashMap<Key, Vec<Opening>>, key: &Key) -> Found {
    let Some(openings) = places.get_mut(key) else { return Found::Missing };
    openings.retain(|opening| !is_spent(opening));
    let Some(opening) = openings.first() else { return Found::Missing };
    match &*opening.borrow() {
        Some(Ok(link)) => Found::Open(Arc::clone(link)),
        _ => Found::Opening(opening.clone()),
    }
}

/// True if nothing can come of it any more.
fn is_spent(opening: &Opening) -> bool {
    match &*opening.borrow() {
        Some(Ok(link)) => link.is_stale(),
        Some(Err(_)) => true,
        None => opening.has_changed().is_err(),
    }
}

fn begin(places: &mut HashMap<Key, Vec<Opening>>, key: Key, open: impl Fn(Key) -> Opening) -> Opening {
    let opening = open(key.clone());
    places.entry(key).or_default().push(opening.clone());
    opening
}
