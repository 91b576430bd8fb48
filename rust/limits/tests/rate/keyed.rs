//! What a table of buckets promises: to each key its own, to all of them a bounded memory.

use std::collections::HashMap;
use std::time::Duration;

use omnimind_limits::rate::{Key, Keyed, Keys};
use omnimind_limits::{Cost, Quota, Refusal, TokenBucket};
use proptest::prelude::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn quota(per_s: f64, burst: f64) -> Quota {
    Quota::new(per_s, burst).unwrap()
}

fn takes(table: &Keyed, key: Key, quota: &Quota, now: Duration) -> bool {
    table.try_take(key, quota, Cost::ONE, now).is_ok()
}

fn admitted(table: &Keyed, key: Key, quota: &Quota, now: Duration) -> usize {
    (0..10_000).take_while(|_| takes(table, key, quota, now)).count()
}

/// As many keys as asked for, all different.
fn many(keys: &Keys, count: usize) -> Vec<Key> {
    (0..count).map(|n| keys.of(&format!("key {n}"))).collect()
}

#[test]
fn each_key_has_a_bucket_of_its_own() {
    let (keys, table, quota) = (Keys::new(), Keyed::new(64), quota(10.0, 5.0));
    assert_eq!(admitted(&table, keys.of("a"), &quota, ms(0)), 5);
    assert_eq!(admitted(&table, keys.of("b"), &quota, ms(0)), 5);
    assert_eq!(admitted(&table, keys.of("a"), &quota, ms(200)), 2);
}

#[test]
fn the_key_of_two_names_is_neither_of_them_and_knows_their_order() {
    let keys = Keys::new();
    let (a, b) = (keys.of("a"), keys.of("b"));
    let all = [a, b, a.and(b), b.and(a), a.and(a), keys.of("ab")];
    let different: std::collections::HashSet<Key> = all.into_iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(a.and(b), keys.of("a").and(keys.of("b")));
}

#[test]
fn a_key_under_another_quota_is_another_bucket() {
    let (keys, table) = (Keys::new(), Keyed::new(64));
    let key = keys.of("a");
    assert_eq!(admitted(&table, key, &quota(0.001, 3.0), ms(0)), 3);
    assert_eq!(admitted(&table, key, &quota(0.002, 3.0), ms(0)), 3);
    assert_eq!(admitted(&table, key, &quota(0.001, 4.0), ms(0)), 4);
    assert_eq!(admitted(&table, key, &quota(0.001, 3.0), ms(0)), 0);
}

#[test]
fn a_refusal_of_a_key_tells_the_wait_to_the_nanosecond() {
    let (keys, table, quota) = (Keys::new(), Keyed::new(64), quota(1000.0, 1.0));
    let key = keys.of("a");
    assert!(takes(&table, key, &quota, ms(0)));
    let refusal = table.try_take(key, &quota, Cost::ONE, Duration::from_micros(400)).unwrap_err();
    assert_eq!(refusal, Refusal::TooSoon { retry_after: Duration::from_micros(600) });
    assert!(!takes(&table, key, &quota, Duration::from_nanos(999_999)));
    assert!(takes(&table, key, &quota, ms(1)));
}

#[test]
fn a_table_three_quarters_full_of_keys_in_debt_gives_each_its_own_bucket() {
    let (keys, table, quota) = (Keys::new(), Keyed::new(4096), quota(0.001, 1.0));
    let shared = many(&keys, 3072).into_iter().filter(|&key| !takes(&table, key, &quota, ms(0))).count();
    assert_eq!(shared, 0);
}

#[test]
fn keys_beyond_the_room_share_one_bucket() {
    let (keys, table, quota) = (Keys::new(), Keyed::new(8), quota(0.001, 10.0));
    let all = many(&keys, 1000);
    let granted: usize = all.iter().map(|&key| admitted(&table, key, &quota, ms(0))).sum();
    assert_eq!(granted, (8 + 1) * 10, "eight buckets of their own, and one for the other 992");
}

#[test]
fn a_new_key_takes_the_place_that_has_been_idle_for_longest() {
    let (keys, table, quota) = (Keys::new(), Keyed::new(8), quota(1.0, 1.0));
    let all = many(&keys, 9);
    for (at, &key) in (0..).zip(&all[..8]) {
        assert!(takes(&table, key, &quota, ms(at)));
    }
    assert!(takes(&table, all[8], &quota, ms(1004)), "five places are idle");
    assert!(takes(&table, all[1], &quota, ms(1004)), "still there, and full");
    let kept = all[5..8].iter().filter(|&&key| !takes(&table, key, &quota, ms(1004)));
    assert_eq!(kept.count(), 3, "who is in debt keeps its place");
}

#[test]
fn a_key_that_was_evicted_finds_a_full_bucket_and_no_more() {
    let (keys, table, quota) = (Keys::new(), Keyed::new(8), quota(1.0, 3.0));
    let first = keys.of("first");
    assert_eq!(admitted(&table, first, &quota, ms(0)), 3);
    for key in many(&keys, 8) {
        assert!(takes(&table, key, &quota, ms(3000)));
    }
    assert_eq!(admitted(&table, first, &quota, ms(4000)), 3);
}

#[test]
fn a_key_that_leaves_the_overflow_brings_its_debt() {
    let (keys, table) = (Keys::new(), Keyed::new(8));
    let (brief, lasting) = (quota(1000.0, 1.0), quota(0.001, 5.0));
    for key in many(&keys, 8) {
        assert!(takes(&table, key, &brief, ms(0)));
    }
    let late = keys.of("late");
    assert_eq!(admitted(&table, late, &lasting, ms(0)), 5, "from the overflow cell");
    assert_eq!(admitted(&table, late, &lasting, ms(100)), 0, "from a place of its own");
}

#[test]
fn eight_threads_on_one_new_key_get_its_burst_and_not_one_more() {
    for round in 0..50 {
        let (keys, table, quota) = (Keys::new(), Keyed::new(64), quota(0.001, 500.0));
        let key = keys.of(&format!("{round}"));
        let total: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| admitted(&table, key, &quota, ms(0)))).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(total, 500);
    }
}

proptest! {
    #![proptest_config(crate::histories())]

    /// Few places, many keys, calls of all weights: keys come, go, share the overflow and return.
    #[test]
    fn no_key_is_ever_admitted_more_than_rate_times_time_plus_burst(
        per_s in 1.0..1000.0_f64,
        burst in 1.0..20.0_f64,
        calls in prop::collection::vec((0..40_usize, 0.0..4.0_f64, prop_oneof![Just(0), 0..20_000_000_u64]), 1..400),
    ) {
        let (keys, table, quota) = (Keys::new(), Keyed::new(8), quota(per_s, burst));
        let all = many(&keys, 40);
        let mut now_ns = 0;
        let mut by_key: HashMap<usize, Vec<(u64, f64)>> = HashMap::new();
        for (which, tokens, after_ns) in calls {
            now_ns += after_ns;
            let cost = Cost::new(tokens).unwrap();
            if table.try_take(all[which], &quota, cost, Duration::from_nanos(now_ns)).is_ok() {
                by_key.entry(which).or_default().push((now_ns, tokens));
            }
        }
        for takes in by_key.values() {
            prop_assert!(within(takes, per_s, burst), "{takes:?}");
        }
    }

    #[test]
    fn a_table_with_room_decides_as_a_bucket_for_each_key_would(
        per_s in 1.0..1000.0_f64,
        burst in 1.0..20.0_f64,
        calls in prop::collection::vec((0..20_usize, 0.0..4.0_f64, 0..20_000_000_u64), 1..200),
    ) {
        let (keys, table, quota) = (Keys::new(), Keyed::new(1024), quota(per_s, burst));
        let all = many(&keys, 20);
        let alone: Vec<_> = all.iter().map(|_| TokenBucket::new(quota)).collect();
        let mut now_ns = 0;
        for (which, tokens, after_ns) in calls {
            now_ns += after_ns;
            let (cost, now) = (Cost::new(tokens).unwrap(), Duration::from_nanos(now_ns));
            prop_assert_eq!(table.try_take(all[which], &quota, cost, now), alone[which].try_take(cost, now));
        }
    }
}

/// Whether no stretch of these takes, in order, holds more than `rate * t + burst`.
fn within(takes: &[(u64, f64)], per_s: f64, burst: f64) -> bool {
    (0..takes.len()).all(|first| {
        let mut sum = 0.0;
        takes[first..].iter().all(|&(at_ns, tokens)| {
            sum += tokens;
            let passed = Duration::from_nanos(at_ns - takes[first].0 + 1).as_secs_f64();
            sum <= (burst + per_s * passed) * (1.0 + 1e-9)
        })
    })
}
