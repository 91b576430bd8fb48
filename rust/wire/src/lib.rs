//! The message: JSON-RPC and MCP envelopes of both protocol eras, headers, error codes. No I/O, no clock, no chance.
//!
//! Bytes come in, spans and bytes go out; what is not understood is passed on untouched.
//! [`json`] reads, [`edit`] changes a member without rewriting the rest, [`message`] is the JSON-RPC envelope, [`era`]
//! tells the two eras apart,
//! [`headers`] compares HTTP headers with the body, [`sse`] frames events, [`seal`] makes tokens that survive a
//! restart,
//! [`passing`] takes a long answer through piece by piece, [`names`] maps names and URIs of the aggregate endpoint,
//! [`bridge`] translates between the eras, [`error`] says no.

#![forbid(unsafe_code)]

pub mod bridge;
pub mod edit;
pub mod era;
pub mod error;
pub mod headers;
pub mod json;
pub mod message;
pub mod names;
pub mod passing;
pub mod seal;
pub mod sse;

pub use edit::Edit;
pub use era::{Era, LEGACY_LATEST, LEGACY_VERSIONS, MODERN_VERSION, UnsupportedVersion, era_of_header};
pub use error::{Reason, Refusal, RpcError};
pub use json::{Limits, Malformed, Object};
pub use message::{Id, Message, Notification, Request, Response};
