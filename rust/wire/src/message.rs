//! The JSON-RPC envelope: one pass from bytes to a typed message, and back.
//!
//! Params, results and error data stay the bytes they were (slices of the body, not copies); only what the gateway
//! decides by is read out:
//! kind, id, method, `_meta` and the name a request is about. Batches are refused: no revision that is served has them.

use bytes::Bytes;

use crate::error::RpcError;
use crate::json::{Limits, Malformed};

mod id;
mod noted;
mod parse;
mod write;

pub use id::Id;
pub use write::{RESULT_END, error, is_error, notification, request, result, result_open};

/// One message of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// Is an answer.
    Response(Response),
}

impl Message {
    /// Reads a whole message. Its parts are slices of these bytes.
    #[allow(clippy::needless_pass_by_value, reason = "the message keeps a share of the bytes")]
    pub fn parse(raw: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        parse::message(&raw, *limits)
    }
}

/// A message that wants an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The sender's id.
    pub id: Id,
    /// The same id as the sender wrote it, for the answer.
    pub id_raw: Bytes,
    /// The method.
    pub method: String,
    /// The parameters, always an object.
    pub params: Option<Bytes>,
    /// `params._meta`, always an object.
    pub meta: Option<Bytes>,
    /// True if there is a `params.requestState`, of any type.
    pub has_state: bool,
    /// True if there is a `params.inputResponses`, of any type.
    pub has_responses: bool,
    noted: noted::Noted,
    /// What the request is about, as raw JSON of any type: `params.name`, `.uri` or `.taskId` where the method has one.
    pub subject: Option<Bytes>,
}

impl Request {
    /// The tool, prompt, resource or task the request is about, if its method has one and it is a string.
    pub fn name(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.subject.as_deref().and_then(crate::json::as_str)
    }

    /// True if it takes up an earlier request.
    pub fn continues(&self) -> bool {
        self.has_state || self.has_responses
    }

    /// One parameter, as raw JSON.
    pub fn param(&self, key: &str) -> Option<&[u8]> {
        crate::json::find(self.params.as_deref()?, &[key]).ok().flatten()
    }

    /// One member of `_meta`, as raw JSON.
    pub fn meta_value(&self, key: &str) -> Option<&[u8]> {
        crate::json::find(self.meta.as_deref()?, &[key]).ok().flatten()
    }

    /// The message as bytes, under another id if one is given.
    pub fn to_bytes(&self, id_raw: Option<&[u8]>) -> Bytes {
        request(id_raw.unwrap_or(&self.id_raw), &self.method, self.params.as_deref())
    }
}

/// A message that wants no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The method.
    pub method: String,
    /// The parameters, always an object.
    pub params: Option<Bytes>,
    /// `params._meta`, always an object.
    pub meta: Option<Bytes>,
}

impl Notification {
    /// One parameter, as raw JSON.
    pub fn param(&self, key: &str) -> Option<&[u8]> {
        crate::json::find(self.params.as_deref()?, &[key]).ok().flatten()
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The id of the request it answers; none only in errors about a message whose id could not be read.
    pub id: Option<Id>,
    /// The result (raw JSON), or the error.
    pub outcome: Result<Bytes, RpcError>,
}

/// The parameter that `Mcp-Name` mirrors, for the methods that have one.
pub fn name_key(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some("taskId"),
        _ => None,
    }
}
