//! How the gateway says no: protocol errors, and refusals of its own.
//!
//! Protocol codes keep to what the specification assigns. Refusals lie outside -32768..-32000, which is closed to us,
//! and each names its
//! HTTP status: its first three digits are that status, or one close to it. A refusal is a value with a reason and,
//! where waiting helps,
//! a `retry_after`.

use std::fmt;

use bytes::Bytes;

use crate::json::push_quoted;

/// The text is no JSON.
pub const PARSE_ERROR: i64 = -32_700;
/// The JSON is no valid message.
pub const INVALID_REQUEST: i64 = -32_600;
/// Nobody here knows the method.
pub const METHOD_NOT_FOUND: i64 = -32_601;
/// The parameters do not fit the method.
pub const INVALID_PARAMS: i64 = -32_602;
/// The receiver failed.
pub const INTERNAL_ERROR: i64 = -32_603;
/// HTTP headers and body disagree, or a required header is missing or malformed (modern).
pub const HEADER_MISMATCH: i64 = -32_020;
/// The request declares too few client capabilities (modern).
pub const MISSING_CAPABILITY: i64 = -32_021;
/// The request's protocol version is not served (modern).
pub const UNSUPPORTED_VERSION: i64 = -32_022;
/// No such resource (legacy; the modern era says -32602).
pub const RESOURCE_NOT_FOUND_LEGACY: i64 = -32_002;
/// A URL must be visited first (2025-11-25 only).
pub const URL_ELICITATION: i64 = -32_042;

/// The `error` member of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// One sentence for people.
    pub message: String,
    /// Raw JSON for programs.
    pub data: Option<Bytes>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same error with data (raw JSON).
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Appends the error object as JSON.
    pub fn push_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"code\":");
        out.extend_from_slice(self.code.to_string().as_bytes());
        out.extend_from_slice(b",\"message\":");
        push_quoted(out, &self.message);
        if let Some(data) = &self.data {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data);
        }
        out.push(b'}');
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for RpcError {}

/// The HTTP status under which a modern server sends an error; codes the specification says nothing of are an answer
/// like any other (200).
pub fn http_status_of_modern_error(code: i64) -> u16 {
    match code {
        PARSE_ERROR | INVALID_REQUEST | INVALID_PARAMS | HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION => {
            400
        }
        METHOD_NOT_FOUND => 404,
        _ => Reason::ALL.iter().find(|reason| reason.code() == code).map_or(200, |reason| reason.http_status()),
    }
}

/// Why the gateway refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The HTTP request cannot be read.
    BadRequest,
    /// No bearer token, or one that is not known.
    Unauthenticated,
    /// The `Origin` header is not allowed.
    Origin,
    /// The token's role may not do this.
    Forbidden,
    /// There is no server of this name.
    UnknownServer,
    /// There is nothing at this path.
    NotFound,
    /// The path does not take this HTTP method.
    MethodNotAllowed,
    /// The client accepts none of the media types the answer may have.
    NotAcceptable,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The body's media type or encoding is not taken.
    MediaType,
    /// The `Host` header names somebody else.
    Host,
    /// The rate of this principal, server or tool is used up.
    RateLimited,
    /// Too many calls are waiting.
    Overloaded,
    /// The call's deadline has passed.
    Deadline,
    /// The head is larger than allowed.
    HeadTooLarge,
    /// The gateway itself failed on this request.
    Internal,
    /// The server broke off or answered what cannot be read.
    UpstreamFailed,
    /// The server is parked, stopped or does not answer.
    ServerUnavailable,
    /// The server took too long.
    UpstreamTimeout,
}

impl Reason {
    /// All reasons, in the order of their codes.
    pub const ALL: [Self; 20] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Origin,
        Self::Forbidden,
        Self::UnknownServer,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::MediaType,
        Self::Host,
        Self::RateLimited,
        Self::Overloaded,
        Self::Deadline,
        Self::HeadTooLarge,
        Self::Internal,
        Self::UpstreamFailed,
        Self::ServerUnavailable,
        Self::UpstreamTimeout,
    ];

    /// The table: name, code, HTTP status.
    const fn row(self) -> (&'static str, i64, u16) {
        match self {
            Self::BadRequest => ("bad_request", 40_000, 400),
            Self::Unauthenticated => ("unauthenticated", 40_100, 401),
            Self::Origin => ("origin", 40_300, 403),
            Self::Forbidden => ("forbidden", 40_301, 403),
            Self::UnknownServer => ("unknown_server", 40_400, 404),
            Self::NotFound => ("not_found", 40_401, 404),
            Self::MethodNotAllowed => ("method_not_allowed", 40_500, 405),
            Self::NotAcceptable => ("not_acceptable", 40_600, 406),
            Self::BodyTimeout => ("body_timeout", 40_800, 408),
            Self::BodyTooLarge => ("body_too_large", 41_300, 413),
            Self::MediaType => ("media_type", 41_500, 415),
            Self::Host => ("host", 42_100, 421),
            Self::RateLimited => ("rate_limited", 42_900, 429),
            Self::Overloaded => ("overloaded", 42_901, 503),
            Self::Deadline => ("deadline", 42_902, 504),
            Self::HeadTooLarge => ("head_too_large", 43_100, 431),
            Self::Internal => ("internal", 50_000, 500),
            Self::UpstreamFailed => ("upstream_failed", 50_200, 502),
            Self::ServerUnavailable => ("server_unavailable", 50_300, 503),
            Self::UpstreamTimeout => ("upstream_timeout", 50_400, 504),
        }
    }

    /// The word in `data.reason` and in metrics.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The JSON-RPC error code.
    pub const fn code(self) -> i64 {
        self.row().1
    }

    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        self.row().2
    }
}

/// A request that the gateway itself does not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What the reason is about: `global`, `tenant`, `server`, `tool`, `connection`, `request`.
    pub scope: String,
    /// The server concerned, if one is.
    pub server: Option<String>,
    /// When trying again makes sense.
    pub retry_after_ms: Option<u64>,
    /// How long the request had waited for its turn, if it had.
    pub queue_ms: Option<u64>,
    /// One sentence for people.
    pub detail: String,
}

impl Refusal {
    /// A refusal that concerns no server and gives no time.
    pub fn new(reason: Reason, scope: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, scope: scope.into(), server: None, retry_after_ms: None, queue_ms: None, detail: detail.into() }
    }

    /// Names the server.
    #[must_use]
    pub fn about(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Says when to come again.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Says how long the request had waited.
    #[must_use]
    pub fn waited(mut self, ms: u64) -> Self {
        self.queue_ms = Some(ms);
        self
    }

    /// The status of the HTTP answer.
    pub fn http_status(&self) -> u16 {
        self.reason.http_status()
    }

    /// The `Retry-After` header, in whole seconds, never too early.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.div_ceil(1000))
    }

    /// The error for the body: `data` is `{reason, scope, server?, retryAfterMs?, queueMs?}`.
    pub fn rpc_error(&self) -> RpcError {
        let mut data = Vec::with_capacity(96);
        data.extend_from_slice(b"{\"reason\":");
        push_quoted(&mut data, self.reason.as_str());
        data.extend_from_slice(b",\"scope\":");
        push_quoted(&mut data, &self.scope);
        if let Some(server) = &self.server {
            data.extend_from_slice(b",\"server\":");
            push_quoted(&mut data, server);
        }
        for (name, ms) in [("retryAfterMs", self.retry_after_ms), ("queueMs", self.queue_ms)] {
            if let Some(ms) = ms {
                data.extend_from_slice(format!(",\"{name}\":{ms}").as_bytes());
            }
        }
        data.push(b'}');
        RpcError::new(self.reason.code(), self.detail.clone()).with_data(data)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.detail)
    }
}

impl std::error::Error for Refusal {}
