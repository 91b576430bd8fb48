//! What is under the lock of a gate: the limiter, the places of those who wait, the books.
//!
//! Guesses hold nothing that is wanted: what is asked ahead takes a permit only while nobody waits and half of them are
//! free, and loses it in the very step in which a call would have to wait.

use std::{collections::HashMap, sync::Arc};

use omnimind_limits::{
    concurrency::{Aimd, Bounds, Fixed, Gradient, Outcome, Policy, ToolClass},
    limiter::{Arrived, Event, Limiter, Live, PermitId},
    queue::{Call, WaitId},
};
use tokio::sync::{Notify, oneshot};

use super::{
    gate::{Comer, Gate, Turn},
    ledger::Ledger,
    permit::{Permit, Spare},
};
use crate::config::{ConcurrencyPolicy, ServerLimits};

/// A server whose calls take less than so many times what they take at ease is not braked: it is not what the machine
/// suffers from, and its callers would only wait longer. The gradient itself settles at 1.4 where it lets twelve calls in,
/// and at 2 where it lets four.
pub(super) const SLOWED: f64 = 2.0;
/// Not before somebody says so.
pub(super) const NEVER: u64 = u64::MAX;

/// How a call that held a permit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The server did its work, or failed to.
    Finished(Outcome),
    /// Nothing of it is left at the server, and nothing was learned.
    Cancelled,
    /// It never came to the server, and takes another turn.
    Unused,
    /// It was given up, and the server may go on.
    Abandoned,
    /// Its time was over.
    Late,
}

/// What became of one who came.
pub(super) enum Arrival {
    /// It knows already.
    Told(Turn),
    /// It will be told.
    Waits(WaitId, oneshot::Receiver<Turn>),
}

/// A look at the gate.
pub(super) struct View {
    pub(super) live: Live,
    pub(super) policy: ConcurrencyPolicy,
    pub(super) ledger: Ledger,
}

/// What is under the lock.
pub(super) struct State {
    limiter: Limiter<Arc<str>, ()>,
    waiting: HashMap<WaitId, Seat>,
    spares: Vec<(PermitId, Arc<Notify>)>,
    /// Kept from step to step for its memory.
    events: Vec<Event<()>>,
    /// When the timer will look.
    looks_ns: u64,
    limits: ServerLimits,
    ledger: Ledger,
}

/// The place of one who waits.
pub(super) struct Seat {
    turn: oneshot::Sender<Turn>,
    kind: ToolClass,
}

impl State {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            limiter: Limiter::new(policy(&limits), limits.queue),
            waiting: HashMap::new(),
            spares: Vec::new(),
            events: Vec::new(),
            looks_ns: NEVER,
            limits,
            ledger: Ledger::default(),
        }
    }

    pub(super) fn configure(&mut self, limits: &ServerLimits, now_ns: u64) {
        let old = std::mem::replace(&mut self.limits, limits.clone());
        let said = |limits: &ServerLimits| (limits.policy, limits.start, limits.min, limits.max, limits.queue);
        if said(&old) != said(limits) {
            self.limiter.set_policy(policy(limits), limits.queue, now_ns, &mut self.events);
        }
    }

    pub(super) fn arrive(&mut self, gate: &Arc<Gate>, comer: &Comer, deadline_ns: u64, now_ns: u64) -> Arrival {
        match self.limiter.arrive(&call(comer, deadline_ns), comer.kind, (), now_ns, &mut self.events) {
            Arrived::Started(id, ()) => {
                self.ledger.started(0, now_ns);
                Arrival::Told(Ok(Permit::new(Arc::clone(gate), id, comer.kind, now_ns, Some(0))))
            }
            Arrived::Refused(refused, ()) => {
                self.ledger.refused(refused.reason);
                Arrival::Told(Err(refused))
            }
            Arrived::Queued(id) => {
                let (sender, turn) = oneshot::channel();
                self.waiting.insert(id, Seat { turn: sender, kind: comer.kind });
                self.overtake(now_ns);
                Arrival::Waits(id, turn)
            }
        }
    }

    /// One who waited is no longer there. Its place is dropped elsewhere.
    pub(super) fn left(&mut self, id: WaitId) -> Option<Seat> {
        self.limiter.left(id);
        self.waiting.remove(&id)
    }

    pub(super) fn spare(&mut self, gate: &Arc<Gate>, comer: &Comer, deadline_ns: u64, now_ns: u64) -> Option<Spare> {
        let live = self.limiter.live();
        if live.waiting.iter().any(|count| *count > 0) || live.in_flight.saturating_mul(2) >= live.usable {
            return None;
        }
        let id = match self.limiter.arrive(&call(comer, deadline_ns), comer.kind, (), now_ns, &mut self.events) {
            Arrived::Started(id, ()) => id,
            Arrived::Refused(..) => return None,
            Arrived::Queued(id) => return self.limiter.left(id).and(None),
        };
        let overtaken = Arc::new(Notify::new());
        self.spares.push((id, Arc::clone(&overtaken)));
        Some(Spare { permit: Permit::new(Arc::clone(gate), id, comer.kind, now_ns, None), overtaken })
    }

    /// Takes the permits of all that is only guessed.
    fn overtake(&mut self, now_ns: u64) {
        for (id, told) in self.spares.drain(..) {
            self.limiter.cancelled(id, now_ns, &mut self.events);
            told.notify_one();
        }
    }

    /// Takes of the limit what is more than `share`, but nothing of what the server needs for what it does now: calls that
    /// take twice as long as at ease would be as many a second if there were half of them.
    pub(super) fn brake(&mut self, share: f64, now_ns: u64) {
        let live = self.limiter.live();
        let least = f64::from(self.limits.min) / f64::from(live.limit.max(1));
        let needed = live.stretch.map_or(0.0, |stretch| if stretch < SLOWED { 1.0 } else { 1.0 / stretch });
        let left = share.max(least).max(needed).min(1.0);
        self.limiter.set_brake(left, now_ns, &mut self.events);
    }

    /// Counts what a call waited, once it is known that it was its last wait: what a scraper has seen is not taken back.
    pub(super) fn waited(&mut self, waited_ns: Option<u64>, end: End) {
        if let (Some(ns), true) = (waited_ns, end != End::Unused) {
            self.ledger.waits.add(ns);
        }
    }

    pub(super) fn end(&mut self, id: PermitId, kind: ToolClass, since_ns: u64, end: End, now_ns: u64) -> bool {
        if !self.spares.is_empty() {
            self.spares.retain(|(spare, _)| *spare != id);
        }
        let took_ns = now_ns.saturating_sub(since_ns);
        let end = match end {
            // Who leaves much less time than such a call takes has learned nothing of the server.
            End::Late if took_ns < self.limiter.expected_ns(kind) / 2 => End::Abandoned,
            End::Late => End::Finished(Outcome::Dropped),
            end => end,
        };
        match end {
            End::Finished(outcome) => {
                if self.limiter.finished(id, outcome, now_ns, &mut self.events) {
                    self.ledger.finished(took_ns, outcome, now_ns);
                }
                false
            }
            End::Abandoned => self.limiter.abandoned(id, now_ns, &mut self.events),
            End::Cancelled | End::Unused | End::Late => {
                self.ledger.started = self.ledger.started.saturating_sub(u64::from(end == End::Unused));
                self.limiter.cancelled(id, now_ns, &mut self.events);
                false
            }
        }
    }

    pub(super) fn rest(&mut self, id: PermitId, now_ns: u64) {
        self.limiter.finished(id, Outcome::Ok, now_ns, &mut self.events);
    }

    pub(super) fn view(&mut self, now_ns: u64) -> View {
        self.ledger.recent.at(now_ns);
        View { live: self.limiter.live(), policy: self.limits.policy, ledger: self.ledger.clone() }
    }

    /// Looks at those whose time is over; when to look again.
    pub(super) fn tick(&mut self, now_ns: u64) -> u64 {
        self.limiter.tick(now_ns, &mut self.events);
        self.looks_ns = self.limiter.next_wake().unwrap_or(NEVER);
        self.looks_ns
    }

    /// True if the timer must look sooner than it means to.
    pub(super) fn wakes_sooner(&mut self) -> bool {
        let wakes_ns = self.limiter.next_wake().unwrap_or(NEVER);
        let sooner = wakes_ns < self.looks_ns;
        self.looks_ns = self.looks_ns.min(wakes_ns);
        sooner
    }

    /// Whose turn it is after a step, and what they are told.
    pub(super) fn settle(&mut self, gate: &Arc<Gate>, now_ns: u64) -> Vec<(Option<Seat>, Turn)> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let mut events = std::mem::take(&mut self.events);
        let mut due = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            match event {
                Event::Started { permit, id, waited_ns, .. } => {
                    self.ledger.started(waited_ns, now_ns);
                    let seat = self.waiting.remove(&id);
                    let kind = seat.as_ref().map_or_else(ToolClass::default, |seat| seat.kind);
                    due.push((seat, Ok(Permit::new(Arc::clone(gate), permit, kind, now_ns, Some(waited_ns)))));
                }
                Event::Gone(gone) => {
                    self.ledger.refused(gone.refused.reason);
                    due.push((self.waiting.remove(&gone.id), Err(gone.refused)));
                }
            }
        }
        self.events = events;
        due
    }
}

impl Seat {
    /// Tells who sits here; what it does not hear comes back.
    pub(super) fn send(self, turn: Turn) -> Result<(), Turn> {
        self.turn.send(turn)
    }
}

fn call(comer: &Comer, deadline_ns: u64) -> Call<Arc<str>> {
    Call { tenant: Arc::clone(&comer.tenant), weight: 1, class: comer.class, deadline_ns }
}

fn policy(limits: &ServerLimits) -> Box<dyn Policy> {
    let bounds = Bounds { start: limits.start, min: limits.min, max: limits.max };
    match limits.policy {
        ConcurrencyPolicy::Gradient => Box::new(Gradient::new(bounds)),
        ConcurrencyPolicy::Aimd => Box::new(Aimd::new(bounds)),
        ConcurrencyPolicy::Fixed => Box::new(Fixed::new(limits.start)),
    }
}
