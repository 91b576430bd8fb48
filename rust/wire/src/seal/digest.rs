//! What a `requestState` is bound to: the method and the parameters that must be the same when the client comes back.

use sha2::{Digest, Sha256};

use crate::json::{Malformed, Object, as_str, elements, is_array, is_object, is_string};

/// What differs between a request and its continuation.
const CHANGING: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// A digest of method and params that does not depend on the order of keys, on space or on escapes, and leaves out `_meta`, `inputResponses` and `requestState`.
pub fn request_digest(method: &str, params: Option<&[u8]>) -> Result<[u8; 32], Malformed> {
    let mut hash = Sha256::new();
    text(&mut hash, b'm', method);
    if let Some(params) = params {
        object(&mut hash, &Object::parse(params)?, &CHANGING)?;
    }
    Ok(hash.finalize().into())
}

/// Every part says what it is and how long, so that no two trees give the same bytes.
fn text(hash: &mut Sha256, tag: u8, text: &str) {
    hash.update([tag]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

fn object(hash: &mut Sha256, found: &Object<'_>, without: &[&str]) -> Result<(), Malformed> {
    let mut members: Vec<_> = found.iter().filter(|member| !without.contains(&member.key.as_ref())).collect();
    members.sort_by(|left, right| left.key.cmp(&right.key));
    hash.update([b'o']);
    hash.update((members.len() as u64).to_be_bytes());
    for member in members {
        text(hash, b'k', &member.key);
        value(hash, member.value)?;
    }
    Ok(())
}

fn value(hash: &mut Sha256, raw: &[u8]) -> Result<(), Malformed> {
    if is_object(raw) {
        return object(hash, &Object::parse(raw)?, &[]);
    }
    if is_array(raw) {
        let found = elements(raw)?;
        hash.update([b'a']);
        hash.update((found.len() as u64).to_be_bytes());
        return found.into_iter().try_for_each(|element| value(hash, element));
    }
    match as_str(raw) {
        Some(found) if is_string(raw) => text(hash, b's', &found),
        _ => text(hash, b'v', &String::from_utf8_lossy(raw)),
    }
    Ok(())
}
