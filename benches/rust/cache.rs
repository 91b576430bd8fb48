//! What the memory level costs a thread, beside a plain map that holds the same: 10,000 values of 1 KiB, asked for by
//! Zipf's law (0.99). CPU time of the thread, so that others on the machine do not count; the best and the middle of
//! all rounds. A figure of one round of this file can be compared with the others of that run only.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use omnimind_cache::ram::{KeyHasher, Limits, Ram};
use omnimind_cache::{Key, Life};
use rustix::time::{ClockId, clock_gettime};

const ITEMS: usize = 10_000;
const BODY: usize = 1_024;
const ROUNDS: usize = 101;
const CALLS: usize = 20_000;
const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };

type Value = Arc<[u8]>;
type Cache = Ram<Key, Value, KeyHasher>;

fn main() {
    bytes_an_entry();
    let threads = [1, 4];
    let wanted = zipf(ITEMS, CALLS);
    let keys: Arc<[Key]> = wanted.iter().map(|rank| key(*rank)).collect();

    let map: Arc<HashMap<Key, Value, KeyHasher>> = Arc::new((0..ITEMS).map(|rank| (key(rank), value())).collect());
    let cache = Arc::new(full());
    for count in threads {
        let (map, keys) = (Arc::clone(&map), Arc::clone(&keys));
        report("hit, plain map without a lock", count, move || {
            keys.iter().for_each(|key| sink(map.get(key).map(|v| v.len())));
        });
    }
    for count in threads {
        let (cache, keys) = (Arc::clone(&cache), Arc::clone(&keys));
        report("hit, looked at", count, move || {
            keys.iter().for_each(|key| sink(cache.with(key, 1, |v, _| v.len())));
        });
    }
    let index = Arc::new(papaya_full());
    for count in threads {
        let (index, keys) = (Arc::clone(&index), Arc::clone(&keys));
        report("hit, papaya alone", count, move || {
            keys.iter().for_each(|key| sink(index.pin().get(key).map(|v| v.len())));
        });
    }
    for count in threads {
        let (map, keys) = (Arc::clone(&map), Arc::clone(&keys));
        report("hit, plain map, value cloned", count, move || {
            keys.iter().for_each(|key| sink(map.get(key).cloned()));
        });
    }
    for count in threads {
        let (cache, keys) = (Arc::clone(&cache), Arc::clone(&keys));
        report("hit, value cloned", count, move || {
            keys.iter().for_each(|key| sink(cache.get(key, 1)));
        });
    }
    inserts();
}

/// What the system gives the process for entries whose values weigh nothing. Run first, while nothing is free to reuse.
fn bytes_an_entry() {
    const MANY: usize = 250_000;
    let cache: Ram<Key, (), KeyHasher> =
        Ram::new(Limits { max_bytes: u64::MAX, max_items: MANY, item_bytes: 1 }, KeyHasher);
    let before = resident_bytes();
    for number in 0..2 * MANY {
        cache.insert(key(number), (), 1, FOREVER, &mut |_, (), _| {});
    }
    let held = resident_bytes() - before;
    println!("{MANY} entries without values, twice as many seen: {:.0} bytes each", held / MANY as f64);
}

fn resident_bytes() -> f64 {
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
    sizes.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4_096.0
}

fn inserts() {
    let shared = value();
    // They come again only when the cache has long forgotten them.
    let fresh: Vec<Key> = (0..CALLS * 5).map(|number| key(ITEMS + number)).collect();
    let cache = full();
    let mut rounds = fresh.chunks(CALLS).cycle();
    report_here("insert and evict", || {
        for key in rounds.next().unwrap_or_default() {
            cache.insert(*key, Arc::clone(&shared), BODY as u64, FOREVER, &mut |_, _, _| {});
        }
    });
    let index = papaya_full();
    let mut rounds = fresh.chunks(CALLS).cycle();
    let mut old = (0..ITEMS).map(key).chain(fresh.iter().copied().cycle());
    report_here("papaya alone: insert one, remove one", || {
        for key in rounds.next().unwrap_or_default() {
            let guard = index.guard();
            index.insert(*key, Arc::clone(&shared), &guard);
            index.remove(&old.next().unwrap_or_default(), &guard);
        }
    });
    let mut map: HashMap<Key, Value, KeyHasher> = (0..ITEMS).map(|rank| (key(rank), value())).collect();
    let mut rounds = fresh.chunks(CALLS).cycle();
    let mut old = (0..ITEMS).map(key).chain(fresh.iter().copied().cycle());
    report_here("plain map: insert one, remove one", || {
        for key in rounds.next().unwrap_or_default() {
            map.insert(*key, Arc::clone(&shared));
            map.remove(&old.next().unwrap_or_default());
        }
    });
}

/// Something was done for this.
fn sink<T>(found: T) {
    drop(black_box(found));
}

fn papaya_full() -> papaya::HashMap<Key, Value, KeyHasher> {
    let index = papaya::HashMap::builder().hasher(KeyHasher).build();
    (0..ITEMS).for_each(|rank| sink(index.pin().insert(key(rank), value())));
    index
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

fn report(what: &str, threads: usize, calls: impl Fn() + Clone + Send + 'static) {
    let runs: Vec<_> = (0..threads)
        .map(|_| {
            let calls = calls.clone();
            thread::spawn(move || measure(&calls))
        })
        .collect();
    let rounds = runs.into_iter().flat_map(|run| run.join().unwrap()).collect();
    show(what, threads, rounds);
}

fn report_here(what: &str, calls: impl FnMut()) {
    let rounds = measure(calls);
    show(what, 1, rounds);
}

fn show(what: &str, threads: usize, mut rounds: Vec<f64>) {
    rounds.sort_by(f64::total_cmp);
    let (best, middle) = (rounds[0], rounds[rounds.len() / 2]);
    println!("{what:40} {threads} thread(s): best {best:6.1} ns, middle {middle:6.1} ns a call");
}

fn measure(mut calls: impl FnMut()) -> Vec<f64> {
    calls();
    (0..ROUNDS)
        .map(|_| {
            let before = cpu_ns();
            calls();
            (cpu_ns() - before) / CALLS as f64
        })
        .collect()
}

fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
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
