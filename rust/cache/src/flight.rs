//! Single flight: of many that want the same thing at once, one fetches it and all get it.
//!
//! The rules:
//! - a key has at most one leader at any time; whoever asks meanwhile waits;
//! - a leader that finishes shares its value with all who waited at that moment, and the flight is over: the next to
//!   ask leads again, so that an error is shared once and never remembered;
//! - a leader that is dropped unfinished (its task was cancelled, its thread panicked) hands the lead to the waiter
//!   that came first; a leader that abandons sends all waiters on their own;
//! - a waiter that is dropped is forgotten, and passes the lead on if it had just been given to it.
//!
//! It knows no runtime: a [`Waiter`] is a plain future that keeps wakers, and it can block a thread as well. Wakers are
//! woken and values cloned with no lock held. Locks are taken in one order, table before flight, and for a few
//! instructions each.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::sync::{Arc, Mutex};

/// What is being fetched at the moment. Clones are handles to the same flights.
pub struct Flights<K, V> {
    table: Arc<Table<K, V>>,
}

struct Table<K, V> {
    flying: Mutex<HashMap<K, Arc<Flight<V>>>>,
}

struct Flight<V> {
    state: Mutex<State<V>>,
}

enum State<V> {
    Flying {
        /// In the order they came; the number is the waiter's name.
        waiters: BTreeMap<u64, Option<Waker>>,
        next: u64,
        /// Who was given the lead and has not taken it yet; it is no longer among the waiters.
        heir: Option<u64>,
    },
    Landed(Arc<V>),
    Abandoned,
}

/// The part of one that asked.
pub enum Joined<K: Hash + Eq + Clone, V: Clone> {
    /// Nobody is fetching it: do it.
    Lead(Leader<K, V>),
    /// Somebody is.
    Wait(Waiter<K, V>),
}

/// How a wait ended.
pub enum Landed<K: Hash + Eq + Clone, V: Clone> {
    /// The leader's value.
    Shared(V),
    /// The leader is gone: lead.
    Lead(Leader<K, V>),
    /// The leader will not share: fetch it alone, without leading.
    Alone,
}

/// The duty to fetch. Dropping it hands the duty to the next waiter.
#[must_use = "dropped, it hands the lead to the next waiter"]
pub struct Leader<K: Hash + Eq + Clone, V> {
    seat: Option<Seat<K, V>>,
}

/// A place in the queue of one flight.
#[must_use = "a future does nothing unless polled"]
pub struct Waiter<K: Hash + Eq + Clone, V> {
    seat: Option<Seat<K, V>>,
    name: u64,
}

struct Seat<K, V> {
    key: K,
    table: Arc<Table<K, V>>,
    flight: Arc<Flight<V>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    /// Nothing is flying.
    pub fn new() -> Self {
        Self { table: Arc::new(Table { flying: Mutex::new(HashMap::new()) }) }
    }

    /// Leads the flight of a key, or waits for who does.
    pub fn join(&self, key: K) -> Joined<K, V> {
        let mut flying = self.table.flying.lock();
        if let Some(flight) = flying.get(&key) {
            let flight = Arc::clone(flight);
            let name = flight.enqueue();
            drop(flying);
            return Joined::Wait(Waiter { seat: Some(self.seat(key, flight)), name });
        }
        let flight = Arc::new(Flight::new());
        flying.insert(key.clone(), Arc::clone(&flight));
        drop(flying);
        Joined::Lead(Leader { seat: Some(self.seat(key, flight)) })
    }

    /// How many flights there are.
    pub fn len(&self) -> usize {
        self.table.flying.lock().len()
    }

    /// Nothing is flying.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn seat(&self, key: K, flight: Arc<Flight<V>>) -> Seat<K, V> {
        Seat { key, table: Arc::clone(&self.table), flight }
    }
}

impl<V> Flight<V> {
    fn new() -> Self {
        Self { state: Mutex::new(State::Flying { waiters: BTreeMap::new(), next: 0, heir: None }) }
    }

    /// A new waiter's name. The caller holds the table's lock, so the flight is not over.
    fn enqueue(&self) -> u64 {
        match &mut *self.state.lock() {
            State::Flying { waiters, next, .. } => {
                let name = *next;
                *next += 1;
                waiters.insert(name, None);
                name
            }
            State::Landed(_) | State::Abandoned => u64::MAX,
        }
    }

    /// Ends the flight, already out of the table, and wakes all who wait.
    fn end(&self, how: State<V>) {
        let before = std::mem::replace(&mut *self.state.lock(), how);
        if let State::Flying { waiters, .. } = before {
            waiters.into_values().flatten().for_each(Waker::wake);
        }
    }
}

impl<K: Hash + Eq + Clone, V> Seat<K, V> {
    /// From now on the next to ask leads a new flight.
    fn leave_table(&self) {
        let gone = self.table.flying.lock().remove_entry(&self.key);
        drop(gone);
    }

    /// Gives the lead to the waiter that came first, or ends a flight that nobody waits for.
    fn hand_on(self) {
        let mut flying = self.table.flying.lock();
        let mut state = self.flight.state.lock();
        let State::Flying { waiters, heir, .. } = &mut *state else { return };
        let first = waiters.pop_first();
        *heir = first.as_ref().map(|(name, _)| *name);
        drop(state);
        let gone = if first.is_none() { flying.remove_entry(&self.key) } else { None };
        drop(flying);
        drop(gone);
        if let Some((_, Some(waker))) = first {
            waker.wake();
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Leader<K, V> {
    /// Shares the value with all who wait at this moment and ends the flight.
    pub fn finish(mut self, value: V) {
        self.end(State::Landed(Arc::new(value)));
    }

    /// Ends the flight with nothing to share: all who wait go on alone.
    pub fn abandon(mut self) {
        self.end(State::Abandoned);
    }

    /// How many wait for it.
    pub fn waiters(&self) -> usize {
        self.seat.as_ref().map_or(0, |seat| match &*seat.flight.state.lock() {
            State::Flying { waiters, .. } => waiters.len(),
            State::Landed(_) | State::Abandoned => 0,
        })
    }

    fn end(&mut self, how: State<V>) {
        if let Some(seat) = self.seat.take() {
            seat.leave_table();
            seat.flight.end(how);
        }
    }
}

impl<K: Hash + Eq + Clone, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            seat.hand_on();
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Waiter<K, V> {
    /// Blocks this thread until the flight ends or the time is up; `None`: it is up, and the waiter is forgotten.
    pub fn wait(mut self, timeout: Duration) -> Option<Landed<K, V>> {
        let until = Instant::now().checked_add(timeout);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Some(landed) = self.look(&waker) {
                return Some(landed);
            }
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// The outcome, if there is one; else the waker is kept.
    fn look(&mut self, waker: &Waker) -> Option<Landed<K, V>> {
        let seat = self.seat.as_ref()?;
        let fresh = Some(waker.clone());
        let mut state = seat.flight.state.lock();
        let shared = match &mut *state {
            State::Flying { heir, .. } if *heir == Some(self.name) => {
                *heir = None;
                drop(state);
                return Some(Landed::Lead(Leader { seat: self.seat.take() }));
            }
            State::Flying { waiters, .. } => {
                let before = waiters.insert(self.name, fresh);
                drop(state);
                drop(before);
                return None;
            }
            State::Landed(value) => Some(Arc::clone(value)),
            State::Abandoned => None,
        };
        drop(state);
        self.seat = None;
        Some(shared.map_or(Landed::Alone, |value| Landed::Shared(Arc::unwrap_or_clone(value))))
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Future for Waiter<K, V> {
    type Output = Landed<K, V>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.look(context.waker()).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<K: Hash + Eq + Clone, V> Drop for Waiter<K, V> {
    fn drop(&mut self) {
        let Some(seat) = self.seat.take() else { return };
        let mut state = seat.flight.state.lock();
        let (leads, forgotten) = match &mut *state {
            State::Flying { heir, .. } if *heir == Some(self.name) => (true, None),
            State::Flying { waiters, .. } => (false, waiters.remove(&self.name)),
            State::Landed(_) | State::Abandoned => (false, None),
        };
        drop(state);
        drop(forgotten);
        if leads {
            seat.hand_on();
        }
    }
}

impl<K, V> Unpin for Waiter<K, V> where K: Hash + Eq + Clone {}

impl<K, V> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Self { table: Arc::clone(&self.table) }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

/// Wakes a thread that blocks.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
