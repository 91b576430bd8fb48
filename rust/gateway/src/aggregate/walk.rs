//! One page of a merged list: read from the servers one after the other, no further than it goes.
//!
//! The servers stand in the order of the configuration, so that the same servers give the same list. One that
//! cannot be asked is left out of the page that would begin with it, or shown as last seen; one that fails in the
//! middle of its part, where the page asked for begins, fails that page, so that nobody takes half a list for the
//! whole. Then the same cursor may be asked again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use omnimind_wire::{Reason, Refusal, error, headers::META_SERVER_INFO, json};
use tokio::time::timeout;

use super::{
    list::List,
    page::{Page, Spot},
    parts::{MOST_PAGES, PATIENCE, Parts, fetch, present},
    place::{self, Place},
    rests::Key,
};
use crate::{config::ServerSpec, relay::Client, upstream::Failure};

/// The result for the page that a cursor leads to, in the modern form.
///
/// # Errors
/// The cursor's server is gone, does not know its own cursor any more, or cannot be asked.
pub(super) async fn page(client: &Client, list: List, from: Option<Place>) -> Result<Bytes, Failure> {
    let mut draft = Draft::new(list);
    let mut servers = present(client);
    if let Some(Place { server, spot }) = from {
        let snapshot = client.caller.plane.snapshot.load();
        let place = |name: &str| snapshot.servers.iter().position(|spec| spec.name == name);
        let at = place(&server).ok_or_else(|| place::refused(&format!("{server} is not configured any more")))?;
        servers.retain(|view| place(&view.spec.name) >= Some(at));
        if !spot.is_start() {
            servers.retain(|view| view.spec.name != server);
            let Some(spec) = snapshot.servers.get(at).cloned() else { return Ok(draft.finish(client, None)) };
            drop(snapshot);
            let next = match go_on(client, &spec, spot, None, &mut draft).await {
                Ok(next) => next,
                Err((_, failure)) if draft.sent == 0 => return Err(failed(&spec, failure)),
                Err((spot, _)) => Some(spot),
            };
            if let Some(spot) = next {
                return Ok(draft.finish(client, Some(&Place { server, spot })));
            }
        }
    }
    let mut parts = Parts::new(client, list, servers);
    while let Some(spec) = parts.following().cloned() {
        if draft.left() == 0 {
            let start = Place { server: spec.name.clone(), spot: Spot::default() };
            return Ok(draft.finish(client, Some(&start)));
        }
        let Some((spec, pages)) = parts.next(draft.left()).await else { break };
        if let Some(spot) = begin(client, &spec, &pages, &mut draft).await {
            return Ok(draft.finish(client, Some(&Place { server: spec.name.clone(), spot })));
        }
    }
    Ok(draft.finish(client, None))
}

/// Shows a server's part from its beginning; where it goes on, if this page is full.
async fn begin(client: &Client, spec: &Arc<ServerSpec>, pages: &[Page], draft: &mut Draft) -> Option<Spot> {
    let mut next = None;
    for page in pages {
        next = draft.take(spec, page, 0);
        if let Some(spot) = &next
            && draft.left() == 0
        {
            keep(client, draft.list, spec, page, spot);
            return next;
        }
    }
    // It had less than was thought, or its pages are small. If it fails now it is left out from here on.
    go_on(client, spec, next?, Some(PATIENCE), draft).await.ok().flatten()
}

/// Reads on in a server's list until the page is full or the list ends. Where it goes on, if it does.
async fn go_on(
    client: &Client,
    spec: &Arc<ServerSpec>,
    mut spot: Spot,
    patience: Option<Duration>,
    draft: &mut Draft,
) -> Result<Option<Spot>, (Spot, Failure)> {
    let (list, before) = (draft.list, draft.sent);
    for _ in 0..MOST_PAGES {
        if draft.left() == 0 {
            return Ok(Some(spot));
        }
        let key = Key::of(client, list, spec, &spot);
        let rests = &client.caller.plane.shelves.rests;
        let kept = rests.find(&key, &spot);
        let is_kept = kept.is_some();
        let page = match kept {
            Some(page) => page,
            None => match asked(client, list, spec, &spot, patience).await {
                Ok(page) => page,
                Err(failure) => return Err((spot, failure)),
            },
        };
        let had = spot.had;
        let Some(next) = draft.take(spec, &page, had) else {
            client.caller.plane.shelves.learn(client, list, &spec.name, &page, had, usize::MAX);
            return Ok(None);
        };
        let taken = if next.cursor == spot.cursor { next.had.saturating_sub(had) } else { usize::MAX };
        client.caller.plane.shelves.learn(client, list, &spec.name, &page, had, taken);
        if !is_kept {
            keep(client, list, spec, &page, &next);
        }
        spot = next;
    }
    // A server whose pages are all empty has nothing to show.
    Ok((draft.sent > before).then_some(spot))
}

async fn asked(
    client: &Client,
    list: List,
    spec: &Arc<ServerSpec>,
    spot: &Spot,
    patience: Option<Duration>,
) -> Result<Page, Failure> {
    let fetching = fetch(client, list, spec, spot.cursor.clone());
    match patience {
        None => fetching.await,
        Some(patience) => timeout(patience, fetching).await.unwrap_or_else(|_late| {
            let detail = format!("{} did not send its next page in time", spec.name);
            Err(Refusal::new(Reason::UpstreamTimeout, "server", detail).about(&*spec.name).into())
        }),
    }
}

/// Keeps the rest of a page that is longer than ours.
fn keep(client: &Client, list: List, spec: &Arc<ServerSpec>, page: &Page, next: &Spot) {
    if page.has(next) {
        client.caller.plane.shelves.rests.keep(Key::of(client, list, spec, next), page, next.had);
    }
}

/// What a client is told whose cursor leads into a server's list that could not be read.
fn failed(spec: &ServerSpec, failure: Failure) -> Failure {
    match failure {
        Failure::Rpc(error) if error.code == error::INVALID_PARAMS => {
            place::refused(&format!("{} says: {}", spec.name, error.message))
        }
        failure => failure,
    }
}

/// A page that is being made.
struct Draft {
    list: List,
    text: Vec<u8>,
    sent: usize,
}

impl Draft {
    fn new(list: List) -> Self {
        let mut text = Vec::with_capacity(4_096);
        text.extend_from_slice(b"{\"resultType\":\"complete\",\"");
        text.extend_from_slice(list.member().as_bytes());
        text.extend_from_slice(b"\":[");
        Self { list, text, sent: 0 }
    }

    /// How many more items it takes.
    fn left(&self) -> usize {
        self.list.room().saturating_sub(self.sent)
    }

    /// Takes items after the first `had` of a server's page; where that server's list goes on.
    fn take(&mut self, spec: &ServerSpec, page: &Page, mut had: usize) -> Option<Spot> {
        for raw in page.items(had).take(self.left()) {
            had = had.saturating_add(1);
            // An item without a name cannot be asked for.
            let Some(shown) = self.list.shown(&spec.name, raw) else { continue };
            if self.sent > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(&shown);
            self.sent = self.sent.saturating_add(1);
        }
        page.after(had)
    }

    fn finish(mut self, client: &Client, next: Option<&Place>) -> Bytes {
        self.text.push(b']');
        if let Some(next) = next {
            self.text.extend_from_slice(b",\"nextCursor\":");
            json::push_quoted(&mut self.text, &next.seal(client, self.list));
        }
        let meta = serde_json::json!({META_SERVER_INFO: super::server_info(client)}).to_string();
        self.text.extend_from_slice(b",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":");
        self.text.extend_from_slice(meta.as_bytes());
        self.text.push(b'}');
        self.text.into()
    }
}
