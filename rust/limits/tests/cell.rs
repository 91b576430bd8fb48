//! What a token bucket promises, by example.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use omnimind_limits::{Cost, InvalidQuota, Quota, Refusal, TokenBucket};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn bucket(per_s: f64, burst: f64) -> TokenBucket {
    TokenBucket::new(Quota::new(per_s, burst).unwrap())
}

fn cost(tokens: f64) -> Cost {
    Cost::new(tokens).unwrap()
}

fn admitted(bucket: &TokenBucket, now: Duration) -> usize {
    (0..100_000).take_while(|_| bucket.try_take(Cost::ONE, now).is_ok()).count()
}

#[test]
fn a_new_bucket_admits_its_burst_at_once_and_not_one_more() {
    for per_s in [0.001, 3.0, 7.0, 333.0, 1e6, 3e6] {
        assert_eq!(admitted(&bucket(per_s, 10.0), ms(5)), 10, "at {per_s}/s");
    }
}

#[test]
fn a_refusal_tells_the_wait_to_the_nanosecond() {
    let bucket = bucket(1000.0, 1.0);
    assert_eq!(bucket.try_take(Cost::ONE, ms(0)), Ok(()));
    let now = Duration::from_micros(400);
    let refusal = bucket.try_take(Cost::ONE, now).unwrap_err();
    assert_eq!(refusal, Refusal::TooSoon { retry_after: Duration::from_micros(600) });
    let wait = refusal.retry_after().unwrap();
    assert!(bucket.try_take(Cost::ONE, now + wait.checked_sub(Duration::from_nanos(1)).unwrap()).is_err());
    assert_eq!(bucket.try_take(Cost::ONE, now + wait), Ok(()));
}

#[test]
fn a_call_heavier_than_the_burst_is_refused_for_what_it_is() {
    let bucket = bucket(10.0, 5.0);
    assert_eq!(bucket.try_take(cost(5.5), ms(0)), Err(Refusal::TooLarge { burst: 5.0 }));
    assert_eq!(bucket.try_take(cost(5.5), ms(0)).unwrap_err().retry_after(), None);
    assert_eq!(bucket.try_take(cost(5.0), ms(0)), Ok(()), "a refused call took nothing");
}

#[test]
fn a_call_that_costs_nothing_is_always_admitted() {
    let bucket = bucket(1.0, 1.0);
    assert_eq!(admitted(&bucket, ms(0)), 1);
    assert_eq!(bucket.try_take(cost(0.0), ms(0)), Ok(()));
}

#[test]
fn lowering_the_rate_of_an_emptied_bucket_grants_nothing() {
    let bucket = bucket(100.0, 10.0);
    assert_eq!(admitted(&bucket, ms(0)), 10);
    bucket.set_quota(Quota::new(1.0, 10.0).unwrap(), ms(0));
    assert_eq!(admitted(&bucket, ms(999)), 0);
    assert_eq!(admitted(&bucket, ms(1000)), 1);
}

#[test]
fn a_raised_rate_counts_at_once() {
    let bucket = bucket(1.0, 10.0);
    assert_eq!(admitted(&bucket, ms(0)), 10);
    bucket.set_quota(Quota::new(1000.0, 10.0).unwrap(), ms(0));
    assert_eq!(admitted(&bucket, ms(3)), 3);
}

#[test]
fn a_lower_burst_forgives_debt_beyond_it_and_a_higher_one_grants_the_difference() {
    let shrunk = bucket(1000.0, 100.0);
    assert_eq!(admitted(&shrunk, ms(0)), 100);
    shrunk.set_quota(Quota::new(1000.0, 5.0).unwrap(), ms(0));
    assert_eq!(admitted(&shrunk, ms(0)), 0);
    assert_eq!(admitted(&shrunk, ms(2)), 2);

    let grown = bucket(1000.0, 5.0);
    assert_eq!(admitted(&grown, ms(0)), 5);
    grown.set_quota(Quota::new(1000.0, 20.0).unwrap(), ms(0));
    assert_eq!(admitted(&grown, ms(0)), 15);
}

#[test]
fn any_number_of_changes_leaves_the_last_quota_in_force() {
    let bucket = bucket(1.0, 1.0);
    for n in 1_u32..=100 {
        let quota = Quota::new(f64::from(n), 2.0).unwrap();
        bucket.set_quota(quota, ms(u64::from(n)));
        assert_eq!(bucket.quota(), quota);
    }
}

#[test]
fn available_counts_down_and_back_up() {
    let bucket = bucket(10.0, 4.0);
    assert!((bucket.available(ms(0)) - 4.0).abs() < 1e-9);
    assert_eq!(bucket.try_take(cost(3.0), ms(0)), Ok(()));
    assert!((bucket.available(ms(0)) - 1.0).abs() < 1e-9);
    assert!((bucket.available(ms(100)) - 2.0).abs() < 1e-9);
    assert!((bucket.available(ms(60_000)) - 4.0).abs() < 1e-9);
}

#[test]
fn a_clock_that_steps_back_admits_nothing_extra() {
    let bucket = bucket(1000.0, 2.0);
    assert_eq!(admitted(&bucket, ms(100)), 2);
    assert_eq!(admitted(&bucket, ms(0)), 0);
    let refusal = bucket.try_take(Cost::ONE, ms(0)).unwrap_err();
    assert_eq!(refusal.retry_after(), Some(ms(101)));
}

#[test]
fn an_instant_beyond_the_horizon_is_still_decided() {
    let bucket = bucket(1.0, 3.0);
    assert_eq!(admitted(&bucket, Duration::MAX), 3);
    bucket.set_quota(Quota::new(0.000_000_02, 5.0).unwrap(), Duration::MAX);
    assert_eq!(admitted(&bucket, Duration::MAX), 2);
}

#[test]
fn numbers_that_make_no_quota_or_cost_are_named() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e9] {
        assert!(matches!(Quota::new(rate, 1.0), Err(InvalidQuota::Rate(_))), "{rate}");
    }
    for burst in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Quota::new(1.0, burst), Err(InvalidQuota::Burst(_))), "{burst}");
    }
    assert_eq!(Quota::new(1e-9, 1.0), Err(InvalidQuota::TooSlow));
    assert_eq!(Quota::new(1.0, 1e30), Err(InvalidQuota::TooSlow));
    for tokens in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Cost::new(tokens).is_err(), "{tokens}");
    }
}

#[test]
fn eight_threads_together_get_the_burst_and_not_one_more() {
    let bucket = bucket(0.001, 10_000.0);
    let total: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| admitted(&bucket, ms(0)))).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(total, 10_000);
}

#[test]
fn a_cell_stays_small() {
    assert!(size_of::<TokenBucket>() <= 88, "{}", size_of::<TokenBucket>());
}
