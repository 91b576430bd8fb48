//! Who is told that something an upstream said earlier may be true no more.
//!
//! Every change an upstream reports, on whatever transport, is told here before any client hears of it: a client
//! that reacts to the news must not be given the old answer. What cannot be known is told too: a connection that
//! ended may have missed something, and a server that started again may be another one.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use omnimind_wire::json::{as_str, find};

/// By this a first-party worker says that its data changed otherwise than by a call of the connection. It is
/// between the worker and the gateway: no client ever sees it.
const DATA: &str = "notifications/omnimind/changed";

/// What is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The lists of resources and of their templates.
    Resources,
    /// A resource, or something inside it.
    Updated(Box<str>),
    /// Anything a first-party worker answers from.
    Data,
    /// What was said while nobody listened is unknown: anything may have changed.
    Lost,
    /// The server started anew, is about to, or is configured otherwise.
    Restarted,
}

impl Change {
    /// The change a notification reports.
    fn reported(method: &str, params: &[u8]) -> Option<Self> {
        match method {
            "notifications/tools/list_changed" => Some(Self::Tools),
            "notifications/prompts/list_changed" => Some(Self::Prompts),
            "notifications/resources/list_changed" => Some(Self::Resources),
            "notifications/resources/updated" => {
                let uri = find(params, &["uri"]).ok().flatten().and_then(as_str);
                // An update that does not say of what may be of any.
                Some(uri.map_or(Self::Resources, |uri| Self::Updated(uri.into())))
            }
            _ => None,
        }
    }
}

/// Hears of changes. It is told by whoever reads the server's words, so it must neither block nor call back.
pub trait Watch: Send + Sync {
    /// Something of this server is not as it was, for this principal or (`None`) for all. What is kept of this one
    /// for the use of others is not as it was either. A change said to several subscribers is told as often.
    fn changed(&self, server: &str, principal: Option<&str>, change: Change);
}

/// Nobody.
impl Watch for () {
    fn changed(&self, _: &str, _: Option<&str>, _: Change) {}
}

/// Whether what a server says unasked is heard on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// It is.
    Heard,
    /// Not at the moment: the stream that carries it is not open (legacy HTTP).
    NotYet,
    /// The server offers no such stream.
    Never,
}

/// Tells the watch of one server.
#[derive(Clone)]
pub(super) struct Reporter {
    watch: Arc<dyn Watch>,
    server: Arc<str>,
    /// The only principal that what is reported concerns.
    principal: Option<Arc<str>>,
}

/// What becomes of a notification after it was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onward {
    /// It goes where it belongs.
    Passes,
    /// It was for the gateway.
    Ends,
    /// It was for the gateway, from one who has nothing to say to it.
    Waste,
}

impl Reporter {
    /// For everyone who uses the server.
    pub(super) fn new(watch: Arc<dyn Watch>, server: &str) -> Self {
        Self { watch, server: server.into(), principal: None }
    }

    /// For one of them.
    pub(super) fn of(&self, principal: Arc<str>) -> Self {
        Self { principal: Some(principal), ..self.clone() }
    }

    /// The only principal that what is reported concerns.
    pub(super) fn principal(&self) -> Option<&Arc<str>> {
        self.principal.as_ref()
    }

    /// Tells a change.
    pub(super) fn tell(&self, change: Change) {
        self.watch.changed(&self.server, self.principal.as_deref(), change);
    }

    /// Tells the change a notification reports, if it reports one. Only a trusted worker may name whose change
    /// it is, or speak of its data.
    pub(super) fn hear(&self, trusted: bool, method: &str, params: &Bytes) -> Onward {
        let data = method == DATA;
        if data && !trusted {
            return Onward::Waste;
        }
        let change = if data { Some(Change::Data) } else { Change::reported(method, params) };
        if let Some(change) = change {
            let named = if trusted { super::rewrite::take_principal(params).1 } else { None };
            self.watch.changed(&self.server, named.as_deref().or(self.principal.as_deref()), change);
        }
        if data { Onward::Ends } else { Onward::Passes }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("server", &self.server)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}
