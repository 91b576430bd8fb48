//! Exact counts of what readers do, without a word that two threads write.
//!
//! A thread has a number as long as it lives, and each cache a row of counters for each number: the only writer of a
//! row adds by a load and a store, no read-modify-write. The few threads beyond the rows share one, with atomic
//! additions. A number is given back through a lock when its thread ends, so its next holder sees all that was
//! counted. Cost: 64 bytes a row.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Rows with one writer; the next one is for all other threads.
const ROWS: usize = 32;

/// What readers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Hit,
    StaleHit,
    Miss,
}

#[derive(Debug)]
pub(super) struct Tally {
    rows: Box<[Row]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Row([AtomicU64; 4]);

impl Tally {
    pub(super) fn new() -> Self {
        Self { rows: (0..=ROWS).map(|_| Row::default()).collect() }
    }

    #[inline]
    pub(super) fn add(&self, count: Count) {
        let number = PLACE.try_with(|place| place.0).unwrap_or(ROWS);
        let Some(cell) = self.rows.get(number.min(ROWS)).and_then(|row| row.0.get(count as usize)) else { return };
        if number < ROWS {
            cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn total(&self, count: Count) -> u64 {
        self.rows.iter().filter_map(|row| row.0.get(count as usize)).map(|cell| cell.load(Ordering::Relaxed)).sum()
    }
}

struct Numbers {
    free: BinaryHeap<Reverse<usize>>,
    next: usize,
}

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { free: BinaryHeap::new(), next: 0 });

thread_local! {
    static PLACE: Place = Place::take();
}

/// The number of a thread, given back when it ends.
struct Place(usize);

impl Place {
    fn take() -> Self {
        let mut numbers = NUMBERS.lock();
        let number = numbers.free.pop().map_or(numbers.next, |Reverse(number)| number);
        numbers.next = numbers.next.max(number + 1);
        Self(number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        NUMBERS.lock().free.push(Reverse(self.0));
    }
}
