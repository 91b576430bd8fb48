//! Exact counts of what readers do, without a word that two threads write.
//!
//! A thread has a number as long as it lives, and each cache a row of counters for each number: the only writer of a
//! row adds by a load and a store, no read-modify-write. The few threads beyond the rows share one, with atomic
//! additions. A number is given back through a lock when its thread ends, so its next holder sees all that was
//! counted. Cost: 64 bytes a row.

use std::cell::Cell;
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
    /// Weight that left and that this thread has not yet seen to.
    Left,
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
        self.add_to(count, 1);
    }

    /// Weight left because of this thread; whether that makes `enough` since it last was.
    pub(super) fn left(&self, weight: u64, enough: u64) -> bool {
        let Some((cell, sum)) = self.add_to(Count::Left, weight) else { return true };
        if sum >= enough {
            cell.store(0, Ordering::Relaxed);
        }
        sum >= enough
    }

    #[inline]
    fn add_to(&self, count: Count, more: u64) -> Option<(&AtomicU64, u64)> {
        let number = number();
        let cell = self.rows.get(number)?.0.get(count as usize)?;
        if number >= ROWS {
            return Some((cell, cell.fetch_add(more, Ordering::Relaxed).wrapping_add(more)));
        }
        let sum = cell.load(Ordering::Relaxed).wrapping_add(more);
        cell.store(sum, Ordering::Relaxed);
        Some((cell, sum))
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
    /// The number of this thread, in reach without a look at whether it is still there.
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static PLACE: Place = Place::take();
}

/// A thread that has not counted yet.
const UNKNOWN: usize = usize::MAX;

#[inline]
fn number() -> usize {
    let number = NUMBER.get();
    if number == UNKNOWN { first_number() } else { number }
}

#[cold]
fn first_number() -> usize {
    let number = PLACE.try_with(|place| place.0).unwrap_or(ROWS).min(ROWS);
    NUMBER.set(number);
    number
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
        // What else ends with this thread may still count: in the row that is everybody's.
        NUMBER.set(ROWS);
        NUMBERS.lock().free.push(Reverse(self.0));
    }
}
