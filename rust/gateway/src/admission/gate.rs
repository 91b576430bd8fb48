//! The gate before one server: the limiter's machine, with a lock, a clock and those who wait.
//!
//! The rules:
//! - **One short lock at each end of a call.** A call that finds a free permit wakes nobody and allocates nothing; the
//!   only task is the one that looks when somebody has waited long enough.
//! - **Who is dropped has left.** One who waits holds a guard: dropped, it leaves the queue, and a start that was on its
//!   way to it comes back as the permit it carries.
//! - **Nothing is sent or dropped under the lock** that could come back here.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use omnimind_limits::{
    concurrency::ToolClass,
    limiter::PermitId,
    queue::{Class, Reason, Refused, WaitId},
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    permit::{Permit, Spare},
    state::{Arrival, End, NEVER, State, View},
};
use crate::config::{ServerLimits, ServerSpec};

/// The gate before one server.
pub(crate) struct Gate {
    server: Arc<str>,
    origin: Instant,
    state: Mutex<State>,
    alarm: Arc<Notify>,
}

/// A call at the gate.
#[derive(Debug, Clone)]
pub(crate) struct Comer {
    pub(crate) tenant: Arc<str>,
    pub(crate) class: Class,
    pub(crate) kind: ToolClass,
    pub(crate) deadline: Instant,
}

/// What one who waits is told.
pub(super) type Turn = Result<Permit, Refused>;

impl Gate {
    /// The gate of a server. Called inside a tokio runtime.
    pub(super) fn new(spec: &ServerSpec) -> Arc<Self> {
        let gate = Arc::new(Self {
            server: spec.name.as_str().into(),
            origin: Instant::now(),
            state: Mutex::new(State::new(spec.limits.clone())),
            alarm: Arc::default(),
        });
        tokio::spawn(watch(Arc::downgrade(&gate), Arc::clone(&gate.alarm)));
        gate
    }

    /// The server's name.
    pub(crate) fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// Takes new settings; what is in flight and what waits stays.
    pub(super) fn configure(self: &Arc<Self>, limits: &ServerLimits) {
        self.step(|state, now_ns| state.configure(limits, now_ns));
    }

    /// Waits for a permit. Dropped before, it is as if nobody had come.
    pub(crate) async fn enter(self: &Arc<Self>, comer: &Comer) -> Turn {
        let deadline_ns = self.ns(comer.deadline);
        match self.step(|state, now_ns| state.arrive(self, comer, deadline_ns, now_ns)) {
            Arrival::Told(turn) => turn,
            Arrival::Waits(id, turn) => Waiting { gate: Arc::clone(self), id: Some(id), turn }.turn().await,
        }
    }

    /// A permit that nobody else wants, for a call that nobody waits for.
    pub(crate) fn spare(self: &Arc<Self>, comer: &Comer) -> Option<Spare> {
        let deadline_ns = self.ns(comer.deadline);
        self.step(|state, now_ns| state.spare(self, comer, deadline_ns, now_ns))
    }

    /// What the house can bear of the server's limit, from 0 to 1.
    pub(super) fn brake(self: &Arc<Self>, share: f64) {
        self.step(|state, now_ns| state.brake(share, now_ns));
    }

    /// A call that has held a permit since then, and waited so long for it, has ended; true if it goes on at the server.
    pub(super) fn end(
        self: &Arc<Self>,
        id: PermitId,
        kind: ToolClass,
        (since_ns, waited_ns): (u64, Option<u64>),
        end: End,
    ) -> bool {
        self.step(|state, now_ns| {
            state.waited(waited_ns, end);
            state.end(id, kind, since_ns, end, now_ns)
        })
    }

    /// What was given up has ended after all.
    pub(super) fn rest(self: &Arc<Self>, id: PermitId) {
        self.step(|state, now_ns| state.rest(id, now_ns));
    }

    /// What there is to see.
    pub(super) fn view(self: &Arc<Self>) -> View {
        self.step(State::view)
    }

    fn tick(self: &Arc<Self>) -> Option<Instant> {
        let wake_ns = self.step(State::tick);
        (wake_ns != NEVER).then(|| self.origin + Duration::from_nanos(wake_ns))
    }

    /// One step of the machine, and what it means for others.
    fn step<R>(self: &Arc<Self>, act: impl FnOnce(&mut State, u64) -> R) -> R {
        let mut state = self.state.lock();
        let now_ns = self.ns(Instant::now());
        let done = act(&mut state, now_ns);
        let due = state.settle(self, now_ns);
        let sooner = state.wakes_sooner();
        drop(state);
        if sooner {
            self.alarm.notify_one();
        }
        for (seat, turn) in due {
            // Who has gone meanwhile drops the permit, which brings it back.
            let _ = seat.map(|seat| seat.send(turn));
        }
        done
    }

    fn ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(NEVER)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // The timer finds nobody any more, and ends.
        self.alarm.notify_one();
    }
}

/// One who waits.
struct Waiting {
    gate: Arc<Gate>,
    id: Option<WaitId>,
    turn: oneshot::Receiver<Turn>,
}

impl Waiting {
    async fn turn(mut self) -> Turn {
        let turn = (&mut self.turn).await;
        self.id = None;
        turn.unwrap_or(Err(Refused { reason: Reason::Shed, retry_after: Duration::from_millis(1) }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            drop(self.gate.step(|state, _| state.left(id)));
        }
    }
}

/// Looks when somebody has waited as long as it made sense, or a zombie has been one for long enough.
async fn watch(gate: Weak<Gate>, alarm: Arc<Notify>) {
    loop {
        let Some(wake) = gate.upgrade().map(|gate| gate.tick()) else { return };
        match wake {
            None => alarm.notified().await,
            Some(wake) => tokio::select! {
                () = sleep_until(wake) => {}
                () = alarm.notified() => {}
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use futures_util::FutureExt;
    use omnimind_limits::concurrency::Outcome;
    use serde_json::json;

    use super::*;
    use crate::admission::state::SLOWED;

    fn gate(limits: &serde_json::Value) -> Arc<Gate> {
        Gate::new(
            &serde_json::from_value(json!({"name": "s", "kind": "unix", "tier": "high", "limits": limits})).unwrap(),
        )
    }

    fn comer() -> Comer {
        let deadline = Instant::now() + Duration::from_secs(60);
        Comer { tenant: "t".into(), class: Class::Normal, kind: ToolClass(9), deadline }
    }

    fn usable(gate: &Arc<Gate>) -> u32 {
        gate.view().live.usable
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_started_by_who_ends_and_leaves_if_it_is_dropped() {
        let gate = gate(&json!({"policy": "fixed", "start": 1}));
        let first = gate.enter(&comer()).await.unwrap();
        let by = comer();
        let mut one = Box::pin(gate.enter(&by));
        let mut other = Box::pin(gate.enter(&by));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        drop(one);
        assert_eq!(gate.view().live.waiting, [0, 0, 1, 0]);
        first.finished(Outcome::Ok);
        assert_eq!(other.now_or_never().unwrap().unwrap().waited(), Duration::ZERO);
        assert_eq!(gate.view().live.in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_was_on_its_way_to_one_who_left_is_given_to_the_next() {
        let gate = gate(&json!({"policy": "fixed", "start": 1}));
        let first = gate.enter(&comer()).await.unwrap();
        let by = comer();
        let mut one = Box::pin(gate.enter(&by));
        let mut other = Box::pin(gate.enter(&by));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        drop(first);
        assert_eq!((gate.view().live.in_flight, gate.view().live.waiting), (1, [0, 0, 1, 0]));
        drop(one);
        assert!(other.now_or_never().unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_five_seconds_is_told_so_though_nothing_else_happens() {
        let gate = gate(&json!({"policy": "fixed", "start": 1}));
        let _held = gate.enter(&comer()).await.unwrap();
        let since = Instant::now();
        let refused = gate.enter(&comer()).await.unwrap_err();
        assert_eq!((refused.reason, since.elapsed().as_millis()), (Reason::Expired, 5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_zombie_is_forgotten_in_its_time_though_nothing_else_happens() {
        let gate = gate(&json!({"policy": "fixed", "start": 2}));
        let zombie = gate.enter(&comer()).await.unwrap().abandoned();
        assert!(zombie.is_some() && gate.view().live.zombies == 1 && usable(&gate) == 1);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!((gate.view().live.zombies, usable(&gate)), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_brake_leaves_the_least_and_spares_servers_that_are_not_slower_than_at_ease() {
        let fixed = gate(&json!({"policy": "fixed", "start": 40, "min": 8}));
        fixed.brake(0.5);
        assert_eq!(usable(&fixed), 20);
        fixed.brake(0.0);
        assert_eq!(usable(&fixed), 8);
        fixed.brake(1.0);
        assert_eq!(usable(&fixed), 40);
        let eased = gate(&json!({"start": 40}));
        eased.brake(0.0);
        assert_eq!(usable(&eased), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn the_brake_leaves_a_server_what_it_needs_for_what_it_does_now() {
        let gate = gate(&json!({"start": 40}));
        for (took, calls) in [(10, 100), (50, 30)] {
            for _ in 0..calls {
                let permit = gate.enter(&comer()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(took)).await;
                permit.finished(Outcome::Ok);
            }
        }
        let live = gate.view().live;
        let stretch = live.stretch.unwrap();
        assert!(stretch > SLOWED, "{stretch}");
        gate.brake(0.0);
        let needed = f64::from(live.limit) / stretch;
        assert!((f64::from(usable(&gate)) - needed).abs() <= 1.0, "{needed} of {}", live.limit);
    }

    #[tokio::test(start_paused = true)]
    async fn a_spare_permit_is_taken_by_the_call_that_would_have_to_wait() {
        let gate = gate(&json!({"policy": "fixed", "start": 2}));
        let spare = gate.spare(&comer()).unwrap();
        assert!(gate.spare(&comer()).is_none(), "half of them stay free");
        let first = gate.enter(&comer()).await.unwrap();
        assert!(spare.overtaken.notified().now_or_never().is_none());
        let second = gate.enter(&comer()).now_or_never().unwrap().unwrap();
        assert!(spare.overtaken.notified().now_or_never().is_some());
        spare.permit.finished(Outcome::Ok);
        assert_eq!((gate.view().live.in_flight, gate.view().ledger.served), (2, 0), "it is not given back twice");
        drop((first, second));
        assert_eq!(gate.view().live.in_flight, 0);
    }
}
