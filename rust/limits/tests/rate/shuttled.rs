//! Keys that come, go and are taken from at once, under a scheduler that tries many interleavings.
//! A table of eight places is one set, so that every key competes with every other.

use std::time::Duration;

use shuttle::sync::Arc;
use shuttle::thread::{self, JoinHandle};

use crate::health::Share;
use crate::quota::{Cost, Quota, Rate};
use crate::rate::{Admission, Call, Key, Keyed, Keys, Quotas};

const NOW: Duration = Duration::ZERO;
const LATER: Duration = Duration::from_secs(10);
const CALL: Call<'_> = Call { tenant: "acme", server: "git", tool: "log" };

fn explore(program: impl Fn() + Send + Sync + 'static) {
    let full = std::env::var_os("OMNIMIND_FULL").is_some();
    shuttle::check_random(program, if full { 20_000 } else { 200 });
}

/// Idle again within a second of being emptied.
fn brief(burst: f64) -> Quota {
    Quota::new(burst, burst).unwrap()
}

/// In debt for all of a test once taken from.
fn lasting(burst: f64) -> Quota {
    Quota::new(0.001, burst).unwrap()
}

fn take(table: &Keyed, key: Key, quota: &Quota, now: Duration) -> bool {
    table.try_take(key, quota, Cost::ONE, now).is_ok()
}

/// A table whose places are all held, `idle_later` of them by keys that are idle `LATER`.
fn full_table(keys: &Keys, idle_later: usize) -> Arc<Keyed> {
    let table = Keyed::new(8);
    for n in 0..8 {
        let quota = if n < idle_later { brief(1.0) } else { lasting(1.0) };
        assert!(take(&table, keys.of(&format!("held {n}")), &quota, NOW));
    }
    Arc::new(table)
}

fn taker(table: &Arc<Keyed>, key: Key, quota: Quota, now: Duration, takes: usize) -> JoinHandle<usize> {
    let table = Arc::clone(table);
    thread::spawn(move || (0..takes).filter(|_| take(&table, key, &quota, now)).count())
}

fn caller(gate: &Arc<Admission>, call: Call<'static>, quotas: Quotas, now: Duration) -> JoinHandle<usize> {
    let gate = Arc::clone(gate);
    thread::spawn(move || (0..2).filter(|_| gate.admit(call, &quotas, Cost::ONE, now).is_ok()).count())
}

fn joined(threads: Vec<JoinHandle<usize>>) -> usize {
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

#[test]
fn callers_who_bring_the_same_new_key_share_one_bucket() {
    explore(|| {
        let (table, key) = (Arc::new(Keyed::new(8)), Keys::new().of("new"));
        let takers = (0..3).map(|_| taker(&table, key, lasting(4.0), NOW, 3)).collect();
        assert_eq!(joined(takers), 4);
    });
}

#[test]
fn a_key_taken_from_while_it_is_evicted_gets_its_burst_and_not_one_more() {
    explore(|| {
        let keys = Keys::new();
        let table = full_table(&keys, 1);
        let old = keys.of("held 0");
        let takers = vec![taker(&table, old, brief(1.0), LATER, 1), taker(&table, old, brief(1.0), LATER, 1)];
        let comer = taker(&table, keys.of("new"), lasting(1.0), LATER, 2);
        assert!(joined(takers) <= 1);
        assert!(comer.join().unwrap() <= 1);
    });
}

#[test]
fn a_key_evicted_while_idle_loses_nothing_where_there_is_room() {
    explore(|| {
        let keys = Keys::new();
        let table = full_table(&keys, 2);
        let comer = taker(&table, keys.of("new"), lasting(1.0), LATER, 1);
        let takers = (0..2).map(|_| taker(&table, keys.of("held 0"), brief(3.0), LATER, 2)).collect();
        assert_eq!(joined(takers), 3);
        assert_eq!(comer.join().unwrap(), 1);
    });
}

#[test]
fn a_key_that_moves_out_of_the_overflow_while_it_takes_there_gains_nothing() {
    explore(|| {
        let keys = Keys::new();
        let table = full_table(&keys, 1);
        let key = keys.of("new");
        let takers = vec![taker(&table, key, lasting(2.0), NOW, 2), taker(&table, key, lasting(2.0), LATER, 2)];
        assert_eq!(joined(takers), 2);
    });
}

#[test]
fn what_a_refused_call_took_at_one_level_comes_back() {
    explore(|| {
        let gate = Arc::new(Admission::new(8));
        let level = |burst| Some(lasting(burst));
        let quotas = Quotas { tenant: level(5.0), tenant_server: level(4.0), server_tool: level(1.0) };
        let callers = ["log", "log", "diff"].map(|tool| caller(&gate, Call { tool, ..CALL }, quotas, NOW));
        assert_eq!(joined(callers.into()), 2, "each tool once");
        let rest = |quotas: Quotas| (0..9).filter(|_| gate.admit(CALL, &quotas, Cost::ONE, NOW).is_ok()).count();
        assert_eq!(rest(Quotas { server_tool: None, ..quotas }), 2, "of the four at this server");
        assert_eq!(rest(Quotas { tenant: quotas.tenant, ..Quotas::default() }), 1, "of the five in all");
    });
}

#[test]
fn what_time_gave_back_already_is_not_given_back_again() {
    explore(|| {
        let gate = Arc::new(Admission::new(8));
        let tenant = Quotas { tenant: Some(brief(2.0)), ..Quotas::default() };
        let quotas = Quotas { server_tool: Some(lasting(1.0)), ..tenant };
        let callers = vec![caller(&gate, CALL, quotas, NOW), caller(&gate, CALL, quotas, NOW)];
        let late = caller(&gate, CALL, tenant, LATER);
        joined(callers);
        let more = (0..3).filter(|_| gate.admit(CALL, &tenant, Cost::ONE, LATER).is_ok()).count();
        assert!(late.join().unwrap() + more <= 2);
    });
}

#[test]
fn a_change_of_pace_under_way_neither_grants_nor_loses_tokens() {
    explore(|| {
        let gate = Arc::new(Admission::new(8));
        let quotas = Quotas { tenant: Some(lasting(3.0)), ..Quotas::default() };
        let callers = (0..2).map(|_| caller(&gate, CALL, quotas, LATER)).collect();
        let (normal, all) = (Rate::new(500.0).unwrap(), Share::percent(100).unwrap());
        for per_s in [250.0, 1000.0] {
            gate.set_pace(Rate::new(per_s).unwrap(), normal, all, LATER);
        }
        assert_eq!(joined(callers), 3);
    });
}

fn admitted(table: &Keyed, key: Key, quota: &Quota, now: Duration) -> usize {
    (0..9).take_while(|_| take(table, key, quota, now)).count()
}

#[test]
fn what_is_given_back_is_there_again_and_what_others_took_since_is_not() {
    explore(|| {
        let (table, key, quota) = (Keyed::new(8), Keys::new().of("a"), lasting(5.0));
        let offer = table.ask(key, &quota, Cost::new(3.0).unwrap(), 0).unwrap();
        assert!(offer.accept());
        assert!(take(&table, key, &quota, NOW));
        offer.give_back();
        assert_eq!(admitted(&table, key, &quota, NOW), 4);
    });
}

#[test]
fn what_is_given_back_late_is_not_granted_twice() {
    explore(|| {
        let (table, key, quota) = (Keyed::new(8), Keys::new().of("a"), brief(2.0));
        let offer = table.ask(key, &quota, Cost::ONE, 0).unwrap();
        assert!(offer.accept());
        assert_eq!(admitted(&table, key, &quota, LATER), 2);
        offer.give_back();
        assert_eq!(admitted(&table, key, &quota, LATER), 0);
    });
}

#[test]
fn an_offer_of_the_overflow_lapses_when_some_key_gets_its_own_place() {
    explore(|| {
        let (keys, quota) = (Keys::new(), lasting(1.0));
        let table = full_table(&keys, 1);
        let offer = table.ask(keys.of("new"), &quota, Cost::ONE, 0).unwrap();
        assert_eq!(admitted(&table, keys.of("new"), &quota, LATER), 1);
        assert!(!offer.accept());
    });
}
