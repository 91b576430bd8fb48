//! The books of a pool: who holds what, who waits, what rests. Always under the lock of its room.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Waker,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    dial::Speaks,
    guard::{Found, Grant},
    health::Health,
    line::Line,
    many::Many,
    patience::Patience,
    tally::Why,
    terms::Terms,
};

/// Places beside the calls'.
const ERRANDS: usize = 8;
/// Connections opened at once to an origin that may let many calls share one.
const AT_ONCE: usize = 2;
/// Waiters that have given up are looked for when there are so many.
const CROWD: usize = 64;

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A call.
    Call,
    /// A short message that lets a call go on or end.
    Errand,
    /// A stream that lasts.
    Standing,
}

impl Lane {
    /// All of them; who is short of places for the least time comes first.
    pub(super) const ALL: [Self; 3] = [Self::Errand, Self::Call, Self::Standing];
}

/// The books.
#[derive(Debug)]
pub(super) struct State {
    call: Queue,
    errand: Queue,
    standing: Queue,
    /// HTTP/1.1 connections that rest, the longest first.
    pub(super) rested: Vec<Rested>,
    /// One that only shows how long it is left open.
    pub(super) scout: Option<Scout>,
    /// HTTP/2 connections that take calls.
    pub(super) shared: Vec<Shared>,
    pub(super) dialing: usize,
    pub(super) speaks: Option<Speaks>,
    pub(super) patience: Patience,
    pub(super) health: Health,
    /// How the last call failed, and whether that was because there is no connection to be had.
    pub(super) trouble: (String, bool),
}

/// One lane.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    taken: usize,
    pub(super) waiting: VecDeque<oneshot::Sender<Grant>>,
    crowd: usize,
}

/// A connection that rests.
#[derive(Debug)]
pub(super) struct Rested {
    pub(super) line: Line,
    pub(super) since: Instant,
}

/// A connection that many use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) many: Arc<Many>,
    pub(super) since: Instant,
}

/// A connection that is only watched.
#[derive(Debug)]
pub(super) enum Scout {
    Line(Rested),
    Shared(Shared),
}

impl State {
    pub(super) fn new(terms: &Terms, speaks: Option<Speaks>) -> Self {
        Self {
            call: Queue::new(terms.pool.max_connections.max(1)),
            errand: Queue::new(ERRANDS),
            standing: Queue::new(usize::MAX),
            rested: Vec::new(),
            scout: None,
            shared: Vec::new(),
            dialing: 0,
            speaks,
            patience: Patience::new(Duration::from_millis(terms.pool.idle_ms)),
            health: Health::new(terms.rest),
            trouble: (String::new(), false),
        }
    }

    /// Most connections for calls.
    pub(super) fn most(&self) -> usize {
        self.call.most
    }

    /// A place in a lane becomes free.
    pub(super) fn leaves(&mut self, lane: Lane) {
        let queue = self.lane(lane);
        queue.taken = queue.taken.saturating_sub(1);
    }

    pub(super) fn lane(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Call => &mut self.call,
            Lane::Errand => &mut self.errand,
            Lane::Standing => &mut self.standing,
        }
    }

    /// A place for this lane, if there is one.
    pub(super) fn claim(&mut self, lane: Lane, now: Instant) -> Option<Found> {
        if let Some(many) = self.stream(now) {
            return Some(Found::Stream(many));
        }
        let queue = self.lane(lane);
        if queue.taken >= queue.most {
            return None;
        }
        self.expire(now);
        let found = match self.rested.pop() {
            Some(rested) => Found::Line(rested),
            None if self.may_dial() => {
                self.dialing += 1;
                // Where every connection is for a call, none is left to watch.
                if lane == Lane::Call && self.call.taken + 1 >= self.call.most {
                    self.scout = None;
                }
                Found::Dial
            }
            None => return None,
        };
        self.lane(lane).taken += 1;
        Some(found)
    }

    /// Takes back what found nobody.
    pub(super) fn undo(&mut self, found: Found, lane: Lane) {
        match found {
            Found::Stream(many) => {
                many.busy.fetch_sub(1, Relaxed);
                return;
            }
            Found::Line(rested) => self.rested.push(rested),
            Found::Dial => self.dialing = self.dialing.saturating_sub(1),
        }
        self.leaves(lane);
    }

    /// A place on the shared connection with the fewest calls.
    fn stream(&mut self, now: Instant) -> Option<Arc<Many>> {
        if self.shared.is_empty() {
            return None;
        }
        self.expire_shared(now);
        let least = self.shared.iter().map(|shared| &shared.many).min_by_key(|many| many.busy.load(Relaxed))?;
        if least.busy.load(Relaxed) >= least.room() {
            return None;
        }
        least.busy.fetch_add(1, Relaxed);
        Some(Arc::clone(least))
    }

    /// Until it is known that every call needs a connection of its own, few are opened at once.
    fn may_dial(&self) -> bool {
        self.speaks == Some(Speaks::One)
            || (self.dialing < AT_ONCE && self.shared.len() + self.dialing < self.call.most)
    }

    /// True if several calls share one connection, and nobody has begun to open a second.
    pub(super) fn wants_second(&self) -> bool {
        let [only] = &self.shared[..] else {
            return false;
        };
        self.dialing == 0 && self.call.most > 1 && only.many.busy.load(Relaxed) > 1
    }

    /// True if a connection may be kept for later.
    pub(super) fn has_room(&self) -> bool {
        self.call.taken + self.rested.len() + usize::from(self.scout.is_some()) < self.call.most
    }

    /// True if connections are to be opened ahead of calls.
    pub(super) fn is_short_of(&self, wanted: usize) -> bool {
        let there = self.rested.len() + self.shared.len() + self.dialing;
        let wanted = if self.speaks == Some(Speaks::Two) { wanted.min(AT_ONCE) } else { wanted };
        there < wanted && self.call.taken + there < self.call.most && self.dialing < AT_ONCE && self.health.is_well()
    }

    /// Closes what has rested too long; one of them may become the scout.
    pub(super) fn expire(&mut self, now: Instant) {
        let limit = self.patience.limit();
        let is_fresh = |rested: &Rested| now.duration_since(rested.since) < limit;
        if self.rested.first().is_none_or(is_fresh) {
            return;
        }
        let fresh = self.rested.iter().position(is_fresh).unwrap_or(self.rested.len());
        for rested in self.rested.drain(..fresh) {
            if self.scout.is_none() && self.patience.wants_scout() {
                self.scout = Some(Scout::Line(rested));
            } else {
                rested.line.close(Why::Idle);
            }
        }
    }

    /// The same of shared connections, and of those that are old.
    pub(super) fn expire_shared(&mut self, now: Instant) {
        let limit = self.patience.limit();
        let wants_scout = self.scout.is_none() && self.patience.wants_scout();
        let is_quiet =
            |shared: &Shared| shared.many.busy.load(Relaxed) == 0 && now.duration_since(shared.since) >= limit;
        let mut place = 0;
        while let Some(shared) = self.shared.get(place) {
            if now >= shared.many.until {
                shared.many.closes(Why::Age);
                self.shared.swap_remove(place);
            } else if is_quiet(shared) {
                shared.many.closes(Why::Idle);
                let shared = self.shared.swap_remove(place);
                if wants_scout && self.scout.is_none() {
                    shared.many.closes(Why::Peer);
                    self.scout = Some(Scout::Shared(shared));
                }
            } else {
                place += 1;
            }
        }
    }

    /// Takes a shared connection out of the books, the scout too.
    pub(super) fn take_shared(&mut self, id: u64) -> Option<Shared> {
        if let Some(place) = self.shared.iter().position(|shared| shared.many.id == id) {
            return Some(self.shared.swap_remove(place));
        }
        match self.scout.take() {
            Some(Scout::Shared(shared)) if shared.many.id == id => Some(shared),
            other => {
                self.scout = other;
                None
            }
        }
    }

    /// Looks how the scout fares.
    pub(super) fn look_after_scout(&mut self, now: Instant, waker: &Waker) {
        let Some(mut scout) = self.scout.take() else { return };
        let (good, since) = match &mut scout {
            Scout::Line(rested) => (rested.line.is_good(waker), rested.since),
            Scout::Shared(shared) => (shared.many.is_good(), shared.since),
        };
        let rest = now.duration_since(since);
        let why = if !good {
            self.patience.closed(rest);
            Why::Peer
        } else if rest >= self.patience.enough() {
            self.patience.outlived();
            Why::Idle
        } else {
            self.scout = Some(scout);
            return;
        };
        match scout {
            Scout::Line(rested) => rested.line.close(why),
            Scout::Shared(shared) => shared.many.closes(why),
        }
    }
}

impl Queue {
    fn new(most: usize) -> Self {
        Self { most, taken: 0, waiting: VecDeque::new(), crowd: CROWD }
    }

    pub(super) fn wait(&mut self, sender: oneshot::Sender<Grant>) {
        if self.waiting.len() >= self.crowd {
            self.waiting.retain(|waiter| !waiter.is_closed());
            self.crowd = CROWD.max(self.waiting.len() * 2);
        }
        self.waiting.push_back(sender);
    }

    pub(super) fn live(&self) -> usize {
        self.waiting.iter().filter(|waiter| !waiter.is_closed()).count()
    }
}
