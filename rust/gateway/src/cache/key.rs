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
    Era, Malformed, Object,
    headers::{META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_OWN, META_VERSION, PARAM_PREFIX},
    json::push_members,
};

use crate::{
    config::{Kind, ServerSpec},
    relay::Client,
};

/// Members of a request's `_meta` on which no answer depends.
const PASSING: [&str; 8] = [
    META_VERSION,
    META_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
];

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
    /// Digest of the tool as the server described it; 0 where no tool is called.
    pub(crate) tool: u64,
}

/// The keys of a request.
pub(crate) fn keys(subject: &Subject<'_>) -> Result<Keys, Malformed> {
    let client = subject.client;
    let mut shared = blake3::Hasher::new();
    shared.update(subject.server);
    shared.update(&[match client.era {
        Era::Modern => b'm',
        Era::Legacy => b'l',
    }]);
    shared.update(&subject.tool.to_le_bytes());
    part(&mut shared, subject.method.as_bytes());
    part(&mut shared, &client.capabilities);
    part(&mut shared, &spelled(subject.params)?);
    if subject.spec.kind == Kind::Http {
        for (name, value) in &client.caller.headers {
            if name.as_str().starts_with(PARAM_PREFIX) {
                part(&mut shared, name.as_str().as_bytes());
                part(&mut shared, value.as_bytes());
            }
        }
    }
    let public = subject.spec.trusts_public().then(|| *shared.clone().update(b"*").finalize().as_bytes());
    let role = if client.is_operator() { b"o" } else { b"u" };
    part(shared.update(role), client.principal().as_bytes());
    Ok(Keys { own: *shared.finalize().as_bytes(), public })
}

/// Digest of a server's configuration and of ours: what was kept under another is never found again.
pub(crate) fn server_digest(version: &str, spec: &ServerSpec) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    part(&mut hasher, version.as_bytes());
    part(&mut hasher, format!("{spec:?}").as_bytes());
    *hasher.finalize().as_bytes()
}

/// A stable number of a server: what is kept of it on disk is grouped by it.
pub(crate) fn group(server: &str) -> u32 {
    let [a, b, c, d, ..] = *blake3::hash(server.as_bytes()).as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Text with its length before it, so that two neighbours cannot be cut otherwise.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

/// The params in one spelling, without what no answer depends on.
fn spelled(params: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(params.len());
    if params.is_empty() {
        return Ok(out);
    }
    let params = Object::parse(params)?;
    push_members(
        &mut out,
        params.iter().filter(|member| member.key != "_meta").map(|member| (&*member.key, member.value)),
    )?;
    if let Some(meta) = params.get("_meta") {
        let meta = Object::parse(meta)?;
        let counts = |key: &str| !PASSING.contains(&key) && !key.starts_with(META_OWN);
        let mut kept = meta.iter().filter(|member| counts(&member.key)).peekable();
        if kept.peek().is_some() {
            out.push(b'+');
            push_members(&mut out, kept.map(|member| (&*member.key, member.value)))?;
        }
    }
    Ok(out)
}
