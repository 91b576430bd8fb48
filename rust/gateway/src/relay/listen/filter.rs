//! What somebody wants to hear of: the filter of a `subscriptions/listen`, and what a session is told.

use std::sync::Arc;

use bytes::Bytes;
use omnimind_wire::{
    Object, RpcError,
    error::INVALID_PARAMS,
    json::{as_bool, as_str, elements, find, push_quoted},
};

use crate::upstream::{Lease, Note};

/// Most resources one listen may name.
const MOST_URIS: usize = 1_024;

const UPDATED: &str = "notifications/resources/updated";
const TOOLS: &str = "notifications/tools/list_changed";
const PROMPTS: &str = "notifications/prompts/list_changed";
const RESOURCES: &str = "notifications/resources/list_changed";

/// What somebody wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the protocol's own shape")]
pub struct Filter {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the lists of resources and templates.
    pub resources: bool,
    /// Updates of these resources.
    pub uris: Vec<Arc<str>>,
    /// Whatever else the server says (legacy sessions only).
    pub rest: bool,
}

impl Filter {
    /// Reads the `notifications` member of a listen's params.
    pub fn parse(params: &[u8]) -> Result<Self, RpcError> {
        let invalid = |what: &str| RpcError::new(INVALID_PARAMS, format!("subscriptions/listen: {what}"));
        let raw = find(params, &["notifications"]).ok().flatten();
        let raw = raw.ok_or_else(|| invalid("params.notifications is missing"))?;
        let object = Object::parse(raw).map_err(|_| invalid("params.notifications must be an object"))?;
        let flag = |key: &str| match object.get(key).map(|raw| (as_bool(raw), raw)) {
            None | Some((_, b"null")) => Ok(false),
            Some((Some(flag), _)) => Ok(flag),
            Some(_) => Err(invalid(&format!("{key} must be true or false"))),
        };
        let mut uris = Vec::new();
        if let Some(raw) = object.get("resourceSubscriptions").filter(|raw| *raw != b"null") {
            let wrong = || invalid("resourceSubscriptions must be a list of URIs");
            for raw in elements(raw).map_err(|_| wrong())? {
                uris.push(Arc::from(as_str(raw).ok_or_else(wrong)?));
            }
        }
        if uris.len() > MOST_URIS {
            return Err(invalid(&format!("at most {MOST_URIS} resources can be named in one subscription")));
        }
        Ok(Self {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
            uris,
            rest: false,
        })
    }

    /// The filter as the wire has it.
    pub fn raw(&self) -> Bytes {
        let mut out = vec![b'{'];
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        for (key, _) in flags.into_iter().filter(|(_, wanted)| *wanted) {
            separate(&mut out);
            push_quoted(&mut out, key);
            out.extend_from_slice(b":true");
        }
        if !self.uris.is_empty() {
            separate(&mut out);
            out.extend_from_slice(b"\"resourceSubscriptions\":[");
            for uri in &self.uris {
                if !out.ends_with(b"[") {
                    out.push(b',');
                }
                push_quoted(&mut out, uri);
            }
            out.push(b']');
        }
        out.push(b'}');
        out.into()
    }

    /// True if nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if a note is among what is wanted. An update may name something inside a resource subscribed to.
    pub fn wants(&self, note: &Note) -> bool {
        match &*note.method {
            TOOLS => self.tools,
            PROMPTS => self.prompts,
            RESOURCES => self.resources,
            UPDATED => {
                let uri = find(&note.params, &["uri"]).ok().flatten().and_then(as_str);
                uri.is_some_and(|uri| self.uris.iter().any(|wanted| uri.starts_with(&**wanted)))
            }
            _ => self.rest,
        }
    }

    /// What a server of these capabilities will keep of it.
    pub(super) fn honoured_by(&self, lease: &Lease) -> Self {
        let has = |path: [&str; 2]| {
            let path = ["capabilities", path[0], path[1]];
            find(&lease.negotiated().result, &path).ok().flatten().and_then(as_bool) == Some(true)
        };
        Self {
            tools: self.tools && has(["tools", "listChanged"]),
            prompts: self.prompts && has(["prompts", "listChanged"]),
            resources: self.resources && has(["resources", "listChanged"]),
            uris: if has(["resources", "subscribe"]) { self.uris.clone() } else { Vec::new() },
            rest: self.rest,
        }
    }

    /// A note for everything in it: after a gap all of it may have changed.
    pub(super) fn all_changed(&self) -> Vec<Note> {
        let list = |wanted: bool, method: &str| wanted.then(|| Note { method: method.into(), params: Bytes::new() });
        let lists = [list(self.tools, TOOLS), list(self.prompts, PROMPTS), list(self.resources, RESOURCES)];
        let updates = self.uris.iter().map(|uri| {
            let mut params = b"{\"uri\":".to_vec();
            push_quoted(&mut params, uri);
            params.push(b'}');
            Note { method: UPDATED.into(), params: params.into() }
        });
        lists.into_iter().flatten().chain(updates).collect()
    }
}

fn separate(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}
