//! How the gateway hears that something it keeps has changed upstream.
//!
//! What an upstream says is heard by [`Watch`](crate::upstream::Watch), whoever asked for it. Some say it only to
//! those who subscribed, so the gateway subscribes itself, for what is kept and for nothing else: one
//! `subscriptions/listen` a connection to a modern server, `resources/subscribe` at a legacy one, nothing where the
//! server's capabilities promise nothing. A server that will not have it is left alone, and what is kept of it lives
//! by its time alone.
//!
//! Nothing here opens a connection, holds one, or wakes a server: an [`Ear`] hears for as long as others use it. When
//! it hears no more, [`Change::Lost`](crate::upstream::Change::Lost) is reported, unless another connection hears
//! the same.

mod legacy;
mod modern;
mod wishes;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use omnimind_wire::{Era, json};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use self::wishes::Wishes;
use crate::{
    session::{Sessions, interests::Interests},
    upstream::{Ear, Lease, Unasked},
};

/// A server that could not be subscribed to is not asked again this long.
const RESIGNED: Duration = Duration::from_secs(600);
/// Servers that are remembered so.
const MOST_RESIGNED: usize = 1_024;
/// Pause after a failure; doubled by each that follows.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures in a row that show that a server cannot do it.
const FAILURES: u32 = 3;
/// A server answers within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may be kept whose changes could be heard of and are not.
const UNHEARD_MS: u64 = 10_000;
/// How often is looked for wishes whose time is over.
const TIDY: Duration = Duration::from_secs(60);

/// What is to be heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// The list of tools, and what is said of all tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The lists of resources and templates.
    Resources,
    /// A resource.
    Resource(&'a str),
    /// Whatever a first-party worker answers from.
    Data,
}

/// Whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A change is heard, as of now.
    Heard,
    /// The server is being asked. A change before it has agreed is not heard.
    Opening,
    /// A change is not heard, and will not be. What is kept lives by its time alone.
    Deaf,
    /// There is no room to hear of one more resource ([`Changes::MOST_URIS`] a connection).
    Full,
}

impl Hold {
    /// How much of the time an answer is given it may be kept. A server that says what changes may let its answers
    /// live long, so what is not heard of all the same is asked for again before long.
    pub fn most_ms(self, given_ms: u64) -> u64 {
        match self {
            Self::Heard | Self::Deaf => given_ms,
            Self::Opening | Self::Full => given_ms.min(UNHEARD_MS),
        }
    }
}

/// The gateway's own subscriptions.
#[derive(Debug)]
pub struct Changes {
    kept: Mutex<HashMap<usize, Arc<Kept>>>,
    resigned: Mutex<HashMap<Arc<str>, Instant>>,
    interests: Arc<Interests>,
    /// The gateway's name and version, raw JSON.
    info: Bytes,
}

/// What is heard on one connection.
#[derive(Debug)]
struct Kept {
    ear: Ear,
    unasked: watch::Receiver<Unasked>,
    wishes: Mutex<Wishes>,
    news: Notify,
}

impl Changes {
    /// Resources that are subscribed to on one connection at most.
    pub const MOST_URIS: usize = wishes::MOST_URIS;

    /// None yet; `version` is ours.
    pub fn new(version: &str, sessions: &Sessions) -> Arc<Self> {
        let mut info = b"{\"name\":\"omnimind\",\"version\":".to_vec();
        json::push_quoted(&mut info, version);
        info.push(b'}');
        Arc::new(Self {
            kept: Mutex::default(),
            resigned: Mutex::default(),
            interests: Arc::clone(&sessions.interests),
            info: info.into(),
        })
    }

    /// Sees to it that changes of this are heard on the connection of `lease`: of lists for as long as that lasts,
    /// of a resource until `until`. Says whether they are; costs next to nothing if so. Called inside a tokio runtime.
    pub fn ensure(self: &Arc<Self>, lease: &Lease, what: What<'_>, until: Instant) -> Hold {
        if lease.is_stale() {
            return Hold::Deaf;
        }
        let Some(kept) = self.kept(lease) else { return Hold::Deaf };
        let unasked = *kept.unasked.borrow();
        let (hold, news) = kept.wishes.lock().want(what, until, unasked, Instant::now());
        if news {
            kept.news.notify_one();
        }
        hold
    }

    /// What is heard on a connection, if anything can be.
    fn kept(self: &Arc<Self>, lease: &Lease) -> Option<Arc<Kept>> {
        let mut all = self.kept.lock();
        if let Some(kept) = all.get(&lease.connection()) {
            return Some(Arc::clone(kept));
        }
        let ear = lease.ear();
        let mut wishes = Wishes::new(&ear.negotiated, ear.is_trusted());
        if self.has_resigned(ear.server()) {
            wishes.resign();
        }
        if wishes.is_hopeless() {
            return None;
        }
        let kept = Arc::new(Kept { unasked: ear.unasked(), wishes: Mutex::new(wishes), news: Notify::new(), ear });
        all.insert(kept.ear.connection(), Arc::clone(&kept));
        tokio::spawn(keep(Arc::downgrade(self), Arc::clone(&kept)));
        Some(kept)
    }

    fn has_resigned(&self, server: &str) -> bool {
        self.resigned.lock().get(server).is_some_and(|since| since.elapsed() < RESIGNED)
    }

    /// Remembers that a server cannot be subscribed to.
    fn resign(&self, kept: &Kept) {
        kept.wishes.lock().resign();
        let mut resigned = self.resigned.lock();
        if resigned.len() >= MOST_RESIGNED {
            resigned.retain(|_, since| since.elapsed() < RESIGNED);
        }
        if resigned.len() < MOST_RESIGNED {
            resigned.insert(Arc::clone(kept.ear.server()), Instant::now());
        }
    }

    /// A connection is over. What was heard there is lost, unless it is heard on another one as well.
    fn end(&self, kept: &Arc<Kept>) {
        let mut all = self.kept.lock();
        all.remove(&kept.ear.connection());
        let wishes = kept.wishes.lock();
        let covered = all.values().any(|other| kept.is_akin(other) && other.wishes.lock().covers(&wishes));
        let lost = wishes.hears() && !covered;
        drop((wishes, all));
        if lost {
            kept.ear.lost();
        }
    }
}

impl Kept {
    /// True for another connection for the same callers to the same server.
    fn is_akin(&self, other: &Self) -> bool {
        self.ear.server() == other.ear.server() && self.ear.scope() == other.ear.scope()
    }

    /// Something may have been missed: what is kept is of no use, and nothing is to be heard of it any more.
    fn miss(&self) {
        if self.wishes.lock().lose() {
            self.ear.missed();
        }
    }
}

/// Hears for as long as the connection lasts.
async fn keep(changes: Weak<Changes>, kept: Arc<Kept>) {
    {
        let Some(all) = changes.upgrade() else { return };
        let (resign, interests, info) = (changes.clone(), Arc::clone(&all.interests), all.info.clone());
        drop(all);
        let resigned = || resign.upgrade().map(|all| all.resign(&kept));
        let hearing = async {
            match kept.ear.negotiated.era {
                Era::Modern => modern::listen(&kept, &info).await,
                Era::Legacy => legacy::subscribe(&kept, &interests).await,
            }
            resigned();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = kept.ear.over() => {}
            () = hearing => {}
        }
    }
    if let Some(all) = changes.upgrade() {
        all.end(&kept);
    }
}

/// When to try again after so many failures.
fn after(failures: u32) -> Instant {
    Instant::now() + (PAUSE * 2u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}
