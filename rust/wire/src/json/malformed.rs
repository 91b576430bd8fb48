//! What is wrong with a text, and at which byte.

use std::fmt;

use crate::error::{INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, RpcError};
use crate::message::Id;

/// A text that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub kind: MalformedKind,
    /// The byte at which it was seen.
    pub offset: usize,
    /// The message's id, where the text is sound JSON, only its envelope is not, and it has a usable one: whom to tell.
    pub id: Option<Box<Id>>,
}

/// The ways a text can be wrong: first as JSON, then as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is said by its message in `Display`")]
pub enum MalformedKind {
    Empty,
    ByteOrderMark,
    Utf8,
    UnexpectedEnd,
    UnexpectedByte(u8),
    ControlCharacter,
    Escape,
    LoneSurrogate,
    Number,
    NumberNotFinite,
    DuplicateKey,
    TooDeep,
    TooLong,
    TrailingBytes,
    NotAnObject,
    NotAnArray,
    Batch,
    Version,
    IdType,
    IdRange,
    MethodType,
    ParamsType,
    MetaType,
    ErrorShape,
    NoMessage,
    Ambiguous,
}

impl Malformed {
    pub(crate) fn new(kind: MalformedKind, offset: usize) -> Self {
        Self { kind, offset, id: None }
    }

    /// The JSON-RPC code that answers it: broken JSON, or sound JSON that is no valid message.
    pub fn code(&self) -> i64 {
        use MalformedKind as Kind;
        match self.kind {
            Kind::MetaType => INVALID_PARAMS,
            Kind::NotAnObject
            | Kind::NotAnArray
            | Kind::Batch
            | Kind::Version
            | Kind::IdType
            | Kind::IdRange
            | Kind::MethodType
            | Kind::ParamsType
            | Kind::ErrorShape
            | Kind::NoMessage
            | Kind::Ambiguous => INVALID_REQUEST,
            _ => PARSE_ERROR,
        }
    }

    /// The error to answer with.
    pub fn rpc_error(&self) -> RpcError {
        RpcError::new(self.code(), self.to_string())
    }
}

impl fmt::Display for MalformedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the text is empty",
            Self::ByteOrderMark => "the text opens with a byte order mark",
            Self::Utf8 => "the text is not valid UTF-8",
            Self::UnexpectedEnd => "the text ends inside a value",
            Self::UnexpectedByte(byte) => return write!(f, "unexpected {:?}", char::from(*byte)),
            Self::ControlCharacter => "a string holds an unescaped control character",
            Self::Escape => "a string holds an unknown escape",
            Self::LoneSurrogate => "a string holds half of a surrogate pair",
            Self::Number => "a number is not written as JSON writes numbers",
            Self::NumberNotFinite => "a number is too large to be read as a double",
            Self::DuplicateKey => "an object has the same key twice",
            Self::TooDeep => "values are nested too deeply",
            Self::TooLong => "a key, a number or a member that must be read whole is too long",
            Self::TrailingBytes => "something follows the value",
            Self::NotAnObject => "an object is expected",
            Self::NotAnArray => "an array is expected",
            Self::Batch => "batches are not supported, send one message at a time",
            Self::Version => "jsonrpc must be \"2.0\"",
            Self::IdType => "id must be a string or an integer",
            Self::IdRange => "id is out of range: integers within 2^53, strings up to 1024 bytes",
            Self::MethodType => "method must be a string that is not empty",
            Self::ParamsType => "params must be an object",
            Self::MetaType => "params._meta must be an object",
            Self::ErrorShape => "error must be an object with an integer code and a message",
            Self::NoMessage => "the object is neither a request, a notification nor a response",
            Self::Ambiguous => "the object is more than one of request, result and error",
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for Malformed {}
