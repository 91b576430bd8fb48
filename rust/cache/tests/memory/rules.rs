//! What one caller may rely on.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, OnceLock};

use omnimind_cache::generation::Generation;
use omnimind_cache::ram::{Inserted, Limits, Ram};

use crate::{FOREVER, Freshness, Life};

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

#[test]
fn an_entry_too_heavy_for_the_cache_takes_the_one_before_it_along() {
    let ram = Ram::new(Limits::bytes(800), RandomState::new());
    assert_eq!(put(&ram, 1, 100, FOREVER), Inserted::Kept);
    assert_eq!(put(&ram, 1, 101, FOREVER), Inserted::TooLarge);
    assert_eq!((ram.get(&1, 0), ram.bytes(), ram.stats().too_large), (None, 0, 1));
}

#[test]
fn the_evicted_are_shown_with_their_hits_and_may_use_the_cache_themselves() {
    let ram = items(10);
    for key in 0..10 {
        put(&ram, key, 1, FOREVER);
    }
    for _ in 0..3 {
        ram.get(&0, 0);
    }
    let mut seen = Vec::new();
    for key in 10..40 {
        ram.insert(key, key, 1, FOREVER, &mut |old, value, hits| {
            assert_eq!(old, value);
            assert_eq!(ram.get(old, 0), None);
            ram.remove(&key);
            put(&ram, key, 1, FOREVER);
            seen.push((*old, hits));
        });
    }
    assert_eq!(seen.len(), 30);
    assert!(seen.iter().all(|(key, hits)| *hits == if *key == 0 { 3 } else { 0 }), "{seen:?}");
}

#[test]
fn a_value_may_use_the_cache_when_it_is_dropped() {
    struct Nosy(Arc<OnceLock<Ram<u64, Self, RandomState>>>, u64);
    impl Drop for Nosy {
        fn drop(&mut self) {
            if let Some(ram) = self.0.get() {
                ram.remove(&self.1.wrapping_sub(1));
                let _ = ram.with(&self.1, 0, |_, _| ());
            }
        }
    }
    let shared = Arc::new(OnceLock::new());
    let _ = shared.set(Ram::new(Limits { max_bytes: 20, max_items: 20, item_bytes: 1 }, RandomState::new()));
    let ram: &Ram<_, _, _> = shared.get().unwrap();
    for key in 0..2_000 {
        ram.insert(key, Nosy(Arc::clone(&shared), key), 1, FOREVER, &mut |_, _, _| {});
    }
    ram.clear();
    assert!(ram.is_empty());
}

#[test]
fn what_left_is_freed_soon() {
    let ram = Ram::new(Limits { max_bytes: 10_000_000, max_items: 100, item_bytes: 1_000_000 }, RandomState::new());
    let value = Arc::new(());
    for key in 0..1_000_u64 {
        ram.insert(key, Arc::clone(&value), 100_000, FOREVER, &mut |_, _, _| {});
        assert!(Arc::strong_count(&value) <= 1 + 100 + 8, "{}", Arc::strong_count(&value));
    }
}

#[test]
fn expiry_and_replacement_leave_no_trace_in_the_buckets() {
    let ram = items(64);
    for round in 0..2_000_u64 {
        let now = round * 500;
        let ends = now + 1_000 + (round * 7_919) % 90_000;
        put(&ram, round % 100, 1, Life { created_ms: now, fresh_until_ms: ends, stale_until_ms: ends });
        assert!(ram.len() <= 64);
        if round % 3 == 0 {
            ram.remove(&(round % 50));
        }
        if round % 10 == 0 {
            ram.sweep(now, 3);
        }
    }
    ram.sweep(u64::MAX - 1, usize::MAX);
    assert_eq!((ram.len(), ram.bytes()), (0, 0));
}

#[test]
fn what_began_before_an_advance_is_told_from_what_began_after_it() {
    let generation = Generation::new();
    let began = generation.now();
    assert_eq!(generation.advance(), began + 1);
    assert_ne!(generation.now(), began);
    assert_eq!(generation.now(), generation.now());
}

#[test]
fn with_room_for_everything_it_is_a_map_with_ends() {
    let ram = items(usize::MAX);
    let mut map = HashMap::new();
    let mut mixed = 1_u64;
    for now in 1_000..31_000 {
        mixed = mixed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let (key, chance) = (mixed >> 33 & 127, mixed >> 40 & 1_023);
        match chance % 8 {
            0 => drop((ram.remove(&key), map.remove(&key))),
            1..4 => {
                let life = Life { created_ms: now, fresh_until_ms: now + chance * 9, stale_until_ms: now + chance * 9 };
                ram.insert(key, now, chance, life, &mut |_, _, _| {});
                map.insert(key, (now, now + chance * 9));
            }
            4 => drop(ram.sweep(now, 2)),
            _ => {
                let expected = map.get(&key).filter(|(_, ends)| *ends > now).map(|(value, _)| *value);
                assert_eq!(ram.get(&key, now).map(|(value, _)| value), expected);
            }
        }
    }
}

#[test]
fn the_smallest_caches_work_too() {
    for room in 0..4 {
        let ram = items(room);
        for key in 0..50 {
            let kept = put(&ram, key % 5, key % 3, FOREVER) == Inserted::Kept;
            assert_eq!((kept, ram.get(&(key % 5), 0).is_some()), (room > 0, room > 0));
            assert!(ram.len() <= room);
        }
    }
}
