//! One page of a merged list: read from the servers one after the other, no further than it goes.
//!
//! The servers stand in the order of the configuration, so that the same servers give the same list. One that
//! cannot be asked is left out of the page that would begin with it, or shown as last seen; one that fails in the
//! middle of its part, where the page asked for begins, fails that page, so that nobody takes half a list for the
//! whole. Then the same cursor may be asked again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use omnimind_wire::{Reason, Refusal, error};
use tokio::time::timeout;

use super::{
    list::List,
    page::{Page, Spot},
    parts::{MOST_PAGES, PATIENCE, Parts, fetch, present},
    place::{self, Place},
    rests::Key,
    told::Form,
};
use crate::{config::ServerSpec, relay::Client, upstream::Failure};

/// The page that a cursor leads to, of at most so many items in a form, and where it goes on.
///
/// # Errors
/// The cursor's server is gone, does not know its own cursor any more, or cannot be asked.
pub(super) async fn page(
    client: &Client,
    list: List,
    from: Option<Place>,
    form: Form,
    room: usize,
) -> Result<(Vec<Bytes>, Option<Place>), Failure> {
    let mut draft = Draft { list, form, room, items: Vec::new() };
    let mut servers = present(client);
    if let Some(Place { server, spot }) = from {
        let snapshot = client.caller.plane.snapshot.load();
        let place = |name: &str| snapshot.servers.iter().position(|spec| spec.name == name);
        let at = place(&server).ok_or_else(|| place::refused(&format!("{server} is not configured any more")))?;
        servers.retain(|view| place(&view.spec.name) >= Some(at));
        if !spot.is_start() {
            servers.retain(|view| view.spec.name != server);
            let Some(spec) = snapshot.servers.get(at).cloned() else { return Ok((draft.items, None)) };
            drop(snapshot);
            let next = match go_on(client, &spec, spot, None, &mut draft).await {
                Ok(next) => next,
                Err((_, failure)) if draft.items.is_empty() => return Err(failed(&spec, failure)),
                Err((spot, _)) => Some(spot),
            };
            if let Some(spot) = next {
                return Ok((draft.items, Some(Place { server, spot })));
            }
        }
    }
    let mut parts = Parts::new(client, list, servers);
    while let Some(spec) = parts.following().cloned() {
        if draft.left() == 0 {
            let start = Place { server: spec.name.clone(), spot: Spot::default() };
            return Ok((draft.items, Some(start)));
        }
        let Some((spec, pages)) = parts.next(draft.left()).await else { break };
        if let Some(spot) = begin(client, &spec, &pages, &mut draft).await {
            return Ok((draft.items, Some(Place { server: spec.name.clone(), spot })));
        }
    }
    Ok((draft.items, None))
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
    let (list, before) = (draft.list, draft.items.len());
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
    Ok((draft.items.len() > before).then_some(spot))
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
    form: Form,
    room: usize,
    items: Vec<Bytes>,
}

impl Draft {
    /// How many more items it takes.
    fn left(&self) -> usize {
        self.room.saturating_sub(self.items.len())
    }

    /// Takes items after the first `had` of a server's page; where that server's list goes on.
    fn take(&mut self, spec: &ServerSpec, page: &Page, mut had: usize) -> Option<Spot> {
        for (raw, told) in page.told(self.form, had).take(self.left()) {
            had = had.saturating_add(1);
            // An item without a name cannot be asked for.
            self.items.extend(self.list.shown(&spec.name, raw, told, self.form));
        }
        page.after(had)
    }
}
