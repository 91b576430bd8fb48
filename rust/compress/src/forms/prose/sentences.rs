//! Where sentences end.
//!
//! After `.`, `!`, `?` and white space, if what follows may begin a sentence (no small letter) and what stands before a
//! point is no abbreviation, initial or ordinal number; after the signs of scripts that need no white space at once. A
//! short quoted string is passed as a whole. What is too long for one unit is cut further, at white space or a comma,
//! where no value of the [`critical`] kinds is torn.

use std::{borrow::Cow, ops::Range};

use crate::critical;

/// A quoted string of at most so many bytes is not cut.
const QUOTED: usize = 240;
/// What is longer than this, in bytes, is cut into pieces of about [`PIECE`].
pub(in crate::forms) const LONG: usize = 800;
const PIECE: usize = 400;

/// Says the sentences of a text, in order, without the blanks around them.
pub(in crate::forms) fn split(text: &str, mut say: impl FnMut(Range<usize>)) {
    let mut tell = |start: usize, end: usize| {
        let part = text.get(start..end).unwrap_or_default();
        let from = start + part.len() - part.trim_start().len();
        let to = from + part.trim().len();
        if to > from + LONG {
            cut(text, from..to, &mut say);
        } else if to > from {
            say(from..to);
        }
    };
    let mut start = 0;
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(next_sign) {
        let (sign, from) = (next.1, at + next.0);
        let after = from + sign.len_utf8();
        at = match sign {
            '"' | '“' | '„' | '«' | '「' | '『' => quoted(text, sign, after).unwrap_or(after),
            _ => after,
        };
        // Within a quote nothing ends; behind it something does if the quote ends a sentence.
        let Some(last) = last_sign(text, at).filter(|last| ENDS.contains(last)) else { continue };
        let found = end(text, at, last, start);
        if found.ends {
            tell(start, found.behind);
            start = found.behind;
        }
        at = at.max(found.behind);
    }
    tell(start, text.len());
}

const ENDS: &[char] = &['.', '!', '?', '…', '。', '！', '？', '．', '؟', '۔', '।', '॥', '։', '።'];
const CLOSERS: &[char] = &['"', '\'', '”', '’', '»', '」', '』', '）', '】', ')', ']', '*', '_', '`'];

/// The next character that may end a sentence or begin a quote, and where it stands.
fn next_sign(text: &str) -> Option<(usize, char)> {
    let is_sign = |sign: char| matches!(sign, '"' | '“' | '„' | '«' | '「' | '『') || ENDS.contains(&sign);
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'.' | b'!' | b'?' | b'"' => return Some((at, char::from(*byte))),
            0xC2.. => {
                let sign = text.get(at..)?.chars().next()?;
                if is_sign(sign) {
                    return Some((at, sign));
                }
                at += sign.len_utf8();
            }
            _ => at += 1,
        }
    }
    None
}

/// Behind the sign that closes a quote, if it is near and on the same line.
fn quoted(text: &str, sign: char, from: usize) -> Option<usize> {
    let closing: &[char] = match sign {
        '“' => &['”'],
        '„' => &['“', '”'],
        '«' => &['»'],
        '「' => &['」'],
        '『' => &['』'],
        _ => &['"'],
    };
    for (at, other) in text.get(from..)?.char_indices().take_while(|(at, _)| *at < QUOTED) {
        if other == '\n' {
            return None;
        }
        if closing.contains(&other) {
            return Some(from + at + other.len_utf8());
        }
    }
    None
}

/// The character before `at`, without the signs that close a quote.
fn last_sign(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().rev().take(8).find(|sign| !CLOSERS.contains(sign))
}

/// What stands behind the last sign of a sentence, and whether the sentence ends there.
struct End {
    ends: bool,
    behind: usize,
}

/// Whether the sentence ends whose last sign stands before `at`.
fn end(text: &str, at: usize, last: char, start: usize) -> End {
    let rest = text.get(at..).unwrap_or_default();
    let closed = rest.len() - rest.trim_start_matches(|sign| ENDS.contains(&sign) || CLOSERS.contains(&sign)).len();
    let behind = at + closed + note(rest.get(closed..).unwrap_or_default());
    let rest = text.get(behind..).unwrap_or_default();
    let wide = matches!(last, '。' | '！' | '？' | '．' | '।' | '॥' | '։' | '።');
    let next = rest.trim_start();
    if wide || next.is_empty() {
        return End { ends: true, behind };
    }
    let opens = |sign: &char| matches!(sign, '"' | '\'' | '(' | '[' | '“' | '‘' | '„' | '«' | '*' | '_' | '`');
    let small = next.chars().take(8).find(|sign| !opens(sign)).is_none_or(char::is_lowercase);
    let ends = next.len() < rest.len() && !small && {
        let before = text.get(start..at).unwrap_or_default();
        last != '.' || closed > 0 || !before.strip_suffix('.').is_some_and(is_abbreviation)
    };
    End { ends, behind }
}

/// The length of footnotes: `[12][13]`.
fn note(rest: &str) -> usize {
    let mut length = 0;
    while let Some(inner) = rest.get(length..).and_then(|rest| rest.strip_prefix('[')) {
        let digits = inner.bytes().take(4).take_while(u8::is_ascii_digit).count();
        if digits == 0 || inner.as_bytes().get(digits) != Some(&b']') {
            break;
        }
        length += digits + 2;
    }
    length
}

/// Whether the point behind this text belongs to its last word.
fn is_abbreviation(before: &str) -> bool {
    let from =
        before.char_indices().rev().take(12).take_while(|(_, sign)| sign.is_alphanumeric() || *sign == '.').last();
    let Some(word) = from.and_then(|(at, _)| before.get(at..)) else { return false };
    let mut signs = word.chars();
    let first = signs.next().unwrap_or(' ');
    if signs.next().is_none() && first.is_alphabetic() {
        return true;
    }
    // An ordinal number, or that of a point.
    if word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    let short = |part: &str| part.chars().count() <= 2 && part.chars().all(char::is_alphabetic);
    if word.contains('.') && word.split('.').all(short) {
        return true;
    }
    let small: Cow<'_, str> = if word.is_ascii() { Cow::Borrowed(word) } else { Cow::Owned(word.to_lowercase()) };
    ABBREVIATIONS.iter().any(|known| known.eq_ignore_ascii_case(&small))
}

/// What ends with a point in the middle of a sentence and stands before a capital letter or a number.
static ABBREVIATIONS: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "dr",
    "prof",
    "st",
    "mt",
    "sr",
    "jr",
    "rev",
    "gen",
    "col",
    "sgt",
    "capt",
    "lt",
    "hon",
    "no",
    "nr",
    "nos",
    "fig",
    "figs",
    "eq",
    "sec",
    "ch",
    "vol",
    "pp",
    "art",
    "par",
    "ed",
    "eds",
    "vs",
    "cf",
    "ca",
    "approx",
    "est",
    "max",
    "min",
    "inc",
    "ltd",
    "corp",
    "dept",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "abs",
    "bzw",
    "vgl",
    "inkl",
    "exkl",
    "ggf",
    "evtl",
    "bspw",
    "hr",
    "fr",
    "hrn",
    "str",
    "tel",
    "geb",
    "mio",
    "mrd",
    "mme",
    "mlle",
    "av",
    "env",
    "sra",
    "dra",
    "ud",
    "uds",
    "núm",
    "pág",
    "г",
    "гг",
    "ул",
    "им",
    "тыс",
    "млн",
    "млрд",
    "руб",
    "стр",
    "рис",
    "см",
    "др",
    "пр",
    "д",
    "гл",
    "табл",
    "просп",
    "обл",
];

/// Cuts what is too long, between its words.
pub(in crate::forms) fn cut(text: &str, range: Range<usize>, say: &mut impl FnMut(Range<usize>)) {
    let part = text.get(range.clone()).unwrap_or_default();
    let values = critical::scan(part);
    let mut values = values.iter().filter(|found| found.kind != critical::Kind::Error).peekable();
    let mut torn = 0;
    let mut start = 0;
    for (at, sign) in part.char_indices() {
        let end = at + sign.len_utf8();
        if end < start + PIECE || !(sign.is_whitespace() || matches!(sign, ',' | ';' | '|' | '，' | '、' | '；')) {
            continue;
        }
        while let Some(found) = values.next_if(|found| found.range.start < end) {
            torn = found.range.end.max(torn);
        }
        if torn < end {
            let piece = part.get(start..end).unwrap_or_default().trim_end();
            say(range.start + start..range.start + start + piece.len());
            let rest = part.get(end..).unwrap_or_default();
            start = end + rest.len() - rest.trim_start().len();
        }
    }
    if start < part.len() {
        say(range.start + start..range.end);
    }
}
