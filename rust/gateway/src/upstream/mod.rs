//! Upstreams: how a call reaches a server, whatever carries it.
//!
//! Three transports, one shape. A [`Call`] goes in, an [`Exchange`] comes out: notes and questions that
//! belong to the call, then exactly one end. **Dropping an [`Exchange`] cancels the call**:
//! `notifications/cancelled` on a pipe or a legacy session, a closed stream on modern HTTP. Ids, progress
//! tokens and subscription ids are rewritten on the way up and restored on the way down, so callers never
//! see anyone else's.
//!
//! Rooms: [`fleet`] lists the servers, [`server`] knows the state of one, [`pool`] who shares its connections;
//! [`connect`] and [`children`] open them; [`pipe`] carries many calls over one newline-delimited byte stream,
//! [`remote`] speaks HTTP; [`attach`] decides whose a question or an unaddressed notification is; [`watch`]
//! is told of every change; `long` is an answer that is not held, `spool` where those of shared streams wait; [`rewrite`] swaps ids and tokens.

mod attach;
mod children;
mod connect;
mod ear;
mod exchange;
mod fleet;
mod lease;
mod link;
mod long;
mod pipe;
mod pool;
mod remote;
mod rewrite;
mod server;
mod spool;
mod watch;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use omnimind_wire::{Era, Refusal, RpcError};
use tokio::{sync::oneshot, time::Instant};

use crate::traces::Context;

pub use self::{
    attach::Waste,
    exchange::Exchange,
    fleet::{Fleet, ServerView},
    lease::{Lease, Notes},
    long::{Gathered, Long},
    watch::{Change, Watch},
};
pub(crate) use self::{ear::Ear, exchange::unusable, watch::Unasked};

/// A request as the upstream is to see it, but for its id and progress token.
#[derive(Debug, Clone)]
pub struct Call {
    /// The id the client used, raw JSON; subscription ids are restored to it.
    pub id: Bytes,
    /// The method.
    pub method: Arc<str>,
    /// Raw JSON object; empty means absent. A `_meta.progressToken` in it is replaced and restored.
    pub params: Bytes,
    /// Extra headers for HTTP upstreams (`Mcp-Param-*`).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether an operator asks; told to first-party workers, which show some things to operators only.
    pub operator: bool,
    /// Longest silence; every note renews it. `None` for subscriptions.
    pub idle: Option<Duration>,
    /// The end of patience, whatever happens. `None` for subscriptions.
    pub deadline: Option<Instant>,
    /// What the upstream is told of the trace; `None` leaves what the client said of it.
    pub trace: Option<Box<Context>>,
}

/// What an upstream says in the course of a call.
#[derive(Debug)]
pub enum Event {
    /// A notification that belongs to this call (or, where the call is alone on its connection, may).
    Note(Note),
    /// A question to the client: sampling, elicitation, roots. Legacy upstreams only.
    Ask(Question),
    /// The upstream closed a resumable stream before the answer and is asked again here, after the time it
    /// named (legacy HTTP). Only news: the call goes on.
    Pause {
        /// How long the upstream asked to be left alone.
        retry_ms: Option<u64>,
    },
    /// The end, with a result that is too long to be held; nothing follows.
    Long(Long),
    /// The end; nothing follows.
    End(Result<Bytes, Failure>),
}

/// A notification, whole.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its method.
    pub method: Arc<str>,
    /// Raw JSON object; empty means absent.
    pub params: Bytes,
}

/// A question from the upstream. Dropping it unanswered refuses it.
#[derive(Debug)]
pub struct Question {
    /// `sampling/createMessage`, `elicitation/create`, `roots/list`.
    pub method: Arc<str>,
    /// Raw JSON object; empty means absent.
    pub params: Bytes,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Bytes, RpcError>>,
}

/// The scope of a refusal whose call was on its way when its connection ended.
pub(crate) const LOST: &str = "connection";

/// Why a call has no result.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The upstream's own error, in the upstream's era.
    Rpc(RpcError),
    /// Ours: the upstream could not be reached, went away, or was too slow. With a `retry_after_ms` the
    /// call was never begun; without one nobody can say whether it ran. The scope is `connection` if it was cut
    /// off with its connection, and may be sent again where running twice does no harm.
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What was agreed with an upstream when its connection opened.
#[derive(Debug, Clone)]
pub struct Negotiated {
    /// Its era on this connection.
    pub era: Era,
    /// The protocol version.
    pub version: Arc<str>,
    /// The raw result of `server/discover` or `initialize`.
    pub result: Bytes,
}

/// Whose connection is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// For whom.
    pub principal: Arc<str>,
    /// The downstream's era; the upstream's own is used if it does not speak it.
    pub era: Era,
    /// Who will be on it.
    pub owner: Owner,
}

/// Who is on a connection: decides whether a question can be attributed.
#[derive(Debug, Clone)]
pub enum Owner {
    /// Anyone the sharing rule allows; questions only if exactly one session is attached.
    Shared,
    /// One legacy session: attached for its life. Own connection where the server says so (and always for
    /// legacy HTTP, where the session is the upstream's too).
    Session {
        /// Its key.
        session: Arc<str>,
        /// The client's capabilities as sent in `initialize`, raw.
        capabilities: Bytes,
    },
    /// One modern call to a legacy server whose client can answer questions: alone while it lasts.
    Call {
        /// The client's capabilities, raw.
        capabilities: Bytes,
    },
}
