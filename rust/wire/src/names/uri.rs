//! `omnimind+<server>:<uri>`: a server's URI on the aggregate endpoint.
//!
//! The server's name stands in a URI scheme, so it is written in what schemes allow and what readers do not change:
//! lower-case letters, digits, `-` and `.`;
//! any other byte is `+` and two hex digits. The URI behind the colon is untouched.

use std::fmt::Write;

const PREFIX: &str = "omnimind+";

/// The URI as clients of the aggregate endpoint see it.
pub fn wrap(server: &str, uri: &str) -> String {
    let mut out = String::with_capacity(PREFIX.len() + server.len() + uri.len() + 8);
    out.push_str(PREFIX);
    for byte in server.bytes() {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "+{byte:02x}");
        }
    }
    out.push(':');
    out.push_str(uri);
    out
}

/// The server and its own URI; none if the URI is not one of ours. Schemes are the same in upper and lower case.
pub fn unwrap(uri: &str) -> Option<(String, &str)> {
    let (scheme, inner) = uri.split_once(':')?;
    let head = scheme.get(..PREFIX.len())?;
    if !head.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let coded = scheme.get(PREFIX.len()..)?.to_ascii_lowercase();
    let mut name = Vec::with_capacity(coded.len());
    let mut bytes = coded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'+' {
            name.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        name.push(digit(bytes.next())? << 4 | digit(bytes.next())?);
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty()).map(|name| (name, inner))
}
