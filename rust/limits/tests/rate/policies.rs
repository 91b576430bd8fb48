//! What each rate policy does with a reading, and what the brake does above them.

use std::time::Duration;

use omnimind_limits::rate::{Aimd, AimdRules, Brake, CpuStep, Fixed, RatePolicy};
use omnimind_limits::{Health, Rate, Share};
use proptest::prelude::*;

const UNKNOWN: Health = Health { cpu: None, psi: None, p99: None, error_rate: None };

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rate(per_s: f64) -> Rate {
    Rate::new(per_s).unwrap()
}

fn cpu(percent: u8) -> Health {
    Health { cpu: Share::percent(percent), ..UNKNOWN }
}

fn psi(percent: u8) -> Health {
    Health { psi: Share::percent(percent), ..UNKNOWN }
}

fn per_s(policy: &mut impl RatePolicy, health: &Health, now: Duration) -> f64 {
    policy.step(health, now).per_s()
}

fn is(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[test]
fn cpu_step_is_the_original_rule_to_the_letter() {
    // (readings of the CPU in percent, one after the other; the rate after the last of them)
    let table: [(&[u8], f64); 16] = [
        (&[], 500.0),
        (&[50], 500.0),
        (&[29], 1000.0),
        (&[30], 500.0),
        (&[80], 500.0),
        (&[81], 250.0),
        (&[0], 1000.0),
        (&[100], 250.0),
        (&[29, 30], 1000.0),
        (&[29, 80], 1000.0),
        (&[81, 80], 250.0),
        (&[81, 30], 250.0),
        (&[81, 29], 1000.0),
        (&[29, 81], 250.0),
        (&[81, 81], 250.0),
        (&[29, 29], 1000.0),
    ];
    for (readings, expected) in table {
        let mut policy = CpuStep::default();
        let found = readings.iter().fold(policy.normal(), |_, &percent| policy.step(&cpu(percent), ms(0)));
        assert!(is(found.per_s(), expected), "{readings:?}: {found:?}, expected {expected}");
    }
}

#[test]
fn cpu_step_without_a_reading_keeps_the_last_value() {
    let mut policy = CpuStep::default();
    assert!(is(per_s(&mut policy, &psi(100), ms(0)), 500.0));
    assert!(is(per_s(&mut policy, &cpu(81), ms(1)), 250.0));
    assert!(is(per_s(&mut policy, &UNKNOWN, ms(2)), 250.0));
}

#[test]
fn cpu_step_halves_and_doubles_any_rate_it_is_put_around() {
    let mut policy = CpuStep::around(rate(100.0));
    assert!(is(per_s(&mut policy, &cpu(81), ms(0)), 50.0));
    assert!(is(per_s(&mut policy, &cpu(29), ms(0)), 200.0));
    assert!(is(per_s(&mut CpuStep::around(rate(1e9)), &cpu(0), ms(0)), 1e9), "the highest rate there is");
}

#[test]
fn fixed_does_not_care() {
    let mut policy = Fixed(rate(7.0));
    for health in [cpu(100), cpu(0), UNKNOWN] {
        assert!(is(per_s(&mut policy, &health, ms(0)), 7.0));
    }
}

fn aimd() -> Aimd {
    Aimd::new(AimdRules {
        normal: rate(100.0),
        floor: rate(20.0),
        ceiling: rate(130.0),
        add: rate(10.0),
        keep: Share::percent(50).unwrap(),
        window: ms(1000),
        overload: Health { cpu: Share::percent(90), error_rate: Share::percent(10), ..UNKNOWN },
    })
}

#[test]
fn aimd_adds_once_for_each_window_that_went_well() {
    let mut policy = aimd();
    let rates = [0, 500, 999, 1000, 1999, 2000, 3000, 4000].map(|at| per_s(&mut policy, &cpu(50), ms(at)));
    let expected = [100.0, 100.0, 100.0, 110.0, 110.0, 120.0, 130.0, 130.0];
    assert!(rates.iter().zip(expected).all(|(&found, expected)| is(found, expected)), "{rates:?}");
}

#[test]
fn aimd_cuts_at_once_and_then_once_a_window_down_to_its_floor() {
    let mut policy = aimd();
    let rates = [0, 10, 999, 1000, 2000, 3000].map(|at| per_s(&mut policy, &cpu(91), ms(at)));
    let expected = [50.0, 50.0, 50.0, 25.0, 20.0, 20.0];
    assert!(rates.iter().zip(expected).all(|(&found, expected)| is(found, expected)), "{rates:?}");
}

#[test]
fn aimd_starts_a_window_anew_after_any_overloaded_reading() {
    let mut policy = aimd();
    assert!(is(per_s(&mut policy, &cpu(91), ms(0)), 50.0));
    assert!(is(per_s(&mut policy, &cpu(91), ms(900)), 50.0));
    assert!(is(per_s(&mut policy, &cpu(50), ms(1800)), 50.0));
    assert!(is(per_s(&mut policy, &cpu(50), ms(1900)), 60.0));
}

#[test]
fn aimd_counts_a_long_silence_as_one_window() {
    let mut policy = aimd();
    assert!(is(per_s(&mut policy, &UNKNOWN, ms(0)), 100.0));
    assert!(is(per_s(&mut policy, &UNKNOWN, ms(3_600_000)), 110.0));
}

fn left(brake: &mut Brake, health: &Health, at_ms: u64) -> f64 {
    brake.step(health, ms(at_ms)).get()
}

#[test]
fn the_brake_halves_after_two_seconds_and_again_after_two_more() {
    for pressed in [cpu(96), psi(41)] {
        let mut brake = Brake::new();
        let found =
            [0, 1000, 1999, 2000, 3000, 4000, 6000, 8000, 10_000, 60_000].map(|at| left(&mut brake, &pressed, at));
        let expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.125, 0.0625, 0.05, 0.05];
        assert!(found.iter().zip(expected).all(|(&found, expected)| is(found, expected)), "{found:?}");
    }
}

#[test]
fn the_brake_does_not_hear_peaks_shorter_than_two_seconds_or_readings_at_its_limits() {
    let mut brake = Brake::new();
    for at in (0..60_000).step_by(3000) {
        assert!(is(left(&mut brake, &cpu(100), at), 1.0));
        assert!(is(left(&mut brake, &cpu(100), at + 1999), 1.0));
        assert!(is(left(&mut brake, &cpu(95), at + 2500), 1.0));
        assert!(is(left(&mut brake, &psi(40), at + 2600), 1.0));
    }
}

#[test]
fn the_brake_lets_go_by_a_twentieth_a_second_also_when_its_sources_fall_silent() {
    for calm in [cpu(50), UNKNOWN] {
        let mut brake = Brake::new();
        left(&mut brake, &cpu(100), 0);
        assert!(is(left(&mut brake, &cpu(100), 2000), 0.5));
        assert!(is(left(&mut brake, &calm, 3000), 0.55));
        assert!(is(left(&mut brake, &calm, 3500), 0.575));
        assert!(is(left(&mut brake, &calm, 5000), 0.65));
        assert!(is(left(&mut brake, &calm, 60_000), 1.0));
    }
}

fn health() -> impl Strategy<Value = Health> {
    let share = || prop::option::of((0..=100_u8).prop_map(|percent| Share::percent(percent).unwrap()));
    (share(), share(), share()).prop_map(|(cpu, psi, error_rate)| Health { cpu, psi, error_rate, p99: None })
}

proptest! {
    #![proptest_config(crate::histories())]

    #[test]
    fn rates_and_brake_stay_within_their_bounds_whatever_they_are_told(
        steps in prop::collection::vec((health(), prop_oneof![0..5_000_000_000_u64, any::<u64>()]), 0..60),
    ) {
        let (mut aimd, mut step, mut brake) = (aimd(), CpuStep::default(), Brake::new());
        for (health, at_ns) in steps {
            let now = Duration::from_nanos(at_ns);
            prop_assert!((20.0..=130.0).contains(&per_s(&mut aimd, &health, now)));
            prop_assert!([250.0, 500.0, 1000.0].iter().any(|&rate| is(per_s(&mut step, &health, now), rate)));
            prop_assert!((0.05..=1.0).contains(&brake.step(&health, now).get()));
        }
    }
}
