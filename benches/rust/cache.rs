//! What the memory level costs a thread, beside a plain map that holds the same: 10,000 values of 1 KiB, asked for by
//! Zipf's law (0.99). `reference` of a group is the plain map: without a lock, without an order to evict by, without a
//! life to look at.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

mod cpu;

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cpu::CpuTime;
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use omnimind_cache::ram::{KeyHasher, Limits, Ram};
use omnimind_cache::{Key, Life};

const ITEMS: usize = 10_000;
const BODY: usize = 1_024;
/// Keys are drawn beforehand, and come again after so many.
const DRAWN: usize = 1 << 16;
const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };

type Value = Arc<[u8]>;
type Cache = Ram<Key, Value, KeyHasher>;
type Map = HashMap<Key, Value, KeyHasher>;

fn hits(c: &mut Criterion<CpuTime>) {
    let wanted: Vec<Key> = zipf(ITEMS, DRAWN).into_iter().map(key).collect();
    let (map, cache) = (plain(), full());
    let mut group = c.benchmark_group("memory/look");
    group.bench_function("reference", |b| each(b, &wanted, |key| map.get(key).map(|value| value.len())));
    group.bench_function("hit", |b| each(b, &wanted, |key| cache.with(key, 1, |value, _| value.len())));
    beside_busy(&cache, &wanted, || {
        group.bench_function("hit_beside_a_busy_thread", |b| {
            each(b, &wanted, |key| cache.with(key, 1, |value, _| value.len()));
        });
    });
    group.finish();
    let mut group = c.benchmark_group("memory/clone");
    group.bench_function("reference", |b| each(b, &wanted, |key| map.get(key).cloned()));
    group.bench_function("hit", |b| each(b, &wanted, |key| cache.get(key, 1)));
    group.finish();
}

fn inserts(c: &mut Criterion<CpuTime>) {
    let shared = value();
    // They come again only when the cache has long forgotten them.
    let fresh: Vec<Key> = (ITEMS..ITEMS + DRAWN).map(key).collect();
    let mut group = c.benchmark_group("memory/insert");
    group.bench_function("reference", |b| {
        let mut map = plain();
        let mut oldest = (0..ITEMS).map(key).chain(fresh.iter().copied().cycle());
        each(b, &fresh, |key| {
            map.insert(*key, Arc::clone(&shared));
            map.remove(&oldest.next().unwrap())
        });
    });
    group.bench_function("insert_and_evict", |b| {
        let cache = full();
        each(b, &fresh, |key| cache.insert(*key, Arc::clone(&shared), BODY as u64, FOREVER, &mut |_, _, _| {}));
    });
    group.finish();
}

/// One after the other of these keys.
fn each<T>(bencher: &mut Bencher<'_, CpuTime>, keys: &[Key], mut call: impl FnMut(&Key) -> T) {
    let mut turns = keys.iter().cycle();
    bencher.iter(|| call(turns.next().unwrap()));
}

/// While another thread asks for the same without a rest.
fn beside_busy(cache: &Cache, keys: &[Key], measure: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for key in keys {
                    drop(black_box(cache.get(key, 1)));
                }
            }
        });
        measure();
        stop.store(true, Ordering::Relaxed);
    });
}

fn plain() -> Map {
    (0..ITEMS).map(|rank| (key(rank), value())).collect()
}

fn full() -> Cache {
    let bytes = (ITEMS * BODY) as u64;
    let cache = Cache::new(Limits { max_bytes: bytes, max_items: ITEMS, item_bytes: bytes / 8 }, KeyHasher);
    for rank in 0..ITEMS {
        cache.insert(key(rank), value(), BODY as u64, FOREVER, &mut |_, _, _| {});
    }
    cache
}

fn value() -> Value {
    vec![7_u8; BODY].into()
}

/// A key as spread as a digest.
fn key(number: usize) -> Key {
    let mut key = Key::default();
    let mut hasher = std::hash::DefaultHasher::new();
    for part in key.chunks_mut(8) {
        hasher.write_usize(number);
        part.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    key
}

/// Ranks as Zipf's law has them, drawn with a fixed seed.
fn zipf(items: usize, draws: usize) -> Vec<usize> {
    let sums: Vec<f64> = (1..=items)
        .scan(0.0, |sum, rank| {
            *sum += (rank as f64).powf(-0.99);
            Some(*sum)
        })
        .collect();
    let fixed = BuildHasherDefault::<std::hash::DefaultHasher>::default();
    (0..draws)
        .map(|draw| {
            let at = (fixed.hash_one(draw) >> 11) as f64 / (1_u64 << 53) as f64 * sums[items - 1];
            sums.partition_point(|sum| *sum <= at)
        })
        .collect()
}

criterion_group! {
    name = benches;
    config = cpu::criterion();
    targets = hits, inserts
}
criterion_main!(benches);
