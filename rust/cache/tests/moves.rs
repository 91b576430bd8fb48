//! Moves between levels under a scheduler that tries many interleavings: the source of `levels/moves.rs`, built on
//! shuttle's primitives, between two levels that are as simple as can be.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../src/levels/moves.rs"]
mod moves;
mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};

    /// Without poison, as the lock that ships.
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

use std::collections::BTreeMap;

use moves::Moves;
use shuttle::sync::Arc;
use shuttle::thread::{self, JoinHandle};
use sync::Mutex;

type Key = [u8; 32];

const KEY: Key = [1; 32];
const OTHER: Key = [2; 32];

/// Interleavings tried; `OMNIMIND_FULL` tries twenty times as many.
fn interleavings() -> usize {
    if std::env::var_os("OMNIMIND_FULL").is_some() { 40_000 } else { 2_000 }
}

/// Two levels; a value is the version of its key.
struct Model {
    moves: Moves,
    upper: Mutex<BTreeMap<Key, u64>>,
    lower: Mutex<BTreeMap<Key, u64>>,
}

impl Model {
    fn new(stripes: usize) -> Arc<Self> {
        let upper = [(KEY, 1), (OTHER, 1)].into_iter().collect();
        Arc::new(Self { moves: Moves::new(stripes), upper: Mutex::new(upper), lower: Mutex::new(BTreeMap::new()) })
    }

    /// Takes a key out of the upper level, as if another needed the room, and puts it into the lower one.
    fn evict(&self, key: Key) {
        let since = self.moves.since();
        let evicted = self.upper.lock().remove(&key);
        if let Some(version) = evicted {
            self.moves.carry(&key, since, || _ = self.lower.lock().insert(key, version));
        }
    }

    /// Looks a key up, and brings it up if it is below.
    fn get(&self, key: Key) -> Option<u64> {
        let found = self.upper.lock().get(&key).copied();
        found.or_else(|| {
            let since = self.moves.since();
            let version = self.lower.lock().get(&key).copied()?;
            self.moves.carry(&key, since, || {
                self.upper.lock().insert(key, version);
                self.lower.lock().remove(&key);
            });
            Some(version)
        })
    }

    fn put(&self, key: Key, version: u64) {
        self.moves.change(&key, || {
            self.lower.lock().remove(&key);
            self.upper.lock().insert(key, version);
        });
    }

    fn remove(&self, key: Key) {
        self.moves.change(&key, || {
            self.upper.lock().remove(&key);
            self.lower.lock().remove(&key);
        });
    }

    fn clear(&self) {
        self.moves.clear(|| {
            self.upper.lock().clear();
            self.lower.lock().clear();
        });
    }
}

fn beside(model: &Arc<Model>, work: impl Fn(&Model) + Send + 'static) -> JoinHandle<()> {
    let model = Arc::clone(model);
    thread::spawn(move || work(&model))
}

/// Lets entries go down and come up while `change` runs, and looks what is there afterwards.
fn try_all(change: fn(&Model), expected: fn(Option<u64>) -> bool) {
    shuttle::check_random(
        move || {
            let model = Model::new(2);
            let movers = [
                beside(&model, |model| model.evict(KEY)),
                beside(&model, |model| _ = (model.get(KEY), model.evict(KEY))),
                beside(&model, |model| _ = (model.evict(OTHER), model.get(KEY))),
            ];
            change(&model);
            let seen = model.get(KEY);
            assert!(expected(seen), "right after the change: {seen:?}");
            for mover in movers {
                mover.join().unwrap();
            }
            let left = model.get(KEY);
            assert!(expected(left), "when all had ended: {left:?}");
        },
        interleavings(),
    );
}

#[test]
fn what_was_removed_never_comes_back() {
    try_all(|model| model.remove(KEY), |seen| seen.is_none());
}

#[test]
fn what_was_replaced_never_comes_back() {
    try_all(|model| model.put(KEY, 2), |seen| seen != Some(1));
}

#[test]
fn what_was_cleared_never_comes_back() {
    try_all(Model::clear, |seen| seen.is_none());
}

#[test]
fn what_nothing_changed_gets_through() {
    let model = shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(1), shuttle::Config::new());
    model.run(|| {
        let model = Model::new(2);
        model.put(OTHER, 2);
        model.evict(KEY);
        assert_eq!(model.get(KEY), Some(1), "down");
        assert_eq!(model.upper.lock().get(&KEY), Some(&1), "and up");
        model.clear();
        model.put(KEY, 3);
        model.evict(KEY);
        assert_eq!(model.get(KEY), Some(3), "after a clearing too");
    });
}
