//! How many tokens a text costs, counted with the vocabulary itself and not estimated.
//!
//! The vocabulary is `o200k_base`, embedded, so counting needs no file and no network. The models of other houses
//! count differently (by some percent, in English); whoever shows a count says which vocabulary it is of.
//!
//! A text is first cut into pieces (words, numbers, runs of white space), then each piece is merged: the two
//! neighbours whose joined bytes have the lowest rank become one, until no neighbours join. Unpacked for us this
//! takes 5 MB; the crate whose vocabulary `build.rs` reads keeps 68 MB for what we do not need (positions, suffixes).

use std::{cmp::Reverse, collections::BinaryHeap, sync::LazyLock};

use regex_automata::{Anchored, Input, meta::Regex};

/// Words with at most one sign before them, numbers of three digits, runs of signs, line ends; then white space.
const WORDS: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+",
);
const SPACE: &str = r"\s+";

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k_base.bin"));
static COUNTER: LazyLock<Counter> = LazyLock::new(Counter::unpacked);

/// The tokens of a text. The first call unpacks the vocabulary (tens of milliseconds).
pub fn count(text: &str) -> usize {
    COUNTER.count(text)
}

struct Counter {
    /// `None` cannot be: both patterns are constants, and a test compiles them.
    pieces: Option<Regex>,
    ranks: Ranks,
}

impl Counter {
    fn unpacked() -> Self {
        Self { pieces: Regex::new_many(&[WORDS, SPACE]).ok(), ranks: Ranks::unpacked(PACKED) }
    }

    fn count(&self, text: &str) -> usize {
        let mut at = 0;
        let mut sum = 0;
        while at < text.len() {
            let end = self.piece_end(text, at);
            sum += self.ranks.pieces(text.as_bytes().get(at..end).unwrap_or_default());
            at = end;
        }
        sum
    }

    /// Where the piece that begins at `at` ends. Of a run of white space the last character goes with the word
    /// that follows, if any.
    fn piece_end(&self, text: &str, at: usize) -> usize {
        let input = Input::new(text).span(at..text.len()).anchored(Anchored::Yes);
        let Some(found) = self.pieces.as_ref().and_then(|pieces| pieces.find(input)) else { return text.len() };
        if found.pattern().as_usize() == 0 || found.end() == text.len() {
            return found.end();
        }
        let last = text.get(at..found.end()).and_then(|run| run.chars().next_back()).map_or(0, char::len_utf8);
        if found.end() - last > at { found.end() - last } else { found.end() }
    }
}

/// Token to rank, as a table of open addressing over the packed bytes.
struct Ranks {
    /// Where each token stands in [`PACKED`], by rank.
    starts: Vec<u32>,
    slots: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Ranks {
    fn unpacked(packed: &[u8]) -> Self {
        let mut starts = Vec::with_capacity(200_000);
        let mut at = 0;
        while let Some(length) = packed.get(at) {
            starts.push(u32::try_from(at).unwrap_or(EMPTY));
            at += 1 + usize::from(*length);
        }
        let mut ranks = Self { slots: vec![EMPTY; (starts.len() * 2).next_power_of_two()], starts };
        for rank in 0..u32::try_from(ranks.starts.len()).unwrap_or(EMPTY) {
            let slot = ranks.slot_of(ranks.token(rank));
            if let Some(place) = ranks.slots.get_mut(slot) {
                *place = rank;
            }
        }
        ranks
    }

    fn token(&self, rank: u32) -> &'static [u8] {
        let at = self.starts.get(rank as usize).map_or(usize::MAX, |at| *at as usize);
        let length = PACKED.get(at).map_or(0, |length| usize::from(*length));
        PACKED.get(at + 1..at + 1 + length).unwrap_or_default()
    }

    /// The slot that holds this token, or the empty one where it would stand.
    fn slot_of(&self, token: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(token) & mask;
        while self.slots.get(slot).is_some_and(|rank| *rank != EMPTY && self.token(*rank) != token) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn rank(&self, token: &[u8]) -> Option<u32> {
        self.slots.get(self.slot_of(token)).copied().filter(|rank| *rank != EMPTY)
    }

    /// How many tokens a piece becomes.
    fn pieces(&self, piece: &[u8]) -> usize {
        if piece.len() < 2 || self.rank(piece).is_some() {
            return piece.len().min(1);
        }
        Merging::new(self, piece).merged()
    }
}

/// FNV-1a, folded; tokens are short and the table is half empty.
fn hash(token: &[u8]) -> usize {
    let full = token
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from((full ^ (full >> 32)) & 0xffff_ffff).unwrap_or_default()
}

/// One piece while it is merged: parts in a linked list, and a heap of the joins that are possible. In the worst
/// case (a piece of one long run) n log n, where a search for the lowest rank each time would be quadratic.
struct Merging<'a> {
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

impl<'a> Merging<'a> {
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
        if let Some(rank) = self.piece.get(at..end).and_then(|joined| self.ranks.rank(joined)) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_known() {
        // Counted with tiktoken 0.14.0, `o200k_base`.
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(count("The quick brown fox jumps over the lazy dog."), 10);
    }

    #[test]
    fn the_vocabulary_is_whole() {
        assert_eq!(COUNTER.ranks.starts.len(), bpe_openai::o200k_base().bpe.num_tokens());
        assert!(Regex::new_many(&[WORDS, SPACE]).is_ok());
    }

    #[test]
    fn one_long_run_takes_no_quadratic_time() {
        let timed = |length: usize| {
            let text = "ab".repeat(length / 2);
            let begun = Instant::now();
            assert_eq!(count(&text), bpe_openai::o200k_base().count(text.as_str()));
            begun.elapsed()
        };
        timed(1_000);
        let (short, long) = (timed(20_000), timed(320_000));
        assert!(long < short * 16 * 6, "{short:?} {long:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn counts_equal_those_of_another_implementation(text in any_text()) {
            prop_assert_eq!(count(&text), bpe_openai::o200k_base().count(text.as_str()), "{:?}", text);
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        let parts = prop_oneof![
            "[ \t\r\n]{1,6}",
            "[a-z]{1,12}",
            "[A-Z][a-z]{0,6}('s|'LL|'d)?",
            "[0-9]{1,8}",
            "[{}\\[\\]\":,./_-]{1,5}",
            "\\PC{1,4}",
            any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat())
    }
}
