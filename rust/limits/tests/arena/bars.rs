//! What the default policy with its queue must reach, in the worst of the seeds.

use crate::contest::run;
use crate::entrants::{NAMES, OURS, named};
use crate::full;
use crate::load::Scene;
use crate::parameters as p;
use crate::score::Score;

/// Goodput in overload, by calls and by work.
const OVERLOADED: f64 = 0.94;
/// Goodput at 0.9 of capacity: nothing is shed in vain.
const BELOW_CAPACITY: f64 = 0.89;
/// Calls of the top class done in time: where they ask for all of the capacity, and for half of it or less.
const TOP_AT_TEN: f64 = 0.93;
const TOP_AT_HALF: f64 = 0.999;
/// What tenants beside a hog get of what they ask for.
const BESIDE_HOG: f64 = 0.99;
/// Useful work after capacity changed: in any two seconds, from two seconds after it on.
const AFTER_STEP: f64 = 0.85;
/// Useful work after the mix of tools flipped, in the fifteen seconds that begin 15 s after it.
const AFTER_FLIP: f64 = 0.90;

/// The scene played by the policy, once for each seed.
fn scores(policy: &str, scene: Scene) -> Vec<Score> {
    let seeds = if full() { &p::SEEDS[..] } else { &p::SEEDS[2..] };
    seeds.iter().map(|seed| run(scene, *seed, named(policy))).collect()
}

fn worst(scores: &[Score], of: impl Fn(&Score) -> f64) -> f64 {
    scores.iter().map(of).fold(f64::INFINITY, f64::min)
}

fn holds(bar: f64, scores: &[Score], of: impl Fn(&Score) -> f64) {
    let worst = worst(scores, of);
    assert!(worst >= bar, "{worst:.4}, and at least {bar} is asked for");
}

/// Of the arena's loads the wanted ones, or of these the sample.
fn loads(sample: &[f64], wanted: impl Fn(f64) -> bool) -> Vec<f64> {
    p::LOADS.into_iter().filter(|load| if full() { wanted(*load) } else { sample.contains(load) }).collect()
}

#[test]
fn ten_times_the_load_is_served_as_well_as_capacity_allows() {
    for load in loads(&[1.2, 10.0], |load| load > 1.0) {
        let scores = scores(OURS, Scene::Load(load));
        holds(OVERLOADED, &scores, |score| score.goodput().min(score.useful()));
        if load == 10.0 {
            holds(TOP_AT_TEN, &scores, Score::top_class);
        }
    }
}

#[test]
fn nothing_is_shed_in_vain_below_capacity() {
    let scores = scores(OURS, Scene::Load(0.9));
    holds(BELOW_CAPACITY, &scores, |score| score.goodput().min(score.useful()));
}

#[test]
fn the_top_class_is_served_as_long_as_it_asks_for_half_of_the_capacity() {
    for load in loads(&[5.0], |load| load <= 5.0) {
        holds(TOP_AT_HALF, &scores(OURS, Scene::Load(load)), Score::top_class);
    }
}

#[test]
fn who_asks_for_little_gets_it_beside_a_hog() {
    holds(BESIDE_HOG, &scores(OURS, Scene::Hog), Score::others);
}

#[test]
fn capacity_that_halves_or_doubles_is_found_within_two_seconds() {
    for factor in [0.5, 2.0] {
        let scores = scores(OURS, Scene::Step(factor));
        holds(AFTER_STEP, &scores, |score| score.worst_useful(p::CHANGE_AT_S + 2.0, 2.0));
    }
}

#[test]
fn a_slower_mix_is_not_mistaken_for_overload() {
    let scores = scores(OURS, Scene::Flip);
    holds(AFTER_FLIP, &scores, |score| score.worst_useful(p::CHANGE_AT_S + 15.0, 15.0));
}

#[test]
fn no_lower_class_is_started_while_a_higher_one_of_its_tenant_waits() {
    for policy in NAMES {
        let inversions: u64 = scores(policy, Scene::Load(1.2)).iter().map(|score| score.inversions).sum();
        assert_eq!(inversions > 0, policy.ends_with("FIFO"), "{policy}: {inversions} inversions");
    }
}

#[test]
fn the_arena_tells_a_good_policy_from_a_bad_one() {
    let of = |policy| worst(&scores(policy, Scene::Load(2.0)), |score| score.goodput().min(score.useful()));
    assert!(of("no limit") < 0.1, "without a limit everything is late");
    assert!(of("cpu-step, our queue") < 0.7, "half the rate leaves half the capacity");
    assert!(of("aimd, our queue") < of(OURS) - 0.05, "failures teach later than times do");
}
