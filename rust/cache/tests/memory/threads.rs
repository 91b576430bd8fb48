//! What holds while many threads are at work.

use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use omnimind_cache::Key;
use omnimind_cache::ram::{KeyHasher, Limits, Ram};

use crate::{FOREVER, Freshness, Life};

/// A guard against hanging for ever, far above what anything here takes.
const HANG: Duration = Duration::from_secs(60);

/// Numbers that look like chance, the same on every run.
fn scrambled(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8
}

fn calls() -> u64 {
    if std::env::var_os("OMNIMIND_FULL").is_some() { 2_000_000 } else { 20_000 }
}

#[test]
fn the_bounds_hold_at_any_time_with_writers_of_all_sizes() {
    const BYTES: u64 = 32 << 20;
    let ram = Ram::new(Limits { max_bytes: BYTES, max_items: 3_000, item_bytes: BYTES / 8 }, RandomState::new());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut worst = (0, 0);
            while !done.load(Ordering::Relaxed) {
                worst = (worst.0.max(ram.bytes()), worst.1.max(ram.len()));
            }
            worst
        });
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let ram = &ram;
                scope.spawn(move || {
                    for call in 0..calls() {
                        let chance = scrambled(call * 4 + writer);
                        let weight = if chance.is_multiple_of(64) { chance % (BYTES / 8) } else { chance % 20_000 };
                        let key = scrambled(chance) % 6_000;
                        match chance % 11 {
                            0 => drop(ram.remove(&key)),
                            1..4 => drop(ram.get(&key, 0)),
                            _ => drop(ram.insert(key, call, weight, FOREVER, &mut |_, _, _| {})),
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        let (bytes, items) = watcher.join().unwrap();
        assert!(bytes <= BYTES && items <= 3_000, "{bytes} bytes, {items} entries");
    });
    ram.clear();
    assert_eq!((ram.len(), ram.bytes()), (0, 0));
}

#[test]
fn every_get_is_counted_once_whatever_the_number_of_threads() {
    const THREADS: u64 = 40;
    let ram = Ram::new(Limits { max_bytes: 500, max_items: 500, item_bytes: 1 }, RandomState::new());
    let found = AtomicU64::new(0);
    let stale = AtomicU64::new(0);
    for _generation in 0..2 {
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (ram, found, stale) = (&ram, &found, &stale);
                scope.spawn(move || {
                    for call in 0..500 {
                        let key = scrambled(call * THREADS + number) % 1_000;
                        match ram.get(&key, 1_500) {
                            Some(((), Freshness::Stale)) => drop(stale.fetch_add(1, Ordering::Relaxed)),
                            Some(_) => drop(found.fetch_add(1, Ordering::Relaxed)),
                            None => {
                                let fresh_until_ms = 1_000 + key;
                                let life = Life { created_ms: 1_000, fresh_until_ms, stale_until_ms: 2_000 };
                                ram.insert(key, (), 1, life, &mut |_, (), _| {});
                            }
                        }
                    }
                });
            }
        });
    }
    let stats = ram.stats();
    let (found, stale) = (found.into_inner(), stale.into_inner());
    assert_eq!((stats.hits, stats.stale_hits), (found + stale, stale));
    assert_eq!(stats.hits + stats.misses, 2 * THREADS * 500);
    assert_eq!(stats.inserts, stats.misses);
    assert!(stale > 0 && found > 0);
}

/// Keys whose comparison stops when it is told to: a way into the critical section of a writer.
#[derive(Clone)]
struct Gate(u64, Option<Arc<Stop>>);

struct Stop {
    reached: mpsc::SyncSender<()>,
    go_on: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        if let Some(stop) = self.1.as_ref().or(other.1.as_ref()) {
            let _ = stop.reached.try_send(());
            let _ = stop.go_on.lock().unwrap().recv_timeout(HANG);
        }
        self.0 == other.0
    }
}

impl Eq for Gate {}

impl std::hash::Hash for Gate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn readers_go_on_while_a_writer_stands_still_in_its_critical_section() {
    let ram = Ram::new(Limits { max_bytes: 100, max_items: 100, item_bytes: 1 }, RandomState::new());
    for key in 0..100 {
        ram.insert(Gate(key, None), key, 1, FOREVER, &mut |_, _, _| {});
    }
    let (reached, at_gate) = mpsc::sync_channel(1);
    let (open, go_on) = mpsc::channel();
    let stop = Arc::new(Stop { reached, go_on: std::sync::Mutex::new(go_on) });
    thread::scope(|scope| {
        let writer = scope.spawn(|| ram.insert(Gate(7, Some(stop)), 700, 1, FOREVER, &mut |_, _, _| {}));
        at_gate.recv_timeout(HANG).unwrap();
        // The one shard's mutex is held now: another writer waits, readers do not, of that very key neither.
        let waiting = scope.spawn(|| ram.insert(Gate(200, None), 200, 1, FOREVER, &mut |_, _, _| {}));
        for key in 0..100 {
            assert_eq!(ram.get(&Gate(key, None), 0), Some((key, Freshness::Fresh)));
        }
        assert!(ram.get(&Gate(200, None), 0).is_none() && !waiting.is_finished() && !writer.is_finished());
        // It compares more than once on its way.
        drop(open);
        writer.join().unwrap();
        waiting.join().unwrap();
    });
    assert_eq!(ram.get(&Gate(7, None), 0).map(|(value, _)| value), Some(700));
}

#[test]
fn a_value_is_never_found_under_another_key() {
    let ram: Ram<Key, u64, KeyHasher> = Ram::new(Limits { max_bytes: 300, max_items: 300, item_bytes: 1 }, KeyHasher);
    let key = |number: u64| {
        let mut key = Key::default();
        // The first half collides for sixteen keys each: the hash is not what tells them apart.
        key[..8].copy_from_slice(&(number / 16).to_le_bytes());
        key[24..].copy_from_slice(&number.to_le_bytes());
        key
    };
    thread::scope(|scope| {
        for number in 0..4 {
            let ram = &ram;
            scope.spawn(move || {
                for call in 0..calls() {
                    let wanted = scrambled(call * 4 + number) % 600;
                    match ram.get(&key(wanted), 0) {
                        Some((value, _)) => assert_eq!(value, wanted),
                        None => drop(ram.insert(key(wanted), wanted, 1, FOREVER, &mut |_, _, _| {})),
                    }
                }
            });
        }
    });
}
