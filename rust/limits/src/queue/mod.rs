//! The calls that wait for one server: who is next, who need not wait at all, who has waited for nothing.
//!
//! The order: tenants first, by weighted virtual time (`tenants.rs`); inside a tenant the most urgent class; inside a
//! class the oldest, or the newest while somebody has stood there for more than 50 ms and all that wait are more than is
//! started in half of the longest wait.
//!
//! The rules:
//! - **No inversion.** No call is started while a more urgent one of its tenant waits.
//! - **Bounded.** In number by the room given with each arrival, never more than [`Queue::new`] was told; in time by what
//!   is left until the deadline, and by five seconds, or what two calls take if that is more. A call over the number
//!   costs the oldest of the worst class of the tenant with the most calls its place, or its own if it is no better than
//!   that.
//! - **No false hope.** Who would be done after its deadline is refused at the door; who can no longer be done in time
//!   leaves at that instant ([`Queue::next_wake`] says when to look).
//! - **Nothing is kept for those who are gone.** A tenant is known while it waits, or is ahead of the others.
//!
//! Why the queue and not the limit decides who survives: behind a limit alone, at ten times the load, one call in ten
//! of *any* class is served. Why the newest first: once more come than are served, every call has waited for as long as
//! the queue is deep; turned round, all but a few have hardly waited. Why not always: a crowd of callers who each ask
//! again when they are answered keeps a queue standing that gets no longer; the oldest first, each waits its turn, the
//! newest first, those who are behind stay there until their time is over. Not the earliest deadline: it serves whoever
//! is nearest to being late, and loses a quarter of the work once the server slows down.
//! `cargo run --release -p omnimind-limits --example arena` shows all of it.
//!
//! Cost: a step is O(log n); about 200 bytes a call beside its payload. Time is an argument: nanoseconds of a clock that
//! never goes back.
//! Sources: start-time fair queueing (Goyal 1996); adaptive LIFO (Maurer, "Fail at scale", 2015).

mod class;
mod lane;
mod refused;
mod tenants;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::hash::Hash;

pub use self::class::Class;
use self::lane::Entry;
pub use self::refused::{Reason, Refused};
use self::tenants::Tenants;
use crate::slab::{Key, Slab};

/// A lane that has not been empty for so long is standing.
const STANDING_NS: u64 = 50_000_000;
/// The longest wait, where calls are quick: what a caller in no hurry would rather wait than be refused. Those in a hurry
/// leave before, by their deadlines; to them it makes no difference (arena, 1 to 5 s).
pub const LONGEST_WAIT_NS: u64 = 5_000_000_000;
/// Where they are not, a call may wait for so many.
const LONGEST_WAIT_CALLS: u64 = 2;

/// Who asks, and until when the answer is wanted.
#[derive(Clone, Debug)]
pub struct Call<N> {
    /// The tenant.
    pub tenant: N,
    /// Its share beside other tenants; 0 counts as 1.
    pub weight: u32,
    /// How urgent this call is beside others of its tenant.
    pub class: Class,
    /// When the answer is no longer wanted.
    pub deadline_ns: u64,
}

/// What the server is known to need.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The time it takes for a call like this one.
    pub service_ns: u64,
    /// The time between two starts, while calls wait.
    pub step_ns: u64,
    /// How many calls may wait.
    pub room: usize,
}

/// The name of a waiting call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(Key);

/// A call whose turn it is.
#[derive(Debug)]
pub struct Next<T> {
    /// What was given with it.
    pub payload: T,
    /// The name it waited under.
    pub id: WaitId,
    /// How long it waited, in nanoseconds.
    pub waited_ns: u64,
}

/// A call that waited and will not be started.
#[derive(Debug)]
pub struct Gone<T> {
    /// What was given with it.
    pub payload: T,
    /// The name it waited under.
    pub id: WaitId,
    /// Why it goes.
    pub refused: Refused,
    /// How long it waited, in nanoseconds.
    pub waited_ns: u64,
}

/// The queue of one server. `N` names a tenant, `T` is what the caller wants back.
#[derive(Debug)]
pub struct Queue<N, T> {
    entries: Slab<Entry<T>>,
    tenants: Tenants<N>,
    /// Who leaves when.
    ends: BTreeSet<(u64, Key)>,
    lengths: [usize; 4],
    most: usize,
    longest_ns: u64,
    /// The time between two starts, as the last that came was told.
    step_ns: u64,
}

impl<N: Clone + Eq + Hash, T> Queue<N, T> {
    /// A queue of never more than `most` calls, whatever room is said to be.
    pub fn new(most: usize) -> Self {
        Self::with_patience(most, LONGEST_WAIT_NS)
    }

    /// The same, with another longest wait, for calls that do not take half as long.
    pub fn with_patience(most: usize, longest_ns: u64) -> Self {
        Self {
            entries: Slab::new(),
            tenants: Tenants::new(),
            ends: BTreeSet::new(),
            lengths: [0; 4],
            most: most.max(1),
            longest_ns,
            step_ns: 0,
        }
    }

    /// From now on never more than `most` calls.
    pub fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// The longest wait, where calls are quick.
    #[inline]
    pub fn longest_ns(&self) -> u64 {
        self.longest_ns
    }

    /// How many calls wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many wait of each class, most urgent first.
    #[inline]
    pub fn lengths(&self) -> [usize; 4] {
        self.lengths
    }

    /// How many tenants are known.
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// When [`Queue::expired`] has something to say, if nothing else happens.
    #[inline]
    pub fn next_wake(&self) -> Option<u64> {
        self.ends.first().map(|(ends_ns, _)| *ends_ns)
    }

    /// Lets the call wait. Those who lose their place to it are added to `gone`.
    ///
    /// # Errors
    /// It need not wait: it would be done too late, or all that wait are better. The payload comes back.
    pub fn push(
        &mut self,
        call: &Call<N>,
        payload: T,
        pace: Pace,
        now_ns: u64,
        gone: &mut Vec<Gone<T>>,
    ) -> Result<WaitId, (Refused, T)> {
        self.step_ns = pace.step_ns;
        // Half as much again: the answer must be there in time more often than not.
        let tail_ns = pace.service_ns.saturating_add(pace.service_ns / 2);
        let start_ns = now_ns.saturating_add(self.wait_ns(call, pace, now_ns));
        let gives_up_ns = call.deadline_ns.saturating_sub(tail_ns);
        if start_ns > gives_up_ns {
            return Err((self.refused(Reason::Deadline, pace.step_ns), payload));
        }
        let longest_ns = self.longest_ns.max(pace.service_ns.saturating_mul(LONGEST_WAIT_CALLS));
        let patience_ns = now_ns.saturating_add(longest_ns);
        if start_ns > patience_ns || !self.make_room(call, pace, now_ns, gone) {
            return Err((self.refused(Reason::QueueFull, pace.step_ns), payload));
        }
        Ok(self.admit(call, payload, pace, gives_up_ns.min(patience_ns), now_ns))
    }

    /// The call whose turn it is: what [`Queue::pop`] takes out at the same instant.
    pub fn peek(&self, now_ns: u64) -> Option<&T> {
        self.entries.get(self.turn(now_ns)?).map(|entry| &entry.payload)
    }

    /// Takes out the call whose turn it is.
    pub fn pop(&mut self, now_ns: u64) -> Option<Next<T>> {
        let key = self.turn(now_ns)?;
        let entry = self.take(key, true)?;
        let waited_ns = now_ns.saturating_sub(entry.arrived_ns);
        Some(Next { payload: entry.payload, id: WaitId(key), waited_ns })
    }

    /// Takes out a call that is no longer wanted, if it still waits.
    pub fn cancel(&mut self, id: WaitId) -> Option<T> {
        self.take(id.0, false).map(|entry| entry.payload)
    }

    /// Takes out a call that has waited as long as waiting made sense. To be asked until it has none.
    pub fn expired(&mut self, now_ns: u64, step_ns: u64) -> Option<Gone<T>> {
        let &(ends_ns, key) = self.ends.first()?;
        if ends_ns > now_ns { None } else { self.give_up(key, Reason::Expired, step_ns, now_ns) }
    }

    fn turn(&self, now_ns: u64) -> Option<Key> {
        let lane = self.tenants.next()?.lanes.iter().find(|lane| !lane.is_empty())?;
        lane.next(self.standing(now_ns))
    }

    /// Since when a lane must have been standing for its newest to go first; none where the oldest goes first anyhow.
    fn standing(&self, now_ns: u64) -> Option<u64> {
        let all_ns = (self.len() as u64).saturating_mul(self.step_ns);
        (all_ns > self.longest_ns / 2).then(|| now_ns.saturating_sub(STANDING_NS))
    }

    /// How long it will be until a call like this is started.
    fn wait_ns(&self, call: &Call<N>, pace: Pace, now_ns: u64) -> u64 {
        let own =
            self.tenants.find(&call.tenant).map_or(0, |tenant| tenant.ahead_of(call.class, self.standing(now_ns)));
        let others = self.tenants.others_before(&call.tenant, call.weight, own, self.len());
        others.saturating_add(own as u64).saturating_mul(pace.step_ns)
    }

    /// Whether there is room for the call, made if need be.
    fn make_room(&mut self, call: &Call<N>, pace: Pace, now_ns: u64, gone: &mut Vec<Gone<T>>) -> bool {
        let room = pace.room.clamp(1, self.most);
        while self.len() >= room {
            let own_len = self.tenants.find(&call.tenant).map_or(0, tenants::Tenant::len);
            let Some(longest) = self.tenants.longest() else { return false };
            let own = longest.is(&call.tenant) || own_len >= longest.len();
            let Some(tenant) = (if own { self.tenants.find(&call.tenant) } else { Some(longest) }) else {
                return false;
            };
            let worst = Class::ALL.into_iter().zip(&tenant.lanes).rev().find(|(_, lane)| !lane.is_empty());
            let Some((class, lane)) = worst else { return false };
            if own && call.class > class {
                return false;
            }
            let Some(key) = lane.oldest() else { return false };
            match self.give_up(key, Reason::Evicted, pace.step_ns, now_ns) {
                Some(evicted) => gone.push(evicted),
                None => return false,
            }
        }
        true
    }

    fn admit(&mut self, call: &Call<N>, payload: T, pace: Pace, gives_up_ns: u64, now_ns: u64) -> WaitId {
        let tenant = self.tenants.known(&call.tenant);
        let key = self.entries.insert(Entry {
            payload,
            tenant,
            class: call.class,
            arrived_ns: now_ns,
            gives_up_ns,
            cost_ns: pace.service_ns,
            older: None,
            newer: None,
        });
        let entries = &mut self.entries;
        self.tenants.joins(tenant, call.weight, call.class, |lane| lane.push(entries, key, now_ns));
        self.ends.insert((gives_up_ns, key));
        if let Some(len) = self.lengths.get_mut(call.class.rank()) {
            *len = len.saturating_add(1);
        }
        WaitId(key)
    }

    fn give_up(&mut self, key: Key, reason: Reason, step_ns: u64, now_ns: u64) -> Option<Gone<T>> {
        let entry = self.take(key, false)?;
        let refused = self.refused(reason, step_ns);
        let waited_ns = now_ns.saturating_sub(entry.arrived_ns);
        Some(Gone { payload: entry.payload, id: WaitId(key), refused, waited_ns })
    }

    /// Takes an entry off every list.
    fn take(&mut self, key: Key, started: bool) -> Option<Entry<T>> {
        let entry = self.entries.remove(key)?;
        self.ends.remove(&(entry.gives_up_ns, key));
        if let Some(len) = self.lengths.get_mut(entry.class.rank()) {
            *len = len.saturating_sub(1);
        }
        let (entries, cost_ns) = (&mut self.entries, started.then_some(entry.cost_ns));
        self.tenants.leaves(entry.tenant, entry.class, cost_ns, |lane| lane.unlink(entries, &entry));
        Some(entry)
    }

    fn refused(&self, reason: Reason, step_ns: u64) -> Refused {
        Refused::new(reason, (self.len() as u64).saturating_mul(step_ns))
    }
}
