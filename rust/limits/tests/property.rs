//! What a token bucket promises, for any quota and any history.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::time::Duration;

use omnimind_limits::{Cost, Quota, Refusal, TokenBucket};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Take { tokens: f64, after_ns: u64 },
    Change { per_s: f64, burst: f64, after_ns: u64 },
}

fn quota() -> impl Strategy<Value = (f64, f64)> {
    (prop_oneof![0.01..10.0, 10.0..10_000.0, 1e4..1e7_f64], prop_oneof![0.1..2.0, 1.0..500.0_f64])
}

fn tokens() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(0.1), 0.0..3.0, 0.0..600.0_f64]
}

fn gap_ns() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1_000_u64, 0..10_000_000_u64, 0..5_000_000_000_u64]
}

fn take() -> impl Strategy<Value = Step> {
    (tokens(), gap_ns()).prop_map(|(tokens, after_ns)| Step::Take { tokens, after_ns })
}

fn step() -> impl Strategy<Value = Step> {
    let change = (quota(), gap_ns()).prop_map(|((per_s, burst), after_ns)| Step::Change { per_s, burst, after_ns });
    prop_oneof![8 => take(), 1 => change]
}

/// Tokens that come back in `ns`, with the nanosecond of rounding a cell may add.
fn refill(per_s: f64, ns: u64) -> f64 {
    per_s * (ns as f64 + 1.0) / 1e9
}

proptest! {
    #[test]
    fn never_admits_more_than_rate_times_time_plus_burst_over_any_window(
        (per_s, burst) in quota(),
        takes in prop::collection::vec(take(), 1..120),
    ) {
        let bucket = TokenBucket::new(Quota::new(per_s, burst).unwrap());
        let mut now_ns = 0;
        let mut admitted: Vec<(u64, f64)> = Vec::new();
        for step in takes {
            let Step::Take { tokens, after_ns } = step else { continue };
            now_ns += after_ns;
            if bucket.try_take(Cost::new(tokens).unwrap(), Duration::from_nanos(now_ns)).is_ok() {
                admitted.push((now_ns, tokens));
            }
        }
        for (first, &(start_ns, _)) in admitted.iter().enumerate() {
            let mut sum = 0.0;
            for &(end_ns, tokens) in &admitted[first..] {
                sum += tokens;
                let most = burst + refill(per_s, end_ns - start_ns);
                prop_assert!(sum <= most * (1.0 + 1e-12), "{sum} admitted in {} ns, at most {most}", end_ns - start_ns);
            }
        }
    }

    #[test]
    fn a_refused_caller_that_waits_is_admitted_and_one_nanosecond_less_is_refused(
        (per_s, burst) in quota(),
        history in prop::collection::vec(step(), 0..60),
        wanted in tokens(),
    ) {
        let mut now_ns = 0;
        let bucket = replay(per_s, burst, &history, &mut now_ns);
        let cost = Cost::new(wanted).unwrap();
        match bucket.try_take(cost, Duration::from_nanos(now_ns)) {
            Ok(()) => {}
            Err(Refusal::TooLarge { burst }) => prop_assert!(wanted > burst),
            Err(Refusal::TooSoon { retry_after }) => {
                prop_assert!(retry_after > Duration::ZERO);
                let then = Duration::from_nanos(now_ns) + retry_after;
                let early = bucket.try_take(cost, then.checked_sub(Duration::from_nanos(1)).unwrap());
                prop_assert_eq!(early, Err(Refusal::TooSoon { retry_after: Duration::from_nanos(1) }));
                prop_assert_eq!(bucket.try_take(cost, then), Ok(()));
            }
        }
    }

    #[test]
    fn changes_of_quota_never_admit_more_than_the_rates_in_force_and_the_bursts_granted(
        (per_s, burst) in quota(),
        history in prop::collection::vec(step(), 1..120),
    ) {
        let bucket = TokenBucket::new(Quota::new(per_s, burst).unwrap());
        let (mut now_ns, mut admitted, mut granted) = (0, 0.0, burst);
        for step in history {
            let before = bucket.quota();
            match step {
                Step::Take { tokens, after_ns } => {
                    now_ns += after_ns;
                    granted += refill(before.per_s(), after_ns);
                    if bucket.try_take(Cost::new(tokens).unwrap(), Duration::from_nanos(now_ns)).is_ok() {
                        admitted += tokens;
                    }
                }
                Step::Change { per_s, burst, after_ns } => {
                    now_ns += after_ns;
                    granted += refill(before.per_s(), after_ns) + (burst - before.burst()).max(0.0) + refill(per_s, 0);
                    bucket.set_quota(Quota::new(per_s, burst).unwrap(), Duration::from_nanos(now_ns));
                }
            }
            prop_assert!(admitted <= granted * (1.0 + 1e-12), "{admitted} admitted, {granted} granted");
        }
    }
}

fn replay(per_s: f64, burst: f64, history: &[Step], now_ns: &mut u64) -> TokenBucket {
    let bucket = TokenBucket::new(Quota::new(per_s, burst).unwrap());
    for step in history {
        match *step {
            Step::Take { tokens, after_ns } => {
                *now_ns += after_ns;
                let _ = bucket.try_take(Cost::new(tokens).unwrap(), Duration::from_nanos(*now_ns));
            }
            Step::Change { per_s, burst, after_ns } => {
                *now_ns += after_ns;
                bucket.set_quota(Quota::new(per_s, burst).unwrap(), Duration::from_nanos(*now_ns));
            }
        }
    }
    bucket
}
