//! The spelling of strings and numbers, as bytes.

use std::{borrow::Cow, fmt::Write as _};

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let full = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    full ^ (full >> 29)
}

/// A hash for which all runs of digits are the same; never 0.
pub(crate) fn masked(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut digit = false;
    for byte in bytes {
        let was = std::mem::replace(&mut digit, byte.is_ascii_digit());
        if !(was && digit) {
            let byte = if digit { b'0' } else { *byte };
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    sum.max(1)
}

/// How many bytes at the begin are a JSON number.
pub(crate) fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    let mut at = usize::from(is(0, b"-"));
    at += if is(at, b"0") { 1 } else { Some(digits(at)).filter(|count| *count > 0)? };
    if is(at, b".") {
        at += 1 + Some(digits(at + 1)).filter(|count| *count > 0)?;
    }
    if is(at, b"eE") {
        at += 1 + usize::from(is(at + 1, b"+-"));
        at += Some(digits(at)).filter(|count| *count > 0)?;
    }
    Some(at)
}

/// How many bytes after the opening quote stand before the closing one, and whether there are escapes among them.
pub(crate) fn string(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut at = 0;
    let mut escaped = false;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                escaped = true;
                match bytes.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                    b'u' => {
                        hex(bytes.get(at + 2..at + 6)?)?;
                        at += 6;
                    }
                    _ => return None,
                }
            }
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

fn hex(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |sum, byte| Some(sum * 16 + char::from(*byte).to_digit(16)?))
}

/// What a string between its quotes says; `None` if that is no text (half a surrogate pair).
pub(crate) fn unescaped(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('\\') {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at)?);
        let code = rest.get(at + 1..)?;
        let first = code.chars().next()?;
        rest = code.get(first.len_utf8()..)?;
        out.push(match first {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let high = hex(rest.as_bytes().get(..4)?)?;
                rest = rest.get(4..)?;
                if (0xd800..0xdc00).contains(&high) {
                    let low = hex(rest.strip_prefix("\\u")?.as_bytes().get(..4)?)?;
                    rest = rest.get(6..)?;
                    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
                } else {
                    char::from_u32(high)?
                }
            }
            other => other,
        });
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// Adds a text as a JSON string, with the fewest escapes.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        if short.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(short);
        }
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

/// Whether a bare word would be read as something else than a string.
pub(crate) fn is_literal(text: &str) -> bool {
    matches!(text, "true" | "false" | "null") || number(text.as_bytes()) == Some(text.len())
}

/// Whether a string can stand without quotes at all: it says something, and nothing in it is a sign of the form.
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_none_or(|byte| *byte <= b' ');
    !edge(bytes.first())
        && !edge(bytes.last())
        && !matches!(bytes.first(), Some(b'"' | b'[' | b'{' | b'(' | b'=' | b'~'))
        && !bytes.iter().any(|byte| *byte < b' ')
}

/// Whether a member's name can stand without quotes, wherever names stand.
pub(crate) fn is_name(text: &str) -> bool {
    is_plain(text) && text != "-" && !text.bytes().any(|byte| b" ,:;=|.[]{}()\"".contains(&byte))
}
