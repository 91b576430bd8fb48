//! Who waits for tokens: one line before each bucket that refused somebody.
//!
//! A line is a fair [`Queue`]: by turns among tenants, then by class, then the oldest first. It never turns round, as the
//! queue before a server does: how fast a bucket fills is known, so that who would wait in vain is told at the door,
//! and who waits arrives. The head of a line asks all its buckets when this one is ready for it; if another one refuses,
//! it goes over to that one's line. A line nobody stands in is gone.
//!
//! Cost: one step is O(log n) in the calls of a line and in the lines.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Ask, Rates, Ticket};
use crate::queue::{Call, Gone, Pace, Queue, Refused, WaitId};
use crate::rate::{self, RateRefusal, Scope};
use crate::refusal::Refusal;

/// Longer than any wait: the queue never turns round.
const FIRST_COME: u64 = u64::MAX;

/// A bucket by its name.
type Bucket = (Scope, Arc<str>, Arc<str>);

#[derive(Debug)]
pub(super) struct Lines {
    by_bucket: HashMap<Bucket, Line>,
    /// When to look at which line.
    wakes: BTreeSet<(u64, Bucket)>,
    lengths: [usize; 4],
    most: usize,
}

#[derive(Debug)]
struct Line {
    queue: Queue<Arc<str>, Waiting>,
    /// When the bucket has what its head needs.
    ready_ns: u64,
    wake_ns: u64,
    /// The time a token takes to come back, when the last one came to wait.
    step_ns: u64,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ask: Ask,
    pub(super) ticket: Ticket,
}

/// Where a call stands.
#[derive(Debug)]
pub(super) struct Stand {
    bucket: Bucket,
    id: WaitId,
    rank: usize,
}

/// What became of a call that stood in a line.
pub(super) enum Passed {
    /// It has taken what it needs of every bucket.
    Through(Waiting),
    /// Its deadline came.
    Expired(Ticket, Scope, Refused),
    /// This bucket refuses it next, until that instant.
    Moved(Waiting, Scope, u64),
}

impl Lines {
    pub(super) fn new(most: usize) -> Self {
        Self { by_bucket: HashMap::new(), wakes: BTreeSet::new(), lengths: [0; 4], most }
    }

    /// The first line that this call must not pass by, and when it is ready.
    pub(super) fn standing(&self, ask: &Ask) -> Option<(Scope, u64)> {
        if self.by_bucket.is_empty() {
            return None;
        }
        Scope::ALL.into_iter().filter(|scope| ask.quotas.of(*scope).is_some()).find_map(|scope| {
            let line = self.by_bucket.get(&ask.bucket(scope))?;
            Some((scope, line.ready_ns))
        })
    }

    /// Puts a call into the line before a bucket, which is ready for its head at `ready_ns`.
    pub(super) fn join(
        &mut self,
        rates: Rates<'_>,
        scope: Scope,
        ready_ns: u64,
        waiting: Waiting,
        now_ns: u64,
        evicted: &mut Vec<(Ticket, Refused)>,
    ) -> Result<Stand, Refused> {
        let (bucket, rank) = (waiting.ask.bucket(scope), waiting.ask.class.rank());
        let step_ns = waiting.ask.step_ns(scope, rates.pace);
        let mut line = self.take(&bucket).unwrap_or_else(|| Line::new(self.most, ready_ns));
        let mut gone = Vec::new();
        let joined = line.push(waiting, step_ns, self.most, now_ns, &mut gone);
        for Gone { payload, refused, .. } in gone {
            self.one_less(payload.ask.class.rank());
            evicted.push((payload.ticket, refused));
        }
        self.put(bucket.clone(), line);
        let id = joined?;
        if let Some(len) = self.lengths.get_mut(rank) {
            *len = len.saturating_add(1);
        }
        Ok(Stand { bucket, id, rank })
    }

    /// Takes a call out of its line, if it stands there.
    pub(super) fn leave(&mut self, stand: &Stand) -> bool {
        let Some(mut line) = self.take(&stand.bucket) else { return false };
        let left = line.queue.cancel(stand.id).is_some();
        self.put(stand.bucket.clone(), line);
        if left {
            self.one_less(stand.rank);
        }
        left
    }

    /// Those who need not stand any longer at the instant `now_ns`.
    pub(super) fn due(&mut self, rates: Rates<'_>, now_ns: u64) -> Vec<Passed> {
        let mut passed = Vec::new();
        while let Some((wake_ns, bucket)) = self.wakes.first()
            && *wake_ns <= now_ns
        {
            let bucket = bucket.clone();
            let Some(mut line) = self.take(&bucket) else { break };
            let before = passed.len();
            line.advance(rates, bucket.0, now_ns, &mut passed);
            for gone in passed.iter().skip(before) {
                if let Passed::Through(waiting) | Passed::Moved(waiting, ..) = gone {
                    self.one_less(waiting.ask.class.rank());
                }
            }
            line.expire(now_ns, |waiting, refused| {
                self.one_less(waiting.ask.class.rank());
                passed.push(Passed::Expired(waiting.ticket, bucket.0, refused));
            });
            self.put(bucket, line);
        }
        passed
    }

    pub(super) fn next_wake(&self) -> Option<u64> {
        self.wakes.first().map(|(wake_ns, _)| *wake_ns)
    }

    pub(super) fn lengths(&self) -> [usize; 4] {
        self.lengths
    }

    fn take(&mut self, bucket: &Bucket) -> Option<Line> {
        let (bucket, line) = self.by_bucket.remove_entry(bucket)?;
        self.wakes.remove(&(line.wake_ns, bucket));
        Some(line)
    }

    fn put(&mut self, bucket: Bucket, mut line: Line) {
        let Some(ends_ns) = line.queue.next_wake() else { return };
        line.wake_ns = line.ready_ns.min(ends_ns);
        self.wakes.insert((line.wake_ns, bucket.clone()));
        self.by_bucket.insert(bucket, line);
    }

    fn one_less(&mut self, rank: usize) {
        if let Some(len) = self.lengths.get_mut(rank) {
            *len = len.saturating_sub(1);
        }
    }
}

impl Line {
    fn new(most: usize, ready_ns: u64) -> Self {
        Self { queue: Queue::with_patience(most, FIRST_COME), ready_ns, wake_ns: 0, step_ns: 0 }
    }

    fn push(
        &mut self,
        waiting: Waiting,
        step_ns: u64,
        room: usize,
        now_ns: u64,
        gone: &mut Vec<Gone<Waiting>>,
    ) -> Result<WaitId, Refused> {
        let ask = &waiting.ask;
        self.step_ns = step_ns;
        // The turns of tenants go by what they take; the queue, made for servers, wants as much time and half again left
        // after the wait, so it is lent that.
        let service_ns = tokens_ns(ask.cost.tokens(), step_ns);
        let deadline_ns = ask.deadline_ns.saturating_add(service_ns).saturating_add(service_ns / 2);
        let call = Call { tenant: Arc::clone(&ask.tenant), weight: 1, class: ask.class, deadline_ns };
        // Nobody goes before the bucket is ready: seen from there, each one ahead takes one step.
        let ready_ns = self.ready_ns.max(now_ns);
        let residual_ns = ready_ns.saturating_sub(now_ns);
        let pace = Pace { service_ns, step_ns, room };
        let (before, ticket) = (self.queue.len(), waiting.ticket);
        let id = self.queue.push(&call, waiting, pace, ready_ns, gone).map_err(|(refused, _)| {
            let wait_ns = residual_ns.saturating_add(step_ns.saturating_mul(before as u64));
            Refused { retry_after: Duration::from_nanos(wait_ns), ..refused }
        })?;
        if before > 0 && self.queue.peek(ready_ns).is_some_and(|head| head.ticket == ticket) {
            self.ready_ns = now_ns; // it may need less than the head before it: the bucket is to be asked again
        }
        Ok(id)
    }

    /// Lets the head take what it needs, and the next, until the bucket refuses.
    fn advance(&mut self, rates: Rates<'_>, scope: Scope, now_ns: u64, passed: &mut Vec<Passed>) {
        while self.ready_ns <= now_ns
            && let Some(head) = self.queue.peek(now_ns)
        {
            let taken = head.ask.take(rates, now_ns);
            if let Err(RateRefusal { scope: refusing, refusal: Refusal::TooSoon { retry_after } }) = taken
                && refusing == scope
            {
                self.ready_ns = now_ns.saturating_add(whole_ns(retry_after));
                return;
            }
            let Some(next) = self.queue.pop(now_ns) else { return };
            passed.push(match taken {
                Ok(()) => Passed::Through(next.payload),
                Err(RateRefusal { scope, refusal }) => {
                    let wait_ns = refusal.retry_after().map_or(0, whole_ns);
                    Passed::Moved(next.payload, scope, now_ns.saturating_add(wait_ns))
                }
            });
        }
    }

    /// Ends the waits whose deadline has come; a head that could go by then has gone.
    fn expire(&mut self, now_ns: u64, mut each: impl FnMut(Waiting, Refused)) {
        while let Some(gone) = self.queue.expired(now_ns, self.step_ns) {
            each(gone.payload, gone.refused);
        }
    }
}

impl Ask {
    /// Takes what the call needs of every bucket, or nothing.
    pub(super) fn take(&self, rates: Rates<'_>, now_ns: u64) -> Result<(), RateRefusal> {
        let call = rate::Call { tenant: &self.tenant, server: &self.server, tool: &self.tool };
        rates.buckets.admit(call, &self.quotas, self.cost, Duration::from_nanos(now_ns))
    }

    /// The time one token takes to come back.
    fn step_ns(&self, scope: Scope, pace: f64) -> u64 {
        let per_s = self.quotas.of(scope).map_or(f64::INFINITY, |quota| quota.per_s()) * pace;
        tokens_ns(1e9 / per_s, 1)
    }

    fn bucket(&self, scope: Scope) -> Bucket {
        let (one, other) = match scope {
            Scope::Tenant => (&self.tenant, None),
            Scope::TenantServer => (&self.tenant, Some(&self.server)),
            Scope::ServerTool => (&self.server, Some(&self.tool)),
        };
        (scope, Arc::clone(one), other.map_or_else(|| Arc::from(""), Arc::clone))
    }
}

/// The time that `tokens` take, at `step_ns` for each.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // saturates
fn tokens_ns(tokens: f64, step_ns: u64) -> u64 {
    (tokens * step_ns as f64) as u64
}

pub(super) fn whole_ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
