//! The policy beside a reference implementation, on small workloads; `benches/hit_ratio.py` made the numbers.

use std::hash::RandomState;

use omnimind_cache::ram::{Limits, Ram};

use crate::{FOREVER, traces};

/// One percentage point.
const CLOSE: f64 = 0.01;

fn hit_ratio(trace: &[u64], capacity: usize, entry_bytes: u64) -> f64 {
    let max_bytes = capacity as u64 * entry_bytes;
    let ram = Ram::new(Limits { max_bytes, max_items: usize::MAX, item_bytes: max_bytes }, RandomState::new());
    for key in trace {
        if ram.get(key, 0).is_none() {
            ram.insert(*key, (), entry_bytes, FOREVER, &mut |_: &u64, (), _| {});
        }
    }
    let stats = ram.stats();
    assert_eq!(stats.hits + stats.misses, trace.len() as u64);
    stats.hits as f64 / trace.len() as f64
}

#[test]
fn the_hit_ratio_is_that_of_the_reference_implementation() {
    let traces = traces::all();
    let expected: Vec<_> = include_str!("expected.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(expected.len(), traces.len());
    for line in expected {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let reference: f64 = words.next().unwrap().parse().unwrap();
        let trace = &traces.iter().find(|(trace, _)| *trace == name).unwrap().1;
        let ours = hit_ratio(trace, 1_000, 1);
        assert!((ours - reference).abs() <= CLOSE, "{name}: {ours:.4}, the reference {reference:.4}");
    }
}

#[test]
fn shards_cost_at_most_half_a_point() {
    let uneven = |(name, _): &(&str, Vec<u64>)| ["bursts", "zipf-0.99"].contains(name);
    for (name, trace) in traces::all().into_iter().filter(uneven) {
        let spread: Vec<u64> =
            trace.iter().take(20_000).flat_map(|key| (0..8).map(move |copy| key << 3 | copy)).collect();
        let one = hit_ratio(&spread, 8_000, 1);
        let many = hit_ratio(&spread, 8_000, 4_096);
        assert!(one - many <= CLOSE / 2.0, "{name}: {one:.4} with one shard, {many:.4} with eight");
    }
}
