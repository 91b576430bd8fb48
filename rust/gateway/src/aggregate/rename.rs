//! What one server says, in the names of the aggregate.

use bytes::Bytes;
use omnimind_wire::{Edit, RpcError, json, names};

use crate::{relay::Rename, upstream::Note};

/// Puts a server's prefix on every URI it mentions. Tool and prompt names come back only in lists, which
/// the aggregate makes itself.
pub(super) struct Prefixed {
    server: String,
}

impl Prefixed {
    pub(super) fn new(server: &str) -> Self {
        Self { server: server.to_owned() }
    }

    fn wrap_at(&self, raw: &Bytes, path: &[&str]) -> Bytes {
        let Some(uri) = json::find(raw, path).ok().flatten().and_then(json::as_str) else { return raw.clone() };
        let wrapped = json::quote(&names::uri::wrap(&self.server, &uri));
        Edit::new(raw).set(path, wrapped).finish().unwrap_or_else(|_| raw.clone())
    }
}

impl Rename for Prefixed {
    fn result(&self, method: &str, result: Bytes) -> Bytes {
        names::rewrite_uris(method, &result, &mut |uri| Some(names::uri::wrap(&self.server, uri))).unwrap_or(result)
    }

    fn uri(&self, uri: &str) -> Option<String> {
        Some(names::uri::wrap(&self.server, uri))
    }

    fn note(&self, note: Note) -> Option<Note> {
        Some(match &*note.method {
            "notifications/resources/updated" => Note { params: self.wrap_at(&note.params, &["uri"]), ..note },
            _ => note,
        })
    }

    fn error(&self, mut error: RpcError) -> RpcError {
        if let Some(data) = &error.data {
            error.data = Some(self.wrap_at(data, &["uri"]));
        }
        error
    }
}
