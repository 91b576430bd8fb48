//! What a request's handler gives back, before anyone decides how it goes over HTTP.
//!
//! The rule: a handler says *what* (messages, then exactly one end); [`crate::edge::respond`] decides
//! *how* (one JSON body, or an event stream with keep-alives). Dropping an [`Outflow`] drops what feeds
//! it, and with it cancels the call upstream: that is the whole of disconnect handling.

use std::{ops::Range, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, StatusCode};
use omnimind_wire::Refusal;

/// A handler's answer.
pub enum Reply {
    /// Taken, nothing to say (202).
    Accepted,
    /// Refused before any upstream saw it; `id` is the request's, raw, or empty.
    Refused {
        /// Why, and when to ask again.
        refusal: Refusal,
        /// The request's id as raw JSON; empty means `null`.
        id: Bytes,
    },
    /// One whole JSON-RPC message.
    Whole(Whole),
    /// Messages as they come; becomes plain JSON if the first of them is the end.
    Flow {
        /// The messages.
        flow: Outflow,
        /// Extra response headers (a legacy session id).
        headers: Vec<(HeaderName, HeaderValue)>,
        /// What kind of stream it is.
        shape: Shape,
    },
}

/// What kind of stream a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A call: it may come to be one JSON body.
    Call,
    /// The rest of a call whose client asked for a stream by GET.
    Rest,
    /// A stream without an end of its own (GET, subscriptions): it ends when its door closes.
    Endless,
}

/// One whole JSON-RPC message with its HTTP status.
#[derive(Debug)]
pub struct Whole {
    /// HTTP status.
    pub status: StatusCode,
    /// Extra response headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The message.
    pub body: Bytes,
    /// A part of the message that is kept packed, for clients that can read it so.
    pub kept: Option<KeptPacked>,
}

/// A part of a message as it is kept.
#[derive(Debug)]
pub struct KeptPacked {
    /// The part as one zstd frame, made without dictionary.
    pub frame: Bytes,
    /// Where it is in the message.
    pub part: Range<usize>,
}

impl Whole {
    /// A message as it is, nothing of it packed.
    pub fn plain(status: StatusCode, headers: Vec<(HeaderName, HeaderValue)>, body: Bytes) -> Self {
        Self { status, headers, body, kept: None }
    }
}

/// Messages on their way to a client.
pub type Outflow = Pin<Box<dyn Stream<Item = Outgoing> + Send>>;

/// One step of an [`Outflow`].
#[derive(Debug)]
pub enum Outgoing {
    /// A notification or a question, whole.
    Message(Bytes),
    /// An event with its own id and reconnection time (resumable legacy streams); data may be empty.
    Event {
        /// Event id.
        id: Option<String>,
        /// Reconnection time.
        retry_ms: Option<u64>,
        /// The message, or empty.
        data: Bytes,
    },
    /// The answer; nothing follows. `status` counts only when it is the first item.
    End {
        /// HTTP status.
        status: StatusCode,
        /// The message.
        body: Bytes,
    },
}
