//! The `_meta` of a request on its way up: what may not travel is taken out, what the other era needs is put in.
//!
//! `omnimind/*` is between a client and us: an upstream that saw it could be told who calls by whoever
//! calls. Whether a client's request has such a key is noted when it is parsed, escapes resolved; where only
//! bytes are at hand the test errs on the side of rewriting: a backslash in `_meta` is reason enough.

use std::time::Duration;

use bytes::Bytes;
use memchr::{memchr, memmem};
use omnimind_wire::{
    Edit, Era, MODERN_VERSION, Malformed, Object, Request, bridge,
    headers::{META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_OWN, META_SUBSCRIPTION, META_VERSION},
    json::{as_u64, find, push_quoted},
};

use super::{Client, level::Level};

const MODERN_KEYS: [&str; 5] = [META_VERSION, META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_SUBSCRIPTION];

/// The `_meta` that came with params.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'a> {
    raw: &'a [u8],
    /// Nothing in it can be a key of ours.
    clean: bool,
}

impl<'a> Sent<'a> {
    /// That of a request.
    pub(crate) fn of(request: &'a Request) -> Self {
        Self { raw: request.meta.as_deref().unwrap_or(b"{}"), clean: !request.has_own_meta() }
    }

    /// Any, or none.
    pub(crate) fn read(raw: Option<&'a [u8]>) -> Self {
        let raw = raw.unwrap_or(b"{}");
        Self { raw, clean: memmem::find(raw, META_OWN.as_bytes()).is_none() && memchr(b'\\', raw).is_none() }
    }
}

/// Params as an upstream of `era` is to see them. `sent` is the `_meta` in them.
pub(crate) fn upward(client: &Client, era: Era, params: &Bytes, sent: Sent<'_>) -> Result<Bytes, Malformed> {
    let meta = sent.raw;
    let ours = |key: &str| key.starts_with(META_OWN);
    match (client.era, era) {
        (Era::Modern, Era::Legacy) => rewritten(params, meta, |key| !ours(key) && !MODERN_KEYS.contains(&key), &[]),
        // A request of ours (a list to merge) has no envelope yet, whoever it is made for.
        (_, Era::Modern) if client.era == Era::Legacy || meta == b"{}" => {
            let info = (!client.info.is_empty()).then_some(&client.info[..]);
            let level = client.log_level.map(Level::as_str);
            let add = bridge::request_meta(MODERN_VERSION, info, Some(&client.capabilities), level);
            rewritten(params, meta, |key| !ours(key) && !MODERN_KEYS.contains(&key), &add)
        }
        _ if sent.clean => Ok(params.clone()),
        _ => rewritten(params, meta, |key| !ours(key), &[]),
    }
}

/// The time a client gives its request (`omnimind/timeoutMs`); it can only shorten what is configured.
pub(crate) fn patience(sent: Sent<'_>, longest: Duration) -> Duration {
    if sent.clean {
        return longest;
    }
    let said = find(sent.raw, &["omnimind/timeoutMs"]).ok().flatten();
    said.and_then(as_u64).filter(|ms| *ms > 0).map_or(longest, |ms| longest.min(Duration::from_millis(ms)))
}

/// Params whose `_meta` has the kept members of `meta`, then those of `add` (a raw object, or nothing).
fn rewritten(params: &Bytes, meta: &[u8], keep: impl Fn(&str) -> bool, add: &[u8]) -> Result<Bytes, Malformed> {
    let mut out = vec![b'{'];
    let mut push = |key: &str, value: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        push_quoted(&mut out, key);
        out.push(b':');
        out.extend_from_slice(value);
    };
    for member in Object::parse(meta)?.iter().filter(|member| keep(&member.key)) {
        push(&member.key, member.value);
    }
    if !add.is_empty() {
        for member in &Object::parse(add)? {
            push(&member.key, member.value);
        }
    }
    out.push(b'}');
    if out.len() == 2 && params.is_empty() {
        return Ok(params.clone());
    }
    if out.len() == 2 {
        return Edit::new(params).remove(&["_meta"]).finish();
    }
    Edit::new(params).set(&["_meta"], out).finish()
}
