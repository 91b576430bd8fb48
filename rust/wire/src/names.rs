//! Names and URIs of the aggregate endpoint, where many servers share one space.
//!
//! A tool is `server__tool` and must fit `[A-Za-z0-9_-]{1,64}`, as every model API demands. Where that is not possible,
//! or where two pairs could give
//! the same name, the name ends in a digest of the pair, the same on every run. Names are made here and resolved by the
//! table of whoever made them,
//! never by splitting. URIs are wrapped, and unwrapped exactly.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

pub mod rewrite;
pub mod uri;

pub(crate) use rewrite::{BLOCKS, RESOURCE, Shape, answer};
pub use rewrite::{rewrite_request_uris, rewrite_uris};

/// The longest name model APIs take.
pub const MAX_NAME: usize = 64;
const DIGEST_CHARS: usize = 12;
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// A digest begins with one of these, so that no word of twelve letters (`observations`) looks like one.
const FIRST_DIGITS: &[u8; 6] = b"234567";

/// The name of a server's tool (or prompt) on the aggregate endpoint.
///
/// Plain names cannot collide with each other (the first `__` ends the server's part) nor with digested ones (a plain
/// name that looks digested is digested).
pub fn join(server: &str, tool: &str) -> String {
    let plain = format!("{server}__{tool}");
    let splits_once = !server.is_empty() && !tool.is_empty() && !server.contains("__") && !server.ends_with('_');
    if splits_once && plain.len() <= MAX_NAME && plain.bytes().all(is_allowed) && !looks_digested(&plain) {
        return plain;
    }
    let mut name: String = fitting(&plain).chars().take(MAX_NAME - DIGEST_CHARS - 1).collect();
    name.push('_');
    name.extend(digest(server, tool));
    name
}

/// True if [`join`] had to change the name, which is worth telling.
pub fn is_shortened(server: &str, tool: &str, joined: &str) -> bool {
    joined != format!("{server}__{tool}")
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn fitting(name: &str) -> Cow<'_, str> {
    if name.bytes().all(is_allowed) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(
        name.chars().map(|letter| if u8::try_from(letter).is_ok_and(is_allowed) { letter } else { '_' }).collect(),
    )
}

fn looks_digested(name: &str) -> bool {
    name.len() > DIGEST_CHARS
        && name.bytes().rev().take(DIGEST_CHARS).all(|byte| DIGITS.contains(&byte))
        && name.bytes().rev().nth(DIGEST_CHARS - 1).is_some_and(|first| FIRST_DIGITS.contains(&first))
        && name.bytes().rev().nth(DIGEST_CHARS) == Some(b'_')
}

fn digest(server: &str, tool: &str) -> impl Iterator<Item = char> {
    let mut hash = Sha256::new();
    hash.update((server.len() as u64).to_be_bytes());
    hash.update(server);
    hash.update(tool);
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.into_iter().take(DIGEST_CHARS).enumerate().map(|(position, byte)| {
        let digits: &[u8] = if position == 0 { FIRST_DIGITS } else { DIGITS };
        char::from(digits.get(usize::from(byte) % digits.len()).copied().unwrap_or(b'2'))
    })
}
