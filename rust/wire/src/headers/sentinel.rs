//! The base64 sentinel: how a header carries text that is not plain printable ASCII.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const OPEN: &[u8] = b"=?base64?";
const CLOSE: &[u8] = b"?=";

/// A value as it is sent: plain where that survives, else `=?base64?...?=`.
pub fn encode(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|byte| matches!(byte, 0x20..=0x7E));
    if plain && value == value.trim_ascii() && inside(value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(value)))
}

/// What a header's bytes say; none if the sentinel's inside is not canonical base64 of UTF-8, or a plain value is not
/// ASCII.
pub fn decode(value: &[u8]) -> Option<Cow<'_, str>> {
    match inside(value) {
        Some(coded) => {
            let bytes = STANDARD.decode(coded).ok()?;
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
        None if value.is_ascii() => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        None => None,
    }
}

fn inside(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(OPEN)?.strip_suffix(CLOSE)
}
