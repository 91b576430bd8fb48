//! Those who meet in the arena: each policy with our queue, and some of them as others have them, for contrast.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use omnimind_limits::concurrency::{Aimd, Bounds, Fixed, Gradient, Outcome, Policy, Sample};
use omnimind_limits::limiter::{Arrived, Event, Limiter, PermitId};
use omnimind_limits::queue::{Call, Pace, Queue};
use omnimind_limits::rate::{CpuStep, RatePolicy};
use omnimind_limits::{Health, Share};

use crate::contest::ns;
use crate::load::Offer;
use crate::parameters as p;

/// What an entrant does, by the number of the call.
pub enum Act {
    Start(usize),
    Refuse(usize),
    Cancel(usize),
}

/// Stands between the callers and the upstream.
pub trait Entrant {
    fn arrive(&mut self, call: usize, offer: &Offer, now_ns: u64, acts: &mut Vec<Act>);
    /// The upstream has answered.
    fn done(&mut self, call: usize, in_time: bool, now_ns: u64, acts: &mut Vec<Act>);
    /// A call in flight is no longer wanted.
    fn late(&mut self, _call: usize, _now_ns: u64, _acts: &mut Vec<Act>) {}
    fn next_wake(&self) -> Option<u64> {
        None
    }
    fn tick(&mut self, _now_ns: u64, _acts: &mut Vec<Act>) {}
    /// So busy were the processors in the last second.
    fn looked(&mut self, _busy: f64, _now_ns: u64, _acts: &mut Vec<Act>) {}
    fn limit(&self) -> Option<u32> {
        None
    }
}

/// All of them, by name.
pub const NAMES: [&str; 11] = [
    "no limit",
    "no limit, our queue",
    "cpu-step, endless FIFO",
    "cpu-step, our queue",
    "fixed 10, no queue",
    "fixed 10, our queue",
    "fixed 14, our queue",
    "aimd, no queue",
    "aimd, our queue",
    "gradient, no queue",
    OURS,
];

/// What is shipped as the default.
pub const OURS: &str = "gradient, our queue";

pub fn named(name: &str) -> Box<dyn Entrant> {
    let bounds = Bounds::default();
    match name {
        "no limit" => Box::new(Bare::new(Box::new(Fixed::new(u32::MAX)))),
        "no limit, our queue" => Box::new(Queued::new(Box::new(Fixed::new(u32::MAX)))),
        "cpu-step, endless FIFO" => Box::new(Stepped::new()),
        "cpu-step, our queue" => Box::new(SteppedQueued::new()),
        "fixed 10, no queue" => Box::new(Bare::new(Box::new(Fixed::new(10)))),
        "fixed 10, our queue" => Box::new(Queued::new(Box::new(Fixed::new(10)))),
        "fixed 14, our queue" => Box::new(Queued::new(Box::new(Fixed::new(14)))),
        "aimd, no queue" => Box::new(Bare::new(Box::new(Aimd::new(bounds)))),
        "aimd, our queue" => Box::new(Queued::new(Box::new(Aimd::new(bounds)))),
        "gradient, no queue" => Box::new(Bare::new(Box::new(Gradient::new(bounds)))),
        _ => Box::new(Queued::new(Box::new(Gradient::new(bounds)))),
    }
}

fn call_of(offer: &Offer) -> Call<usize> {
    Call { tenant: offer.tenant, weight: 1, class: offer.class, deadline_ns: ns(offer.deadline_s) }
}

/// The limiter that ships.
struct Queued {
    limiter: Limiter<usize, usize>,
    permits: BTreeMap<usize, PermitId>,
    events: Vec<Event<usize>>,
}

impl Queued {
    fn new(policy: Box<dyn Policy>) -> Self {
        Self { limiter: Limiter::new(policy, p::MOST_WAITING), permits: BTreeMap::new(), events: Vec::new() }
    }

    fn tell(&mut self, acts: &mut Vec<Act>) {
        for event in self.events.drain(..) {
            match event {
                Event::Started { permit, payload, .. } => {
                    self.permits.insert(payload, permit);
                    acts.push(Act::Start(payload));
                }
                Event::Gone(gone) => acts.push(Act::Refuse(gone.payload)),
            }
        }
    }

    fn end(&mut self, call: usize, outcome: Outcome, now_ns: u64) {
        if let Some(permit) = self.permits.remove(&call) {
            self.limiter.finished(permit, outcome, now_ns, &mut self.events);
        }
    }
}

impl Entrant for Queued {
    fn arrive(&mut self, call: usize, offer: &Offer, now_ns: u64, acts: &mut Vec<Act>) {
        let arrived = self.limiter.arrive(&call_of(offer), offer.tool, call, now_ns, &mut self.events);
        self.tell(acts);
        match arrived {
            Arrived::Started(permit, call) => {
                self.permits.insert(call, permit);
                acts.push(Act::Start(call));
            }
            Arrived::Queued(_) => {}
            Arrived::Refused(_, call) => acts.push(Act::Refuse(call)),
        }
    }

    fn done(&mut self, call: usize, in_time: bool, now_ns: u64, acts: &mut Vec<Act>) {
        self.end(call, if in_time { Outcome::Ok } else { Outcome::Dropped }, now_ns);
        self.tell(acts);
    }

    fn late(&mut self, call: usize, now_ns: u64, acts: &mut Vec<Act>) {
        acts.push(Act::Cancel(call));
        self.end(call, Outcome::Dropped, now_ns);
        self.tell(acts);
    }

    fn next_wake(&self) -> Option<u64> {
        self.limiter.next_wake()
    }

    fn tick(&mut self, now_ns: u64, acts: &mut Vec<Act>) {
        self.limiter.tick(now_ns, &mut self.events);
        self.tell(acts);
    }

    fn limit(&self) -> Option<u32> {
        Some(self.limiter.live().limit)
    }
}

/// A limit alone: who finds it reached is refused, and what is late runs on.
struct Bare {
    policy: Box<dyn Policy>,
    running: BTreeMap<usize, (u64, u32, Offer)>,
}

impl Bare {
    fn new(policy: Box<dyn Policy>) -> Self {
        Self { policy, running: BTreeMap::new() }
    }
}

impl Entrant for Bare {
    fn arrive(&mut self, call: usize, offer: &Offer, now_ns: u64, acts: &mut Vec<Act>) {
        if self.running.len() >= self.policy.limit() as usize {
            acts.push(Act::Refuse(call));
            return;
        }
        let in_flight = self.running.len() as u32 + 1;
        self.running.insert(call, (now_ns, in_flight, *offer));
        acts.push(Act::Start(call));
    }

    fn done(&mut self, call: usize, in_time: bool, now_ns: u64, _: &mut Vec<Act>) {
        let Some((started_ns, in_flight, offer)) = self.running.remove(&call) else { return };
        let outcome = if in_time { Outcome::Ok } else { Outcome::Dropped };
        let sample = Sample { tool: offer.tool, service_ns: now_ns - started_ns, in_flight, outcome };
        self.policy.finished(&sample, now_ns);
    }

    fn limit(&self) -> Option<u32> {
        Some(self.policy.limit())
    }
}

/// The original rule, and the turns it gives: as many a second as it says.
#[derive(Default)]
struct Turns {
    rule: CpuStep,
    per_s: Option<f64>,
    next_ns: u64,
}

impl Turns {
    fn looked(&mut self, busy: f64, now_ns: u64) {
        let health = Health { cpu: Share::new(busy.min(1.0)), ..Health::default() };
        self.per_s = Some(self.rule.step(&health, Duration::from_nanos(now_ns)).per_s());
    }

    fn step_ns(&self) -> u64 {
        (1e9 / self.per_s.unwrap_or(self.rule.normal().per_s())) as u64
    }

    /// Whether a call may start now; it takes the turn if so.
    fn take(&mut self, now_ns: u64) -> bool {
        let due = self.next_ns <= now_ns;
        if due {
            self.next_ns = now_ns + self.step_ns();
        }
        due
    }
}

/// The rule with the queue most limiters have: everyone waits, nobody is asked for how long.
struct Stepped {
    turns: Turns,
    waiting: VecDeque<usize>,
}

impl Stepped {
    fn new() -> Self {
        Self { turns: Turns::default(), waiting: VecDeque::new() }
    }
}

impl Entrant for Stepped {
    fn arrive(&mut self, call: usize, _: &Offer, now_ns: u64, acts: &mut Vec<Act>) {
        self.waiting.push_back(call);
        self.tick(now_ns, acts);
    }

    fn done(&mut self, _: usize, _: bool, _: u64, _: &mut Vec<Act>) {}

    fn next_wake(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.turns.next_ns)
    }

    fn tick(&mut self, now_ns: u64, acts: &mut Vec<Act>) {
        while !self.waiting.is_empty() && self.turns.take(now_ns) {
            acts.extend(self.waiting.pop_front().map(Act::Start));
        }
    }

    fn looked(&mut self, busy: f64, now_ns: u64, _: &mut Vec<Act>) {
        self.turns.looked(busy, now_ns);
    }
}

/// The rule with our queue, and with what is late cancelled.
struct SteppedQueued {
    turns: Turns,
    queue: Queue<usize, usize>,
    service_ns: u64,
    started: BTreeMap<usize, u64>,
}

impl SteppedQueued {
    fn new() -> Self {
        Self { turns: Turns::default(), queue: Queue::new(p::MOST_WAITING), service_ns: 0, started: BTreeMap::new() }
    }

    fn start(&mut self, call: usize, now_ns: u64, acts: &mut Vec<Act>) {
        self.started.insert(call, now_ns);
        acts.push(Act::Start(call));
    }
}

impl Entrant for SteppedQueued {
    fn arrive(&mut self, call: usize, offer: &Offer, now_ns: u64, acts: &mut Vec<Act>) {
        if self.queue.is_empty() && self.turns.take(now_ns) {
            return self.start(call, now_ns, acts);
        }
        let pace = Pace { service_ns: self.service_ns, step_ns: self.turns.step_ns(), room: p::MOST_WAITING };
        let mut gone = Vec::new();
        if self.queue.push(&call_of(offer), call, pace, now_ns, &mut gone).is_err() {
            acts.push(Act::Refuse(call));
        }
        acts.extend(gone.into_iter().map(|gone| Act::Refuse(gone.payload)));
    }

    fn done(&mut self, call: usize, _: bool, now_ns: u64, _: &mut Vec<Act>) {
        if let Some(started_ns) = self.started.remove(&call) {
            self.service_ns = (self.service_ns * 49 + (now_ns - started_ns)) / 50;
        }
    }

    fn late(&mut self, call: usize, now_ns: u64, acts: &mut Vec<Act>) {
        self.done(call, false, now_ns, acts);
        acts.push(Act::Cancel(call));
    }

    fn next_wake(&self) -> Option<u64> {
        let start_ns = (!self.queue.is_empty()).then_some(self.turns.next_ns);
        [self.queue.next_wake(), start_ns].into_iter().flatten().min()
    }

    fn tick(&mut self, now_ns: u64, acts: &mut Vec<Act>) {
        while let Some(gone) = self.queue.expired(now_ns, self.turns.step_ns()) {
            acts.push(Act::Refuse(gone.payload));
        }
        while !self.queue.is_empty() && self.turns.take(now_ns) {
            if let Some(next) = self.queue.pop(now_ns) {
                self.start(next.payload, now_ns, acts);
            }
        }
    }

    fn looked(&mut self, busy: f64, now_ns: u64, _: &mut Vec<Act>) {
        self.turns.looked(busy, now_ns);
    }
}
