//! The id of a request: a string, or an integer that every JSON reader keeps exact.

use std::fmt;

use bytes::Bytes;

use crate::json::{as_i64, as_str, quote};

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    /// An integer of at most 2^53 in size.
    Int(i64),
    /// A string of at most [`Id::MAX_BYTES`].
    Str(String),
}

/// Why an id was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadId {
    Type,
    Range,
}

impl Id {
    /// The largest integer that a double holds exactly, as do all below it.
    pub const MAX_INT: i64 = 1 << 53;
    /// The longest string, as raw JSON with its quotes.
    pub const MAX_BYTES: usize = 1024;

    /// The id as JSON.
    pub fn raw(&self) -> Bytes {
        match self {
            Self::Int(value) => Bytes::from(value.to_string()),
            Self::Str(text) => Bytes::from(quote(text)),
        }
    }

    /// Reads an id from raw JSON; none if it is no usable id.
    pub fn from_raw(raw: &[u8]) -> Option<Self> {
        Self::read(raw).ok()
    }

    pub(super) fn read(raw: &[u8]) -> Result<Self, BadId> {
        match raw.first() {
            Some(b'"') if raw.len() > Self::MAX_BYTES => Err(BadId::Range),
            Some(b'"') => as_str(raw).map(|text| Self::Str(text.into_owned())).ok_or(BadId::Type),
            Some(b'-' | b'0'..=b'9') => match as_i64(raw) {
                Some(value) if value.unsigned_abs() <= Self::MAX_INT.unsigned_abs() => Ok(Self::Int(value)),
                Some(_) => Err(BadId::Range),
                None if raw.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) => Err(BadId::Range),
                None => Err(BadId::Type),
            },
            _ => Err(BadId::Type),
        }
    }
}

impl From<i64> for Id {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Str(text) => write!(f, "{text:?}"),
        }
    }
}
