//! What a request's handler gives back, before anyone decides how it goes over HTTP.
//!
//! The rule: a handler says *what* (messages, then exactly one end); [`crate::edge::respond`] decides
//! *how* (one JSON body, or an event stream with keep-alives). Dropping an [`Outflow`] drops what feeds
//! it, and with it cancels the call upstream: that is the whole of disconnect handling.

use std::{fmt, io, ops::Range, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
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

/// The pieces of a body, as its client takes them. An error breaks it off, which the client sees.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An answer that is never held whole.
pub struct Long(pub Pieces);

impl fmt::Debug for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Long").finish_non_exhaustive()
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
    /// The answer, piece by piece, in one line of text; nothing follows.
    Long(Long),
    /// The answer; nothing follows. `status` counts only when it is the first item.
    End {
        /// HTTP status.
        status: StatusCode,
        /// Seconds to wait before asking again, where that helps; counts like the status.
        retry_after: Option<u64>,
        /// The message.
        body: Bytes,
    },
}

impl Outgoing {
    /// An answer that is not to be asked for again.
    pub(crate) fn end(status: StatusCode, body: Bytes) -> Self {
        Self::End { status, retry_after: None, body }
    }
}

/// An answer as a whole: with the header that says when to ask again, where that helps.
pub(crate) fn answered(
    status: StatusCode,
    retry_after: Option<u64>,
    mut headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Whole {
    headers.extend(retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
    Whole::plain(status, headers, body)
}
