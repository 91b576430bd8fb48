//! Asking servers for their parts of a list.
//!
//! Each list is asked for afresh, of all servers at once that may be needed for the page, and of each only as many
//! items as are needed; what a server said last stands in while it is slow or gone. A server that missed the
//! patience of one list is not waited for again until its answer has come or half a minute is over, so a hanging
//! server costs one client one wait; a child that has to be started for a principal first gets longer, or the first
//! list of a new principal would lack its tools. Dropping a part cancels what it asks.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use omnimind_wire::{Reason, Refusal, json};
use tokio::{task::JoinHandle, time::timeout};

use super::{list::List, page::Page, rests::UNUSED, shelves::Late};
use crate::{
    cache::Seen,
    config::{Kind, ServerSpec},
    control::State,
    relay::{Client, Source, ask},
    upstream::{Failure, ServerView},
};

/// How long a list waits for a connection to a server, which may mean the start of a child.
const MEETING: Duration = Duration::from_secs(5);
/// And then for the server's answer.
pub(super) const PATIENCE: Duration = Duration::from_millis(1_500);
/// A server that has too much to do is not asked again sooner.
const LEAST_WAIT: Duration = Duration::from_millis(50);
/// Pages asked of one server for one of ours.
pub(super) const MOST_PAGES: usize = 64;

/// The servers that are up or will soon be, in the order of the configuration.
pub(super) fn present(client: &Client) -> Vec<ServerView> {
    let views = client.caller.plane.fleet.servers().into_iter();
    views.filter(|view| is_up(view) || is_coming(view)).collect()
}

fn is_up(view: &ServerView) -> bool {
    matches!(view.state, State::Ready | State::Degraded) || matches!(view.spec.kind, Kind::Http | Kind::Unix)
}

/// A server that will soon be up again, or for the first time since this gateway began: a list without its part
/// would tell clients that its tools are gone.
fn is_coming(view: &ServerView) -> bool {
    let soon = |ms| ms < MEETING.as_millis().try_into().unwrap_or(u64::MAX);
    view.state == State::Starting || view.state == State::Backoff && view.retry_after_ms.is_none_or(soon)
}

/// The parts of several servers, one after the other. Those that are asked at once are as many as the page may need,
/// by what they had last.
pub(super) struct Parts {
    client: Client,
    list: List,
    waiting: VecDeque<ServerView>,
    asked: VecDeque<(Arc<ServerSpec>, Asking)>,
}

impl Parts {
    pub(super) fn new(client: &Client, list: List, servers: Vec<ServerView>) -> Self {
        Self { client: client.clone(), list, waiting: servers.into(), asked: VecDeque::new() }
    }

    /// The server whose part comes next.
    pub(super) fn following(&self) -> Option<&Arc<ServerSpec>> {
        self.asked.front().map(|(spec, _)| spec).or(self.waiting.front().map(|view| &view.spec))
    }

    /// The next server and what it says of its list, from the beginning, of which so many items are wanted.
    pub(super) async fn next(&mut self, wanted: usize) -> Option<(Arc<ServerSpec>, Arc<[Page]>)> {
        if self.asked.is_empty() {
            self.ask(wanted);
        }
        let (spec, mut asking) = self.asked.pop_front()?;
        let pages = (&mut asking.0).await.unwrap_or_default();
        Some((spec, pages))
    }

    fn ask(&mut self, mut wanted: usize) {
        while wanted > 0
            && let Some(view) = self.waiting.pop_front()
        {
            let spec = view.spec.clone();
            let (last, _) = self.client.caller.plane.shelves.last(&self.client, self.list, &spec.name);
            let part = part(self.client.clone(), self.list, view, wanted);
            self.asked.push_back((spec, Asking(tokio::spawn(part))));
            wanted = wanted.saturating_sub(last.iter().flat_map(|pages| pages.iter()).map(Page::len).sum());
        }
    }
}

/// A part that is being asked for. Dropping it ends that.
struct Asking(JoinHandle<Arc<[Page]>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server's list from the beginning, until so many items are there or it ends; without an answer in time, what it
/// said last.
pub(super) async fn part(client: Client, list: List, view: ServerView, wanted: usize) -> Arc<[Page]> {
    let up = is_up(&view);
    let spec = view.spec;
    let shelves = &client.caller.plane.shelves;
    let (last, late) = shelves.last(&client, list, &spec.name);
    let skipped = late == Some(Late::Up) || late == Some(Late::Coming) && !up;
    if skipped || !up && last.is_some() {
        return last.unwrap_or_default();
    }
    let mut reading = Box::pin(read(client.clone(), list, spec.clone(), wanted));
    tokio::select! {
        biased;
        pages = &mut reading => {
            pages.map(|pages| shelves.remember(&client, list, &spec.name, pages)).or(last).unwrap_or_default()
        }
        () = patience(&client, &spec) => {
            // One waits for it, whoever else may want it.
            if shelves.mark_late(&client, list, &spec.name, if up { Late::Up } else { Late::Coming }) {
                tokio::spawn(wait_for(client.clone(), list, spec, reading));
            }
            last.unwrap_or_default()
        }
    }
}

/// As long as a list waits for a server.
async fn patience(client: &Client, spec: &Arc<ServerSpec>) {
    if let Ok(Ok(_met)) = timeout(MEETING, client.lease(spec, "")).await {
        tokio::time::sleep(PATIENCE).await;
    }
}

/// Takes a slow server's part when it comes, and says that the list changed if it did.
async fn wait_for(
    client: Client,
    list: List,
    spec: Arc<ServerSpec>,
    reading: impl Future<Output = Option<Vec<Page>>> + Send,
) {
    let pages = timeout(UNUSED, reading).await.ok().flatten();
    let shelves = &client.caller.plane.shelves;
    let Some(pages) = pages else { return shelves.never_came(&client, list, &spec.name) };
    let (before, _) = shelves.last(&client, list, &spec.name);
    let pages = shelves.remember(&client, list, &spec.name, pages);
    if before.is_none_or(|before| !are_alike(&before, &pages)) {
        shelves.tell_late(list);
    }
}

/// The same items, as far as both go; and where one ends, so does the other.
fn are_alike(one: &[Page], other: &[Page]) -> bool {
    let items = |pages: &[Page]| pages.iter().map(Page::len).sum::<usize>();
    let is_whole = |pages: &[Page]| pages.last().is_none_or(Page::is_last);
    let ends_too = match items(one).cmp(&items(other)) {
        std::cmp::Ordering::Less => !is_whole(one),
        std::cmp::Ordering::Equal => is_whole(one) == is_whole(other),
        std::cmp::Ordering::Greater => !is_whole(other),
    };
    let items = |pages| <[Page]>::iter(pages).flat_map(|page| page.items(0));
    ends_too && items(one).zip(items(other)).all(|(one, other)| one == other)
}

/// A server without such a list has an empty one; none means that it could not be asked.
async fn read(client: Client, list: List, spec: Arc<ServerSpec>, wanted: usize) -> Option<Vec<Page>> {
    let mut pages = Vec::new();
    loop {
        match read_on(&client, list, &spec, wanted, &mut pages).await {
            Ok(()) | Err(Failure::Rpc(_)) => return Some(pages),
            // A server that has too much to do is a slow one: how long it is waited for is not for us to say.
            Err(Failure::Refused(Refusal { reason: Reason::Overloaded, retry_after_ms: Some(wait_ms), .. })) => {
                tokio::time::sleep(Duration::from_millis(wait_ms).max(LEAST_WAIT)).await;
            }
            Err(Failure::Refused(_)) => return None,
        }
    }
}

/// Reads on behind the pages that are there, until so many items are or the list ends.
///
/// # Errors
/// The server could not be asked; the pages before that are there.
pub(super) async fn read_on(
    client: &Client,
    list: List,
    spec: &Arc<ServerSpec>,
    wanted: usize,
    pages: &mut Vec<Page>,
) -> Result<(), Failure> {
    let mut items: usize = pages.iter().map(Page::len).sum();
    while pages.len() < MOST_PAGES && items < wanted {
        let cursor = pages.last().and_then(Page::next).cloned();
        let page = fetch(client, list, spec, cursor).await?;
        items = items.saturating_add(page.len());
        let is_last = page.is_last();
        pages.push(page);
        if is_last {
            break;
        }
    }
    Ok(())
}

/// One page of a server's list.
///
/// # Errors
/// The server has no such page, or could not be asked.
pub(super) async fn fetch(
    client: &Client,
    list: List,
    spec: &Arc<ServerSpec>,
    cursor: Option<Arc<str>>,
) -> Result<Page, Failure> {
    let source = Source { spec: spec.clone(), rename: None };
    let mut params = b"{".to_vec();
    if let Some(cursor) = &cursor {
        params.extend_from_slice(b"\"cursor\":");
        json::push_quoted(&mut params, cursor);
    }
    params.push(b'}');
    let params = Bytes::from(params);
    let since = Instant::now();
    let (result, cached) = ask::bring(client, &source, list.method(), &params).await?;
    let page = Page::read(list, cursor, &result);
    if page.next().is_some() {
        // The next one may be foretold of it.
        let (method, took) = (list.method().into(), since.elapsed());
        let spec = source.spec;
        client.caller.plane.memory.saw(|| Seen { client: client.clone(), spec, method, params, result, took, cached });
    }
    Ok(page)
}
