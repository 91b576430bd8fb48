//! What a connection's requests have in common: a client sends the same head with each of them.
//!
//! The rule: on one connection, under one configuration and one list of tokens, equal heads have equal verdicts. So the
//! head that was checked last is kept with what came of it, and the next one is compared with it in one pass. Compared
//! are the method, the address, the names of all fields in their order, and the values of the fields that a check looks
//! at; the size of the head is counted anew. Whatever differs is checked in full, and kept in its place. What is kept
//! is a copy throughout: what came is part of a larger buffer, which is to be free for the next request.
//!
//! A token is compared in constant time here too: a proxy may send many clients over one connection.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use constant_time_eq::constant_time_eq;
use http::{HeaderName, HeaderValue, Method, Uri, header, request::Parts};

use super::respond::Accepts;
use crate::{
    cache::repeat::Says,
    config::{Snapshot, ToolList},
    principal::Principal,
    relay::{Said, Target, Trail},
};

/// What a request's head comes to.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Who sends it.
    pub(super) principal: Arc<Principal>,
    /// Where it goes.
    pub(super) target: Target,
    /// How it is told of tools.
    pub(super) tools: ToolList,
    /// What the client can read.
    pub(super) accepts: Accepts,
}

/// The head that a connection sent last.
#[derive(Debug, Default)]
pub(super) struct Familiar {
    last: ArcSwapOption<Head>,
}

/// A head that passed every check.
#[derive(Debug)]
pub(super) struct Head {
    /// How many configurations had been applied before it was checked.
    applied: u64,
    /// The configuration it was checked under.
    pub(super) snapshot: Arc<Snapshot>,
    method: Method,
    uri: Uri,
    fields: Vec<Field>,
    /// What came of it.
    pub(super) verdict: Verdict,
    /// Where the last request under it was found.
    pub(super) trail: Trail,
}

#[derive(Debug)]
struct Field {
    name: HeaderName,
    /// What it counts without its value.
    bytes: usize,
    matter: Matter,
    says: Says,
}

/// How much of a field a check looks at.
#[derive(Debug)]
enum Matter {
    /// That it is there.
    Nothing,
    /// What it says.
    All(Box<[u8]>),
    /// What it says, which is nobody else's business.
    Secret(Box<[u8]>),
}

impl Familiar {
    /// The last head, if this is one like it and no more than so many configurations have been applied, and what this
    /// one says of its call.
    pub(super) fn recall<'p>(&self, parts: &'p Parts, applied: u64) -> Option<(Arc<Head>, Option<Said<'p>>)> {
        let last = self.last.load();
        let last = last.as_ref().filter(|last| last.applied == applied)?;
        let mut said = Said::default();
        let mut is_clear = true;
        let alike = last.is(parts, |says, value| is_clear &= said.add(says, value));
        alike.then(|| (Arc::clone(last), is_clear.then_some(said)))
    }

    /// Keeps a head.
    pub(super) fn keep(&self, head: &Arc<Head>) {
        self.last.store(Some(Arc::clone(head)));
    }
}

impl Head {
    /// A head with what came of it; `applied` was read before the configuration and the tokens were.
    pub(super) fn new(parts: &Parts, applied: u64, snapshot: Arc<Snapshot>, verdict: Verdict) -> Arc<Self> {
        let field = |(name, value): (&HeaderName, &HeaderValue)| Field {
            name: name.clone(),
            bytes: field_bytes(name, value) - value.len(),
            matter: Matter::of(name, value),
            says: Says::of(name.as_str()),
        };
        let fields = parts.headers.iter().map(field).collect();
        // What was read can be read again.
        let uri = Uri::try_from(parts.uri.to_string()).unwrap_or_default();
        let (method, trail) = (parts.method.clone(), Trail::default());
        Arc::new(Self { applied, snapshot, method, uri, fields, verdict, trail })
    }

    fn is<'p>(&self, parts: &'p Parts, mut hear: impl FnMut(Says, &'p HeaderValue)) -> bool {
        if self.method != parts.method || self.fields.len() != parts.headers.len() || self.uri != parts.uri {
            return false;
        }
        let mut bytes = address_bytes(&parts.uri);
        let alike = self.fields.iter().zip(&parts.headers).all(|(known, (name, value))| {
            bytes += known.bytes + value.len();
            hear(known.says, value);
            known.name == name && known.matter.is_met_by(value)
        });
        alike && bytes <= self.snapshot.edge.header_bytes
    }
}

impl Matter {
    fn of(name: &HeaderName, value: &HeaderValue) -> Self {
        let copy = || Box::from(value.as_bytes());
        match *name {
            header::AUTHORIZATION => Self::Secret(copy()),
            header::HOST
            | header::ORIGIN
            | header::ACCEPT
            | header::ACCEPT_ENCODING
            | header::CONTENT_TYPE
            | header::CONTENT_ENCODING => Self::All(copy()),
            _ => Self::Nothing,
        }
    }

    fn is_met_by(&self, value: &HeaderValue) -> bool {
        match self {
            Self::Nothing => true,
            Self::All(known) => **known == *value.as_bytes(),
            Self::Secret(known) => constant_time_eq(known, value.as_bytes()),
        }
    }
}

/// What an address counts towards the size of a head.
pub(super) fn address_bytes(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |path| path.as_str().len())
}

/// What a field counts towards the size of a head: name, colon, space, value, line end.
pub(super) fn field_bytes(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use http::Request;

    use super::*;
    use crate::{
        config::{Class, Role},
        control::{FromOrchestrator, Outbox},
        plane::Plane,
    };

    const HEAD: [(&str, &str); 6] = [
        ("host", "localhost"),
        ("authorization", "Bearer one"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("content-length", "100"),
        ("mcp-name", "read"),
    ];

    fn parts(method: Method, path: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn configuration() -> Snapshot {
        let snapshot = serde_json::json!({
            "version": "1", "state_dir": "/", "keys": [], "auth": {"required": true}, "cache": {"enabled": false},
            "servers": []
        });
        serde_json::from_value(snapshot).unwrap()
    }

    struct Met {
        familiar: Familiar,
        plane: Arc<Plane>,
    }

    impl Met {
        fn new() -> Self {
            let met = Self {
                familiar: Familiar::default(),
                plane: Arc::new(Plane::new(1, configuration(), Arc::new(Outbox::new().unwrap()))),
            };
            let principal =
                Principal { name: "ann".into(), tenant: "ann".into(), class: Class::Normal, role: Role::User };
            let accepts = Accepts { json: true, stream: true, zstd: false, coding: None };
            let verdict =
                Verdict { principal: Arc::new(principal), target: Target::All, tools: ToolList::Pruned, accepts };
            let (applied, snapshot) = (met.plane.applied.load(Relaxed), met.plane.snapshot.load_full());
            met.familiar.keep(&Head::new(&parts(Method::POST, "/mcp", &HEAD), applied, snapshot, verdict));
            met
        }

        fn knows(&self, parts: &Parts) -> bool {
            self.familiar.recall(parts, self.plane.applied.load(Relaxed)).is_some()
        }
    }

    fn with(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        HEAD.into_iter().map(|(known, said)| (known, if known == name { value } else { said })).collect()
    }

    #[tokio::test]
    async fn a_head_is_known_again_whatever_call_it_brings() {
        let met = Met::new();
        assert!(met.knows(&parts(Method::POST, "/mcp", &HEAD)));
        assert!(met.knows(&parts(Method::POST, "/mcp", &with("mcp-name", "another"))));
        assert!(met.knows(&parts(Method::POST, "/mcp", &with("content-length", "7"))));
    }

    #[tokio::test]
    async fn whatever_a_check_looks_at_makes_it_another() {
        let met = Met::new();
        for (name, value) in [
            ("host", "evil.example"),
            ("authorization", "Bearer two"),
            ("authorization", "Bearer on"),
            ("accept", "text/html"),
            ("content-type", "text/plain"),
        ] {
            assert!(!met.knows(&parts(Method::POST, "/mcp", &with(name, value))), "{name}: {value}");
        }
        for (name, value) in [("origin", "http://evil.example"), ("content-encoding", "gzip"), ("host", "localhost")] {
            let more: Vec<_> = HEAD.into_iter().chain([(name, value)]).collect();
            assert!(!met.knows(&parts(Method::POST, "/mcp", &more)), "{name} besides");
        }
        assert!(!met.knows(&parts(Method::POST, "/mcp", &HEAD[..5])));
        assert!(!met.knows(&parts(Method::DELETE, "/mcp", &HEAD)));
        assert!(!met.knows(&parts(Method::POST, "/servers/a/mcp", &HEAD)));
        let mut turned = HEAD;
        turned.swap(1, 2);
        assert!(!met.knows(&parts(Method::POST, "/mcp", &turned)));
    }

    #[tokio::test]
    async fn a_head_that_has_grown_too_large_is_checked_in_full() {
        let met = Met::new();
        let long = "x".repeat(met.plane.snapshot.load().edge.header_bytes);
        let head = HEAD.map(|(name, value)| (name, if name == "mcp-name" { long.as_str() } else { value }));
        assert!(!met.knows(&parts(Method::POST, "/mcp", &head)));
    }

    #[tokio::test]
    async fn nothing_is_known_under_another_configuration_with_its_list_of_tokens() {
        let head = parts(Method::POST, "/mcp", &HEAD);
        let met = Met::new();
        met.plane.hear(FromOrchestrator::Apply { snapshot: Box::new(configuration()) }, Vec::new()).unwrap();
        assert!(!met.knows(&head));
    }
}
