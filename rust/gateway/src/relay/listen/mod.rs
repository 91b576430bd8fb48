//! Subscriptions: what a server says of its own accord, brought to whoever asked for it.
//!
//! One [`Feed`] is one server's notifications for one client: a `subscriptions/listen` call where the server
//! is modern, the connection's own notifications and `resources/subscribe` where it is legacy. A feed outlives
//! its connection: when the server comes back it is opened again, and since nobody knows what was missed,
//! everything asked for is reported as changed. A modern client's listen and a legacy session's stream are
//! both made of feeds.

mod feed;
mod filter;
mod live;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{BoxStream, select_all},
};
use omnimind_wire::{Edit, Request, headers::META_SUBSCRIPTION};

pub use self::filter::Filter;
use self::{
    feed::Feed,
    live::{Wanted, live},
};
pub(crate) use self::{feed::Heard, live::of_session};
use super::{Client, Target, endpoint, notes};
use crate::{
    reply::{Outgoing, Reply, Shape},
    upstream::{Failure, Note},
};

/// The first message of a subscription: what of it will be kept.
pub(crate) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// Answers a modern `subscriptions/listen`.
pub(super) async fn open(client: &Client, request: &Request) -> Reply {
    let id = request.id.raw();
    let opened = match Filter::parse(request.params.as_deref().unwrap_or(b"{}")) {
        Ok(filter) => feeds(client, filter).await,
        Err(error) => Err(Failure::Rpc(error)),
    };
    let (honoured, feeds) = match opened {
        Ok(opened) => opened,
        Err(Failure::Rpc(error)) => return super::whole(client.era, &id, Err(error)),
        Err(Failure::Refused(refusal)) => return Reply::Refused { refusal, id },
    };
    let mut changes = client.caller.plane.fleet.changes();
    let mut known: BTreeSet<String> = names(client, &honoured);
    let mut heard = select_all(feeds);
    let client = client.clone();
    let flow = async_stream::stream! {
        let params = Edit::new(b"{}").set(&["notifications"], honoured.raw().to_vec()).finish().unwrap_or_default();
        let acknowledged = Note { method: ACKNOWLEDGED.into(), params };
        yield Outgoing::Message(notes::message(&addressed(acknowledged, &id)));
        loop {
            let next = tokio::select! {
                next = heard.next() => next,
                // A server that was configured since is listened to as well.
                _ = changes.recv() => {
                    let parts = endpoint::split(&client, &honoured).into_iter();
                    for (source, part) in parts.filter(|(source, _)| known.insert(source.spec.name.clone())) {
                        heard.push(live(client.clone(), source, Wanted::Fixed(part), None));
                    }
                    continue;
                }
            };
            match next {
                Some(Heard::Note(note)) => yield Outgoing::Message(notes::message(&addressed(note, &id))),
                Some(Heard::Ask(..)) => {}
                None => break,
            }
        }
        std::future::pending::<()>().await;
    };
    Reply::Flow { flow: Box::pin(flow), headers: Vec::new(), shape: Shape::Endless }
}

/// The servers a listen has to do with.
fn names(client: &Client, filter: &Filter) -> BTreeSet<String> {
    endpoint::split(client, filter).into_iter().map(|(source, _)| source.spec.name.clone()).collect()
}

/// What a listen is made of, and how much of it will be kept. One server is asked first, so that its refusal
/// is the answer; of many none is waited for.
async fn feeds(client: &Client, filter: Filter) -> Result<(Filter, Vec<BoxStream<'static, Heard>>), Failure> {
    let mut parts = endpoint::split(client, &filter);
    if matches!(client.caller.target, Target::One(_)) {
        let Some((source, part)) = parts.pop() else { return Ok((Filter::default(), Vec::new())) };
        let feed = Feed::open(client, &source, &part).await?;
        let honoured = feed.filter.clone();
        return Ok((honoured, vec![live(client.clone(), source, Wanted::Fixed(part), Some(feed))]));
    }
    let mut feeds: Vec<_> =
        parts.into_iter().map(|(source, part)| live(client.clone(), source, Wanted::Fixed(part), None)).collect();
    let wanted = filter.clone();
    let own = endpoint::own_notes(client).filter(move |note| std::future::ready(wanted.wants(note)));
    feeds.push(own.map(Heard::Note).boxed());
    Ok((filter, feeds))
}

/// A note as a subscription's stream carries it.
fn addressed(note: Note, id: &Bytes) -> Note {
    match Edit::new(&note.params).set(&["_meta", META_SUBSCRIPTION], id.to_vec()).finish() {
        Ok(params) => Note { method: note.method, params },
        Err(_) => note,
    }
}
