use std::collections::hash_map::RandomState;

use super::*;

const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };

fn items(max_items: usize) -> Ram<u64, u64, RandomState> {
    Ram::new(Limits { max_bytes: u64::MAX, max_items, item_bytes: u64::MAX }, RandomState::new())
}

fn put(ram: &Ram<u64, u64, RandomState>, key: u64, weight: u64, life: Life) -> Inserted {
    ram.insert(key, key, weight, life, &mut |_, _, _| {})
}

#[test]
fn what_is_put_in_is_found_until_it_ends() {
    let ram = items(10);
    put(&ram, 1, 1, Life { created_ms: 1_000, fresh_until_ms: 2_000, stale_until_ms: 3_000 });
    assert_eq!(ram.get(&1, 1_500), Some((1, Freshness::Fresh)));
    assert_eq!(ram.get(&1, 2_500), Some((1, Freshness::Stale)));
    assert_eq!(ram.get(&1, 3_000), None);
    assert_eq!((ram.len(), ram.bytes()), (0, 0));
    let stats = ram.stats();
    assert_eq!((stats.hits, stats.stale_hits, stats.misses, stats.expired), (2, 1, 1, 1));
}

#[test]
fn the_number_of_entries_never_passes_its_limit() {
    let ram = items(100);
    for key in 0..1_000 {
        put(&ram, key, 1, FOREVER);
        assert!(ram.len() <= 100);
    }
    assert_eq!(ram.len(), 100);
    assert_eq!(ram.stats().evictions, 900);
}

#[test]
fn a_value_that_is_replaced_makes_nobody_leave() {
    let ram = items(2);
    for key in [1, 2, 1, 2, 2, 1] {
        put(&ram, key, 1, FOREVER);
    }
    assert_eq!((ram.len(), ram.bytes(), ram.stats().evictions), (2, 2, 0));
}

#[test]
fn ended_entries_are_swept_a_slice_at_a_time() {
    let ram = items(1_000);
    for key in 0..100 {
        put(&ram, key, 1, Life { created_ms: 0, fresh_until_ms: 10_000 + key, stale_until_ms: 10_000 + key });
    }
    assert_eq!(ram.sweep(5_000, 1_000), 0);
    assert_eq!(ram.sweep(20_000, 30), 30);
    assert_eq!(ram.sweep(20_000, 1_000), 70);
    assert_eq!((ram.len(), ram.bytes()), (0, 0));
}

#[test]
fn removed_and_cleared_entries_give_their_room_back() {
    let ram = items(10);
    for key in 0..10 {
        put(&ram, key, 5, FOREVER);
    }
    assert!(ram.remove(&3) && !ram.remove(&3));
    assert_eq!((ram.len(), ram.bytes()), (9, 45));
    ram.retain(|key, _| key % 2 == 0);
    assert_eq!(ram.len(), 5);
    ram.clear();
    assert_eq!((ram.len(), ram.bytes()), (0, 0));
}
