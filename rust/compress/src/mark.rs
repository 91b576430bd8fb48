//! What stands where something was left out.
//!
//! `[…L120-531 482]` says: here stood lines 120 to 531 of the original. `[…38 of L120-531 482]`: 38 of them, where
//! lines were put in another order. `[…B1200-5300 482]`: bytes, where a line is too long to say more. Where much is
//! gone, its tokens stand beside: `[…L120-531 9870 tok 482]`. The first line of a cut text, the legend, names the
//! original once and in full: a name is 40 tokens long, a mark 8.
//!
//! Between sentences, and in JSON, a gap is no more than `…12`: twelve are gone; between the sentences of a small text,
//! `…`. It costs 3 tokens at most, and there are many; behind them one mark says of how many lines all these were.
//! Where rows or lines stand for themselves (of a table, a log, a diff) that mark is all there is.
//!
//! The number at a mark's end is drawn from the name of the original, the place and a key: a mark that somebody
//! quotes, or makes up, says nothing to who checks. Three digits are one token; the legend, which is what a reader
//! acts upon, carries twelve; six where there is little room.

use std::fmt::Write as _;

/// BLAKE3 of an original.
pub type Handle = [u8; 32];

/// Stands before the tool that reads what is left out.
const BY: &str = ", read by ";
/// From how many tokens on a mark says how many.
const WORTH_SAYING: usize = 400;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// First and last line, from 1; or bytes, if `bytes`.
    pub range: (usize, usize),
    /// The range is one of bytes, from 0, the end not in.
    pub bytes: bool,
    /// How many units are gone if not the whole range is.
    pub some: Option<usize>,
    /// What they would have cost; 0 if that is not said.
    pub tokens: usize,
}

impl Mark {
    /// The mark as it is printed.
    pub fn print(&self, handle: &Handle, key: &[u8; 32]) -> String {
        let body = self.body();
        let check = check(handle, &body, key) % 1_000;
        format!("[…{body} {check:03}]")
    }

    fn body(&self) -> String {
        let mut body = String::new();
        // Writing to a string cannot fail.
        if let Some(some) = self.some {
            let _ = write!(body, "{some} of ");
        }
        let _ = write!(body, "{}{}", if self.bytes { 'B' } else { 'L' }, self.range.0);
        if self.range.1 != self.range.0 {
            let _ = write!(body, "-{}", self.range.1);
        }
        if self.tokens >= WORTH_SAYING {
            let _ = write!(body, " {} tok", self.tokens);
        }
        body
    }
}

/// What stands for units of which nobody is told here how many they are.
pub(crate) const SOME: &str = "…";

/// What stands for `count` units among others of their kind.
pub(crate) fn few(count: usize) -> String {
    format!("{SOME}{count}")
}

/// The first line of a text that was cut. `short` says no more of the name than its first 16 digits, and less of the
/// rest; else it names the tool that reads what is left out, if there is a `reader`.
pub fn legend(handle: &Handle, tokens: usize, short: bool, reader: &str, key: &[u8; 32]) -> String {
    let hex = hex(handle);
    if short {
        let name = hex.get(..16).unwrap_or_default();
        return format!("[cut from omnimind://context/{name} {:06}]", named(handle, name, key) % 1_000_000);
    }
    let check = named(handle, &format!("{tokens} {hex}{reader}"), key);
    let reader = if reader.is_empty() { String::new() } else { format!("{BY}{reader}") };
    format!(
        "[omnimind://context/{hex} {check:012}: {tokens} tokens; left out: …9 = 9 parts, […L3-9] = lines 3-9{reader}]"
    )
}

/// Whether a line is a [`legend`] of this original, made with this key.
pub fn verify_legend(line: &str, handle: &Handle, key: &[u8; 32]) -> bool {
    let told = || line.rsplit_once(" tokens; ")?.0.rsplit_once(' ')?.1.parse().ok();
    let reader = || line.strip_suffix(']')?.rsplit_once(BY).map(|(_, reader)| reader);
    line == legend(handle, 0, true, "", key)
        || told().is_some_and(|tokens| line == legend(handle, tokens, false, reader().unwrap_or_default(), key))
}

fn named(handle: &Handle, said: &str, key: &[u8; 32]) -> u64 {
    check(handle, said, key) % 1_000_000_000_000
}

/// What a line says, if it is a mark that was made for this original with this key.
pub fn verify(line: &str, handle: &Handle, key: &[u8; 32]) -> Option<Mark> {
    let (body, _) = line.strip_prefix("[…")?.strip_suffix(']')?.rsplit_once(' ')?;
    let (body, tokens) = match body.strip_suffix(" tok").and_then(|body| body.rsplit_once(' ')) {
        Some((body, tokens)) => (body, tokens.parse().ok()?),
        None => (body, 0),
    };
    let (some, place) = match body.split_once(" of ") {
        Some((some, place)) => (Some(some.parse().ok()?), place),
        None => (None, body),
    };
    let bytes = place.starts_with('B');
    let place = place.strip_prefix(['L', 'B'])?;
    let (first, last) = place.split_once('-').unwrap_or((place, place));
    let mark = Mark { range: (first.parse().ok()?, last.parse().ok()?), bytes, some, tokens };
    // Printed anew, so that there is one spelling and no other.
    (mark.print(handle, key) == line).then_some(mark)
}

/// The handle as it is written.
pub fn hex(handle: &Handle) -> String {
    blake3::Hash::from_bytes(*handle).to_hex().to_string()
}

fn check(handle: &Handle, said: &str, key: &[u8; 32]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(handle).update(said.as_bytes());
    let hash = hasher.finalize();
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens;

    const KEY: [u8; 32] = [7; 32];
    const HANDLE: Handle = [9; 32];

    #[test]
    fn a_mark_is_eight_tokens_with_its_line_end() {
        let mark = Mark { range: (120, 531), bytes: false, some: None, tokens: 0 };
        assert_eq!(tokens::count(&format!("{}\n", mark.print(&HANDLE, &KEY))), 8);
    }

    #[test]
    fn a_mark_quoted_from_another_text_or_made_with_another_key_is_none() {
        let marks = (1..200).map(|line| Mark { range: (line, line + 7), bytes: false, some: None, tokens: 0 });
        let printed: Vec<String> = marks.map(|mark| mark.print(&HANDLE, &KEY)).collect();
        let taken =
            |handle: &Handle, key: &[u8; 32]| printed.iter().filter(|m| verify(m, handle, key).is_some()).count();
        assert_eq!(taken(&HANDLE, &KEY), 199);
        assert!(taken(&[8; 32], &KEY) < 5);
        assert!(taken(&HANDLE, &[8; 32]) < 5);
    }

    #[test]
    fn a_legend_is_only_taken_for_its_own_text_and_key() {
        let line = legend(&HANDLE, 12_000, false, "", &KEY);
        assert!(verify_legend(&line, &HANDLE, &KEY));
        assert!(!verify_legend(&line, &HANDLE, &[0; 32]));
        assert!(!verify_legend(&line, &[0; 32], &KEY));
        assert!(!verify_legend(&line.replace("12000", "12001"), &HANDLE, &KEY));
        let by = legend(&HANDLE, 12_000, false, "context__expand", &KEY);
        assert_eq!(by.strip_suffix(", read by context__expand]").map(|begin| begin.contains("12000")), Some(true));
        assert!(verify_legend(&by, &HANDLE, &KEY) && tokens::count(&by) <= tokens::count(&line) + 6);
        assert!(!verify_legend(&by.replace("context__", "other__"), &HANDLE, &KEY));
        let short = legend(&HANDLE, 12_000, true, "context__expand", &KEY);
        assert!(verify_legend(&short, &HANDLE, &KEY) && !verify_legend(&short, &HANDLE, &[0; 32]));
        assert!(line.contains(&hex(&HANDLE)));
    }

    proptest! {
        #[test]
        fn what_a_mark_says_is_read_back(first in 1_usize..9_999, more in 0_usize..9_999, bytes: bool,
                                         some in prop::option::of(1_usize..999), tokens in 0_usize..99_999) {
            let tokens = if tokens < WORTH_SAYING { 0 } else { tokens };
            let mark = Mark { range: (first, first + more), bytes, some, tokens };
            prop_assert_eq!(verify(&mark.print(&HANDLE, &KEY), &HANDLE, &KEY), Some(mark));
        }

        #[test]
        fn no_line_is_too_odd_to_be_checked(line in "(\\[…)?[BL0-9 ofk\\]t-]{0,20}\\PC{0,3}") {
            prop_assert!(verify(&line, &HANDLE, &KEY).is_none_or(|mark| mark.print(&HANDLE, &KEY) == line));
            prop_assert!(!verify_legend(&line, &HANDLE, &KEY));
        }
    }
}
