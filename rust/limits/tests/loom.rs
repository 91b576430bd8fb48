//! The orderings of the cell, by exhaustion: every execution of a few small programs the memory model allows.
//! Same source as ships, built on loom's atomics; preemptions are bounded so that it ends in seconds.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "../src/bucket.rs"]
mod bucket;
#[path = "../src/rate/key.rs"]
mod key;
#[path = "../src/rate/pace.rs"]
mod pace;
#[path = "../src/rate/place.rs"]
mod place;
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
use loom::sync::atomic::Ordering;
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

/// Moves the word by a second, as a taker of `key` does; the instant it is then in debt until.
fn take_from(place: &place::Place, key: key::Key, now_ns: u64) -> Option<u64> {
    let seen = place.held_by(key)?;
    let next = bucket::State::new(seen.generation(), seen.tat_ns().max(now_ns) + 1_000_000_000);
    let swapped = place.word().compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire);
    swapped.ok().map(|_| next.tat_ns())
}

#[test]
fn a_place_changes_hands_before_it_is_taken_from_or_not_at_all() {
    explore(|| {
        let [old, new] = ["old", "new"].map(|name| key::Keys::new().of(name));
        let place = Arc::new(place::Place::vacant());
        assert!(place.change_hands(old, 1, |_| 0).is_some());
        let other = Arc::clone(&place);
        let comer = loom::thread::spawn(move || {
            let came = other.change_hands(new, 2, |debt_ns| debt_ns).is_some();
            (came, take_from(&other, new, 2).is_some())
        });
        let taken = take_from(&place, old, 2);
        let (came, took) = comer.join().unwrap();
        assert!(!(came && taken.is_some()), "the new holder pays for the old one");
        assert_eq!(came, took);
        assert_eq!(
            place.held_by(if came { new } else { old }).is_some_and(|seen| seen.tat_ns() > 2),
            came || taken.is_some()
        );
    });
}

#[test]
fn a_place_that_went_to_another_and_came_back_is_not_taken_from_as_it_was() {
    explore(|| {
        let [old, new] = ["old", "new"].map(|name| key::Keys::new().of(name));
        let place = Arc::new(place::Place::vacant());
        assert!(place.change_hands(old, 1, |_| 0).is_some());
        let other = Arc::clone(&place);
        let comer = loom::thread::spawn(move || {
            other.change_hands(new, 2, |_| 0).is_some() && other.change_hands(old, 2, |_| 2).is_some()
        });
        let taken = take_from(&place, old, 1);
        let back = comer.join().unwrap();
        let debt_ns = place.held_by(old).map(bucket::State::tat_ns);
        assert!(debt_ns.is_some_and(|debt_ns| !back || debt_ns == taken.map_or(2, |_| 1_000_000_002)));
    });
}

#[test]
fn a_clock_bent_twice_is_read_whole() {
    explore(|| {
        let pace = Arc::new(pace::Pace::new());
        let other = Arc::clone(&pace);
        let changer = loom::thread::spawn(move || {
            other.set(2.0, Duration::from_nanos(100));
            other.set(4.0, Duration::from_nanos(200));
        });
        let shown_ns = pace.bend().shown_ns(300);
        assert!([300, 100 + 400, 100 + 200 + 400].contains(&shown_ns), "{shown_ns}");
        changer.join().unwrap();
    });
}
