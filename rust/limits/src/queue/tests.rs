#![allow(clippy::unwrap_used)]

use super::*;

const MS: u64 = 1_000_000;
const FAR: u64 = 10_000 * MS;
/// A server that takes 10 ms for a call and starts one every 2 ms.
const PACE: Pace = Pace { service_ns: 10 * MS, step_ns: 2 * MS, room: 1_000 };

struct Rig {
    queue: Queue<&'static str, u32>,
    gone: Vec<Gone<u32>>,
}

impl Rig {
    fn new() -> Self {
        Self { queue: Queue::new(1_000), gone: Vec::new() }
    }

    fn offer(&mut self, call: &Call<&'static str>, payload: u32, room: usize, now_ns: u64) -> Result<WaitId, Refused> {
        let pace = Pace { room, ..PACE };
        self.queue.push(call, payload, pace, now_ns, &mut self.gone).map_err(|(refused, _)| refused)
    }

    fn push(&mut self, tenant: &'static str, class: Class, payload: u32, now_ns: u64) -> WaitId {
        self.offer(&call(tenant, class, FAR), payload, 1_000, now_ns).unwrap()
    }

    fn order(&mut self, now_ns: u64) -> Vec<u32> {
        std::iter::from_fn(|| self.queue.pop(now_ns).map(|next| next.payload)).collect()
    }
}

fn call(tenant: &'static str, class: Class, deadline_ns: u64) -> Call<&'static str> {
    Call { tenant, weight: 1, class, deadline_ns }
}

#[test]
fn the_most_urgent_class_of_a_tenant_goes_first_and_the_oldest_of_a_class() {
    let mut rig = Rig::new();
    for (payload, class) in (0..).zip(Class::ALL.into_iter().rev().chain(Class::ALL)) {
        rig.push("one", class, payload, 0);
    }
    assert_eq!(rig.order(MS), [3, 4, 2, 5, 1, 6, 0, 7]);
}

#[test]
fn a_lane_that_stands_serves_the_newest_first_while_more_wait_than_half_of_the_longest_wait_starts() {
    let mut rig = Rig::new();
    let slow = Pace { step_ns: 1_000 * MS, ..PACE };
    for payload in 0..4 {
        rig.queue.push(&call("one", Class::Normal, FAR), payload, slow, 0, &mut rig.gone).unwrap();
    }
    assert_eq!(rig.queue.pop(50 * MS).unwrap().payload, 0, "it does not stand yet");
    assert_eq!(rig.queue.pop(50 * MS + 1).unwrap().payload, 3);
    assert_eq!(rig.order(60 * MS), [1, 2], "two are started within two seconds");
    for payload in 4..7 {
        rig.queue.push(&call("one", Class::Normal, FAR), payload, slow, 70 * MS, &mut rig.gone).unwrap();
    }
    assert_eq!(rig.queue.pop(71 * MS).unwrap().payload, 4, "it was empty");
}

#[test]
fn a_crowd_that_is_served_in_time_is_served_in_turn_however_long_it_stands() {
    let mut rig = Rig::new();
    for payload in 0..1_000 {
        rig.push("one", Class::Normal, payload, 0);
    }
    for payload in 1_000..3_000 {
        let now_ns = u64::from(payload - 999) * PACE.step_ns;
        assert_eq!(rig.queue.pop(now_ns).unwrap().payload, payload - 1_000);
        rig.push("one", Class::Normal, payload, now_ns);
    }
}

#[test]
fn tenants_take_turns_by_their_weights_however_many_calls_each_has() {
    let mut rig = Rig::new();
    for payload in 0..40 {
        rig.push("many", Class::Normal, payload, 0);
    }
    for payload in 100..120 {
        let heavy = Call { weight: 3, ..call("heavy", Class::Normal, FAR) };
        rig.offer(&heavy, payload, 1_000, 0).unwrap();
    }
    let order = rig.order(0);
    let heavy = order.iter().take(24).filter(|payload| **payload >= 100).count();
    assert!((17..=19).contains(&heavy), "three of four turns, not {heavy} of 24");
}

#[test]
fn who_comes_back_from_idle_has_saved_nothing_and_who_left_ahead_still_owes() {
    let mut rig = Rig::new();
    for payload in 0..30 {
        rig.push("busy", Class::Normal, payload, 0);
    }
    for _ in 0..10 {
        rig.queue.pop(0);
    }
    for payload in 100..110 {
        rig.push("idle", Class::Normal, payload, 0);
    }
    let firsts: Vec<u32> = (0..6).map(|_| rig.queue.pop(0).unwrap().payload).collect();
    let idle = firsts.iter().filter(|payload| **payload >= 100).count();
    assert_eq!(idle, 3, "turn by turn, and no ten in a row: {firsts:?}");

    // One call at a time, each asked for when the last was started, gets no more turns than a backlog does.
    let mut rig = Rig::new();
    for payload in 0..30 {
        rig.push("busy", Class::Normal, payload, 0);
    }
    let mut hopper = 0;
    for _ in 0..20 {
        if rig.queue.tenants.find(&"hopper").is_none_or(|tenant| tenant.len() == 0) {
            rig.push("hopper", Class::Normal, 100, 0);
        }
        hopper += usize::from(rig.queue.pop(0).unwrap().payload == 100);
    }
    assert!((9..=11).contains(&hopper), "{hopper} of 20 turns");
}

#[test]
fn a_tenant_that_calls_everything_urgent_is_ahead_once_and_not_for_good() {
    let mut rig = Rig::new();
    for payload in 0..100 {
        rig.push("plain", Class::Background, payload, 0);
        rig.push("vain", Class::System, 100 + payload, 0);
    }
    let order = rig.order(0);
    let vain = order.iter().take(100).filter(|payload| **payload >= 100).count();
    assert!((50..=54).contains(&vain), "{vain} of the first 100");
}

#[test]
fn who_would_be_done_too_late_is_refused_at_the_door_and_told_how_long_the_queue_is() {
    let mut rig = Rig::new();
    for payload in 0..50 {
        rig.push("one", Class::Normal, payload, 0);
    }
    // 50 starts of 2 ms before it, then one and a half times 10 ms.
    let late = call("one", Class::Normal, 115 * MS - 1);
    let refused = rig.offer(&late, 99, 1_000, 0).unwrap_err();
    assert_eq!((refused.reason, refused.retry_after.as_millis()), (Reason::Deadline, 100));
    assert!(rig.offer(&Call { deadline_ns: 115 * MS, ..late.clone() }, 99, 1_000, 0).is_ok());
    assert!(rig.offer(&Call { class: Class::Interactive, ..late.clone() }, 99, 1_000, 0).is_ok(), "nobody before it");
    assert!(rig.offer(&Call { tenant: "other", ..late }, 99, 1_000, 0).is_ok(), "its turn comes sooner");
}

#[test]
fn who_can_no_longer_be_done_in_time_leaves_at_that_instant() {
    let mut rig = Rig::new();
    let soon = rig.offer(&call("one", Class::Normal, 65 * MS), 0, 1_000, 0).unwrap();
    rig.push("one", Class::Normal, 1, 0);
    assert_eq!(rig.queue.next_wake(), Some(50 * MS));
    assert!(rig.queue.expired(50 * MS - 1, 2 * MS).is_none());
    let gone = rig.queue.expired(50 * MS, 2 * MS).unwrap();
    assert_eq!((gone.id, gone.refused.reason, gone.waited_ns), (soon, Reason::Expired, 50 * MS));
    assert_eq!(rig.queue.next_wake(), Some(5_000 * MS), "five seconds are the longest wait");
}

#[test]
fn where_calls_are_slow_one_may_wait_for_two_of_them() {
    let mut rig = Rig::new();
    let pace = Pace { service_ns: 3_000 * MS, ..PACE };
    let pushed = rig.queue.push(&call("one", Class::Normal, 60_000 * MS), 0, pace, 0, &mut rig.gone);
    assert!(pushed.is_ok());
    assert_eq!(rig.queue.next_wake(), Some(6_000 * MS));
}

#[test]
fn a_full_queue_gives_up_the_oldest_of_the_worst_class_of_the_longest_tenant() {
    let mut rig = Rig::new();
    rig.push("short", Class::Background, 0, 0);
    for (payload, class) in [(1, Class::System), (2, Class::Background), (3, Class::Background)] {
        rig.push("long", class, payload, 0);
    }
    rig.offer(&call("new", Class::Background, FAR), 4, 4, 0).unwrap();
    assert_eq!(rig.gone.pop().map(|gone| (gone.payload, gone.refused.reason)), Some((2, Reason::Evicted)));
    // Of its own tenant it takes the place of what is as good or worse, and else is refused itself.
    rig.offer(&call("long", Class::Normal, FAR), 5, 4, 0).unwrap();
    assert_eq!(rig.gone.pop().map(|gone| gone.payload), Some(3));
    let refused = rig.offer(&call("long", Class::Background, FAR), 6, 4, 0).unwrap_err();
    assert_eq!(refused.reason, Reason::QueueFull);
    assert_eq!((rig.queue.len(), rig.queue.lengths()), (4, [1, 0, 1, 2]));
}

#[test]
fn nothing_is_known_of_those_who_are_gone() {
    let mut rig = Rig::new();
    let first = rig.push("one", Class::Normal, 0, 0);
    let second = rig.push("two", Class::Normal, 1, 0);
    assert_eq!(rig.queue.cancel(first), Some(0));
    assert_eq!(rig.queue.cancel(first), None);
    assert_eq!(rig.queue.pop(0).unwrap().id, second);
    assert_eq!((rig.queue.tenants(), rig.queue.next_wake(), rig.queue.is_empty()), (0, None, true));
}

#[test]
fn a_tenant_that_owes_nothing_any_more_is_forgotten_while_others_wait() {
    const PASSERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut rig = Rig::new();
    for payload in 0..100 {
        rig.push("always", Class::Normal, payload, 0);
    }
    for round in 0..40 {
        rig.push(PASSERS[round % 8], Class::Normal, 200, 0);
        rig.queue.pop(0);
        rig.queue.pop(0);
        assert!(rig.queue.tenants() <= 3, "{} are known", rig.queue.tenants());
    }
}

#[test]
fn a_hint_only_lowers_the_class() {
    assert_eq!(Class::Normal.lowered_to(Class::System), Class::Normal);
    assert_eq!(Class::Normal.lowered_to(Class::Background), Class::Background);
}
