//! What an answer is kept under: a digest of everything that it may depend on.
//!
//! In it: our version, the server's configuration, the tool as the server described it, the era, the client's
//! capabilities, the method, and the params in one spelling. Not in it: what differs between equal requests (id, progress token, trace
//! context, who the program is). The verified principal and its role are in it, except in the key of what
//! a trusted server calls public. So an answer cannot be found by anyone it was not made for, whatever a client
//! says: there is no key to ask for it with.

use bytes::Bytes;
use omnimind_cache::Key;
use omnimind_wire::{
    Era, Malformed, Request,
    headers::{META_OWN, META_PASSING, PARAM_PREFIX},
    json::push_kept,
};

use crate::{
    config::{Kind, ServerSpec},
    relay::Client,
};

/// Where the answer to one request may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keys {
    /// For this principal alone.
    pub(crate) own: Key,
    /// For everyone, if the server's word on that counts.
    pub(crate) public: Option<Key>,
}

/// A request, as far as an answer may depend on it.
pub(crate) struct Subject<'a> {
    /// Digest of the server's configuration.
    pub(crate) server: &'a [u8; 32],
    pub(crate) spec: &'a ServerSpec,
    pub(crate) client: &'a Client,
    pub(crate) method: &'a str,
    /// In the server's own names; empty means absent.
    pub(crate) params: &'a Bytes,
    /// The message they came in, if they did: what was noted of it need not be read again.
    pub(crate) request: Option<&'a Request>,
    /// Digest of the tool as the server described it; 0 where no tool is called.
    pub(crate) tool: u64,
}

/// The keys of a request.
pub(crate) fn keys(subject: &Subject<'_>) -> Result<Keys, Malformed> {
    let client = subject.client;
    let mut text = Vec::with_capacity(subject.params.len() + client.capabilities.len() + 128);
    text.push(match client.era {
        Era::Modern => b'm',
        Era::Legacy => b'l',
    });
    text.extend_from_slice(&subject.tool.to_le_bytes());
    push_part(&mut text, subject.method.as_bytes());
    push_part(&mut text, &client.capabilities);
    push_spelled(&mut text, subject.params, subject.request)?;
    if subject.spec.kind == Kind::Http {
        for (name, value) in &client.caller.headers {
            if name.as_str().starts_with(PARAM_PREFIX) {
                push_part(&mut text, name.as_str().as_bytes());
                push_part(&mut text, value.as_bytes());
            }
        }
    }
    let shared = text.len();
    let public = subject.spec.trusts_public().then(|| {
        text.push(b'*');
        *blake3::keyed_hash(subject.server, &text).as_bytes()
    });
    text.truncate(shared);
    text.push(if client.is_operator() { b'o' } else { b'u' });
    push_part(&mut text, client.principal().as_bytes());
    Ok(Keys { own: *blake3::keyed_hash(subject.server, &text).as_bytes(), public })
}

/// Digest of a server's configuration and of ours: what was kept under another is never found again.
pub(crate) fn server_digest(version: &str, spec: &ServerSpec) -> [u8; 32] {
    let mut text = Vec::new();
    push_part(&mut text, version.as_bytes());
    push_part(&mut text, format!("{spec:?}").as_bytes());
    *blake3::hash(&text).as_bytes()
}

/// A stable number of a server: what is kept of it on disk is grouped by it.
pub(crate) fn group(server: &str) -> u32 {
    let [a, b, c, d, ..] = *blake3::hash(server.as_bytes()).as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Text with its length before it, so that two neighbours cannot be cut otherwise.
fn push_part(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    text.extend_from_slice(bytes);
}

/// The params in one spelling, without what no answer depends on; with their length, as any part.
fn push_spelled(text: &mut Vec<u8>, params: &[u8], request: Option<&Request>) -> Result<(), Malformed> {
    text.extend_from_slice(&[0; 8]);
    let start = text.len();
    if !params.is_empty() {
        let mut meta = None;
        let known = request.and_then(|request| request.meta.as_deref());
        push_kept(text, params, known, |key| key != "_meta", |value| meta = Some(value))?;
        if let Some(meta) = meta.filter(|_| !request.is_some_and(Request::has_passing_meta)) {
            push_meta(text, meta)?;
        }
    }
    let length = (text.len() - start) as u64;
    if let Some(place) = text.get_mut(start - 8..start) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// What counts of a `_meta`, if anything does.
fn push_meta(text: &mut Vec<u8>, meta: &[u8]) -> Result<(), Malformed> {
    let (end, mut counted) = (text.len(), false);
    let counts = |key: &str| {
        let counts = !META_PASSING.contains(&key) && !key.starts_with(META_OWN);
        counted |= counts;
        counts
    };
    text.push(b'+');
    push_kept(text, meta, None, counts, drop)?;
    if !counted {
        text.truncate(end);
    }
    Ok(())
}
