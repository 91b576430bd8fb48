//! How many tokens a text costs, counted with the vocabulary itself and not estimated.
//!
//! The vocabulary is `o200k_base`, embedded, so counting needs no file and no network. The models of other houses
//! count differently (by some percent, in English); whoever shows a count says which vocabulary it is of.
//!
//! A text is first cut into pieces (words, numbers, runs of white space), then each piece that is not a token itself is
//! merged. Unpacked for us this takes 5 MB; the crate whose vocabulary `build.rs` reads keeps 68 MB for what we do not
//! need (positions, suffixes).
//!
//! Counts of lines can be added where no piece reaches over a line's end: [`count_line`] and [`opens`].

mod merge;
mod pieces;
mod ranks;

use std::sync::LazyLock;

use pieces::{Classes, Pieces};
use ranks::Ranks;

static COUNTER: LazyLock<Counter> =
    LazyLock::new(|| Counter { classes: Classes::unpacked(), ranks: Ranks::unpacked() });

/// The tokens of a text. The first call unpacks the vocabulary (some milliseconds).
pub fn count(text: &str) -> usize {
    COUNTER.count(text, false, usize::MAX).unwrap_or(usize::MAX)
}

/// The tokens of a text if they are not more than `most`. Stops where they are.
pub fn count_limited(text: &str, most: usize) -> Option<usize> {
    COUNTER.count(text, false, most)
}

/// The tokens of a text and a line end behind it.
///
/// `count(a + "\n" + b)` is `count_line(a) + count(b)` if `b` [`opens`]. So the count of many lines is the sum of theirs,
/// whatever lines are taken and in what order, if all but the first open.
pub fn count_line(text: &str) -> usize {
    COUNTER.count(text, true, usize::MAX).unwrap_or(usize::MAX)
}

/// Whether a piece begins with this text, whatever line stands before it: it has something besides white space in its
/// first line, and does not begin with a slash. (Line ends are one piece with the white space before them, and with
/// the signs before them; slashes behind these belong to that piece as well.) Else `count_line` before it and `count` of
/// it add up to nearly, not exactly, the count of both.
pub fn opens(text: &str) -> bool {
    let first = text.chars().find(|character| !character.is_whitespace() || matches!(character, '\r' | '\n'));
    !text.starts_with('/') && first.is_some_and(|first| !matches!(first, '\r' | '\n'))
}

struct Counter {
    classes: Classes,
    ranks: Ranks,
}

impl Counter {
    fn count(&self, text: &str, line_end: bool, most: usize) -> Option<usize> {
        let pieces = Pieces { classes: &self.classes, text, line_end };
        let mut at = 0;
        let mut sum = 0;
        while at < pieces.len() {
            let end = pieces.end(at).max(at + 1);
            sum += if end <= text.len() { self.piece(text.as_bytes(), at, end) } else { self.last(text, at) };
            if sum > most {
                return None;
            }
            at = end;
        }
        Some(sum)
    }

    /// How many tokens a piece becomes.
    #[inline]
    fn piece(&self, bytes: &[u8], at: usize, end: usize) -> usize {
        if end - at == 1 || self.ranks.holds(bytes, at, end) { 1 } else { merge::merged(&self.ranks, bytes, at, end) }
    }

    /// The last piece, with the line end that is not in the text.
    fn last(&self, text: &str, at: usize) -> usize {
        let piece = [text.as_bytes().get(at..).unwrap_or_default(), b"\n"].concat();
        self.piece(&piece, 0, piece.len())
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
        assert_eq!(COUNTER.ranks.len(), bpe_openai::o200k_base().bpe.num_tokens());
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

    proptest! {
        #[test]
        fn lines_that_open_can_be_added(lines in prop::collection::vec(any_text(), 1..5)) {
            let lines: Vec<&str> = lines.iter().enumerate().filter(|(at, line)| *at == 0 || opens(line)).map(|(_, line)| line.as_str()).collect();
            let (last, others) = lines.split_last().unwrap();
            let sum = others.iter().map(|line| count_line(line)).sum::<usize>() + count(last);
            prop_assert_eq!(sum, count(&lines.join("\n")));
        }

        #[test]
        fn a_limited_count_is_the_count_or_nothing(text in any_text(), most in 0_usize..40) {
            prop_assert_eq!(count_limited(&text, most), Some(count(&text)).filter(|sum| *sum <= most));
        }
    }

    #[test]
    fn characters_at_the_edges_of_their_classes_are_cut_as_the_other_implementation_cuts_them() {
        let o200k = bpe_openai::o200k_base();
        for edge in pieces::edges() {
            let around = [edge.saturating_sub(1), edge].into_iter().filter_map(char::from_u32);
            let text: String = around
                .flat_map(|one| ['a', one, 'A', one, 'B', ' ', one, one, '.', one, '7', one, '\'', 's'])
                .collect();
            assert_eq!(count(&text), o200k.count(text.as_str()), "{edge:x}");
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
