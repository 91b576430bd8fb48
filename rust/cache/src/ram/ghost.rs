//! What left small not long ago, as fingerprints: who comes back from here has been evicted too early.
//!
//! A fingerprint is remembered until entries of nine tenths of the cache's weight have left after it. So there is no
//! queue to keep: each fingerprint carries the reading of a clock that advances by the weight of what leaves, and is
//! believed while the clock is within reach. The table has rows of four; a full row forgets its oldest. It doubles
//! when the cache grows beyond it: 12 bytes a place, one to two places an entry.
//!
//! 32 bits of hash tell keys apart; with a million fingerprints one key in a thousand is taken for another, which
//! costs it nothing but a better place.

const ROW: usize = 4;
const LEAST_ROWS: usize = 16;

#[derive(Debug)]
pub(super) struct Ghost {
    rows: Vec<Row>,
    clock: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    prints: [u32; ROW],
    /// When each left, by the clock; 0 = no fingerprint.
    left: [u64; ROW],
}

impl Ghost {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), clock: 0 }
    }

    /// An entry leaves a cache of `len` entries.
    pub(super) fn remember(&mut self, hash: u64, weight: u64, len: usize) {
        if len > self.rows.len() * ROW {
            self.grow(len);
        }
        self.clock += weight.max(1);
        let clock = self.clock;
        self.write(print(hash), clock);
    }

    /// Whether a key left within reach of a cache of that weight; it is forgotten at once.
    pub(super) fn take(&mut self, hash: u64, weight: u64) -> bool {
        let print = print(hash);
        let oldest = self.clock.saturating_sub(weight / 10 * 9);
        let Some(row) = self.row(print) else { return false };
        for (place, left) in row.prints.iter().zip(&mut row.left) {
            if *place == print && *left != 0 {
                return std::mem::take(left) > oldest;
            }
        }
        false
    }

    fn row(&mut self, print: u32) -> Option<&mut Row> {
        let mask = self.rows.len().wrapping_sub(1);
        self.rows.get_mut(print as usize & mask)
    }

    fn write(&mut self, print: u32, clock: u64) {
        let Some(row) = self.row(print) else { return };
        let oldest = row.prints.iter_mut().zip(&mut row.left).min_by_key(|(_, left)| **left);
        if let Some((place, left)) = oldest {
            *place = print;
            *left = clock;
        }
    }

    fn grow(&mut self, len: usize) {
        let rows = len.div_ceil(ROW).next_power_of_two().max(LEAST_ROWS) * 2;
        let before = std::mem::replace(&mut self.rows, vec![Row::default(); rows]);
        for row in before {
            for (print, left) in row.prints.into_iter().zip(row.left) {
                if left != 0 {
                    self.write(print, left);
                }
            }
        }
    }
}

/// The bits of a hash that no index of the cache uses for its rows.
#[allow(clippy::cast_possible_truncation)] // the half that is wanted
fn print(hash: u64) -> u32 {
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}
