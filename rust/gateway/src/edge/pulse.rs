//! The pulse of an HTTP/1 connection: how often something came, and whether a head is being waited for.
//!
//! hyper wants a timer whenever it begins to wait for a head and gives it up when the head is there. Set in the
//! runtime's wheel and taken out again with every request, that is a good part of what a short answer costs. Here it
//! writes down that a wait has begun, and [`late`] looks a few times in that patience whether it is still the same wait.
//! The rule: no wait ends before its time, and none goes on for more than a [`LOOKS`]th of the patience longer. Where
//! nothing has come since the last answer, nobody is slow: such a connection may rest for longer.
//!
//! One task writes, the connection's own; so its counters are set, not added to.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};

/// Looks within the patience for a head.
const LOOKS: u32 = 4;

/// What is counted of a connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    heard: AtomicU64,
    waits: AtomicU64,
    heads: AtomicU64,
    /// What had been heard when the last wait began.
    before: AtomicU64,
}

/// A wait for a head that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait {
    number: u64,
    /// Something of the head is here.
    begun: bool,
}

impl Pulse {
    /// Something came.
    pub(super) fn hears(&self) {
        self.heard.store(self.heard().wrapping_add(1), Relaxed);
    }

    /// How often something came.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }

    /// A wait for a head begins.
    fn waits(&self) {
        self.before.store(self.heard(), Relaxed);
        self.waits.store(self.waits.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The head is there.
    pub(super) fn has_head(&self) {
        self.heads.store(self.waits.load(Relaxed), Relaxed);
    }

    /// The wait that goes on.
    fn wait(&self) -> Option<Wait> {
        let number = self.waits.load(Relaxed);
        let begun = self.heard() != self.before.load(Relaxed);
        (number != self.heads.load(Relaxed)).then_some(Wait { number, begun })
    }
}

/// Becomes ready when a head that has begun to come is waited for longer than there is patience, or the first byte of one
/// for longer than a connection may rest.
pub(super) async fn late(pulse: &Pulse, patience: Duration, rest: Duration) {
    let look = patience / LOOKS;
    let rests = rest.max(patience);
    let mut before = None;
    let mut waited = Duration::ZERO;
    loop {
        tokio::time::sleep(look).await;
        let now = pulse.wait();
        waited = if now.is_some() && now == before { waited.saturating_add(look) } else { Duration::ZERO };
        before = now;
        let most = if now.is_some_and(|wait| wait.begun) { patience } else { rests };
        // A patience that cannot be divided evenly is a little longer than its looks.
        if waited.saturating_add(look / 2) >= most {
            return;
        }
    }
}

/// The timer that hyper is given: it only notes when a wait begins. The end of one is not its business.
#[derive(Debug)]
pub(super) struct Noting {
    pulse: Arc<Pulse>,
    since: Instant,
}

impl Noting {
    pub(super) fn new(pulse: Arc<Pulse>) -> Self {
        Self { pulse, since: Instant::now() }
    }
}

impl Timer for Noting {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        self.pulse.waits();
        Box::pin(Never)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        self.pulse.waits();
        Box::pin(Never)
    }

    /// Any time does to reckon a deadline from that nobody looks at.
    fn now(&self) -> Instant {
        self.since
    }
}

/// A sleep that takes no room and does not end.
struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    const REST: Duration = Duration::from_secs(60);

    async fn is_late_within(pulse: &Pulse, time: Duration) -> bool {
        tokio::time::timeout(time, late(pulse, PATIENCE, REST)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_to_its_end_is_late_after_its_time_and_at_most_a_quarter_more() {
        let pulse = Pulse::default();
        pulse.waits();
        pulse.hears();
        assert!(!is_late_within(&pulse, PATIENCE).await);
        assert!(is_late_within(&pulse, PATIENCE + PATIENCE / LOOKS + Duration::from_millis(10)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_comes_may_rest_for_longer() {
        let pulse = Pulse::default();
        pulse.hears();
        pulse.waits();
        assert!(!is_late_within(&pulse, REST).await);
        assert!(is_late_within(&pulse, REST + PATIENCE / LOOKS + Duration::from_millis(10)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_begins_after_a_rest_has_the_time_of_a_head() {
        let pulse = Pulse::default();
        pulse.waits();
        let slow = async {
            tokio::time::sleep(REST / 2).await;
            pulse.hears();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = late(&pulse, PATIENCE, REST) => {}
            () = slow => {}
            () = tokio::time::sleep(REST / 2 + 2 * PATIENCE) => panic!("it was waited for longer"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_late_while_a_request_is_answered_or_when_another_wait_has_begun() {
        let pulse = Pulse::default();
        pulse.waits();
        pulse.has_head();
        assert!(!is_late_within(&pulse, 10 * REST).await);
        let busy = async {
            loop {
                pulse.waits();
                pulse.hears();
                tokio::time::sleep(PATIENCE.saturating_sub(Duration::from_secs(1))).await;
                pulse.has_head();
            }
        };
        tokio::select! {
            () = late(&pulse, PATIENCE, REST) => panic!("no wait was that long"),
            () = busy => {}
            () = tokio::time::sleep(20 * PATIENCE) => {}
        }
    }
}
