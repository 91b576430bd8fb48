//! Quoted strings: where they close, and which of them say something.

use super::text::{DIGIT, LETTER, Text, class, width};

/// How many characters a quoted string has at most to be found as one.
const LONGEST: usize = 120;
/// How far a closing quote is looked for, bytes.
const FAR: usize = 4 * LONGEST;

/// Pairs of quotes that differ, as they stand in German, French, Russian, Chinese and Japanese texts.
static PAIRS: &[(&str, &[&str])] = &[
    ("“", &["”"]),
    ("„", &["“", "”"]),
    ("‘", &["’"]),
    ("«", &["»"]),
    ("「", &["」"]),
    ("『", &["』"]),
    ("《", &["》"]),
];

pub(super) fn opens(character: &[u8]) -> bool {
    PAIRS.iter().any(|(open, _)| open.as_bytes() == character)
}

/// Where the quote that closes the one at `at` stands, if that one opens a string; `inside` is the end of the string
/// in which we are already.
pub(super) fn close(text: Text<'_>, at: usize, inside: usize) -> Option<usize> {
    if at <= inside && inside > 0 {
        return None;
    }
    let sign = text.at(at);
    let from = at + width(sign);
    let line = text.slice(from, (from + FAR).min(text.len()));
    if sign >= 0x80 {
        let closers = PAIRS.iter().find(|(open, _)| text.says(at, open.as_bytes()))?.1;
        let found = (0..line.len()).find(|ahead| {
            closers.iter().any(|close| line.get(*ahead..*ahead + close.len()) == Some(close.as_bytes()))
                || line.get(*ahead) == Some(&b'\n')
        })?;
        return (line.get(found) != Some(&b'\n')).then_some(from + found);
    }
    if sign != b'"' && (class(text.before(at)) & (LETTER | DIGIT) != 0 || matches!(text.at(from), b' ' | b'\n' | 0)) {
        return None;
    }
    let mut escaped = false;
    for (ahead, byte) in line.iter().enumerate() {
        match byte {
            b'\n' => return None,
            _ if escaped => escaped = false,
            b'\\' if sign == b'"' => escaped = true,
            byte if *byte == sign => {
                let after = class(text.at(from + ahead + 1));
                if sign == b'"' || after & (LETTER | DIGIT) == 0 {
                    return Some(from + ahead);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a quoted string is a value: not empty, not too long, not the name of a member (`"name":`).
pub(super) fn counts(text: Text<'_>, at: usize, close: usize) -> bool {
    let from = at + width(text.at(at));
    let inner = text.slice(from, close);
    let characters = inner.iter().filter(|byte| !(0x80..0xC0).contains(*byte)).count();
    if !(2..=LONGEST).contains(&characters)
        || !inner.iter().any(|byte| class(*byte) & (LETTER | DIGIT) != 0 || *byte >= 0xE2)
    {
        return false;
    }
    let after = text.run(close + 1, |byte| byte == b' ');
    text.at(at) != b'"' || text.at(after) != b':'
}
