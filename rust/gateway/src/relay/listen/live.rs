//! A feed that outlives its connection.

use std::{collections::VecDeque, time::Duration};

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::{Filter, Heard, feed::Feed};
use crate::{
    config::{Kind, Sharing},
    control::State,
    relay::{Client, Source, Target},
    upstream::{Failure, Note},
};

/// Between attempts to open a feed again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a feed is to bring: fixed, or what a session wants as of now.
#[derive(Clone)]
pub(super) enum Wanted {
    Fixed(Filter),
    OfSession(watch::Receiver<u64>),
}

impl Wanted {
    fn filter(&self, client: &Client, source: &Source) -> Filter {
        match self {
            Self::Fixed(filter) => filter.clone(),
            Self::OfSession(_) => Filter {
                tools: true,
                prompts: true,
                resources: true,
                uris: client.session.as_ref().map_or_else(Vec::new, |session| session.subscribed(&source.spec.name)),
                rest: true,
            },
        }
    }

    async fn changed(&mut self) {
        if let Self::OfSession(changes) = self
            && changes.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// A server's notifications, over as many connections as it takes.
struct Live {
    client: Client,
    source: Source,
    wanted: Wanted,
    feed: Option<Feed>,
    /// A connection broke: something may have been missed.
    gap: bool,
    pause: Duration,
    ready: VecDeque<Note>,
}

/// A server's notifications for a session, for ever.
pub(crate) fn of_session(client: Client, source: Source) -> BoxStream<'static, Heard> {
    let changes = client.session.as_ref().map(|session| session.changes());
    let wanted = changes.map_or_else(|| Wanted::Fixed(Filter::default()), Wanted::OfSession);
    live(client, source, wanted, None)
}

/// A server's notifications, for ever; `feed` is one that is open already.
pub(super) fn live(client: Client, source: Source, wanted: Wanted, feed: Option<Feed>) -> BoxStream<'static, Heard> {
    let live = Live { client, source, wanted, feed, gap: false, pause: FIRST_PAUSE, ready: VecDeque::new() };
    stream::unfold(live, |mut live| async move { Some((live.next().await, live)) }).boxed()
}

impl Live {
    async fn next(&mut self) -> Heard {
        loop {
            if let Some(note) = self.ready.pop_front() {
                return Heard::Note(note);
            }
            let Some(feed) = &mut self.feed else {
                self.open().await;
                continue;
            };
            let replaced = feed.replaced();
            let heard = tokio::select! {
                heard = feed.next() => heard,
                () = replaced => None,
                () = self.wanted.changed() => {
                    if self.wanted.filter(&self.client, &self.source) != feed.asked {
                        self.feed = None;
                    }
                    continue;
                }
            };
            match heard {
                Some(Heard::Note(note)) => self.ready.extend(renamed(&self.source, note)),
                Some(ask) => return ask,
                None => {
                    self.feed = None;
                    self.gap = true;
                }
            }
        }
    }

    /// Opens the feed, or waits for a better moment.
    async fn open(&mut self) {
        answering(&self.client, &self.source, &mut self.wanted).await;
        match Feed::open(&self.client, &self.source, &self.wanted.filter(&self.client, &self.source)).await {
            Ok(feed) => {
                self.pause = FIRST_PAUSE;
                if std::mem::take(&mut self.gap) {
                    let source = &self.source;
                    self.ready.extend(feed.filter.all_changed().into_iter().filter_map(|note| renamed(source, note)));
                }
                self.feed = Some(feed);
            }
            // The server said no: only another wish makes it say something else.
            Err(Failure::Rpc(_)) => self.wanted.changed().await,
            Err(Failure::Refused(_)) => {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Waits until a server can be asked without waking one that nobody calls.
async fn answering(client: &Client, source: &Source, wanted: &mut Wanted) {
    let fleet = &client.caller.plane.fleet;
    let mut changes = fleet.changes();
    loop {
        let up = fleet.server(&source.spec.name).is_some_and(|server| {
            matches!(server.state, State::Ready | State::Degraded)
                || matches!(source.spec.kind, Kind::Http | Kind::Unix)
        });
        // At the aggregate a child of a session's own is not started only to hear what it might say.
        let idle_own = source.spec.sessions == Sharing::Own
            && matches!(client.caller.target, Target::All)
            && client.session.as_ref().is_some_and(|session| session.held(&source.spec.name).is_none());
        if up && !idle_own {
            return;
        }
        tokio::select! {
            _ = changes.recv() => {}
            () = wanted.changed() => {}
        }
    }
}

fn renamed(source: &Source, note: Note) -> Option<Note> {
    match &source.rename {
        Some(rename) => rename.note(note),
        None => Some(note),
    }
}
