//! The relay: from a checked message to the server it is for, and back, in both eras.
//!
//! ```text
//! post ─┬─ modern: headers = body ─┬─ discover, listen ───────────┐
//!       │                          └─ resolve ─► Route ─► Flight ─┤─► Reply
//!       └─ legacy: session ────────┬─ initialize, ping, answers ──┤
//!                                  └─ resolve ─► Route ─► Flight ─┘
//! ```
//!
//! [`endpoint`] is the only place that knows whether a request came to one server's pass-through or to the
//! aggregate of all. It *resolves* a request to a [`Route`]: the server, the params as that server is to see
//! them, and a [`Rename`] for everything that comes back. From there on both endpoints share every line:
//! [`flight`] carries a call through the four pairs of eras, [`listen`] carries subscriptions, and
//! [`ask`](ask::ask) makes a plain call for whoever merges several answers. A legacy client's
//! [`Session`](crate::session::Session) holds one lease for each server it has met.
//!
//! The rules: what a client says under `omnimind/` reaches no upstream; what an upstream says reaches only
//! the principal it was said to; every end of a flow is one message; dropping a flow cancels the call.

pub mod ask;
mod client;
mod dress;
pub mod endpoint;
mod explain;
pub mod flight;
mod launch;
mod legacy;
pub mod level;
pub mod listen;
mod meta;
mod modern;
pub(crate) mod notes;
pub(crate) mod parked;
pub(crate) mod paused;
mod rounds;
pub(crate) mod schemas;
pub(crate) mod state;
mod takeoff;
mod tries;
mod turn;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use omnimind_wire::{Era, Message, RpcError, era_of_header, message};

pub use crate::cache::repeat::{Kept, Said, Trail};
pub use client::Client;
pub(crate) use client::version_header;
pub(crate) use explain::explain;
pub(crate) use flight::says_error;
pub(crate) use schemas::{Schemas, Word, heard_word, known_word};
pub(crate) use state::random;
pub(crate) use tries::only_reads;

use crate::{
    config::{ServerSpec, Snapshot, ToolList},
    metrics::{ALL, Operation},
    plane::Plane,
    principal::Principal,
    reply::{Outgoing, Reply, Whole},
    upstream::Note,
};

/// What the edge hands over once a request is authenticated.
#[derive(Clone)]
pub struct Caller {
    /// Everything shared.
    pub plane: Arc<Plane>,
    /// Who calls.
    pub principal: Arc<Principal>,
    /// Which endpoint.
    pub target: Target,
    /// How it is told of tools.
    pub tools: ToolList,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's body; empty where it does not matter.
    pub body: Bytes,
    /// What is counted of it.
    pub operation: Arc<Operation>,
}

/// An MCP endpoint.
#[derive(Debug, Clone)]
pub enum Target {
    /// The pass-through of one server: nothing is renamed.
    One(Arc<ServerSpec>),
    /// All servers as one.
    All,
}

impl Target {
    /// What sealed tokens are bound to: a token of one endpoint is none at another.
    pub fn backend(&self) -> &str {
        match self {
            Self::One(spec) => &spec.name,
            Self::All => "*",
        }
    }

    /// How a principal is told of tools here, if it says nothing of it itself.
    pub(crate) fn tool_list(&self, snapshot: &Snapshot, principal: &str) -> ToolList {
        let of_client = snapshot.tool_lists.clients.get(principal).copied();
        of_client.unwrap_or(match self {
            Self::One(spec) => spec.compress.tool_list,
            Self::All => snapshot.tool_lists.all,
        })
    }
}

/// A server as an endpoint shows it.
#[derive(Clone)]
pub struct Source {
    /// The server.
    pub spec: Arc<ServerSpec>,
    /// How its names look at this endpoint; `None` where nothing is renamed.
    pub rename: Option<Arc<dyn Rename>>,
}

/// Where one request goes.
#[derive(Clone)]
pub struct Route {
    /// The server that will see it.
    pub source: Source,
    /// The params in the server's own names; empty means absent. `_meta` is as the client sent it.
    pub params: Bytes,
}

/// Maps what a server says to the names of an endpoint. Works on either era's form.
pub trait Rename: Send + Sync {
    /// A result.
    fn result(&self, method: &str, result: Bytes) -> Bytes;
    /// A notification; `None` keeps it from the client.
    fn note(&self, note: Note) -> Option<Note>;
    /// A URI in a result; `None` leaves it as it is.
    fn uri(&self, uri: &str) -> Option<String>;
    /// An error.
    fn error(&self, error: RpcError) -> RpcError {
        error
    }
}

/// The answer to a POST that was answered from memory before, if it need not be read for that; its head says `said`, and
/// its client left this `trail`.
pub fn repeated<'r>(
    plane: &Plane,
    principal: &Arc<Principal>,
    target: &Target,
    said: Said<'_>,
    body: &'r [u8],
    trail: &Trail,
) -> Option<Kept<'r>> {
    // Who has a rate is asked for it first.
    if plane.admission.has_rates() {
        return None;
    }
    plane.memory.repeated(principal, target, said, body, trail)
}

/// Answers a POST.
pub async fn post(caller: Caller, message: Message) -> Reply {
    let era = era_of_header(version_header(&caller.headers));
    let counted = counted(&caller, &message, era.as_ref().map_or(Era::Modern, |era| *era));
    let reply = match era {
        Ok(Era::Modern) => modern::post(caller, message).await,
        Ok(Era::Legacy) => Box::pin(legacy::post(caller, message)).await,
        Err(unsupported) => modern::unsupported(&unsupported, &message),
    };
    if let Some((operation, id)) = counted {
        operation.replied(&reply, &id);
    }
    reply
}

/// What is counted of a message, and its id. A stream that is to stay open is no work to be timed.
fn counted(caller: &Caller, message: &Message, era: Era) -> Option<(Arc<Operation>, Bytes)> {
    let Message::Request(request) = message else { return None };
    if request.method == "subscriptions/listen" {
        return None;
    }
    let server = match &caller.target {
        Target::One(spec) => &spec.name,
        Target::All => ALL,
    };
    caller.operation.is_for(server, request, era);
    Some((Arc::clone(&caller.operation), request.id_raw.clone()))
}

/// Answers a GET: a legacy session's own stream.
pub fn get(caller: Caller) -> Reply {
    legacy::get(caller)
}

/// Answers a DELETE: the end of a legacy session.
pub fn delete(caller: &Caller) -> Reply {
    legacy::delete(caller)
}

/// An answer that is known whole.
fn whole(era: Era, id: &[u8], outcome: Result<Bytes, RpcError>) -> Reply {
    match flight::end(era, id, outcome) {
        Outgoing::End { status, body, .. } => answer(status, body),
        _ => Reply::Accepted,
    }
}

/// One message with its status.
fn answer(status: StatusCode, body: Bytes) -> Reply {
    Reply::Whole(Whole::plain(status, Vec::new(), body))
}

/// An error under a status that says something itself (no session, two streams).
fn fault(status: StatusCode, id: &[u8], error: &RpcError) -> Reply {
    answer(status, message::error(id, error))
}
