//! What a `requestState` is bound to: the method and the parameters that must be the same when the client comes back.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::json::{Limits, Malformed, MalformedKind, Scan, Scanner, as_str, read};

/// What differs between a request and its continuation.
const CHANGING: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// A digest of method and params that does not depend on the order of keys, on space or on escapes, and leaves out
/// `_meta`, `inputResponses` and `requestState`.
///
/// Numbers count as they are written, so that two that only look alike to some reader never pass for each other.
pub fn request_digest(method: &str, params: Option<&[u8]>) -> Result<[u8; 32], Malformed> {
    let mut hash = Sha256::new();
    text(&mut hash, b'm', method.as_bytes());
    if let Some(params) = params {
        let print = read(params, Limits::WIDEST, |scanner| match scanner.peek() {
            Some(b'{') => object(scanner, &CHANGING),
            _ => Err(scanner.fail(MalformedKind::NotAnObject)),
        })?;
        print.put(&mut hash);
    }
    Ok(hash.finalize().into())
}

/// What a value adds to the digest of what holds it: a single value its text, a container its own digest.
enum Print<'a> {
    String(Cow<'a, str>),
    Literal(&'a str),
    Container([u8; 32]),
}

impl Print<'_> {
    /// Every part says what it is and how long, so that no two trees give the same bytes.
    fn put(&self, hash: &mut Sha256) {
        match self {
            Self::String(found) => text(hash, b's', found.as_bytes()),
            Self::Literal(found) => text(hash, b'v', found.as_bytes()),
            Self::Container(digest) => text(hash, b'c', digest),
        }
    }
}

fn text(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn value<'a>(scanner: &mut Scanner<'a>) -> Scan<Print<'a>> {
    match scanner.peek() {
        Some(b'{') => object(scanner, &[]),
        Some(b'[') => array(scanner),
        _ => {
            let raw = scanner.raw()?;
            Ok(as_str(raw.as_bytes()).map_or(Print::Literal(raw), Print::String))
        }
    }
}

fn object<'a>(scanner: &mut Scanner<'a>, without: &[&str]) -> Scan<Print<'a>> {
    let mut members = Vec::new();
    scanner.members(|scanner, key| {
        let print = value(scanner)?;
        let key = key.text();
        if !without.contains(&key.as_ref()) {
            members.push((key, print));
        }
        Ok(())
    })?;
    members.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let mut hash = Sha256::new_with_prefix(b"o");
    for (key, print) in members {
        text(&mut hash, b'k', key.as_bytes());
        print.put(&mut hash);
    }
    Ok(Print::Container(hash.finalize().into()))
}

fn array<'a>(scanner: &mut Scanner<'a>) -> Scan<Print<'a>> {
    let mut hash = Sha256::new_with_prefix(b"a");
    scanner.elements(|scanner| {
        value(scanner)?.put(&mut hash);
        Ok(())
    })?;
    Ok(Print::Container(hash.finalize().into()))
}
