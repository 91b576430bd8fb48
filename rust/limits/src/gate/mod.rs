//! A rate and a number of calls at once, joined for callers that would rather wait than be refused.
//!
//! A pure machine beside an [`Admission`]. A call first passes the rates: at once, or in the line before the bucket that
//! refused it (`lines.rs`). Then it asks for one of the permits, if their number is limited: at once, or in the queue of
//! a [`Limiter`]. Every step says what became of the call it is about, and adds what it means for others as [`Word`]s.
//! [`Gate::next_wake`] says when to call [`Gate::tick`] if nothing else happens.
//!
//! The rules:
//! - **Who waits is not overtaken** by one who comes to wait later, unless that one is more urgent, or of a tenant that has
//!   had less. Who only tries ([`Admission::admit`]) stands in no line, and may come between.
//! - **A ticket is answered once**, or leaves: what is answered is no longer known here.
//! - **Permits are exact**, as the [`Limiter`]'s are. What was taken of a rate is not given back.

mod lines;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use self::lines::{Lines, Passed, Waiting};
use crate::concurrency::{Outcome, Policy, ToolClass};
use crate::limiter::{Arrived as Entered, Event, Limiter, Live, PermitId};
use crate::queue::{Call, Class, Reason, Refused, WaitId};
use crate::quota::Cost;
use crate::rate::{Admission, Quotas, RateRefusal, Scope};
use crate::refusal::Refusal;

/// Callers say how long they wait.
const AS_LONG_AS_ASKED: u64 = u64::MAX;

/// Who asks for what, and until when.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who asks.
    pub tenant: Arc<str>,
    /// The server asked.
    pub server: Arc<str>,
    /// The tool called on it.
    pub tool: Arc<str>,
    /// The rates it must pass.
    pub quotas: Quotas,
    /// What it takes of each.
    pub cost: Cost,
    /// How urgent it is beside others of its tenant.
    pub class: Class,
    /// Until then it waits, in nanoseconds of the clock that all steps are told.
    pub deadline_ns: u64,
}

/// The buckets beside the gate.
#[derive(Clone, Copy, Debug)]
pub struct Rates<'a> {
    /// The buckets.
    pub buckets: &'a Admission,
    /// How fast they fill at the moment: 1 is as the quotas say.
    pub pace: f64,
}

/// The name of a call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Where a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before a bucket.
    Rate(Scope),
    /// Before the permits.
    Concurrency,
}

/// What became of a call in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// It may go, with a permit to be given back if their number is limited.
    Go(Option<PermitId>),
    /// It may not.
    No(Place, Refused),
}

/// What became of a call that came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrived {
    /// It need not wait.
    Answered(Answer),
    /// A [`Word`] will tell.
    Waits(Ticket),
    /// It costs more than a full bucket holds: no wait will help.
    TooLarge {
        /// The most a call may cost.
        burst: f64,
    },
}

/// The answer to a call that waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// The name it waited under.
    pub ticket: Ticket,
    /// What became of it.
    pub answer: Answer,
}

/// Calls that wait for rates and permits. See the module.
#[derive(Debug)]
pub struct Gate {
    lines: Lines,
    limiter: Option<Limiter<Arc<str>, Ticket>>,
    /// Where each ticket waits.
    spots: HashMap<Ticket, Spot>,
    events: Vec<Event<Ticket>>,
    next: u64,
}

#[derive(Debug)]
enum Spot {
    Line(lines::Stand),
    Limiter(WaitId),
}

impl Gate {
    /// A gate that lets never more than `most_waiting` calls wait before one bucket, or for permits; how many of
    /// these there are `policy` decides, or nobody.
    pub fn new(policy: Option<Box<dyn Policy>>, most_waiting: usize) -> Self {
        Self {
            lines: Lines::new(most_waiting),
            limiter: policy.map(|policy| Limiter::with_patience(policy, most_waiting, AS_LONG_AS_ASKED)),
            spots: HashMap::new(),
            events: Vec::new(),
            next: 0,
        }
    }

    /// A call came.
    pub fn arrive(&mut self, rates: Rates<'_>, ask: Ask, now_ns: u64, words: &mut Vec<Word>) -> Arrived {
        self.tick(rates, now_ns, words);
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        let waiting = Waiting { ask, ticket };
        let (scope, ready_ns) = match self.lines.standing(&waiting.ask) {
            Some(standing) => standing,
            None => match waiting.ask.take(rates, now_ns) {
                Ok(()) => {
                    let answer = self.enter(&waiting, now_ns);
                    self.hear(words);
                    return answer.map_or(Arrived::Waits(ticket), Arrived::Answered);
                }
                Err(RateRefusal { refusal: Refusal::TooLarge { burst }, .. }) => return Arrived::TooLarge { burst },
                Err(RateRefusal { scope, refusal: Refusal::TooSoon { retry_after } }) => {
                    (scope, now_ns.saturating_add(lines::whole_ns(retry_after)))
                }
            },
        };
        match self.line_up(rates, scope, ready_ns, waiting, now_ns, words) {
            Some(no) => Arrived::Answered(no),
            None => Arrived::Waits(ticket),
        }
    }

    /// A call is no longer wanted. False if it does not wait: it was answered before.
    pub fn left(&mut self, ticket: Ticket) -> bool {
        match self.spots.remove(&ticket) {
            Some(Spot::Line(stand)) => self.lines.leave(&stand),
            Some(Spot::Limiter(id)) => self.limiter.as_mut().is_some_and(|limiter| limiter.left(id).is_some()),
            None => false,
        }
    }

    /// A call with a permit is over: answered or dropped, or cancelled where there is no `outcome`. False if the permit
    /// was given back before.
    pub fn ended(&mut self, permit: PermitId, outcome: Option<Outcome>, now_ns: u64, words: &mut Vec<Word>) -> bool {
        let Some(limiter) = &mut self.limiter else { return false };
        let known = match outcome {
            Some(outcome) => limiter.finished(permit, outcome, now_ns, &mut self.events),
            None => limiter.cancelled(permit, now_ns, &mut self.events),
        };
        self.hear(words);
        known
    }

    /// Ends what has waited in vain, and lets in whoever may go in.
    pub fn tick(&mut self, rates: Rates<'_>, now_ns: u64, words: &mut Vec<Word>) {
        if let Some(limiter) = &mut self.limiter {
            limiter.tick(now_ns, &mut self.events);
        }
        for passed in self.lines.due(rates, now_ns) {
            match passed {
                Passed::Through(waiting) => {
                    self.spots.remove(&waiting.ticket);
                    if let Some(answer) = self.enter(&waiting, now_ns) {
                        words.push(Word { ticket: waiting.ticket, answer });
                    }
                }
                Passed::Expired(ticket, scope, refused) => self.refuse(ticket, scope, refused, words),
                Passed::Moved(waiting, scope, ready_ns) => {
                    let ticket = waiting.ticket;
                    if let Some(answer) = self.line_up(rates, scope, ready_ns, waiting, now_ns, words) {
                        self.spots.remove(&ticket);
                        words.push(Word { ticket, answer });
                    }
                }
            }
        }
        self.hear(words);
    }

    /// When to call [`Gate::tick`], if nothing else happens.
    pub fn next_wake(&self) -> Option<u64> {
        let limiter = self.limiter.as_ref().and_then(Limiter::next_wake);
        [self.lines.next_wake(), limiter].into_iter().flatten().min()
    }

    /// How many wait for a rate, by class, most urgent first.
    pub fn waiting(&self) -> [usize; 4] {
        self.lines.lengths()
    }

    /// The permits and the queue before them, if their number is limited.
    pub fn permits(&self) -> Option<Live> {
        self.limiter.as_ref().map(Limiter::live)
    }

    /// Puts a call into the line before a bucket; the refusal, if it would stand there in vain.
    fn line_up(
        &mut self,
        rates: Rates<'_>,
        scope: Scope,
        ready_ns: u64,
        waiting: Waiting,
        now_ns: u64,
        words: &mut Vec<Word>,
    ) -> Option<Answer> {
        let ticket = waiting.ticket;
        let mut evicted = Vec::new();
        let joined = self.lines.join(rates, scope, ready_ns, waiting, now_ns, &mut evicted);
        for (ticket, refused) in evicted {
            self.refuse(ticket, scope, refused, words);
        }
        match joined {
            Ok(stand) => {
                self.spots.insert(ticket, Spot::Line(stand));
                None
            }
            Err(refused) => Some(Answer::No(Place::Rate(scope), refused)),
        }
    }

    /// Asks for a permit; nothing if the call waits for one.
    fn enter(&mut self, waiting: &Waiting, now_ns: u64) -> Option<Answer> {
        let Waiting { ask, ticket } = waiting;
        let Some(limiter) = &mut self.limiter else { return Some(Answer::Go(None)) };
        // Who asks for now or never has a deadline of now, and may have what is free.
        let deadline_ns = ask.deadline_ns.max(now_ns.saturating_add(1));
        let call = Call { tenant: Arc::clone(&ask.tenant), weight: 1, class: ask.class, deadline_ns };
        match limiter.arrive(&call, tool_class(&ask.tool), *ticket, now_ns, &mut self.events) {
            Entered::Started(permit, _) => Some(Answer::Go(Some(permit))),
            Entered::Refused(refused, _) => Some(Answer::No(Place::Concurrency, refused)),
            Entered::Queued(id) if ask.deadline_ns <= now_ns => {
                limiter.left(id);
                Some(Answer::No(Place::Concurrency, Refused::new(Reason::Deadline, limiter.live().service_ns)))
            }
            Entered::Queued(id) => {
                self.spots.insert(*ticket, Spot::Limiter(id));
                None
            }
        }
    }

    /// Passes on what the limiter said of others.
    fn hear(&mut self, words: &mut Vec<Word>) {
        for event in self.events.drain(..) {
            let (ticket, answer) = match event {
                Event::Started { permit, payload, .. } => (payload, Answer::Go(Some(permit))),
                Event::Gone(gone) => (gone.payload, Answer::No(Place::Concurrency, gone.refused)),
            };
            self.spots.remove(&ticket);
            words.push(Word { ticket, answer });
        }
    }

    fn refuse(&mut self, ticket: Ticket, scope: Scope, refused: Refused, words: &mut Vec<Word>) {
        self.spots.remove(&ticket);
        words.push(Word { ticket, answer: Answer::No(Place::Rate(scope), refused) });
    }
}

/// One of 256: two tools that fall together share a baseline, and no more than that.
fn tool_class(tool: &str) -> ToolClass {
    let mut digest = DefaultHasher::new();
    tool.hash(&mut digest);
    let [class, ..] = digest.finish().to_le_bytes();
    ToolClass(class)
}
