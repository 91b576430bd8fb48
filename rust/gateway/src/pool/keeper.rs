//! What a pool does while nobody calls: closes what has rested too long or is old, notices when the other side
//! closes, opens what is to be kept ready, and knocks at an origin that could not be reached.

use std::{
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    task::Wake,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::{
    books::State,
    open::{self, Opened},
    room::Room,
    tally::Why,
};

/// How often a pool with open connections is looked through.
const TICK: Duration = Duration::from_millis(250);
/// Pause after a connection nobody waits for could not be opened.
const PAUSE: Duration = Duration::from_secs(1);

/// Rung when something happens to a connection that rests.
#[derive(Debug, Default)]
pub(super) struct Bell {
    notify: Notify,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// Keeps a pool in order until it is gone.
pub(super) async fn keep(room: Weak<Room>, bell: Arc<Bell>) {
    let mut pause = Instant::now();
    loop {
        let Some(strong) = room.upgrade() else { return };
        let now = Instant::now();
        let wanted = tidy(&strong, now, now >= pause);
        let asleep = !wanted.watch;
        if wanted.open && !spare(&strong).await {
            pause = Instant::now() + PAUSE;
        }
        drop(strong);
        if asleep {
            bell.notify.notified().await;
        } else {
            let _ = timeout(TICK, bell.notify.notified()).await;
        }
    }
}

/// What is to be done.
struct Wanted {
    /// Open a connection.
    open: bool,
    /// Look again soon.
    watch: bool,
}

fn tidy(room: &Arc<Room>, now: Instant, may_open: bool) -> Wanted {
    let mut state = room.state.lock();
    look_through(room, &mut state, now);
    room.serve(&mut state);
    let ready = room.terms.pool.min_idle;
    let away = state.trouble.1 && !state.health.out_for(now).is_zero();
    let open = may_open && (away || (ready > 0 && state.is_short_of(ready)));
    state.dialing += usize::from(open);
    Wanted { open, watch: away || ready > 0 || room.tally.open.load(Relaxed) > 0 }
}

fn look_through(room: &Room, state: &mut State, now: Instant) {
    for mut rested in std::mem::take(&mut state.rested) {
        if !rested.line.is_good(room.waker()) {
            state.patience.closed(now.duration_since(rested.since));
            rested.line.close(Why::Peer);
        } else if now >= rested.line.until {
            rested.line.close(Why::Age);
        } else {
            state.rested.push(rested);
        }
    }
    state.expire(now);
    state.look_after_scout(now, room.waker());
    let gone = state.shared.extract_if(.., |shared| !shared.many.is_good());
    for shared in gone.collect::<Vec<_>>() {
        shared.many.closes(Why::Asked);
        if shared.many.busy.load(Relaxed) == 0 {
            state.patience.closed(now.duration_since(shared.since));
        }
    }
    state.expire_shared(now);
}

/// Opens a connection nobody waits for, already counted as being opened; true if that went well.
pub(super) async fn spare(room: &Arc<Room>) -> bool {
    let opened = open::open(room, room.spare()).await;
    let well = opened.is_ok();
    if let Ok(Opened::Line(line, slot)) = opened {
        slot.rest(line);
    }
    if well {
        room.health(|health| health.reached(Instant::now()));
    }
    well
}
