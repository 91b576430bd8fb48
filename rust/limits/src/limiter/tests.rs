#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::concurrency::Fixed;
use crate::queue::Class;

const MS: u64 = 1_000_000;
const TOOL: ToolClass = ToolClass(0);

struct Rig {
    limiter: Limiter<&'static str, u32>,
    events: Vec<Event<u32>>,
}

impl Rig {
    fn new(limit: u32) -> Self {
        Self { limiter: Limiter::new(Box::new(Fixed::new(limit)), 1_000), events: Vec::new() }
    }

    fn arrive(&mut self, payload: u32, timeout_ns: u64, now_ns: u64) -> Arrived<u32> {
        let call = Call { tenant: "one", weight: 1, class: Class::Normal, deadline_ns: now_ns + timeout_ns };
        self.limiter.arrive(&call, TOOL, payload, now_ns, &mut self.events)
    }

    fn start(&mut self, payload: u32, now_ns: u64) -> PermitId {
        match self.arrive(payload, 5_000 * MS, now_ns) {
            Arrived::Started(permit, _) => permit,
            other => panic!("not started: {other:?}"),
        }
    }

    fn finish(&mut self, permit: PermitId, now_ns: u64) {
        assert!(self.limiter.finished(permit, Outcome::Ok, now_ns, &mut self.events));
    }

    /// Payloads of the calls that were started since the last look.
    fn started(&mut self) -> Vec<u32> {
        let started = self.events.drain(..).filter_map(|event| match event {
            Event::Started { payload, .. } => Some(payload),
            Event::Gone(_) => None,
        });
        started.collect()
    }
}

fn reason(arrived: &Arrived<u32>) -> Option<Reason> {
    if let Arrived::Refused(refused, _) = arrived { Some(refused.reason) } else { None }
}

#[test]
fn calls_start_up_to_the_limit_then_wait_and_start_as_permits_come_back() {
    let mut rig = Rig::new(2);
    let first = rig.start(0, 0);
    rig.start(1, 0);
    assert!(matches!(rig.arrive(2, 900 * MS, 0), Arrived::Queued(_)));
    rig.finish(first, 10 * MS);
    assert!(matches!(rig.events.as_slice(), [Event::Started { payload: 2, waited_ns: 10_000_000, .. }]));
    assert_eq!((rig.limiter.live().in_flight, rig.limiter.live().waiting), (2, [0; 4]));
}

#[test]
fn a_permit_comes_back_once() {
    let mut rig = Rig::new(1);
    let permit = rig.start(0, 0);
    assert!(rig.limiter.cancelled(permit, 0, &mut rig.events));
    assert!(!rig.limiter.cancelled(permit, 0, &mut rig.events));
    assert!(!rig.limiter.finished(permit, Outcome::Ok, 0, &mut rig.events));
    rig.start(1, 0);
    assert!(matches!(rig.arrive(2, 900 * MS, 0), Arrived::Queued(_)), "one permit, and no second by mistake");
}

#[test]
fn zombies_shrink_the_limit_until_the_server_answers_or_their_time_is_over() {
    let mut rig = Rig::new(4);
    let permits = [rig.start(0, 0), rig.start(1, 0), rig.start(2, 0), rig.start(3, 0)];
    assert!(rig.limiter.abandoned(permits[0], 0, &mut rig.events));
    assert!(rig.limiter.abandoned(permits[1], 0, &mut rig.events));
    let live = rig.limiter.live();
    assert_eq!((live.in_flight, live.zombies, live.usable), (2, 2, 2));
    assert!(matches!(rig.arrive(4, 900 * MS, 0), Arrived::Queued(_)));
    rig.finish(permits[0], 5 * MS);
    assert_eq!(rig.started(), [4]);
    assert_eq!(rig.limiter.next_wake(), Some(1_000 * MS), "the other one is not waited for for ever");
    rig.limiter.tick(1_000 * MS, &mut rig.events);
    assert_eq!((rig.limiter.live().zombies, rig.limiter.live().usable), (0, 4));
}

#[test]
fn who_takes_back_all_it_asks_leaves_half_of_the_limit_to_others() {
    let mut rig = Rig::new(4);
    for payload in 0..20 {
        let permit = rig.start(payload, 0);
        assert!(rig.limiter.abandoned(permit, 0, &mut rig.events));
    }
    assert_eq!((rig.limiter.live().zombies, rig.limiter.live().usable), (20, 2));
}

#[test]
fn zombies_never_close_a_server() {
    let mut rig = Rig::new(1);
    let permit = rig.start(0, 0);
    assert!(rig.limiter.abandoned(permit, 0, &mut rig.events));
    rig.start(1, 0);
    rig.limiter.replaced(0, &mut rig.events);
    assert_eq!(rig.limiter.live().zombies, 0);
}

#[test]
fn the_brake_scales_the_limit_and_at_nought_sheds_all_that_comes() {
    let mut rig = Rig::new(4);
    rig.limiter.set_brake(0.5, 0, &mut rig.events);
    assert_eq!(rig.limiter.live().usable, 2);
    rig.limiter.set_brake(0.01, 0, &mut rig.events);
    assert_eq!(rig.limiter.live().usable, 1);
    rig.limiter.set_brake(f64::NAN, 0, &mut rig.events);
    assert_eq!(reason(&rig.arrive(0, 900 * MS, 0)), Some(Reason::Shed));
    rig.limiter.set_brake(1.0, 0, &mut rig.events);
    rig.start(0, 0);
}

#[test]
fn another_policy_keeps_what_is_in_flight_and_what_waits() {
    let mut rig = Rig::new(1);
    let permit = rig.start(0, 0);
    for payload in 1..4 {
        assert!(matches!(rig.arrive(payload, 900 * MS, 0), Arrived::Queued(_)));
    }
    rig.limiter.set_policy(Box::new(Fixed::new(3)), 1, 0, &mut rig.events);
    assert_eq!(rig.started(), [1, 2]);
    let live = rig.limiter.live();
    assert_eq!((live.in_flight, live.waiting.iter().sum::<usize>()), (3, 1));
    assert_eq!(reason(&rig.arrive(9, 900 * MS, 0)), None, "one place, and the newest of a class has it");
    rig.finish(permit, MS);
    assert_eq!(rig.started(), [9]);
}

#[test]
fn what_a_call_takes_is_known_by_its_kind() {
    let mut rig = Rig::new(2);
    assert_eq!(rig.limiter.expected_ns(ToolClass(0)), 0);
    let permit = rig.start(0, 0);
    rig.finish(permit, 5 * MS);
    assert_eq!((rig.limiter.expected_ns(ToolClass(0)), rig.limiter.expected_ns(ToolClass(7))), (5 * MS, 5 * MS));
}

#[test]
fn a_limit_that_rises_starts_those_who_wait() {
    let mut rig = Rig::new(4);
    rig.limiter.set_brake(0.25, 0, &mut rig.events);
    rig.start(0, 0);
    for payload in 1..5 {
        assert!(matches!(rig.arrive(payload, 900 * MS, 0), Arrived::Queued(_)));
    }
    rig.limiter.set_brake(1.0, 0, &mut rig.events);
    assert_eq!(rig.started(), [1, 2, 3]);
}

#[test]
fn what_calls_take_decides_who_is_refused_but_nobody_is_refused_a_free_permit() {
    let mut rig = Rig::new(1);
    for turn in 0..100 {
        let permit = rig.start(0, turn * 100 * MS);
        rig.finish(permit, (turn + 1) * 100 * MS);
    }
    let now_ns = 10_000 * MS;
    assert_eq!(rig.limiter.live().service_ns, 100 * MS);
    assert!(matches!(rig.arrive(1, 10 * MS, now_ns), Arrived::Started(..)));
    assert_eq!(reason(&rig.arrive(2, 149 * MS, now_ns)), Some(Reason::Deadline));
    assert!(matches!(rig.arrive(3, 150 * MS, now_ns), Arrived::Queued(_)));
    assert_eq!(reason(&rig.arrive(4, 0, now_ns)), Some(Reason::Deadline), "its time is over");
}

#[test]
fn who_waits_in_vain_is_told_when_the_limiter_is_woken() {
    let mut rig = Rig::new(1);
    rig.start(0, 0);
    rig.arrive(1, 300 * MS, 0);
    let wake_ns = rig.limiter.next_wake().unwrap();
    rig.limiter.tick(wake_ns, &mut rig.events);
    assert!(matches!(rig.events.as_slice(), [Event::Gone(Gone { payload: 1, waited_ns: 300_000_000, .. })]));
    assert_eq!(rig.limiter.next_wake(), None);
}

#[test]
fn who_leaves_the_queue_is_not_started() {
    let mut rig = Rig::new(1);
    let permit = rig.start(0, 0);
    let Arrived::Queued(id) = rig.arrive(1, 900 * MS, 0) else { panic!("a free permit") };
    assert_eq!(rig.limiter.left(id), Some(1));
    rig.finish(permit, MS);
    assert!(rig.started().is_empty());
    assert_eq!(rig.limiter.left(id), None);
}

#[test]
fn each_kind_of_tool_is_judged_by_what_its_own_calls_take() {
    let mut rig = Rig::new(1);
    let (slow, fast) = (ToolClass(7), ToolClass(0));
    let call = |deadline_ns| Call { tenant: "one", weight: 1, class: Class::Normal, deadline_ns };
    let mut now_ns = 0;
    for (tool, service_ns) in [(slow, 200 * MS), (fast, 2 * MS)] {
        let Arrived::Started(permit, _) = rig.limiter.arrive(&call(u64::MAX), tool, 0, now_ns, &mut rig.events) else {
            panic!("a free permit")
        };
        now_ns += service_ns;
        rig.finish(permit, now_ns);
    }
    rig.start(1, now_ns);
    let soon = call(now_ns + 150 * MS);
    assert_eq!(reason(&rig.limiter.arrive(&soon, slow, 2, now_ns, &mut rig.events)), Some(Reason::Deadline));
    assert!(matches!(rig.limiter.arrive(&soon, fast, 3, now_ns, &mut rig.events), Arrived::Queued(_)));
}

#[test]
fn a_policy_is_told_how_many_were_in_flight_with_the_call_and_nothing_of_cancelled_ones() {
    #[derive(Clone, Debug, Default)]
    struct Ear(std::sync::Arc<std::sync::Mutex<Vec<u32>>>);
    impl Policy for Ear {
        fn finished(&mut self, sample: &Sample, _: u64) {
            self.0.lock().unwrap().push(sample.in_flight);
        }
        fn limit(&self) -> u32 {
            10
        }
    }
    let ear = Ear::default();
    let mut rig = Rig { limiter: Limiter::new(Box::new(ear.clone()), 10), events: Vec::new() };
    let permits = [rig.start(0, 0), rig.start(1, 0), rig.start(2, 0)];
    rig.limiter.cancelled(permits[1], MS, &mut rig.events);
    rig.finish(permits[2], MS);
    rig.finish(permits[0], MS);
    assert_eq!(*ear.0.lock().unwrap(), [3, 1]);
}
