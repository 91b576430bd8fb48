//! Single values: raw text to a Rust value, and a Rust string to raw text.

use std::borrow::Cow;

use super::scan::plain_until;
use super::{Limits, read, unescape};

/// The text of a string literal.
pub fn as_str(raw: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(plain) = plain_str(raw) {
        return Some(Cow::Borrowed(plain));
    }
    if !is_string(raw) {
        return None;
    }
    let inside = read(raw, Limits::default(), |scanner| {
        let start = scanner.at() + 1;
        scanner.string()?;
        Ok(scanner.slice(&(start..scanner.at() - 1)))
    });
    inside.ok().map(unescape)
}

/// The text of a string literal without space around it and without escapes in it.
fn plain_str(raw: &[u8]) -> Option<&str> {
    let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if plain_until(inside, 0) < inside.len() {
        return None;
    }
    std::str::from_utf8(inside).ok()
}

/// An integer literal (no fraction, no exponent) that fits.
pub fn as_i64(raw: &[u8]) -> Option<i64> {
    integer(raw)?.parse().ok()
}

/// An integer literal (no fraction, no exponent, no sign) that fits.
pub fn as_u64(raw: &[u8]) -> Option<u64> {
    integer(raw)?.parse().ok()
}

/// Any number literal, as the nearest double.
pub fn as_f64(raw: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(raw).ok()?.trim_matches([' ', '\n', '\r', '\t']);
    let sound =
        matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9')) && super::check(raw, &Limits::default()).is_ok();
    if sound { text.parse().ok() } else { None }
}

/// `true` or `false`.
pub fn as_bool(raw: &[u8]) -> Option<bool> {
    match raw.trim_ascii() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// True for `null`.
pub fn is_null(raw: &[u8]) -> bool {
    raw.trim_ascii() == b"null"
}

/// True if the text opens an object (it is not checked further).
pub fn is_object(raw: &[u8]) -> bool {
    raw.trim_ascii_start().first() == Some(&b'{')
}

/// True if the text opens an array (it is not checked further).
pub fn is_array(raw: &[u8]) -> bool {
    raw.trim_ascii_start().first() == Some(&b'[')
}

/// True if the text opens a string (it is not checked further).
pub fn is_string(raw: &[u8]) -> bool {
    raw.trim_ascii_start().first() == Some(&b'"')
}

/// A string as a JSON literal.
pub fn quote(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

/// Appends a string as a JSON literal. What need not be escaped is not.
pub fn push_quoted(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_until(rest, 0));
        if from.is_empty() {
            break;
        }
        out.extend_from_slice(plain);
        let byte = from.first().copied().unwrap_or(0);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
            }
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// An integer literal's text: the grammar of numbers without fraction, exponent and `-0`, which is a double.
fn integer(raw: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(raw.trim_ascii()).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let sound = match digits {
        [b'0'] => digits.len() == text.len(),
        [] | [b'0', ..] => false,
        _ => digits.iter().all(u8::is_ascii_digit),
    };
    sound.then_some(text)
}

/// Resolves the escapes of a string's inside that the scanner has accepted.
pub(super) fn unescaped(inside: &str) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let (letter, used) = escaped_char(rest.get(at..).unwrap_or_default());
        out.push(letter);
        rest = rest.get(at + used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The character an escape stands for, and the length of the escape.
fn escaped_char(escape: &str) -> (char, usize) {
    let unit = |at: usize| escape.get(at..at + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match escape.as_bytes().get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match (unit(2), unit(8)) {
            (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                let point = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (Some(unit), _) => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            _ => (char::REPLACEMENT_CHARACTER, 6),
        },
        Some(byte) => (char::from(*byte), 2),
        None => ('\\', 1),
    }
}
