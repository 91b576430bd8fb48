//! What left small not long ago, as fingerprints: who comes back from here was evicted too early.
//!
//! A first-in-first-out queue of nine tenths of the cache's weight, of which only the weights are kept in order. The
//! fingerprints are in a table with rows of four, each with its number in the queue: it is remembered while the queue
//! reaches back to that number. Who comes back leaves the queue (weighs nothing from then on), so that the others are
//! remembered longer. A full row forgets its oldest. The table grows with the cache.
//!
//! Cost: 8 bytes a place, two to four places an entry of the cache, and 4 bytes for each one remembered. 32 bits of
//! hash tell keys apart; with a million fingerprints one key in some thousands is taken for another, which costs it
//! nothing but a better place.

use std::collections::VecDeque;

const ROW: usize = 4;
const LEAST_ROWS: usize = 4;

#[derive(Debug)]
pub(super) struct Ghost {
    rows: Vec<Row>,
    /// What each one weighs, the longest gone first.
    weights: VecDeque<u32>,
    weight: u64,
    /// The number of the next to leave; numbers wrap.
    next: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    prints: [u32; ROW],
    numbers: [u32; ROW],
}

impl Ghost {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), weights: VecDeque::new(), weight: 0, next: 1 }
    }

    /// An entry of this weight leaves a cache of `len` entries that weighs `whole`.
    pub(super) fn remember(&mut self, hash: u64, weight: u64, len: usize, whole: u64) {
        if len > self.rows.len() * ROW {
            self.grow(len);
        }
        self.write(print(hash), self.next);
        self.next = self.next.wrapping_add(1);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).max(1);
        self.weights.push_back(weight);
        self.weight += u64::from(weight);
        let most = whole - whole / 10;
        while self.weight > most || self.weights.len() > self.rows.len() * ROW {
            let Some(oldest) = self.weights.pop_front() else { break };
            self.weight -= u64::from(oldest);
        }
    }

    /// Whether a key is remembered; it is forgotten at once.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let print = print(hash);
        let next = self.next;
        let Some(row) = self.row(print) else { return false };
        let Some(place) = row.prints.iter().position(|place| *place == print) else { return false };
        let ago = row.numbers.get_mut(place).map_or(0, |number| next.wrapping_sub(std::mem::take(number)));
        let Some(at) = self.weights.len().checked_sub(ago as usize) else { return false };
        self.weights.get_mut(at).is_some_and(|weight| {
            self.weight -= u64::from(std::mem::take(weight));
            true
        })
    }

    fn row(&mut self, print: u32) -> Option<&mut Row> {
        let mask = self.rows.len().wrapping_sub(1);
        self.rows.get_mut(print as usize & mask)
    }

    fn write(&mut self, print: u32, number: u32) {
        let next = self.next;
        let Some(row) = self.row(print) else { return };
        let places = row.prints.iter_mut().zip(&mut row.numbers);
        let worst = places.max_by_key(|(place, number)| (**place == print, next.wrapping_sub(**number)));
        if let Some((place, before)) = worst {
            *place = print;
            *before = number;
        }
    }

    fn grow(&mut self, len: usize) {
        let rows = (len.div_ceil(ROW).next_power_of_two() * 2).max(LEAST_ROWS);
        for row in std::mem::replace(&mut self.rows, vec![Row::default(); rows]) {
            for (print, number) in row.prints.into_iter().zip(row.numbers) {
                if self.next.wrapping_sub(number) as usize <= self.weights.len() {
                    self.write(print, number);
                }
            }
        }
    }
}

/// Bits of a hash that are spread well even where the hash itself is not.
#[allow(clippy::cast_possible_truncation)] // the half that is wanted
fn print(hash: u64) -> u32 {
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}
