//! What a session wants of servers beyond its calls: a log level, resources to hear of.

use std::sync::Arc;

use omnimind_wire::{Era, Reason, Refusal};

use super::{Session, session::Subscribed};
use crate::{
    config::ServerSpec,
    relay::{Client, level::Level},
    upstream::{Failure, Lease},
};

/// Resources one session may subscribe to, and the length of all their URIs.
const MOST_SUBSCRIPTIONS: usize = 256;
const MOST_SUBSCRIPTION_BYTES: usize = 64 << 10;

impl Session {
    /// Keeps the log level; says which servers are to be told.
    pub(crate) fn set_level(&self, level: Level) {
        self.state.lock().level = Some(level);
    }

    /// Tells a legacy server the level this session wants.
    pub(crate) async fn tell_level(
        &self,
        client: &Client,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        level: Level,
    ) -> Result<(), Failure> {
        let earlier = {
            let mut state = self.state.lock();
            state.held.iter_mut().find(|held| *held.server == *spec.name).and_then(|held| held.loudness.take())
        };
        drop(earlier);
        let loudness = client.caller.plane.sessions.interests.set_level(spec, lease, level).await?;
        let mut state = self.state.lock();
        if let Some(held) = state.held.iter_mut().find(|held| *held.server == *spec.name) {
            held.loudness = Some(loudness);
        }
        Ok(())
    }

    /// Subscribes to a resource of a server.
    pub(crate) async fn subscribe(
        &self,
        client: &Client,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        uri: &str,
    ) -> Result<(), Failure> {
        {
            let state = self.state.lock();
            if state.subscribed.iter().any(|one| *one.server == *spec.name && &*one.uri == uri) {
                return Ok(());
            }
            let bytes: usize = state.subscribed.iter().map(|one| one.uri.len()).sum();
            if state.subscribed.len() >= MOST_SUBSCRIPTIONS || bytes + uri.len() > MOST_SUBSCRIPTION_BYTES {
                let detail = format!(
                    "a session may subscribe to {MOST_SUBSCRIPTIONS} resources with {MOST_SUBSCRIPTION_BYTES} bytes of URIs"
                );
                return Err(Failure::Refused(Refusal::new(Reason::Overloaded, "session", detail)));
            }
        }
        let upstream = match lease.negotiated().era {
            Era::Modern => None,
            Era::Legacy => Some(client.caller.plane.sessions.interests.subscribe(spec, lease, uri).await?),
        };
        let mut state = self.state.lock();
        state.subscribed.push(Subscribed { server: spec.name.as_str().into(), uri: uri.into(), upstream });
        state.change();
        Ok(())
    }

    /// Takes a subscription back; upstream it goes with the last who wants it.
    pub(crate) fn forget_subscription(&self, server: &str, uri: &str) {
        let gone = {
            let mut state = self.state.lock();
            let at = state.subscribed.iter().position(|one| &*one.server == server && &*one.uri == uri);
            let gone = at.map(|at| state.subscribed.swap_remove(at));
            state.change();
            gone
        };
        drop(gone.and_then(|gone| gone.upstream));
    }

    /// The resources of a server this session subscribed to.
    pub(crate) fn subscribed(&self, server: &str) -> Vec<Arc<str>> {
        let state = self.state.lock();
        state.subscribed.iter().filter(|one| &*one.server == server).map(|one| one.uri.clone()).collect()
    }

    /// Says to a new connection what the old one knew.
    pub(super) fn restore(&self, client: &Client, spec: &Arc<ServerSpec>, lease: &Lease) {
        if lease.negotiated().era == Era::Modern {
            return;
        }
        let (level, uris) = {
            let state = self.state.lock();
            let uris: Vec<Arc<str>> =
                state.subscribed.iter().filter(|one| *one.server == *spec.name).map(|one| one.uri.clone()).collect();
            (state.level, uris)
        };
        if level.is_none() && uris.is_empty() {
            return;
        }
        let (client, spec, lease) = (client.clone(), spec.clone(), lease.clone());
        tokio::spawn(async move {
            let Some(session) = client.session.clone() else { return };
            if let Some(level) = level {
                let _ = session.tell_level(&client, &spec, &lease, level).await;
            }
            for uri in uris {
                session.forget_subscription(&spec.name, &uri);
                let _ = session.subscribe(&client, &spec, &lease, &uri).await;
            }
        });
    }
}
