//! The queue and the limit of one server, joined: who is started, who waits, who is refused.
//!
//! A pure machine. Every step takes the time and says at once what became of the call it is about; what it means for
//! others (starts, ends of waiting) is added to a list of [`Event`]s. [`Limiter::next_wake`] says when to call
//! [`Limiter::tick`] if nothing else happens.
//!
//! The rules:
//! - **Permits are exact.** Each started call has one permit until it is finished, cancelled or abandoned; what is given
//!   back twice changes nothing. No call is started at or above the usable limit.
//! - **Nobody waits beside a free permit**, so the queue is empty or the limit is reached after every step.
//! - **Only finished calls teach.** A cancelled one says nothing about the server.
//!
//! The usable limit is the policy's, times the brake, less the zombies (`permits.rs`); at least 1, so that there is always
//! a call to learn from, unless the brake is at 0: then nothing is started and newcomers are shed. Zombies take half of it
//! at most: most servers end what they are told to without a word, and one tenant that takes back all it asks would
//! otherwise close them to the others.
//!
//! A call that finds a free permit and nobody waiting is started even if it will probably be late: it costs nobody else.

mod estimates;
mod permits;
#[cfg(test)]
mod tests;

use std::hash::Hash;

use self::estimates::Estimates;
pub use self::permits::PermitId;
use self::permits::{Ended, Permits};
use crate::concurrency::{Outcome, Policy, Sample, ToolClass};
use crate::queue::{Call, Gone, LONGEST_WAIT_NS, Pace, Queue, Reason, Refused, WaitId};

/// So many may wait for each call that may run, or as many as are started within the longest wait if those are more:
/// where calls are quick it is the time that counts.
const ROOM_PER_PERMIT: usize = 20;

/// What became of a call that came.
#[derive(Debug)]
pub enum Arrived<T> {
    /// It may go. The payload comes back.
    Started(PermitId, T),
    /// It waits. An [`Event`] will tell.
    Queued(WaitId),
    /// It may not. The payload comes back.
    Refused(Refused, T),
}

/// What became of a call that waited.
#[derive(Debug)]
pub enum Event<T> {
    /// It may go.
    Started {
        /// To be given back.
        permit: PermitId,
        /// The name it waited under.
        id: WaitId,
        /// What was given with it.
        payload: T,
        /// How long it waited, in nanoseconds.
        waited_ns: u64,
    },
    /// It will not be started.
    Gone(Gone<T>),
}

/// The limiter at a glance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// What the policy says.
    pub limit: u32,
    /// What of it may be used.
    pub usable: u32,
    /// Calls that hold a permit.
    pub in_flight: u32,
    /// Calls that were given up and run on.
    pub zombies: u32,
    /// Calls that wait, by class, most urgent first.
    pub waiting: [usize; 4],
    /// How much slower calls are than on a server at ease.
    pub stretch: Option<f64>,
    /// What a call takes, in nanoseconds.
    pub service_ns: u64,
}

/// Admission to one server. `N` names a tenant, `T` is what the caller wants back when its call may go.
#[derive(Debug)]
pub struct Limiter<N, T> {
    queue: Queue<N, Waiting<T>>,
    policy: Box<dyn Policy>,
    permits: Permits,
    estimates: Estimates,
    brake: f64,
}

#[derive(Debug)]
struct Waiting<T> {
    tool: ToolClass,
    payload: T,
}

impl<N: Clone + Eq + Hash, T> Limiter<N, T> {
    /// A limiter that lets `policy` decide and never more than `most_waiting` calls wait.
    pub fn new(policy: Box<dyn Policy>, most_waiting: usize) -> Self {
        Self::with_patience(policy, most_waiting, LONGEST_WAIT_NS)
    }

    /// The same, with another longest wait.
    pub fn with_patience(policy: Box<dyn Policy>, most_waiting: usize, longest_ns: u64) -> Self {
        Self {
            queue: Queue::with_patience(most_waiting, longest_ns),
            policy,
            permits: Permits::new(),
            estimates: Estimates::default(),
            brake: 1.0,
        }
    }

    /// A call came.
    pub fn arrive(
        &mut self,
        call: &Call<N>,
        tool: ToolClass,
        payload: T,
        now_ns: u64,
        events: &mut Vec<Event<T>>,
    ) -> Arrived<T> {
        self.tick(now_ns, events);
        let pace = self.pace(tool);
        if call.deadline_ns <= now_ns {
            return Arrived::Refused(Refused::new(Reason::Deadline, 0), payload);
        }
        if self.brake <= 0.0 {
            return Arrived::Refused(Refused::new(Reason::Shed, pace.service_ns), payload);
        }
        if self.queue.is_empty() && self.permits.in_flight() < self.usable() {
            return Arrived::Started(self.permits.start(tool, now_ns), payload);
        }
        let mut gone = Vec::new();
        let pushed = self.queue.push(call, Waiting { tool, payload }, pace, now_ns, &mut gone);
        events.extend(gone.into_iter().map(Event::gone));
        match pushed {
            Ok(id) => Arrived::Queued(id),
            Err((refused, waiting)) => Arrived::Refused(refused, waiting.payload),
        }
    }

    /// A started call was answered, or failed as `outcome` says; also one that had been abandoned. False if the permit
    /// was given back before.
    pub fn finished(&mut self, permit: PermitId, outcome: Outcome, now_ns: u64, events: &mut Vec<Event<T>>) -> bool {
        let ended = self.permits.end(permit);
        if let Ended::Running(running) = ended {
            let service_ns = now_ns.saturating_sub(running.started_ns);
            let sample = Sample { tool: running.tool, service_ns, in_flight: running.in_flight, outcome };
            self.estimates.learn(&sample);
            self.policy.finished(&sample, now_ns);
        }
        self.tick(now_ns, events);
        !matches!(ended, Ended::Unknown)
    }

    /// A started call was cancelled, and nothing of it is left at the server. False if the permit was given back before.
    pub fn cancelled(&mut self, permit: PermitId, now_ns: u64, events: &mut Vec<Event<T>>) -> bool {
        let ended = self.permits.end(permit);
        self.tick(now_ns, events);
        !matches!(ended, Ended::Unknown)
    }

    /// A started call was given up, and the server may go on with it: a zombie, until it is [`Limiter::finished`]. False
    /// if the permit was given back before.
    pub fn abandoned(&mut self, permit: PermitId, now_ns: u64, events: &mut Vec<Event<T>>) -> bool {
        let known = self.permits.abandon(permit, self.estimates.mean_ns(), now_ns);
        self.tick(now_ns, events);
        known
    }

    /// A waiting call is no longer wanted. Its payload, if it still waited.
    pub fn left(&mut self, id: WaitId) -> Option<T> {
        self.queue.cancel(id).map(|waiting| waiting.payload)
    }

    /// The server was replaced: what it was still doing for nobody is gone with it.
    pub fn replaced(&mut self, now_ns: u64, events: &mut Vec<Event<T>>) {
        self.permits.bury(u64::MAX);
        self.tick(now_ns, events);
    }

    /// Sets the outer factor, 0 to 1: what the whole house can bear of this server's limit.
    pub fn set_brake(&mut self, brake: f64, now_ns: u64, events: &mut Vec<Event<T>>) {
        self.brake = if brake >= 0.0 { brake.min(1.0) } else { 0.0 };
        self.tick(now_ns, events);
    }

    /// Lets another policy decide from now on, and another number wait at most. What is in flight and what waits stays;
    /// who waits over the new number keeps its place.
    pub fn set_policy(
        &mut self,
        policy: Box<dyn Policy>,
        most_waiting: usize,
        now_ns: u64,
        events: &mut Vec<Event<T>>,
    ) {
        self.policy = policy;
        self.queue.set_most(most_waiting);
        self.tick(now_ns, events);
    }

    /// Ends what has waited in vain and starts what may be started.
    pub fn tick(&mut self, now_ns: u64, events: &mut Vec<Event<T>>) {
        self.permits.bury(now_ns);
        let step_ns = self.step_ns();
        while let Some(gone) = self.queue.expired(now_ns, step_ns) {
            events.push(Event::gone(gone));
        }
        let usable = self.usable();
        while self.permits.in_flight() < usable
            && let Some(next) = self.queue.pop(now_ns)
        {
            let permit = self.permits.start(next.payload.tool, now_ns);
            let payload = next.payload.payload;
            events.push(Event::Started { permit, id: next.id, payload, waited_ns: next.waited_ns });
        }
    }

    /// When to call [`Limiter::tick`], if nothing else happens.
    pub fn next_wake(&self) -> Option<u64> {
        [self.queue.next_wake(), self.permits.next_burial()].into_iter().flatten().min()
    }

    /// What there is to see.
    pub fn live(&self) -> Live {
        Live {
            limit: self.policy.limit(),
            usable: self.usable(),
            in_flight: self.permits.in_flight(),
            zombies: self.permits.zombies(),
            waiting: self.queue.lengths(),
            stretch: self.policy.stretch(),
            service_ns: self.estimates.mean_ns(),
        }
    }

    /// What a call of this kind takes, in nanoseconds; of any kind, as long as this one is unknown; 0 before the first.
    pub fn expected_ns(&self, tool: ToolClass) -> u64 {
        self.estimates.service_ns(tool)
    }

    /// Tenants of whom something is known.
    pub fn tenants(&self) -> usize {
        self.queue.tenants()
    }

    fn usable(&self) -> u32 {
        if self.brake <= 0.0 {
            return 0;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most the limit
        let braked = (f64::from(self.policy.limit()) * self.brake).round() as u32;
        braked.saturating_sub(self.permits.zombies().min(braked / 2)).max(1)
    }

    fn pace(&self, tool: ToolClass) -> Pace {
        let step_ns = self.step_ns();
        // Of a server that has answered nothing yet, nobody knows that they are too many.
        let in_time = self.queue.longest_ns().checked_div(step_ns).and_then(|calls| usize::try_from(calls).ok());
        let room = (self.usable() as usize).saturating_mul(ROOM_PER_PERMIT).max(in_time.unwrap_or(usize::MAX));
        Pace { service_ns: self.estimates.service_ns(tool), step_ns, room }
    }

    fn step_ns(&self) -> u64 {
        self.estimates.mean_ns() / u64::from(self.usable().max(1))
    }
}

impl<T> Event<T> {
    fn gone(gone: Gone<Waiting<T>>) -> Self {
        let Gone { payload, id, refused, waited_ns } = gone;
        Self::Gone(Gone { payload: payload.payload, id, refused, waited_ns })
    }
}
