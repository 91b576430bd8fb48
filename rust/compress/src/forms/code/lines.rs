//! The lines of a source text: how far in they stand, what brackets they leave open, and whether they begin within a
//! string or a comment of several lines.
//!
//! Strings and comments are those that most languages have. Where triple quotes do not come in pairs (a text that
//! begins in the middle of one) they are not followed.

use std::ops::Range;

/// Columns of a tab.
const TAB: usize = 4;

pub(super) struct Line {
    /// Its bytes without the line's end.
    pub(super) range: Range<usize>,
    /// Where what is not white space begins and ends.
    start: usize,
    end: usize,
    /// The columns of white space before it.
    pub(super) indent: usize,
    /// Round and square brackets that it opens and does not close.
    pub(super) round: i32,
    /// It begins within a string or a comment.
    pub(super) inside: bool,
}

impl Line {
    /// Its bytes without white space at its ends.
    pub(super) fn bare(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// In what a line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    Comment,
    /// With the sign that it is made of three of.
    Text(u8),
}

/// All lines of the block.
pub(super) fn read(block: &str) -> Vec<Line> {
    let pairs = |quote: &str| block.matches(quote).count().is_multiple_of(2);
    let follow = [pairs("\"\"\""), pairs("'''")];
    let comments = block.matches("/*").count() <= block.matches("*/").count();
    let mut within = Within::Code;
    let mut at = 0;
    block
        .split('\n')
        .map(|text| {
            let range = at..at + text.len();
            at = range.end + 1;
            let bare = text.trim_start();
            let start = range.start + text.len() - bare.len();
            let indent =
                text.bytes().take(text.len() - bare.len()).map(|byte| if byte == b'\t' { TAB } else { 1 }).sum();
            let inside = within != Within::Code;
            let round;
            (round, within) = brackets(bare.as_bytes(), within, follow, comments);
            Line { end: start + bare.trim_end().len(), range, start, indent, round, inside }
        })
        .collect()
}

/// The brackets left open by a line, and within what it ends.
fn brackets(line: &[u8], mut within: Within, follow: [bool; 2], comments: bool) -> (i32, Within) {
    let mut round = 0_i32;
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        let rest = line.get(at..).unwrap_or_default();
        match within {
            Within::Comment => {
                let ends = rest.starts_with(b"*/");
                within = if ends { Within::Code } else { within };
                at += 1 + usize::from(ends);
                continue;
            }
            Within::Text(quote) => {
                let ends = rest.starts_with(&[quote; 3]);
                within = if ends { Within::Code } else { within };
                at += if ends { 3 } else { 1 };
                continue;
            }
            Within::Code => {}
        }
        at += match byte {
            b'(' | b'[' => {
                round = round.saturating_add(1);
                1
            }
            b')' | b']' => {
                round = round.saturating_sub(1);
                1
            }
            b'"' | b'\'' if rest.starts_with(&[*byte; 3]) && follow[usize::from(*byte == b'\'')] => {
                within = Within::Text(*byte);
                3
            }
            b'"' | b'\'' | b'`' => string(rest, *byte),
            b'/' if rest.starts_with(b"/*") && comments => {
                within = Within::Comment;
                2
            }
            b'/' if rest.starts_with(b"//") && !matches!(at.checked_sub(1).and_then(|at| line.get(at)), Some(b':')) => {
                break;
            }
            b'#' if at == 0 || line.get(at - 1) == Some(&b' ') && rest.starts_with(b"# ") => break,
            _ => 1,
        };
    }
    (round, within)
}

/// The length of the string that begins here; 1 if it does not close on this line (a lifetime, an apostrophe).
fn string(rest: &[u8], quote: u8) -> usize {
    let mut escaped = false;
    // A single quote that closes nothing is looked past no further than a short string.
    let most = if quote == b'"' { rest.len() } else { 240 };
    for (at, byte) in rest.iter().enumerate().skip(1).take(most) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if *byte == quote => return at + 1,
            _ => {}
        }
    }
    // What opens with a double quote ends with its line.
    if quote == b'"' { rest.len() } else { 1 }
}

/// The line does nothing but close what was open.
pub(super) fn only_closes(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b')' | b']' | b'}' | b',' | b';' | b' ')) || text == "end"
}
