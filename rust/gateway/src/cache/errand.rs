//! What is to be done when the upstream has answered: keep the answer, and bring it to those who wait for the same.
//!
//! Whoever carries a request has an [`Errand`] with it, and lands it, fails it, or drops it: unfinished (the client
//! went away) it hands the lead to the next who waits, and ends what the call may have changed.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use omnimind_cache::{
    Entry, Key, Life,
    flight::{Landed, Leader, Waiter},
};
use omnimind_probes::cache_hit;
use omnimind_wire::{
    Era, Reason,
    error::INVALID_PARAMS,
    json::{as_str, find},
};

use super::{
    Brought, Hit, Lost, Memory, Raw, Shelf,
    ahead::PROBATION_MS,
    changes::What,
    depends::Depends,
    entry::Head,
    key::Keys,
    meaning::{self, Question},
    path::Asked,
    policy::{self, Kind, Plan},
    report::How,
};
use crate::{
    metrics::Ending,
    upstream::{Failure, Lease},
};

/// What took so long to make goes to the disk at once.
const DEAR: Duration = Duration::from_millis(20);

/// A place in the queue for an answer that is being fetched.
pub(crate) struct Waiting {
    pub(super) waiter: Waiter<(Key, u64), Brought>,
    pub(super) keeping: Keeping,
}

/// How a wait ended.
pub(crate) enum Waited {
    /// With what another brought.
    Brought(Brought),
    /// It is this one's turn.
    Go(Box<Errand>),
}

/// What is to be done with the answer to a request that goes upstream.
pub(crate) struct Errand {
    pub(super) keeping: Option<Keeping>,
    pub(super) writing: Option<Writing>,
    pub(super) stand_in: Option<Hit>,
    pub(super) busy: Option<Busy>,
    /// Its client gives it less time than others have.
    pub(super) hurried: bool,
    pub(super) since: Instant,
    /// What became of the request, for whoever asks.
    pub(crate) how: How,
}

/// The duty to keep an answer, and to bring it to those who wait.
pub(super) struct Keeping {
    pub(super) memory: Arc<Memory>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) plan: Plan,
    pub(super) keys: Keys,
    pub(super) subject: u64,
    /// The generation before the call began.
    pub(super) began: u64,
    /// The news heard before the look for an answer.
    pub(super) news: u64,
    pub(super) leader: Option<Leader<(Key, u64), Brought>>,
    /// It is a page of a list, asked for by a cursor.
    pub(super) is_page: bool,
    /// The resource it reads.
    pub(super) uri: Option<Box<str>>,
    /// The text that may be asked in other words.
    pub(super) question: Option<Question>,
    /// Nobody has asked for it yet.
    pub(super) guessed: bool,
}

/// A real call on its way: what was asked ahead makes way for it.
pub(super) struct Busy(Arc<Shelf>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A call that may change something: the generation moves before it is sent and when it is over.
pub(super) struct Writing(Arc<Shelf>);

impl Writing {
    pub(super) fn begin(shelf: &Arc<Shelf>) -> Self {
        shelf.changed();
        Self(Arc::clone(shelf))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.changed();
    }
}

impl Keeping {
    pub(super) fn new(asked: &Asked<'_>, shelf: Arc<Shelf>, plan: Plan, keys: Keys, subject: u64, began: u64) -> Self {
        let param = |key| find(asked.params, &[key]).ok().flatten();
        Self {
            memory: Arc::clone(&asked.client.caller.plane.memory),
            news: shelf.news.load(Relaxed),
            shelf,
            plan,
            keys,
            subject,
            began,
            leader: None,
            is_page: plan.kind.is_list() && param("cursor").is_some(),
            uri: if plan.kind == Kind::Resource { param("uri").and_then(as_str).map(Into::into) } else { None },
            question: None,
            guessed: false,
        }
    }

    /// What another flight brought between a look and the next take-off; `kept` counts what was kept before the look.
    pub(super) async fn landed_since(&self, kept: u64) -> Option<Hit> {
        if self.shelf.counts.kept.load(Relaxed) == kept {
            return None;
        }
        self.memory.look(&self.shelf, &self.keys).await.filter(|hit| hit.left_ms > 0)
    }

    /// Nothing has changed since the call began.
    fn holds(&self) -> bool {
        self.shelf.now(self.plan.kind.scope()) == self.began
    }

    /// Goes upstream for all who want the same.
    pub(super) fn lead(mut self, leader: Leader<(Key, u64), Brought>) -> Errand {
        if !self.guessed {
            self.shelf.counts.misses.fetch_add(1, Relaxed);
        }
        self.leader = Some(leader);
        Errand { keeping: Some(self), ..Errand::unkept(How::Missed) }
    }

    /// Keeps an answer, if it may be kept and nothing has changed since the call began. `result` is the answer as
    /// it came, `raw` what clients may see of it.
    fn keep(&self, lease: &Lease, raw: &Raw, result: &[u8], took: Duration) -> bool {
        let Some(levels) = self.memory.levels.load_full() else { return false };
        let kept = policy::judge(&self.plan, &self.shelf.spec, raw.era, result, self.memory.now_ms());
        self.shelf.note_kept(self.subject, kept.is_some());
        let Some(mut kept) = kept else { return false };
        let time_ms = kept.life.fresh_until_ms.saturating_sub(kept.life.created_ms);
        let heard_ms = self.heard_for_ms(lease, time_ms);
        kept.life = shortened(kept.life, if self.guessed { heard_ms.min(PROBATION_MS) } else { heard_ms });
        // Written between the worker's look and now, it would be old already.
        if !kept.depends.as_ref().is_none_or(Depends::holds) {
            return false;
        }
        let key = if kept.public { self.keys.public.unwrap_or(self.keys.own) } else { self.keys.own };
        let head = Head {
            era: raw.era,
            timed: kept.timed,
            scope: self.plan.kind.scope(),
            generation: self.began,
            process: self.memory.process,
            info: raw.info.clone(),
            depends: kept.depends,
        };
        let entry = Entry { life: kept.life, head: head.pack(), body: raw.result.clone() };
        if took >= DEAR {
            levels.put_through(&key, self.shelf.group, entry, self.memory.now_ms());
        } else {
            levels.put(&key, self.shelf.group, entry, self.memory.now_ms());
        }
        // A change that came meanwhile has moved the generation, so that the entry is no hit.
        let holds = self.holds();
        if holds {
            self.shelf.counts.kept.fetch_add(1, Relaxed);
            if let Some(question) = &self.question
                && let Some(answer) = meaning::said(&raw.result)
            {
                self.memory.meaning.learn(question, answer, Some((key, kept.life)));
            }
        }
        holds
    }

    /// Sees to it that a change of what is kept is heard of; how long it may be kept, as things are.
    fn heard_for_ms(&self, lease: &Lease, time_ms: u64) -> u64 {
        let what = match self.plan.kind {
            Kind::Server => return time_ms,
            Kind::Tool if self.shelf.spec.first_party => What::Data,
            Kind::Tool | Kind::Tools => What::Tools,
            Kind::Prompts => What::Prompts,
            Kind::Resources => What::Resources,
            Kind::Resource => What::Resource(self.uri.as_deref().unwrap_or_default()),
        };
        let until = tokio::time::Instant::now() + Duration::from_millis(time_ms);
        self.memory.changes.ensure(lease, what, until).most_ms(time_ms)
    }
}

impl Keeping {
    /// A cursor that is refused shows that the list is another by now: none of its pages is good any more.
    fn drop_pages(&self, failure: &Failure) {
        if self.is_page && matches!(failure, Failure::Rpc(error) if error.code == INVALID_PARAMS) {
            self.shelf.generation(self.plan.kind.scope()).advance();
        }
    }
}

/// A life of at most so many milliseconds.
fn shortened(life: Life, most_ms: u64) -> Life {
    let less_ms = life.fresh_until_ms.saturating_sub(life.created_ms).saturating_sub(most_ms);
    Life { fresh_until_ms: life.fresh_until_ms - less_ms, stale_until_ms: life.stale_until_ms - less_ms, ..life }
}

impl Waiting {
    /// Waits for what another brings, or for this one's turn.
    pub(crate) async fn landed(self) -> Waited {
        let Self { waiter, keeping } = self;
        match waiter.await {
            Landed::Shared(brought) => {
                keeping.shelf.counts.shared.fetch_add(1, Relaxed);
                if cache_hit::is_on() {
                    cache_hit::fire(Ending::Shared.cache());
                }
                Waited::Brought(brought)
            }
            Landed::Lead(leader) => {
                let shelf = Arc::clone(&keeping.shelf);
                Waited::Go(Box::new(keeping.lead(leader).real(&shelf)))
            }
            Landed::Alone => Waited::Go(Box::new(Errand::unkept(How::Missed).real(&keeping.shelf))),
        }
    }
}

impl Errand {
    /// Nothing is to be kept, and nothing changes.
    pub(super) fn unkept(how: How) -> Self {
        Self { keeping: None, writing: None, stand_in: None, busy: None, hurried: false, since: Instant::now(), how }
    }

    /// That of a real call: guesses make way.
    pub(super) fn real(mut self, shelf: &Arc<Shelf>) -> Self {
        shelf.in_flight.fetch_add(1, Relaxed);
        shelf.wanted.notify_waiters();
        self.busy = Some(Busy(Arc::clone(shelf)));
        self
    }

    /// Its client will not wait as long as others would: that it ran out of time says nothing to them.
    pub(crate) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// How long ago it set out.
    pub(crate) fn took(&self) -> Duration {
        self.since.elapsed()
    }

    /// The upstream has answered: keeps what may be kept, brings it to those who wait, and hands it back without
    /// what is between a worker and us.
    pub(crate) fn landed(&mut self, lease: &Lease, result: &Bytes) -> Raw {
        let agreed = lease.negotiated();
        let info = find(&agreed.result, &["serverInfo"]).ok().flatten();
        let info = info.map_or_else(Bytes::new, |info| agreed.result.slice_ref(info));
        let raw = Raw { era: agreed.era, info, result: policy::without_own(result) };
        // What the call may have changed is changed before its client hears of it.
        self.writing = None;
        self.busy = None;
        let Some(mut keeping) = self.keeping.take() else { return raw };
        let kept = keeping.keep(lease, &raw, result, self.since.elapsed());
        self.how = How::Fetched { kept };
        if let Some(leader) = keeping.leader.take() {
            if kept { leader.finish(Ok(raw.clone())) } else { leader.abandon() }
        }
        raw
    }

    /// The call has failed for good; `era` is the upstream's. Those who wait learn the same, unless it was only in
    /// too great a hurry, and an answer past its time stands in where the upstream could not be reached, if
    /// nothing is known to have changed.
    pub(crate) fn failed(&mut self, era: Era, failure: &Failure) -> Option<Hit> {
        let mut no_news = false;
        if let Some(mut keeping) = self.keeping.take() {
            no_news = keeping.shelf.news.load(Relaxed) == keeping.news;
            keeping.drop_pages(failure);
            let out_of_time = |reason| matches!(reason, Reason::UpstreamTimeout | Reason::Deadline);
            let late = matches!(failure, Failure::Refused(refusal) if out_of_time(refusal.reason));
            if let Some(leader) = keeping.leader.take().filter(|_| !(late && self.hurried)) {
                leader.finish(Err(Lost { era, failure: failure.clone() }));
            }
        }
        self.writing = None;
        self.stand_in.take().filter(|_| no_news && matches!(failure, Failure::Refused(_)))
    }

    /// The answer goes through to its client without ever being whole: others fetch for themselves.
    pub(crate) fn passes(&mut self) {
        (self.writing, self.busy) = (None, None);
        if let Some(mut keeping) = self.keeping.take() {
            keeping.shelf.note_kept(keeping.subject, false);
            if let Some(leader) = keeping.leader.take() {
                leader.abandon();
            }
        }
    }

    /// The call turned into a conversation: others fetch for themselves.
    pub(crate) fn converses(&mut self) {
        if let Some(leader) = self.keeping.take().and_then(|mut keeping| keeping.leader.take()) {
            leader.abandon();
        }
    }
}
