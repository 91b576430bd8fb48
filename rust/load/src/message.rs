//! The outside of a JSON-RPC message: what both halves need to look at, borrowed from its bytes.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The revision both halves speak in the modern era.
pub(crate) const MODERN: &str = "2026-07-28";
/// And in the legacy era.
pub(crate) const LEGACY: &str = "2025-11-25";
/// Its presence in `_meta` marks a modern request.
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// A message, not looked into.
#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) result: Option<&'a RawValue>,
    pub(crate) error: Option<Fault>,
}

/// An error of the peer.
#[derive(Deserialize)]
pub(crate) struct Fault {
    pub(crate) code: i64,
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }

    /// The id as the whole number it should be.
    pub(crate) fn number(&self) -> Option<u64> {
        self.id?.get().parse().ok()
    }

    /// Whether this answers something.
    pub(crate) fn is_answer(&self) -> bool {
        self.method.is_none() && (self.result.is_some() || self.error.is_some())
    }
}
