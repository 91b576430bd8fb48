//! What becomes of an answer on its way through.

use std::fmt;

use bytes::Bytes;

use crate::{
    bridge::is_cacheable,
    edit::Edit,
    headers::META_SERVER_INFO,
    json::find,
    names::{Shape, answer},
};

/// Members that a modern result has and a legacy one does not.
const MODERN: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

type Renaming = Box<dyn FnMut(&str) -> Option<String> + Send>;

/// The edits to one answer.
pub struct Plan {
    /// What stands before the first member of the result.
    head: Vec<u8>,
    shape: Option<Shape>,
    drops: Vec<&'static str>,
    /// `structuredContent` may only be an object.
    only_objects: bool,
    adds: Vec<(&'static str, &'static [u8])>,
    meta_adds: Option<Bytes>,
    meta_drops: Vec<&'static str>,
    rename: Option<Renaming>,
    has_meta: bool,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("drops", &self.drops).field("adds", &self.adds).finish_non_exhaustive()
    }
}

impl Plan {
    /// The answer to the client's request with this id (raw JSON), otherwise as it is.
    pub fn new(id_raw: &[u8]) -> Self {
        let mut head = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
        head.extend_from_slice(id_raw);
        head.extend_from_slice(b",\"result\":{");
        Self {
            head,
            shape: None,
            drops: Vec::new(),
            only_objects: false,
            adds: Vec::new(),
            meta_adds: None,
            meta_drops: Vec::new(),
            rename: None,
            has_meta: false,
        }
    }

    /// A legacy server's answer for a modern client; see [`crate::bridge::result_to_modern`].
    #[must_use]
    pub fn to_modern(mut self, method: &str, server_info: Option<Bytes>) -> Self {
        self.adds.push(("resultType", b"\"complete\""));
        if is_cacheable(method) {
            self.adds.extend([("ttlMs", &b"0"[..]), ("cacheScope", b"\"private\"")]);
        }
        self.meta_adds = server_info;
        self
    }

    /// A modern server's answer for a legacy client; see [`crate::bridge::result_to_legacy`].
    #[must_use]
    pub fn to_legacy(mut self, method: &str) -> Self {
        self.drops.extend(MODERN.iter().take(if is_cacheable(method) { MODERN.len() } else { 1 }));
        self.only_objects = method == "tools/call";
        self.without_meta(META_SERVER_INFO)
    }

    /// Without this member of `_meta`.
    #[must_use]
    pub fn without_meta(mut self, key: &'static str) -> Self {
        self.meta_drops.push(key);
        self
    }

    /// With every URI of the method's result put through this; none leaves it as it is.
    #[must_use]
    pub fn renaming(mut self, method: &str, rename: impl FnMut(&str) -> Option<String> + Send + 'static) -> Self {
        self.shape = answer(method);
        self.rename = Some(Box::new(rename));
        self
    }

    pub(super) fn shape(&self) -> Option<Shape> {
        self.shape
    }

    pub(super) fn renames(&self) -> bool {
        self.rename.is_some()
    }

    pub(super) fn renamed(&mut self, uri: &str) -> Option<String> {
        self.rename.as_mut()?(uri)
    }

    pub(super) fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
    }

    /// Notes a member of the result: it need not be added.
    pub(super) fn saw(&mut self, key: &[u8]) {
        self.has_meta |= key == b"_meta";
        self.adds.retain(|(name, _)| name.as_bytes() != key);
    }

    /// True for a member that is left out, by its key and its first byte.
    pub(super) fn drops(&self, key: &[u8], byte: u8) -> bool {
        self.drops.iter().any(|name| name.as_bytes() == key)
            || (self.only_objects && key == b"structuredContent" && byte != b'{')
    }

    pub(super) fn edits_meta(&self) -> bool {
        self.meta_adds.is_some() || !self.meta_drops.is_empty()
    }

    /// What becomes of `_meta`, if anything is left of it. What is no object counts as absent.
    pub(super) fn meta(&self, meta: Option<&[u8]>) -> Option<Bytes> {
        let mut text = b"{\"_meta\":".to_vec();
        text.extend_from_slice(meta.unwrap_or(b"{}"));
        text.push(b'}');
        let mut edit = Edit::new(&text);
        for key in &self.meta_drops {
            edit = edit.remove_pruned(&["_meta", key]);
        }
        if let Some(info) = &self.meta_adds
            && find(&text, &["_meta", META_SERVER_INFO]).ok().flatten().is_none()
        {
            edit = edit.set(&["_meta", META_SERVER_INFO], &info[..]);
        }
        let edited = edit.finish().ok()?;
        find(&edited, &["_meta"]).ok().flatten().map(|meta| edited.slice_ref(meta))
    }

    /// Appends the members that are still missing at the end of a result with so many.
    pub(super) fn close(&self, written: usize, out: &mut Vec<u8>) {
        let mut written = written;
        let mut add = |key: &str, value: &[u8]| {
            if written > 0 {
                out.push(b',');
            }
            written += 1;
            out.push(b'"');
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        };
        for (key, value) in &self.adds {
            add(key, value);
        }
        if let Some(meta) = self.meta_adds.as_ref().filter(|_| !self.has_meta).and_then(|_| self.meta(None)) {
            add("_meta", &meta);
        }
    }
}
