//! Who may use which connection.
//!
//! Whoever wants to send enters in a *lane*. Calls share the configured maximum; what lets calls go on or end
//! (answers to questions, cancellations) has a few places of its own, so that calls that wait for it cannot keep it
//! out; streams that last as long as a session or a subscription are counted apart, as they would use up the calls'
//! connections for good. Who finds no place waits in line and is served strictly in turn. What is handed out is a
//! guard: dropped anywhere, also on its way to one who has just given up, its place goes to the next in line.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::{
    books::{Lane, Shared, State},
    dial::{Dialer, Speaks},
    guard::{Found, Grant, Hold, Slot},
    health::{Admitted, Health},
    keeper::Bell,
    many::Many,
    tally::{Report, Tally, Why},
    terms::Terms,
};

/// A pool's books.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) terms: Terms,
    pub(super) dialer: Dialer,
    pub(super) tally: Arc<Tally>,
    pub(super) bell: Arc<Bell>,
    waker: Waker,
    ids: AtomicU64,
    unwell: AtomicBool,
    promise: AtomicU64,
    pub(super) state: Mutex<State>,
}

impl Room {
    pub(super) fn new(terms: Terms, dialer: Dialer) -> Arc<Self> {
        let bell = Arc::new(Bell::default());
        let state = State::new(&terms, dialer.speaks());
        let waker = Waker::from(Arc::clone(&bell));
        let tally = Arc::default();
        Arc::new(Self {
            terms,
            dialer,
            tally,
            bell,
            waker,
            ids: AtomicU64::new(0),
            unwell: AtomicBool::new(false),
            promise: AtomicU64::new(u64::MAX),
            state: Mutex::new(state),
        })
    }

    /// A number for a shared connection.
    pub(super) fn id(&self) -> u64 {
        self.ids.fetch_add(1, Relaxed)
    }

    /// Gives a place, or a seat in line; true if one more shared connection is to be opened meanwhile.
    pub(super) fn enter(self: &Arc<Self>, lane: Lane) -> (Result<Grant, oneshot::Receiver<Grant>>, bool) {
        let mut state = self.state.lock();
        if state.lane(lane).waiting.is_empty()
            && let Some(found) = state.claim(lane, Instant::now())
        {
            let second = matches!(found, Found::Stream(_)) && state.wants_second();
            state.dialing += usize::from(second);
            drop(state);
            return (Ok(Grant::new(self, found, lane)), second);
        }
        let (sender, seat) = oneshot::channel();
        state.lane(lane).wait(sender);
        self.serve(&mut state);
        drop(state);
        self.tally.waited();
        (Err(seat), false)
    }

    /// Another connection in place of one that has turned out to be of no use.
    pub(super) fn another(self: &Arc<Self>, mut slot: Slot) -> Grant {
        let mut state = self.state.lock();
        state.expire(Instant::now());
        if let Some(rested) = state.rested.pop() {
            return Grant::Line(rested, slot);
        }
        slot.dials(&mut state);
        Grant::Dial(slot)
    }

    /// A right to open a connection for nobody yet, already counted as being opened.
    pub(super) fn spare(self: &Arc<Self>) -> Slot {
        Slot::new(Arc::clone(self), None, true)
    }

    /// Takes an HTTP/2 connection into use, with a place on it.
    pub(super) fn share(self: &Arc<Self>, many: Many, mut slot: Slot) -> Hold {
        let many = Arc::new(many);
        let mut state = self.state.lock();
        state.speaks = Some(Speaks::Two);
        many.busy.store(1, Relaxed);
        state.shared.push(Shared { many: Arc::clone(&many), since: Instant::now() });
        slot.leave(&mut state);
        self.serve(&mut state);
        drop(state);
        Hold::new(Arc::clone(self), many)
    }

    /// Notes that an HTTP/1.1 connection has been opened.
    pub(super) fn opened(self: &Arc<Self>, slot: &mut Slot) {
        let mut state = self.state.lock();
        state.speaks = Some(Speaks::One);
        slot.dialed(&mut state);
        self.serve(&mut state);
    }

    /// Lets go of a shared connection: it takes no more calls.
    pub(super) fn retire(self: &Arc<Self>, many: &Many, why: Why) {
        many.closes(why);
        self.state.lock().shared.retain(|shared| shared.many.id != many.id);
    }

    /// A shared connection has ended.
    pub(super) fn gone(self: &Arc<Self>, id: u64) {
        let mut state = self.state.lock();
        if let Some(shared) = state.take_shared(id)
            && shared.many.busy.load(Relaxed) == 0
        {
            state.patience.closed(shared.since.elapsed());
        }
        self.serve(&mut state);
    }

    /// Whether a call is let through; if not, for how long, and why.
    pub(super) fn admit(&self) -> Result<Admitted, (Duration, String)> {
        if !self.unwell.load(Relaxed) {
            return Ok(None);
        }
        let mut state = self.state.lock();
        state.health.admit(Instant::now()).map_err(|wait| (wait, state.trouble.0.clone()))
    }

    /// A call was answered.
    pub(super) fn succeeded(&self, admitted: Admitted) {
        if self.unwell.load(Relaxed) {
            self.health(|health| health.succeeded(admitted));
        }
    }

    /// A call failed; `unreachable` if there was no connection to be had.
    pub(super) fn failed(&self, admitted: Admitted, why: &str, unreachable: bool) {
        let chance = (self.terms.chance)();
        if self.health(|health| health.failed(admitted, Instant::now(), chance)) {
            self.state.lock().trouble = (why.to_owned(), unreachable);
            self.bell.ring();
        }
    }

    /// Changes what is known of the origin's health.
    pub(super) fn health<T>(&self, change: impl FnOnce(&mut Health) -> T) -> T {
        let mut state = self.state.lock();
        let done = change(&mut state.health);
        self.unwell.store(!state.health.is_well(), Relaxed);
        done
    }

    /// A connection that had rested so long turned out to be closed. After a short rest that says nothing about
    /// how long the other side waits.
    pub(super) fn lost(&self, rested: Option<Duration>) {
        let mut state = self.state.lock();
        if let Some(rested) = rested.filter(|rested| *rested >= state.patience.limit() / 4) {
            state.patience.closed(rested);
        }
    }

    /// The other side promised to leave connections open so long.
    pub(super) fn promised(&self, promise: Duration) {
        if self.promise.swap(promise.as_secs(), Relaxed) != promise.as_secs() {
            self.state.lock().patience.told(promise);
        }
    }

    /// Tells the bell when something happens to a connection that rests.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Hands out what has become free.
    pub(super) fn serve(self: &Arc<Self>, state: &mut State) {
        for lane in Lane::ALL {
            while !state.lane(lane).waiting.is_empty() {
                let Some(found) = state.claim(lane, Instant::now()) else {
                    break;
                };
                let mut grant = Grant::new(self, found, lane);
                loop {
                    let Some(waiter) = state.lane(lane).waiting.pop_front() else {
                        state.undo(grant.bare(), lane);
                        break;
                    };
                    match waiter.send(grant) {
                        Ok(()) => break,
                        Err(back) => grant = back,
                    }
                }
            }
        }
    }

    /// The books as of now.
    pub(super) fn report(&self) -> Report {
        let now = Instant::now();
        let mut state = self.state.lock();
        let waiting = Lane::ALL.map(|lane| state.lane(lane).live()).iter().sum();
        let quiet = state.shared.iter().filter(|shared| shared.many.busy.load(Relaxed) == 0).count();
        let idle = state.rested.len() + usize::from(state.scout.is_some()) + quiet;
        let open = self.tally.open.load(Relaxed);
        Report {
            http: state.speaks.map(|speaks| if speaks == Speaks::One { "1.1" } else { "2" }),
            max: state.most(),
            open,
            busy: open.saturating_sub(idle),
            idle,
            waiting,
            idle_limit_ms: ms(state.patience.limit()),
            learned: state.patience.is_learned(),
            ejected_ms: ms(state.health.out_for(now)),
            opened: self.tally.opened.load(Relaxed),
            reused: self.tally.reused.load(Relaxed),
            closed: self.tally.closed(),
            waited: self.tally.waited.load(Relaxed),
            refused: self.tally.refused.load(Relaxed),
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bell.ring();
    }
}
