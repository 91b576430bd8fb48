//! Requests of programs over pools: what `omnimind.ConnectionPool` is made of.
//!
//! A [`Client`] keeps one [`Pool`] an origin and sends what it is asked to from wherever it is asked: requests run on
//! threads of this crate's own ([`engine`]), and what becomes of them is put into an [`Inbox`], where the caller finds
//! it. No request waits for its caller, and of an answer no more is read than was asked for. Answers are asked for
//! packed and come out unpacked ([`unpack`]), within bounds that no server can move.
//!
//! A fork of the process has none of these threads. So everything here knows in which process it was made ([`Native`]):
//! in another one a client begins anew, and what belongs to the old threads is neither used nor taken down.

mod answer;
mod ask;
mod engine;
mod fault;
mod gzip;
mod inbox;
mod origins;
mod unpack;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use self::{answer::Answer, engine::Native, origins::Origins};
pub use self::{
    answer::{Body, Head},
    ask::{Ask, Mistake},
    fault::{Fault, Limit},
    inbox::{Inbox, Outcome},
    unpack::Coding,
};
use crate::{
    config,
    pool::{Errand, Lane, Report, Trust, Unanswered},
};

/// The terms of a client.
#[derive(Clone)]
pub struct Settings {
    /// Connections to each origin.
    pub pool: config::Pool,
    /// Whose certificates are believed.
    pub trust: Arc<Trust>,
    /// How answers may be packed, the best first.
    pub codings: Vec<Coding>,
    /// No whole answer is kept that is larger.
    pub max_bytes: u64,
    /// No answer may unpack to more times what came.
    pub max_ratio: f64,
}

/// Requests to any origin, over connections that are kept.
pub struct Client {
    settings: Settings,
    origins: ArcSwap<Native<Origins>>,
    closed: AtomicBool,
}

impl Client {
    /// A client without connections; nothing is started yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            origins: ArcSwap::from_pointee(Native::new(Origins::default())),
            closed: AtomicBool::new(false),
        }
    }

    /// Starts a request; what becomes of it will be in the inbox under the number that this gives. With `whole` that is
    /// the answer with all its content, else its head, and a body to be read.
    ///
    /// # Errors
    /// The client is closed, or the system refused the threads: both as a fault.
    pub fn start(self: &Arc<Self>, inbox: &Arc<Inbox>, ask: Ask, whole: bool) -> Result<u64, Fault> {
        if self.closed.load(Relaxed) {
            return Err(Fault::Closed);
        }
        let engine = engine::here().map_err(|error| Fault::System(error.to_string()))?;
        let client = Arc::clone(self);
        Ok(inbox.run(&engine, async move {
            let (limit, read) = (ask.timeout, ask.timeout);
            let answered = async {
                let answer = client.send(ask).await?;
                if whole { answer.whole(client.settings.max_bytes).await } else { Ok(answer.piecemeal(read)) }
            };
            within(limit, answered).await.unwrap_or_else(Outcome::Failed)
        }))
    }

    /// Lets connections go as soon as nothing is under way on them; nothing more is sent.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        self.here().shut();
    }

    /// The pools as of now, by origin.
    pub fn report(&self) -> Vec<(String, Report)> {
        self.here().report()
    }

    async fn send(&self, ask: Ask) -> Result<Answer, Fault> {
        let unpacks = ask.unpacks;
        let bodiless = ask.is_bodiless();
        let errand = Errand { lane: Lane::Call, repeatable: ask.is_repeatable() };
        let pool = self.here().pool(&ask.origin, &self.settings)?;
        let response = pool.send(ask.request, errand).await.map_err(|unanswered| match unanswered {
            Unanswered::Full(why, retry_after) => Fault::Crowded { why, retry_after },
            Unanswered::Refused(why, wait) => Fault::Unreachable { why, retry_after: Some(wait) },
            Unanswered::Unsent(why) => Fault::Unreachable { why, retry_after: None },
            Unanswered::Lost(why) => Fault::Lost(why),
        })?;
        Ok(Answer::new(response, pool, unpacks.then_some(self.settings.max_ratio), bodiless))
    }

    /// The pools of this process. Those of a parent stay untouched, for ever: their threads are not here.
    fn here(&self) -> Arc<Native<Origins>> {
        let origins = self.origins.load_full();
        if origins.is_native() {
            return origins;
        }
        let fresh = Arc::new(Native::new(Origins::default()));
        let before = self.origins.compare_and_swap(&origins, Arc::clone(&fresh));
        if Arc::ptr_eq(&before, &origins) { fresh } else { self.origins.load_full() }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("pool", &self.settings.pool).finish_non_exhaustive()
    }
}

/// Something that may take so long.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or(Err(Fault::Late(limit))),
        None => work.await,
    }
}
