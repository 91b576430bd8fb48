//! Paused calls: a legacy server over HTTP closed the stream of a call on purpose, to be asked again later.
//!
//! Since 2025-11-25 a server may end a response stream before the answer, if it has given the client an event
//! id to come back with (SEP-1699). Where an upstream can do that, a call that takes a while begins its stream
//! with such an id of ours; when the upstream pauses, the flight is set aside, the stream ends, and a GET with
//! `Last-Event-ID` takes it up again. Only a pause sets a flight aside: a client that goes away on its own
//! cancels its call, here as everywhere.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderName;
use omnimind_wire::{Era, LEGACY_LATEST, RpcError, error::INVALID_REQUEST};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Caller, Client,
    flight::{self, Flight},
    state,
};
use crate::{
    config::Kind,
    edge::respond::Accepts,
    reply::{Outgoing, Reply, Shape},
    session::Session,
    upstream::Lease,
};

/// The header of a client that comes back.
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// A call that is answered sooner needs no stream, and so no id.
pub(super) const SOON: Duration = Duration::from_millis(50);
/// A paused call that nobody takes up is cancelled after this.
const PATIENCE: Duration = Duration::from_secs(30);
/// Paused calls at once, of all principals; one more is not paused, its stream stays open.
const MOST: usize = 1_024;
/// When a client is asked to come back, if the upstream does not say.
const RETRY_MS: u64 = 1_000;

/// All paused calls, by the event id that takes them up.
#[derive(Default)]
pub(crate) struct Paused {
    table: Mutex<HashMap<Arc<str>, Waiting>>,
}

struct Waiting {
    session: Arc<str>,
    until: Instant,
    flight: Box<Flight>,
}

impl Paused {
    /// Sets a flight aside; gives it back when there is no room.
    pub(super) fn put(&self, mut flight: Box<Flight>) -> Option<Box<Flight>> {
        let (Some(place), Some(session)) = (flight.place.clone(), flight.client.session.clone()) else {
            return Some(flight);
        };
        let mut table = self.table.lock();
        if table.len() >= MOST {
            return Some(flight);
        }
        flight.exchange.hold(true);
        table.insert(place, Waiting { session: session.key.clone(), until: Instant::now() + PATIENCE, flight });
        None
    }

    fn take(&self, place: &str, session: &Session) -> Option<Box<Flight>> {
        let mut table = self.table.lock();
        if table.get(place)?.session != session.key {
            return None;
        }
        let mut flight = table.remove(place)?.flight;
        flight.exchange.hold(false);
        Some(flight)
    }

    /// Cancels what nobody came back for, and what belongs to ended sessions.
    pub(crate) fn sweep(&self, now: Instant) {
        let is_over = |waiting: &Waiting| waiting.until <= now || waiting.flight.is_cancelled();
        let over: Vec<Waiting> =
            self.table.lock().extract_if(|_, waiting| is_over(waiting)).map(|(_, waiting)| waiting).collect();
        drop(over);
    }
}

/// An event id to come back with, if the call can pause at all: both sides must know how.
pub(super) fn place(client: &Client, kind: Kind, lease: &Lease) -> Option<Arc<str>> {
    let able = client.session.is_some()
        && client.version == LEGACY_LATEST
        && kind == Kind::Http
        && lease.negotiated().era == Era::Legacy
        && Accepts::of(&client.caller.headers).stream;
    able.then(|| {
        let id = u128::from_be_bytes(state::random());
        format!("{id:032x}").into()
    })
}

/// The event that opens a stream one can come back to.
pub(super) fn opening(place: &str) -> Outgoing {
    Outgoing::Event { id: Some(place.to_owned()), retry_ms: Some(RETRY_MS), data: Bytes::new() }
}

/// Answers a GET that names an event: the rest of the stream it belongs to.
pub(super) fn take_up(caller: &Caller, session: &Session, place: &str) -> Reply {
    let Some(flight) = caller.plane.sessions.paused.take(place, session) else {
        let message = "no stream waits under that event id: it was taken up, has ended, or waited too long";
        return super::fault(http::StatusCode::NOT_FOUND, b"null", &RpcError::new(INVALID_REQUEST, message));
    };
    Reply::Flow { flow: flight::flow(*flight), headers: Vec::new(), shape: Shape::Rest }
}
