//! A request's way through the memory: answered at once, waiting for another's answer, or sent on with an errand.
//!
//! Whoever carries a request asks [`begin`] first. With [`Course::Go`] comes an [`Errand`]: what is to be done when
//! the upstream has answered.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use omnimind_cache::flight::{Joined, Landed};
use omnimind_probes::cache_hit;
use omnimind_wire::{
    Request,
    json::{as_str, find_checked, span_in},
};

use super::{
    Hit, Shelf,
    errand::{Errand, Keeping, Waiting, Writing},
    key::{self, Keys, Subject},
    meaning::Meant,
    policy::{self, Kind, Plan},
    report::{How, Wish},
};
use crate::{
    compress,
    config::ServerSpec,
    metrics::Ending,
    relay::{Client, Word, heard_word, known_word, only_reads},
};

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
    let known = memory.known();
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
            // What is told in other words is not sent on as it is kept.
            if !compress::may_be(asked.client, asked.spec) {
                memory.note(known, &asked, &shelf, keys, &hit);
            }
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
            Meant::Hit(hit) => {
                if cache_hit::is_on() {
                    cache_hit::fire(Ending::of(&hit).cache());
                }
                return Course::Hit(hit);
            }
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
