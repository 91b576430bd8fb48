#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use super::*;
use crate::concurrency::Fixed;
use crate::queue::Reason;
use crate::quota::Quota;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

struct Rig {
    buckets: Admission,
    quotas: Quotas,
    gate: Gate,
    words: Vec<Word>,
}

impl Rig {
    fn new(quotas: Quotas, permits: Option<u32>) -> Self {
        let policy = permits.map(|permits| Box::new(Fixed::new(permits)) as Box<dyn Policy>);
        Self { buckets: Admission::new(64), quotas, gate: Gate::new(policy, 1_000), words: Vec::new() }
    }

    /// Ten a second to each tenant, one at once.
    fn ten_a_second() -> Self {
        Self::new(Quotas { tenant: quota(10.0, 1.0), ..Quotas::default() }, None)
    }

    fn arrive(&mut self, ask: Ask, now_ns: u64) -> Arrived {
        let rates = Rates { buckets: &self.buckets, pace: 1.0 };
        let ask = Ask { quotas: self.quotas, ..ask };
        self.gate.arrive(rates, ask, now_ns, &mut self.words)
    }

    fn wait(&mut self, ask: Ask, now_ns: u64) -> Ticket {
        match self.arrive(ask, now_ns) {
            Arrived::Waits(ticket) => ticket,
            other => panic!("does not wait: {other:?}"),
        }
    }

    fn go(&mut self, ask: Ask, now_ns: u64) -> Option<PermitId> {
        match self.arrive(ask, now_ns) {
            Arrived::Answered(Answer::Go(permit)) => permit,
            other => panic!("does not go: {other:?}"),
        }
    }

    /// Runs until nothing is left to happen; the words and their instants.
    fn run(&mut self) -> Vec<(u64, Word)> {
        let mut said = Vec::new();
        while let Some(now_ns) = self.gate.next_wake() {
            self.tick(now_ns);
            said.extend(self.words.drain(..).map(|word| (now_ns, word)));
        }
        assert_eq!((self.gate.waiting(), self.gate.spots.len()), ([0; 4], 0));
        said
    }

    fn tick(&mut self, now_ns: u64) {
        let rates = Rates { buckets: &self.buckets, pace: 1.0 };
        self.gate.tick(rates, now_ns, &mut self.words);
    }
}

#[allow(clippy::unnecessary_wraps)] // as a level has it
fn quota(per_s: f64, burst: f64) -> Option<Quota> {
    Some(Quota::new(per_s, burst).unwrap())
}

fn ask(tenant: &str, class: Class, deadline_ns: u64) -> Ask {
    let [tenant, server, tool] = [tenant, "files", "read"].map(Arc::from);
    Ask { tenant, server, tool, quotas: Quotas::default(), cost: Cost::ONE, class, deadline_ns }
}

fn normal(tenant: &str) -> Ask {
    ask(tenant, Class::Normal, 10 * S)
}

fn went(said: &[(u64, Word)]) -> Vec<(u64, Ticket)> {
    said.iter().filter(|(_, word)| matches!(word.answer, Answer::Go(_))).map(|(at, word)| (*at, word.ticket)).collect()
}

#[test]
fn who_waits_goes_when_its_token_comes_one_after_the_other() {
    let mut rig = Rig::ten_a_second();
    assert_eq!(rig.go(normal("a"), 0), None);
    let [first, second] = [0, 1].map(|_| rig.wait(normal("a"), 0));
    assert_eq!(went(&rig.run()), [(100 * MS, first), (200 * MS, second)]);
}

#[test]
fn one_tenant_without_tokens_keeps_no_other_waiting() {
    let mut rig = Rig::ten_a_second();
    rig.go(normal("a"), 0);
    rig.wait(normal("a"), 0);
    assert_eq!(rig.go(normal("b"), 0), None);
}

#[test]
fn the_more_urgent_of_a_tenant_goes_first_and_the_older_of_a_class() {
    let mut rig = Rig::ten_a_second();
    rig.go(normal("a"), 0);
    let classes = [Class::Background, Class::Normal, Class::Normal, Class::System];
    let [background, one, other, system] = classes.map(|class| rig.wait(ask("a", class, 10 * S), 0));
    let order: Vec<_> = went(&rig.run()).into_iter().map(|(_, ticket)| ticket).collect();
    assert_eq!(order, [system, one, other, background]);
}

#[test]
fn an_urgent_call_that_needs_less_does_not_wait_for_what_the_head_before_it_needed() {
    let mut rig = Rig::new(Quotas { tenant: quota(10.0, 10.0), ..Quotas::default() }, None);
    rig.go(Ask { cost: Cost::new(10.0).unwrap(), ..normal("a") }, 0);
    let heavy = rig.wait(Ask { cost: Cost::new(10.0).unwrap(), ..normal("a") }, 0);
    let urgent = rig.wait(ask("a", Class::System, 10 * S), 0);
    assert_eq!(went(&rig.run()), [(100 * MS, urgent), (1_100 * MS, heavy)]);
}

#[test]
fn who_would_wait_in_vain_is_told_at_once_and_exactly_how_long_it_would_take() {
    let mut rig = Rig::ten_a_second();
    rig.go(normal("a"), 0);
    let in_vain = |rig: &mut Rig, now_ns, deadline_ns| match rig.arrive(ask("a", Class::Normal, deadline_ns), now_ns) {
        Arrived::Answered(Answer::No(place, refused)) => (place, refused.reason, refused.retry_after),
        other => panic!("{other:?}"),
    };
    let no = |wait_ms| (Place::Rate(Scope::Tenant), Reason::Deadline, Duration::from_millis(wait_ms));
    assert_eq!(in_vain(&mut rig, 0, 99 * MS), no(100));
    rig.wait(ask("a", Class::Normal, 100 * MS), 0);
    assert_eq!(in_vain(&mut rig, 40 * MS, 199 * MS), no(160));
    let second = rig.wait(ask("a", Class::Normal, 200 * MS), 40 * MS);
    assert_eq!(went(&rig.run()).last(), Some(&(200 * MS, second)));
}

#[test]
fn who_is_overtaken_until_its_deadline_is_told_then() {
    let mut rig = Rig::ten_a_second();
    rig.go(normal("a"), 0);
    let patient = rig.wait(ask("a", Class::Normal, 150 * MS), 0);
    let urgent = rig.wait(ask("a", Class::System, 10 * S), 0);
    let said = rig.run();
    assert_eq!(went(&said), [(100 * MS, urgent)]);
    assert!(matches!(said[1], (at, Word { ticket, answer: Answer::No(Place::Rate(Scope::Tenant), refused) })
        if at == 150 * MS && ticket == patient && refused.reason == Reason::Expired));
}

#[test]
fn before_the_bucket_of_a_tool_tenants_take_turns() {
    let mut rig = Rig::new(Quotas { server_tool: quota(10.0, 1.0), ..Quotas::default() }, None);
    rig.go(normal("hog"), 0);
    let hog = [0; 4].map(|_| rig.wait(normal("hog"), 0));
    let other = [0; 2].map(|_| rig.wait(normal("other"), 0));
    let order: Vec<_> = went(&rig.run()).into_iter().map(|(_, ticket)| ticket).collect();
    assert_eq!(order, [hog[0], other[0], hog[1], other[1], hog[2], hog[3]]);
}

#[test]
fn whom_another_bucket_refuses_next_stands_in_that_one_s_line() {
    let quotas = Quotas { tenant: quota(10.0, 1.0), server_tool: quota(5.0, 1.0), ..Quotas::default() };
    let mut rig = Rig::new(quotas, None);
    rig.go(normal("a"), 0);
    rig.go(Ask { tool: Arc::from("write"), ..normal("b") }, 0);
    // Its tenant's line is what it joins; the tool, which "c" has called meanwhile, is what keeps it longest.
    let waits = rig.wait(Ask { tool: Arc::from("write"), ..normal("a") }, 0);
    assert_eq!(went(&rig.run()), [(200 * MS, waits)]);
}

#[test]
fn who_needs_another_bucket_keeps_nobody_waiting_who_does_not() {
    let quotas = Quotas { tenant: quota(10.0, 1.0), server_tool: quota(0.5, 1.0), ..Quotas::default() };
    let mut rig = Rig::new(quotas, None);
    let call = |tenant, tool: &str| Ask { tool: Arc::from(tool), ..normal(tenant) };
    rig.go(call("a", "first"), 0);
    rig.go(call("b", "write"), 0);
    let [read, write, list] = ["read", "write", "list"].map(|tool| rig.wait(call("a", tool), 0));
    assert_eq!(went(&rig.run()), [(100 * MS, read), (200 * MS, list), (2_000 * MS, write)]);
}

#[test]
fn who_leaves_is_not_answered_and_its_token_is_the_next_one_s() {
    let mut rig = Rig::ten_a_second();
    rig.go(normal("a"), 0);
    let [first, second] = [0, 1].map(|_| rig.wait(normal("a"), 0));
    assert!(rig.gate.left(first));
    assert!(!rig.gate.left(first));
    assert_eq!(went(&rig.run()), [(100 * MS, second)]);
    assert!(!rig.gate.left(second));
}

#[test]
fn after_the_rate_comes_the_permit_and_a_permit_given_back_lets_the_next_one_in() {
    let mut rig = Rig::new(Quotas { tenant: quota(1_000.0, 10.0), ..Quotas::default() }, Some(1));
    let permit = rig.go(normal("a"), 0).unwrap();
    let next = rig.wait(normal("a"), 0);
    let mut words = Vec::new();
    assert!(rig.gate.ended(permit, Some(Outcome::Ok), 20 * MS, &mut words));
    assert!(!rig.gate.ended(permit, None, 20 * MS, &mut words));
    let [Word { ticket, answer: Answer::Go(Some(second)) }] = words[..] else { panic!("{words:?}") };
    assert_eq!(ticket, next);
    assert!(rig.gate.ended(second, None, 30 * MS, &mut words));
    assert_eq!(rig.gate.permits().map(|live| (live.in_flight, live.waiting)), Some((0, [0; 4])));
}

#[test]
fn who_waits_for_a_permit_in_vain_is_told_at_its_deadline() {
    let mut rig = Rig::new(Quotas::default(), Some(1));
    rig.go(normal("a"), 0).unwrap();
    let ticket = rig.wait(ask("a", Class::Normal, 100 * MS), 0);
    assert_eq!(rig.gate.next_wake(), Some(100 * MS));
    rig.tick(100 * MS);
    let [Word { ticket: told, answer: Answer::No(Place::Concurrency, refused) }] = rig.words[..] else {
        panic!("{:?}", rig.words)
    };
    assert_eq!((told, refused.reason), (ticket, Reason::Expired));
}

#[test]
fn now_or_never_takes_what_is_free_and_waits_for_nothing() {
    let mut rig = Rig::new(Quotas::default(), Some(1));
    rig.go(ask("a", Class::Normal, 5 * S), 5 * S).unwrap();
    let never = rig.arrive(ask("a", Class::Normal, 5 * S), 5 * S);
    assert!(matches!(never, Arrived::Answered(Answer::No(Place::Concurrency, _))), "{never:?}");
}

#[test]
fn what_no_full_bucket_could_pay_is_no_matter_of_waiting() {
    let mut rig = Rig::ten_a_second();
    let heavy = Ask { cost: Cost::new(1.5).unwrap(), ..normal("a") };
    assert_eq!(rig.arrive(heavy, 0), Arrived::TooLarge { burst: 1.0 });
}

#[test]
fn whatever_comes_and_goes_no_ticket_is_answered_twice_and_nothing_is_left() {
    let seeds: u64 = if std::env::var_os("OMNIMIND_FULL").is_some() { 20_000 } else { 200 };
    for seed in 0..seeds {
        let quotas = Quotas { tenant: quota(50.0, 3.0), server_tool: quota(80.0, 2.0), ..Quotas::default() };
        let mut rig = Rig::new(quotas, (seed % 2 == 0).then_some(3));
        let (mut dice, mut now_ns) = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, 0);
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let (mut open, mut held) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            now_ns += roll(20) * MS;
            match roll(4) {
                0 | 1 => {
                    let class = Class::ALL[usize::try_from(roll(4)).unwrap()];
                    let tenant = ["a", "b", "c"][usize::try_from(roll(3)).unwrap()];
                    match rig.arrive(ask(tenant, class, now_ns + roll(500) * MS), now_ns) {
                        Arrived::Waits(ticket) => open.push(ticket),
                        Arrived::Answered(Answer::Go(permit)) => held.extend(permit),
                        _ => {}
                    }
                }
                2 if !open.is_empty() => {
                    let at = usize::try_from(roll(open.len() as u64)).unwrap();
                    assert!(rig.gate.left(open.swap_remove(at)));
                }
                _ => {
                    let (outcome, at) = (roll(2) == 0, usize::try_from(roll(8)).unwrap());
                    if at < held.len() {
                        let outcome = outcome.then_some(Outcome::Ok);
                        assert!(rig.gate.ended(held.swap_remove(at), outcome, now_ns, &mut rig.words));
                    } else {
                        rig.tick(now_ns);
                    }
                }
            }
            for Word { ticket, answer } in rig.words.drain(..) {
                let at = open.iter().position(|one| *one == ticket).unwrap_or_else(|| panic!("{ticket:?} twice"));
                open.swap_remove(at);
                if let Answer::Go(permit) = answer {
                    held.extend(permit);
                }
            }
        }
        open.drain(..).for_each(|ticket| assert!(rig.gate.left(ticket)));
        held.drain(..).for_each(|permit| assert!(rig.gate.ended(permit, None, now_ns, &mut rig.words)));
        assert_eq!((rig.gate.waiting(), rig.gate.spots.len(), rig.words.len()), ([0; 4], 0, 0));
        assert_eq!(rig.gate.permits().map_or(0, |live| live.in_flight), 0);
    }
}
