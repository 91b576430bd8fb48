//! What each policy is worth, in virtual time: `arena [--json FILE]`.
//!
//! Prints a table, the worst of the seeds in each field, and writes the curves behind it to the file:
//! `policies[].loads[]` (goodput, top class, inversions by load), `policies[].hog`, and `policies[].changes[]` with the
//! useful work and the limit for each second of the runs in which the upstream or the mix changes. The parameters are
//! in `tests/arena/parameters.rs`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

#[path = "../tests/arena/chance.rs"]
mod chance;
#[path = "../tests/arena/contest.rs"]
mod contest;
#[path = "../tests/arena/entrants.rs"]
mod entrants;
#[path = "../tests/arena/load.rs"]
mod load;
#[path = "../tests/arena/parameters.rs"]
mod parameters;
#[path = "../tests/arena/score.rs"]
mod score;
#[path = "../tests/arena/upstream.rs"]
mod upstream;

use std::error::Error;
use std::fmt::Write;
use std::{env, fs};

use load::Scene;
use parameters as p;
use score::Score;

/// The runs in which something changes: the worst so many seconds count, from so many after it on.
const CHANGES: [(&str, Scene, f64, f64); 3] = [
    ("halved", Scene::Step(0.5), 2.0, 2.0),
    ("doubled", Scene::Step(2.0), 2.0, 2.0),
    ("flipped", Scene::Flip, 15.0, 15.0),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let file = match arguments.as_slice() {
        [] => None,
        [json, file] if json == "--json" => Some(file),
        _ => return Err("arena [--json FILE]".into()),
    };
    let loads: Vec<String> = p::LOADS.iter().map(|load| format!("{:>5}", format!("{load}x"))).collect();
    let loads = loads.join(" ");
    println!("goodput, in capacities           {loads} | top 10x inversions  hog | halved doubled flipped");
    let policies: Vec<String> = entrants::NAMES.iter().map(|name| judged(name)).collect();
    if let Some(file) = file {
        let (seeds, run) = (list(&p::SEEDS), list(&p::LOADS));
        let capacity = p::CAPACITY_PER_S;
        let policies = policies.join(",\n");
        fs::write(
            file,
            format!(
                "{{\"capacity_per_s\": {capacity}, \"seeds\": {seeds}, \"loads\": {run}, \"policies\": [\n{policies}\n]}}\n"
            ),
        )?;
    }
    Ok(())
}

/// Plays everything with one policy, prints its line, and gives its part of the file.
fn judged(name: &str) -> String {
    let runs = |scene| -> Vec<Score> {
        p::SEEDS.iter().map(|seed| contest::run(scene, *seed, entrants::named(name))).collect()
    };
    let (mut line, mut loads) = (format!("{name:<32}"), Vec::new());
    let (mut inversions, mut top) = (0, 0.0);
    for load in p::LOADS {
        let scores = runs(Scene::Load(load));
        let goodput = worst(&scores, Score::goodput);
        top = worst(&scores, Score::top_class);
        inversions += scores.iter().map(|score| score.inversions).sum::<u64>();
        let _ = write!(line, " {goodput:5.3}");
        let useful = worst(&scores, Score::useful);
        loads.push(format!(
            "{{\"load\": {load}, \"goodput\": {goodput:.4}, \"useful\": {useful:.4}, \"top_class\": {top:.4}, \"inversions\": {}}}",
            scores.iter().map(|score| score.inversions).sum::<u64>()
        ));
    }
    let others = worst(&runs(Scene::Hog), Score::others);
    let _ = write!(line, " | {top:7.3} {inversions:10} {others:4.2} |");
    let mut changes = Vec::new();
    for (what, scene, long_s, after_s) in CHANGES {
        let scores = runs(scene);
        let after = worst(&scores, |score| score.worst_useful(p::CHANGE_AT_S + after_s, long_s));
        let _ = write!(line, " {after:7.3}");
        let (useful, limits) = curves(&scores);
        changes.push(format!(
            "{{\"what\": \"{what}\", \"at_s\": {}, \"useful_after\": {after:.4},\n  \"useful\": {useful},\n  \"limit\": {limits}}}",
            p::CHANGE_AT_S
        ));
    }
    println!("{line}");
    let (loads, changes) = (loads.join(",\n "), changes.join(",\n "));
    format!("{{\"name\": \"{name}\", \"hog\": {others:.4}, \"loads\": [\n {loads}],\n \"changes\": [\n {changes}]}}")
}

fn worst(scores: &[Score], of: impl Fn(&Score) -> f64) -> f64 {
    scores.iter().map(of).fold(f64::INFINITY, f64::min)
}

/// The useful work, in capacities, and the limit of each second: means over the seeds.
fn curves(scores: &[Score]) -> (String, String) {
    let mean = |of: &dyn Fn(&Score) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    let seconds = 0..p::CHANGE_RUN_S as usize - 1;
    let useful: Vec<f64> =
        seconds.clone().map(|s| mean(&|score| score.useful_between(s as f64, s as f64 + 1.0))).collect();
    let limit: Vec<f64> =
        seconds.filter_map(|s| scores[0].limits.get(s).map(|_| mean(&|score| f64::from(score.limits[s])))).collect();
    (list(&rounded(&useful)), list(&rounded(&limit)))
}

fn rounded(numbers: &[f64]) -> Vec<f64> {
    numbers.iter().map(|number| (number * 1000.0).round() / 1000.0).collect()
}

fn list<V: std::fmt::Display>(values: &[V]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", values.join(", "))
}
