//! The cell under a scheduler that tries many interleavings: the source of `bucket.rs`, built on shuttle's atomics.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, unused_imports)]

#[path = "../src/bucket.rs"]
mod bucket;
#[path = "../src/health.rs"]
mod health;
#[path = "rate/shuttled.rs"]
mod keyed;
#[path = "../src/quota.rs"]
mod quota;
#[path = "../src/rate/mod.rs"]
mod rate;
#[path = "../src/refusal.rs"]
mod refusal;
mod sync {
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
}

use std::time::Duration;

use bucket::TokenBucket;
use quota::{Cost, Quota};
use shuttle::sync::Arc;

const ITERATIONS: usize = 2_000;

fn shared(per_s: f64, burst: f64) -> Arc<TokenBucket> {
    Arc::new(TokenBucket::new(Quota::new(per_s, burst).unwrap()))
}

fn takers(bucket: &Arc<TokenBucket>, threads: usize, takes: usize) -> Vec<shuttle::thread::JoinHandle<usize>> {
    (0..threads)
        .map(|_| {
            let bucket = Arc::clone(bucket);
            shuttle::thread::spawn(move || {
                (0..takes).filter(|_| bucket.try_take(Cost::ONE, Duration::ZERO).is_ok()).count()
            })
        })
        .collect()
}

fn joined(takers: Vec<shuttle::thread::JoinHandle<usize>>) -> usize {
    takers.into_iter().map(|taker| taker.join().unwrap()).sum()
}

#[test]
fn racing_callers_never_share_a_token() {
    shuttle::check_random(
        || {
            let bucket = shared(1.0, 4.0);
            assert_eq!(joined(takers(&bucket, 3, 3)), 4);
        },
        ITERATIONS,
    );
}

#[test]
fn a_change_of_rate_under_way_neither_grants_nor_loses_tokens() {
    shuttle::check_random(
        || {
            let bucket = shared(1000.0, 4.0);
            let taking = takers(&bucket, 2, 3);
            for per_s in [1.0, 500.0] {
                bucket.set_quota(Quota::new(per_s, 4.0).unwrap(), Duration::ZERO);
            }
            assert_eq!(joined(taking), 4);
            assert_eq!(bucket.quota(), Quota::new(500.0, 4.0).unwrap());
        },
        ITERATIONS,
    );
}

#[test]
fn two_changes_take_turns_and_a_reader_sees_one_of_them_whole() {
    shuttle::check_random(
        || {
            let bucket = shared(1.0, 1.0);
            let changes = [(10.0, 10.0), (20.0, 20.0)].map(|(per_s, burst)| {
                let bucket = Arc::clone(&bucket);
                shuttle::thread::spawn(move || bucket.set_quota(Quota::new(per_s, burst).unwrap(), Duration::ZERO))
            });
            let seen = bucket.quota();
            assert!((seen.per_s() - seen.burst()).abs() < f64::EPSILON, "torn: {seen:?}");
            for change in changes {
                change.join().unwrap();
            }
        },
        ITERATIONS,
    );
}
