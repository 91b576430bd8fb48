//! Merges the bytes of a piece that is no token: the two neighbours whose joined bytes have the lowest rank become
//! one, until no neighbours join.
//!
//! Short pieces, that is nearly all, are merged in two arrays on the stack: to look through thirty ranks costs less
//! than to keep a heap. A long run (`=====`, base64) goes by a heap, so that no text takes quadratic time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::ranks::{NONE, Ranks};

/// The longest piece that is merged without a heap, bytes.
const SHORT: usize = 48;
const PLACES: usize = 64;

/// How many tokens `bytes[from..to]` becomes.
pub(super) fn merged(ranks: &Ranks, bytes: &[u8], from: usize, to: usize) -> usize {
    if to - from <= SHORT {
        short(ranks, bytes, from, to)
    } else {
        Long::new(ranks, bytes.get(from..to).unwrap_or_default()).merged()
    }
}

/// `at` is taken within the arrays by a mask, so that no place lies outside them.
fn short(ranks: &Ranks, bytes: &[u8], from: usize, to: usize) -> usize {
    let mut begins = [to; PLACES];
    let mut joins = [NONE; PLACES];
    let mut left = to - from;
    for at in 0..left {
        begins[at % PLACES] = from + at;
        if at + 1 < left {
            joins[at % PLACES] = ranks.rank(bytes, from + at, from + at + 2);
        }
    }
    while left > 1 {
        let mut best = 0;
        let mut lowest = NONE;
        for (at, rank) in joins[..(left - 1).min(PLACES)].iter().enumerate() {
            if *rank < lowest {
                (best, lowest) = (at, *rank);
            }
        }
        if lowest == NONE {
            break;
        }
        // The part after the best is gone; those behind it move up.
        begins.copy_within((best + 2).min(PLACES)..(left + 1).min(PLACES), (best + 1).min(PLACES));
        joins.copy_within((best + 2).min(PLACES)..(left + 1).min(PLACES), (best + 1).min(PLACES));
        left -= 1;
        let joined = |at: usize| {
            let (begin, end) = (begins[at % PLACES], begins[(at + 2) % PLACES]);
            if at + 1 < left { ranks.rank(bytes, begin, end) } else { NONE }
        };
        joins[best % PLACES] = joined(best);
        if best > 0 {
            joins[(best - 1) % PLACES] = joined(best - 1);
        }
    }
    left
}

/// One piece while it is merged: parts in a linked list, and a heap of the joins that are possible. In the worst
/// case (a piece of one long run) n log n, where a search for the lowest rank each time would be quadratic.
struct Long<'a> {
    ranks: &'a Ranks,
    piece: &'a [u8],
    /// By the start of a part: its end (which is the next one's start), the start before it, and whether it is gone.
    parts: Vec<Part>,
    joins: BinaryHeap<Reverse<(u32, usize, usize)>>,
}

#[derive(Clone, Copy)]
struct Part {
    end: usize,
    before: usize,
    gone: bool,
}

impl<'a> Long<'a> {
    fn new(ranks: &'a Ranks, piece: &'a [u8]) -> Self {
        let parts = (0..piece.len()).map(|at| Part { end: at + 1, before: at.wrapping_sub(1), gone: false }).collect();
        let mut merging = Self { ranks, piece, parts, joins: BinaryHeap::new() };
        for at in 0..piece.len() {
            merging.offer(at);
        }
        merging
    }

    /// The part that begins at `at` could be joined with the next one.
    fn offer(&mut self, at: usize) {
        let Some(end) = self.parts.get(at).and_then(|part| self.parts.get(part.end)).map(|next| next.end) else {
            return;
        };
        if let Some(rank) =
            self.piece.get(at..end).map(|_| self.ranks.rank(self.piece, at, end)).filter(|rank| *rank != NONE)
        {
            self.joins.push(Reverse((rank, at, end)));
        }
    }

    fn merged(mut self) -> usize {
        let mut left = self.piece.len();
        while let Some(Reverse((_, at, end))) = self.joins.pop() {
            if self.join(at, end) {
                left -= 1;
            }
        }
        left
    }

    /// False if the two are no longer as they were when the join was offered.
    fn join(&mut self, at: usize, end: usize) -> bool {
        let Some(first) = self.parts.get(at).copied().filter(|part| !part.gone && part.end < end) else {
            return false;
        };
        let second = first.end;
        if self.parts.get(second).is_none_or(|part| part.end != end) {
            return false;
        }
        if let Some(part) = self.parts.get_mut(second) {
            part.gone = true;
        }
        if let Some(part) = self.parts.get_mut(at) {
            part.end = end;
        }
        if let Some(next) = self.parts.get_mut(end) {
            next.before = at;
        }
        self.offer(at);
        if at > 0 {
            self.offer(first.before);
        }
        true
    }
}
