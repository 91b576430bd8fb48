//! A request's way through the memory: answered at once, waiting for another's answer, or sent on with an errand.
//!
//! Whoever carries a request asks [`begin`] first. With [`Course::Go`] comes an [`Errand`]: what is to be done when
//! the upstream has answered. Dropping it unfinished (the client went away) hands the lead to the next who
//! waits, and ends what the call may have changed.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use omnimind_cache::{
    Entry, Key, Life,
    flight::{Joined, Landed, Leader, Waiter},
};
use omnimind_wire::{
    Era, Reason, Request,
    error::INVALID_PARAMS,
    json::{as_str, find, find_checked, span_in},
};

use super::{
    Brought, Hit, Lost, Memory, Raw, Shelf,
    ahead::PROBATION_MS,
    changes::What,
    entry::Head,
    key::{self, Keys, Subject},
    meaning::{self, Meant, Question},
    policy::{self, Kind, Plan},
    report::{How, Wish},
};
use crate::{
    config::ServerSpec,
    relay::{Client, Word, heard_word, known_word, only_reads},
    upstream::{Failure, Lease},
};

/// What took so long to make goes to the disk at once.
const DEAR: Duration = Duration::from_millis(20);

/// A request on its way to a server, in that server's names.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) client: &'a Client,
    pub(crate) spec: &'a Arc<ServerSpec>,
    pub(crate) method: &'a str,
    /// Empty means absent.
    pub(crate) params: &'a Bytes,
    /// It answers questions of an earlier one.
    pub(crate) continues: bool,
    /// The message it came in, if it did: what was noted of that need not be read again.
    pub(crate) request: Option<&'a Request>,
    /// What the client said about the cache.
    pub(crate) wish: Wish,
}

impl<'a> Asked<'a> {
    /// The tool that is called, if one is.
    fn tool(&self) -> Option<Cow<'a, str>> {
        match self.method {
            "tools/call" => self.noted_tool().or_else(|| find_checked(self.params, "name")).and_then(as_str),
            _ => None,
        }
    }

    /// The tool's name as it was noted, if these are the params it was noted in.
    fn noted_tool(&self) -> Option<&'a [u8]> {
        let noted = self.request?.subject.as_deref()?;
        span_in(self.params, noted).map(|_| noted)
    }

    /// The method and the tool, as one number.
    pub(super) fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.method, self.tool()).hash(&mut hasher);
        hasher.finish()
    }

    /// What its answer depends on, with these params.
    pub(super) fn subject(&self, shelf: &'a Shelf, params: &'a Bytes, word: Option<Word>) -> Subject<'a> {
        Subject {
            server: &shelf.digest,
            spec: self.spec,
            client: self.client,
            method: self.method,
            params,
            request: self.request,
            tool: word.map_or(0, |word| word.digest),
        }
    }
}

/// What becomes of a request.
pub(crate) enum Course {
    /// It is answered.
    Hit(Hit),
    /// The same is being fetched for this principal.
    Wait(Box<Waiting>),
    /// It goes upstream.
    Go(Box<Errand>),
}

impl Course {
    fn go(errand: Errand) -> Self {
        Self::Go(Box::new(errand))
    }
}

/// A place in the queue for an answer that is being fetched.
pub(crate) struct Waiting {
    waiter: Waiter<(Key, u64), Brought>,
    keeping: Keeping,
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
    keeping: Option<Keeping>,
    writing: Option<Writing>,
    stand_in: Option<Hit>,
    busy: Option<Busy>,
    /// Its client gives it less time than others have.
    hurried: bool,
    since: Instant,
    /// What became of the request, for whoever asks.
    pub(crate) how: How,
}

/// The duty to keep an answer, and to bring it to those who wait.
struct Keeping {
    memory: Arc<Memory>,
    shelf: Arc<Shelf>,
    plan: Plan,
    keys: Keys,
    subject: u64,
    /// The generation before the call began.
    began: u64,
    /// The news heard before the look for an answer.
    news: u64,
    leader: Option<Leader<(Key, u64), Brought>>,
    /// It is a page of a list, asked for by a cursor.
    is_page: bool,
    /// The resource it reads.
    uri: Option<Box<str>>,
    /// The text that may be asked in other words.
    question: Option<Question>,
    /// Nobody has asked for it yet.
    guessed: bool,
}

/// A real call on its way: what was asked ahead makes way for it.
struct Busy(Arc<Shelf>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A call that may change something: the generation moves before it is sent and when it is over.
struct Writing(Arc<Shelf>);

impl Writing {
    fn begin(shelf: &Arc<Shelf>) -> Self {
        shelf.changed();
        Self(Arc::clone(shelf))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.changed();
    }
}

/// How the answer to a request may be kept, and under which keys; or why not.
pub(super) struct Judged {
    pub(super) shelf: Arc<Shelf>,
    pub(super) planned: Result<(Plan, Keys), &'static str>,
    /// What a trusted server says of the tool.
    pub(super) word: Option<Word>,
    /// The call may change something.
    pub(super) writes: bool,
}

/// Takes a request as far as the memory goes.
pub(crate) async fn begin(asked: Asked<'_>) -> Course {
    let memory = &asked.client.caller.plane.memory;
    let Some(Judged { shelf, planned, word, writes }) = judge(&asked).await else {
        return Course::go(Errand::unkept(How::NotKept("the server is not configured any more")));
    };
    let (plan, keys) = match planned {
        Ok(_) if asked.wish.no_store => return Course::go(Errand::unkept(How::Bypassed).real(&shelf)),
        Ok(planned) => planned,
        Err(why) => {
            let writing = writes.then(|| Writing::begin(&shelf));
            return Course::go(Errand { writing, ..Errand::unkept(How::NotKept(why)).real(&shelf) });
        }
    };
    let began = shelf.now(plan.kind.scope());
    let (kept_before, news) = (shelf.counts.kept.load(Relaxed), shelf.news.load(Relaxed));
    let found = memory.look(&shelf, &keys).await;
    let stand_in = match found {
        Some(hit) if hit.left_ms > 0 || hit.past_ms < shelf.spec.cache.stale_ms => {
            shelf.count(&hit);
            return Course::Hit(hit);
        }
        old => old,
    };
    // Apart, so that what a hit takes with it on its way is small.
    Box::pin(Miss { asked, shelf, plan, keys, word, began, kept_before, news, stand_in }.go_on()).await
}

/// A request that no exact answer was found for.
struct Miss<'a> {
    asked: Asked<'a>,
    shelf: Arc<Shelf>,
    plan: Plan,
    keys: Keys,
    word: Option<Word>,
    /// The generation before the look.
    began: u64,
    /// What was kept, and what was heard, before the look.
    kept_before: u64,
    news: u64,
    /// An answer past its time.
    stand_in: Option<Hit>,
}

impl Miss<'_> {
    /// Looks for an answer to the same in other words, joins those who fetch the same, or goes upstream.
    async fn go_on(self) -> Course {
        let Self { asked, shelf, plan, keys, word, began, kept_before, news, stand_in } = self;
        let memory = &asked.client.caller.plane.memory;
        let question = match (memory.levels.load_full(), word) {
            (Some(levels), Some(word)) if plan.kind == Kind::Tool => {
                Box::pin(memory.look_by_meaning(&asked, &shelf, &levels, word, began)).await
            }
            _ => Meant::Nothing,
        };
        let question = match question {
            Meant::Hit(hit) => return Course::Hit(hit),
            Meant::Ask(question) => Some(question),
            Meant::Nothing => None,
        };
        let subject = asked.number();
        let joins = question.is_none() && !shelf.is_never_kept(subject);
        let keeping =
            Keeping { news, question, ..Keeping::new(&asked, Arc::clone(&shelf), plan, keys, subject, began) };
        if !joins {
            shelf.counts.misses.fetch_add(1, Relaxed);
            return Course::go(Errand { keeping: Some(keeping), stand_in, ..Errand::unkept(How::Missed).real(&shelf) });
        }
        match memory.flights.join((keys.own, began)) {
            Joined::Lead(leader) => match keeping.landed_since(kept_before).await {
                Some(hit) => {
                    leader.finish(Ok(hit.raw.clone()));
                    shelf.count(&hit);
                    Course::Hit(hit)
                }
                None => Course::go(Errand { stand_in, ..keeping.lead(leader).real(&shelf) }),
            },
            Joined::Wait(waiter) => Course::Wait(Box::new(Waiting { waiter, keeping })),
        }
    }
}

/// The errand of a request that nobody waits for; none if its answer is not kept, or just being fetched. One that
/// is only guessed is none either if there is an answer, and what it brings is kept for a probation.
pub(crate) async fn ahead(asked: Asked<'_>, guessed: bool) -> Option<Errand> {
    let memory = &asked.client.caller.plane.memory;
    let Judged { shelf, planned, .. } = judge(&asked).await?;
    let (plan, keys) = planned.ok()?;
    let subject = asked.number();
    let began = shelf.now(plan.kind.scope());
    let kept_before = shelf.counts.kept.load(Relaxed);
    let found = memory.look(&shelf, &keys).await;
    if guessed && shelf.is_never_kept(subject) || found.is_some_and(|hit| guessed || hit.left_ms > 0) {
        return None;
    }
    let keeping = Keeping { guessed, ..Keeping::new(&asked, shelf, plan, keys, subject, began) };
    match memory.flights.join((keys.own, began)) {
        Joined::Lead(leader) => match keeping.landed_since(kept_before).await {
            Some(hit) => {
                leader.finish(Ok(hit.raw));
                None
            }
            None => Some(keeping.lead(leader)),
        },
        Joined::Wait(_) => None,
    }
}

/// What the memory makes of a request, without looking for an answer.
pub(super) async fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let memory = &asked.client.caller.plane.memory;
    let shelf = memory.shelf(&asked.spec.name)?;
    let tool = asked.tool();
    let word = match &tool {
        Some(tool) if asked.spec.trusts_annotations() => word(asked, &shelf, tool).await,
        _ => None,
    };
    let writes = match asked.method {
        "tools/call" => !word.is_some_and(|word| word.read_only && !word.destructive),
        method => !only_reads(method),
    };
    let planned = if memory.levels.load().is_none() {
        Err("the cache is off")
    } else if memory.is_beside() {
        Err("another gateway process answers too, until one has replaced the other")
    } else if asked.continues {
        Err("it continues an earlier request")
    } else {
        let said = tool.as_deref().zip(word);
        policy::plan(asked.spec, asked.method, said).and_then(|plan| {
            let subject = asked.subject(&shelf, asked.params, word);
            Ok((plan, key::keys(&subject).map_err(|_| "its params cannot be read")?))
        })
    };
    Some(Judged { shelf, planned, word, writes })
}

/// What a trusted server says of a tool; it is asked, if it has not said so yet.
async fn word(asked: &Asked<'_>, shelf: &Shelf, tool: &str) -> Option<Word> {
    if let Some(word) = known_word(asked.client, asked.spec, tool) {
        return Some(word);
    }
    Box::pin(asked_for_word(asked, shelf, tool)).await
}

/// Asks the server what it says of a tool, for all of this principal who want to know.
async fn asked_for_word(asked: &Asked<'_>, shelf: &Shelf, tool: &str) -> Option<Word> {
    let leader = match shelf.asking.join(Arc::clone(asked.client.principal())) {
        Joined::Lead(leader) => leader,
        Joined::Wait(waiter) => match waiter.await {
            Landed::Lead(leader) => leader,
            Landed::Shared(()) | Landed::Alone => return known_word(asked.client, asked.spec, tool),
        },
    };
    let before = shelf.catalogue.now();
    let heard = match asked.client.lease(asked.spec, "").await {
        Ok(lease) => heard_word(asked.client, asked.spec, &lease, tool).await,
        Err(_unmet) => None,
    };
    // What was said while it changed may be what was true before.
    let holds = shelf.catalogue.now() == before;
    if !holds {
        asked.client.caller.plane.memory.schemas.forget_words(&asked.spec.name);
    }
    leader.finish(());
    heard.filter(|_| holds)
}

impl Keeping {
    fn new(asked: &Asked<'_>, shelf: Arc<Shelf>, plan: Plan, keys: Keys, subject: u64, began: u64) -> Self {
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
    async fn landed_since(&self, kept: u64) -> Option<Hit> {
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
    fn lead(mut self, leader: Leader<(Key, u64), Brought>) -> Errand {
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
        if !kept.depends.as_ref().is_none_or(super::depends::Depends::holds) {
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
    fn unkept(how: How) -> Self {
        Self { keeping: None, writing: None, stand_in: None, busy: None, hurried: false, since: Instant::now(), how }
    }

    /// That of a real call: guesses make way.
    fn real(mut self, shelf: &Arc<Shelf>) -> Self {
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
            let late = matches!(failure, Failure::Refused(refusal) if refusal.reason == Reason::UpstreamTimeout);
            if let Some(leader) = keeping.leader.take().filter(|_| !(late && self.hurried)) {
                leader.finish(Err(Lost { era, failure: failure.clone() }));
            }
        }
        self.writing = None;
        self.stand_in.take().filter(|_| no_news && matches!(failure, Failure::Refused(_)))
    }

    /// The call turned into a conversation: others fetch for themselves.
    pub(crate) fn converses(&mut self) {
        if let Some(leader) = self.keeping.take().and_then(|mut keeping| keeping.leader.take()) {
            leader.abandon();
        }
    }
}
