//! Flights, shards and their hand-over to the index under a scheduler that tries many interleavings. The sources are
//! those that ship; only `sync` is another: every step on a lock, an atomic or the index is a choice of who goes next.
#![allow(dead_code, unreachable_pub, unused_imports)]

#[path = "../../src/flight.rs"]
mod flight;
#[path = "../../src/generation.rs"]
mod generation;
#[path = "../../src/ram/mod.rs"]
mod ram;

use std::hash::RandomState;

use flight::{Flights, Joined, Landed};
use generation::Generation;
use ram::{Limits, Ram};
use shuttle::future::block_on;
use shuttle::thread;

use crate::{FOREVER, Life};

pub(crate) mod sync {
    //! Twins of the types in `src/sync.rs`.

    use std::hash::{BuildHasher, Hash};
    use std::ops::DerefMut;

    pub(crate) use papaya::{Guard, LocalGuard};
    pub(crate) use shuttle::sync::Arc;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::thread::yield_now;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> impl DerefMut<Target = T> + '_ {
            self.0.lock().unwrap()
        }

        pub(crate) fn try_lock(&self) -> Option<impl DerefMut<Target = T> + '_> {
            self.0.try_lock().ok()
        }
    }

    /// The index that ships, whose every operation is a step: all run in one thread of the system.
    pub(crate) struct Index<K, V, S>(papaya::HashMap<K, V, S>, AtomicU64);

    impl<K: Hash + Eq, V, S: BuildHasher> Index<K, V, S> {
        pub(crate) fn with_hasher(hasher: S) -> Self {
            Self(papaya::HashMap::with_hasher(hasher), AtomicU64::new(0))
        }

        pub(crate) fn guard(&self) -> LocalGuard<'_> {
            self.0.guard()
        }

        pub(crate) fn get<'g>(&self, key: &K, guard: &'g LocalGuard<'_>) -> Option<&'g V>
        where
            K: 'g,
            V: 'g,
        {
            self.step().get(key, guard)
        }

        pub(crate) fn insert<'g>(&self, key: K, value: V, guard: &'g LocalGuard<'_>) -> Option<&'g V>
        where
            K: 'g,
            V: 'g,
        {
            self.step().insert(key, value, guard)
        }

        pub(crate) fn remove<'g>(&self, key: &K, guard: &'g LocalGuard<'_>) -> Option<&'g V>
        where
            K: 'g,
            V: 'g,
        {
            self.step().remove(key, guard)
        }

        #[allow(clippy::type_complexity)] // as it is in the index that ships
        pub(crate) fn remove_if<'g>(
            &self,
            key: &K,
            leaves: impl FnMut(&K, &V) -> bool,
            guard: &'g LocalGuard<'_>,
        ) -> Result<Option<(&'g K, &'g V)>, (&'g K, &'g V)> {
            self.step().remove_if(key, leaves, guard)
        }

        pub(crate) fn iter<'g>(&self, guard: &'g LocalGuard<'_>) -> impl Iterator<Item = (&'g K, &'g V)>
        where
            K: 'g,
            V: 'g,
        {
            self.step().iter(guard)
        }

        fn step(&self) -> &papaya::HashMap<K, V, S> {
            self.1.fetch_add(1, Ordering::SeqCst);
            &self.0
        }
    }
}

fn runs() -> usize {
    if std::env::var_os("OMNIMIND_FULL").is_some() { 10_000 } else { 300 }
}

#[test]
fn every_one_that_asks_is_answered_and_there_is_one_leader_at_a_time() {
    let scenario = || {
        let flights = Flights::<u8, usize>::new();
        let leading = sync::Arc::new(sync::AtomicUsize::new(0));
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                let (flights, leading) = (flights.clone(), sync::Arc::clone(&leading));
                thread::spawn(move || {
                    let leader = match flights.join(1) {
                        Joined::Lead(leader) => leader,
                        // One goes away before it looks.
                        Joined::Wait(_) if number == 3 => return,
                        Joined::Wait(waiter) => match block_on(waiter) {
                            Landed::Lead(leader) => leader,
                            Landed::Shared(value) => return assert!(value < 4),
                            Landed::Alone => panic!("nobody abandoned"),
                        },
                    };
                    assert_eq!(leading.fetch_add(1, sync::Ordering::SeqCst), 0);
                    thread::yield_now();
                    leading.fetch_sub(1, sync::Ordering::SeqCst);
                    // The first is cancelled; its duty goes to a waiter, or the flight is over.
                    if number != 0 {
                        leader.finish(number);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        assert!(flights.is_empty());
    };
    shuttle::check_random(scenario, runs());
    shuttle::check_pct(scenario, runs(), 3);
}

#[test]
fn shards_index_and_budget_agree_whatever_came_between() {
    let scenario = || {
        let limits = Limits { max_bytes: 6, max_items: 4, item_bytes: 3 };
        let ram = sync::Arc::new(Ram::<u64, u64, RandomState>::with_shards(limits, RandomState::new(), 2));
        let tasks: Vec<_> = (0..3_u64)
            .map(|number| {
                let ram = sync::Arc::clone(&ram);
                thread::spawn(move || {
                    for step in 0..3 {
                        let key = (number + step) % 4;
                        let ends = if step == 1 { 1_500 } else { u64::MAX };
                        let life = Life { created_ms: 1_000, fresh_until_ms: ends, stale_until_ms: ends };
                        ram.insert(key, key, 1 + (number + step) % 3, life, &mut |key, value, _| {
                            assert_eq!(key, value);
                        });
                        assert!(ram.bytes() <= 6 && ram.len() <= 4);
                        if let Some((value, _)) = ram.get(&(step + 1), 2_000) {
                            assert_eq!(value, step + 1);
                        }
                        if step == number {
                            ram.remove(&key);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        ram.sweep(4_000, 100);
        let held: Vec<u64> = (0..4).filter(|key| ram.get(key, 4_000).is_some()).collect();
        assert_eq!(ram.len(), held.len());
        ram.clear();
        assert_eq!((ram.len(), ram.bytes()), (0, 0));
        ram.insert(9, 9, 3, FOREVER, &mut |_, _, _| {});
        assert_eq!((ram.len(), ram.bytes()), (1, 3));
    };
    shuttle::check_random(scenario, runs());
    shuttle::check_pct(scenario, runs(), 3);
}

#[test]
fn what_began_before_an_advance_is_never_taken_for_new() {
    shuttle::check_random(
        || {
            let generation = sync::Arc::new(Generation::new());
            let written = sync::Arc::new(sync::AtomicU64::new(0));
            let writer = {
                let (generation, written) = (sync::Arc::clone(&generation), sync::Arc::clone(&written));
                thread::spawn(move || {
                    written.store(1, sync::Ordering::Relaxed);
                    generation.advance();
                })
            };
            let began = generation.now();
            let read = written.load(sync::Ordering::Relaxed);
            if began == generation.now() && began == 1 {
                assert_eq!(read, 1);
            }
            writer.join().unwrap();
            assert_eq!(generation.now(), 1);
        },
        runs(),
    );
}
