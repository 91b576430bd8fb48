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
    config::{Kind, ServerSpec, Sharing},
    relay::{Client, level::Level},
    upstream::{Call, Failure, Lease},
};

/// All connections on which somebody wants something.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    places: Mutex<HashMap<Arc<str>, Interest>>,
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
    place: Arc<str>,
    uri: Arc<str>,
    lease: Lease,
    spec: Arc<ServerSpec>,
}

/// A wish for log messages; dropping it takes the wish back.
#[derive(Debug)]
pub(crate) struct Loudness {
    interests: Weak<Interests>,
    place: Arc<str>,
    number: u64,
}

impl Interests {
    /// Subscribes upstream. Always asks: the connection may be a new one.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        client: &Client,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        uri: &str,
    ) -> Result<Subscription, Failure> {
        let subscription = Subscription {
            interests: Arc::downgrade(self),
            place: place(client, spec),
            uri: uri.into(),
            lease: lease.clone(),
            spec: spec.clone(),
        };
        *self.places.lock().entry(subscription.place.clone()).or_default().uris.entry(uri.into()).or_default() += 1;
        lease.call(call(spec, "resources/subscribe", "uri", uri)).finish().await?;
        Ok(subscription)
    }

    /// Sets the level upstream that suits everyone there. The holder's earlier wish is to be dropped first.
    pub(crate) async fn set_level(
        self: &Arc<Self>,
        client: &Client,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        level: Level,
    ) -> Result<Loudness, Failure> {
        let place = place(client, spec);
        let (loudness, suits) = {
            let mut places = self.places.lock();
            let interest = places.entry(place.clone()).or_default();
            interest.next += 1;
            interest.levels.push((interest.next, level));
            let suits = interest.levels.iter().map(|(_, level)| *level).min().unwrap_or(level);
            (Loudness { interests: Arc::downgrade(self), place, number: interest.next }, suits)
        };
        lease.call(call(spec, "logging/setLevel", "level", suits.as_str())).finish().await?;
        Ok(loudness)
    }

    /// One wish less; true if it was the last for this resource.
    fn unsubscribe(&self, place: &Arc<str>, uri: &Arc<str>) -> bool {
        let mut places = self.places.lock();
        let Some(interest) = places.get_mut(place) else { return false };
        let Some(count) = interest.uris.get_mut(uri) else { return false };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            interest.uris.remove(uri);
        }
        forget_if_empty(&mut places, place);
        last
    }
}

fn forget_if_empty(places: &mut HashMap<Arc<str>, Interest>, place: &Arc<str>) {
    if places.get(place).is_some_and(|interest| interest.levels.is_empty() && interest.uris.is_empty()) {
        places.remove(place);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(interests) = self.interests.upgrade() else { return };
        if interests.unsubscribe(&self.place, &self.uri) && !self.lease.is_gone() {
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
        let mut places = interests.places.lock();
        if let Some(interest) = places.get_mut(&self.place) {
            interest.levels.retain(|(number, _)| *number != self.number);
        }
        forget_if_empty(&mut places, &self.place);
    }
}

/// The connection a client's lease is on, as the sharing rule names it.
fn place(client: &Client, spec: &ServerSpec) -> Arc<str> {
    let own = spec.sessions == Sharing::Own || spec.kind == Kind::Http;
    match &client.session {
        Some(session) if own => format!("{}\0session\0{}", spec.name, session.key).into(),
        _ if spec.sessions == Sharing::Shared => format!("{}\0all", spec.name).into(),
        _ => format!("{}\0principal\0{}", spec.name, client.principal()).into(),
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
        idle: Some(spec.idle_timeout()),
        deadline: Some(Instant::now() + spec.longest()),
    }
}
