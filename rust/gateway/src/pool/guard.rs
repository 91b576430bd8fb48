//! What is handed out: guards, which give back what they stand for wherever they are dropped.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::time::Instant;

use super::{
    books::{Lane, Rested, State},
    line::Line,
    many::Many,
    room::Room,
    tally::Why,
};

/// What a place comes to.
#[derive(Debug)]
pub(super) enum Grant {
    /// A connection that has rested.
    Line(Rested, Slot),
    /// A place on a shared connection.
    Stream(Hold),
    /// The right to open one.
    Dial(Slot),
}

/// The same without guards, as long as the lock is held.
pub(super) enum Found {
    Line(Rested),
    Stream(Arc<Many>),
    Dial,
}

/// The right to one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    room: Option<Arc<Room>>,
    lane: Option<Lane>,
    dialing: bool,
}

/// A place on a shared connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    room: Option<Arc<Room>>,
    pub(super) many: Arc<Many>,
}

impl Grant {
    /// With guards.
    pub(super) fn new(room: &Arc<Room>, found: Found, lane: Lane) -> Self {
        let room = Arc::clone(room);
        match found {
            Found::Line(rested) => Self::Line(rested, Slot::new(room, Some(lane), false)),
            Found::Dial => Self::Dial(Slot::new(room, Some(lane), true)),
            Found::Stream(many) => Self::Stream(Hold::new(room, many)),
        }
    }

    /// Without guards: nothing happens when it is dropped.
    pub(super) fn bare(self) -> Found {
        match self {
            Self::Line(rested, mut slot) => {
                slot.room = None;
                Found::Line(rested)
            }
            Self::Dial(mut slot) => {
                slot.room = None;
                Found::Dial
            }
            Self::Stream(mut hold) => {
                hold.room = None;
                Found::Stream(Arc::clone(&hold.many))
            }
        }
    }
}

impl Slot {
    /// A place in a lane, or none, and whether it is counted as being opened.
    pub(super) fn new(room: Arc<Room>, lane: Option<Lane>, dialing: bool) -> Self {
        Self { room: Some(room), lane, dialing }
    }

    /// Puts a connection to rest, or closes it if it is of no more use, and gives the place back.
    pub(super) fn rest(mut self, mut line: Line) {
        let Some(room) = self.room.take() else { return };
        let good = line.rests(room.waker());
        let now = Instant::now();
        let mut state = room.state.lock();
        self.leave(&mut state);
        if good && now >= line.until {
            line.close(Why::Age);
        } else if good && state.has_room() {
            state.rested.push(Rested { line, since: now });
        } else if good {
            line.close(Why::Surplus);
        } else {
            drop(line);
        }
        room.serve(&mut state);
    }

    /// From now on its connection is counted as being opened.
    pub(super) fn dials(&mut self, state: &mut State) {
        state.dialing += 1;
        self.dialing = true;
    }

    /// Its connection is open.
    pub(super) fn dialed(&mut self, state: &mut State) {
        state.dialing = state.dialing.saturating_sub(usize::from(std::mem::take(&mut self.dialing)));
    }

    /// Takes it out of the books.
    pub(super) fn leave(&mut self, state: &mut State) {
        self.room = None;
        self.dialed(state);
        if let Some(lane) = self.lane.take() {
            state.leaves(lane);
        }
    }
}

impl Hold {
    /// A place that is already counted.
    pub(super) fn new(room: Arc<Room>, many: Arc<Many>) -> Self {
        Self { room: Some(room), many }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            let mut state = room.state.lock();
            self.leave(&mut state);
            room.serve(&mut state);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(room) = self.room.take() else { return };
        let mut state = room.state.lock();
        if self.many.busy.fetch_sub(1, Relaxed) == 1
            && let Some(shared) = state.shared.iter_mut().find(|shared| shared.many.id == self.many.id)
        {
            shared.since = Instant::now();
        }
        room.serve(&mut state);
    }
}
