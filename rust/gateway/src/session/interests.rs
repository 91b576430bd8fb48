//! What several sessions want of one legacy connection at the same time.
//!
//! A legacy server knows one log level and one set of subscribed resources a connection, however many
//! sessions are behind it. So the most talkative level any of them wants is the one that is set, and a
//! resource is unsubscribed when the last of them lets it go. Which of it a session hears is decided on the
//! way down.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use omnimind_wire::json::quote;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    config::ServerSpec,
    relay::level::Level,
    upstream::{Call, Failure, Lease},
};

/// All connections on which somebody wants something. A wish holds its lease, so a connection's number is its own
/// for as long as it is in the table.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    connections: Mutex<HashMap<usize, Interest>>,
}

#[derive(Debug, Default)]
struct Interest {
    next: u64,
    levels: Vec<(u64, Level)>,
    uris: HashMap<Arc<str>, usize>,
}

/// A wish to hear of a resource; dropping it takes the wish back.
#[derive(Debug)]
pub(crate) struct Subscription {
    interests: Weak<Interests>,
    uri: Arc<str>,
    lease: Lease,
    spec: Arc<ServerSpec>,
    confirmed: bool,
}

/// A wish for log messages; dropping it takes the wish back.
#[derive(Debug)]
pub(crate) struct Loudness {
    interests: Weak<Interests>,
    lease: Lease,
    number: u64,
}

impl Interests {
    /// Subscribes upstream. Always asks: the connection may be a new one.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        uri: &str,
    ) -> Result<Subscription, Failure> {
        let mut subscription = Subscription {
            interests: Arc::downgrade(self),
            uri: uri.into(),
            lease: lease.clone(),
            spec: spec.clone(),
            confirmed: false,
        };
        self.join(lease.connection(), uri);
        lease.call(call(spec, "resources/subscribe", "uri", uri)).finish().await?;
        subscription.confirmed = true;
        Ok(subscription)
    }

    /// Sets the level upstream that suits everyone there. The holder's earlier wish is to be dropped first.
    pub(crate) async fn set_level(
        self: &Arc<Self>,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        level: Level,
    ) -> Result<Loudness, Failure> {
        let (loudness, suits) = {
            let mut connections = self.connections.lock();
            let interest = connections.entry(lease.connection()).or_default();
            interest.next += 1;
            interest.levels.push((interest.next, level));
            let suits = interest.levels.iter().map(|(_, level)| *level).min().unwrap_or(level);
            (Loudness { interests: Arc::downgrade(self), lease: lease.clone(), number: interest.next }, suits)
        };
        lease.call(call(spec, "logging/setLevel", "level", suits.as_str())).finish().await?;
        Ok(loudness)
    }

    /// One wish more for a resource.
    pub(crate) fn join(&self, connection: usize, uri: &str) {
        *self.connections.lock().entry(connection).or_default().uris.entry(uri.into()).or_default() += 1;
    }

    /// One wish less; true if it was the last for this resource.
    pub(crate) fn part(&self, connection: usize, uri: &Arc<str>) -> bool {
        let mut connections = self.connections.lock();
        let Some(interest) = connections.get_mut(&connection) else { return false };
        let Some(count) = interest.uris.get_mut(uri) else { return false };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            interest.uris.remove(uri);
        }
        forget_if_empty(&mut connections, connection);
        last
    }
}

fn forget_if_empty(connections: &mut HashMap<usize, Interest>, connection: usize) {
    if connections.get(&connection).is_some_and(|interest| interest.levels.is_empty() && interest.uris.is_empty()) {
        connections.remove(&connection);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(interests) = self.interests.upgrade() else { return };
        let last = interests.part(self.lease.connection(), &self.uri);
        if last && self.confirmed && !self.lease.is_gone() {
            let exchange = self.lease.call(call(&self.spec, "resources/unsubscribe", "uri", &self.uri));
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(exchange.finish());
            }
        }
    }
}

impl Drop for Loudness {
    fn drop(&mut self) {
        let Some(interests) = self.interests.upgrade() else { return };
        let connection = self.lease.connection();
        let mut connections = interests.connections.lock();
        if let Some(interest) = connections.get_mut(&connection) {
            interest.levels.retain(|(number, _)| *number != self.number);
        }
        forget_if_empty(&mut connections, connection);
    }
}

fn call(spec: &ServerSpec, method: &str, key: &str, value: &str) -> Call {
    let mut params = format!("{{\"{key}\":").into_bytes();
    params.extend_from_slice(&quote(value));
    params.push(b'}');
    Call {
        id: Bytes::from_static(b"0"),
        method: method.into(),
        params: params.into(),
        headers: Vec::new(),
        operator: false,
        idle: Some(spec.idle_timeout()),
        deadline: Some(Instant::now() + spec.longest()),
        trace: None,
    }
}
