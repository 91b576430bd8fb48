//! The orderings of the cell, by exhaustion: every execution of a few small programs the memory model allows.
//! Same source as ships, built on loom's atomics; preemptions are bounded so that it ends in seconds.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "../src/bucket.rs"]
mod bucket;
#[path = "../src/quota.rs"]
mod quota;
#[path = "../src/refusal.rs"]
mod refusal;
mod sync {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::Ordering;

    /// loom remembers only the last access to an atomic, so that one thread's load hides another's, and it would not
    /// try a swap between them. A store without any ordering to a word beside it makes every access count.
    pub(crate) struct AtomicU64 {
        word: loom::sync::atomic::AtomicU64,
        touched: loom::sync::atomic::AtomicBool,
    }

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self {
                word: loom::sync::atomic::AtomicU64::new(value),
                touched: loom::sync::atomic::AtomicBool::new(false),
            }
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.touched.store(true, Ordering::Relaxed);
            self.word.load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.touched.store(true, Ordering::Relaxed);
            self.word.store(value, order);
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            from: u64,
            to: u64,
            done: Ordering,
            lost: Ordering,
        ) -> Result<u64, u64> {
            self.touched.store(true, Ordering::Relaxed);
            self.word.compare_exchange_weak(from, to, done, lost)
        }
    }
}

use std::time::Duration;

use bucket::TokenBucket;
use loom::sync::Arc;
use quota::{Cost, Quota};
use refusal::Refusal;

fn explore(program: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(program);
}

fn shared(per_s: f64, burst: f64) -> Arc<TokenBucket> {
    Arc::new(TokenBucket::new(Quota::new(per_s, burst).unwrap()))
}

#[test]
fn two_callers_never_share_a_token() {
    explore(|| {
        let bucket = shared(1.0, 1.0);
        let other = Arc::clone(&bucket);
        let taker = loom::thread::spawn(move || other.try_take(Cost::ONE, Duration::ZERO).is_ok());
        let mine = bucket.try_take(Cost::ONE, Duration::ZERO).is_ok();
        assert!(mine ^ taker.join().unwrap());
    });
}

#[test]
fn a_refusal_is_never_made_of_two_quotas() {
    explore(|| {
        let bucket = shared(1.0, 1.0);
        assert!(bucket.try_take(Cost::ONE, Duration::ZERO).is_ok());
        let other = Arc::clone(&bucket);
        let changer = loom::thread::spawn(move || {
            other.set_quota(Quota::new(10.0, 1.0).unwrap(), Duration::ZERO);
            other.set_quota(Quota::new(100.0, 1.0).unwrap(), Duration::ZERO);
        });
        let Err(Refusal::TooSoon { retry_after }) = bucket.try_take(Cost::ONE, Duration::ZERO) else {
            unreachable!("the bucket is empty under each of the three quotas");
        };
        assert!([1000, 100, 10].contains(&retry_after.as_millis()), "{retry_after:?}");
        changer.join().unwrap();
    });
}

#[test]
fn a_reader_sees_a_quota_whole_across_two_changes() {
    explore(|| {
        let bucket = shared(1.0, 1.0);
        let other = Arc::clone(&bucket);
        let changer = loom::thread::spawn(move || {
            other.set_quota(Quota::new(2.0, 2.0).unwrap(), Duration::ZERO);
            other.set_quota(Quota::new(3.0, 3.0).unwrap(), Duration::ZERO);
        });
        let seen = bucket.quota();
        assert!((seen.per_s() - seen.burst()).abs() < f64::EPSILON, "torn: {seen:?}");
        changer.join().unwrap();
    });
}
