//! One pass over JSON text: everything is checked, nothing is built.
//!
//! Two readers that disagree about one text are how a gateway is smuggled past: most parsers take the last of two equal
//! keys, some accept `NaN`, lone surrogates or overlong UTF-8. So this scanner accepts only text that every reader
//! understands alike:
//! RFC 8259 without a byte order mark, strict UTF-8, no repeated key at any level (compared after unescaping), no lone
//! surrogate,
//! every number finite as a double, at most [`Limits::max_depth`] containers inside each other. What is accepted is
//! passed on byte for byte.
//!
//! It borrows: a document without escaped keys and without objects of more than a dozen members is read without one
//! allocation.

use std::borrow::Cow;
use std::ops::Range;

mod canonical;
mod malformed;
mod object;
mod scan;
mod seen;
mod value;

pub use canonical::{push_canonical, push_kept, push_members, span_in};
pub use malformed::{Malformed, MalformedKind};
pub use object::{Member, Object, elements, find, find_checked};
pub(crate) use scan::{Key, Scan, Scanner, plain_until, read};
pub use value::{as_bool, as_f64, as_i64, as_str, as_u64, is_array, is_null, is_object, is_string, push_quoted, quote};

/// What a document may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside each other; the outermost counts as one. Values above [`Limits::DEEPEST`] mean that.
    pub max_depth: usize,
}

impl Limits {
    /// The scanner descends on the call stack, so no configuration may go deeper than this.
    pub const DEEPEST: usize = 128;

    /// For texts that were checked before, or whose depth is somebody else's matter.
    pub(crate) const WIDEST: Self = Self { max_depth: Self::DEEPEST };
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 64 }
    }
}

/// A place in a text, as offsets of its first byte and of the byte after its last.
pub type Span = Range<usize>;

/// Checks a whole document and says nothing else about it.
pub fn check(raw: &[u8], limits: &Limits) -> Result<(), Malformed> {
    read(raw, *limits, Scanner::value)
}

/// Text of a string literal's inside, which the scanner has already found to be well formed.
pub(crate) fn unescape(inside: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Cow::Borrowed(inside);
    }
    Cow::Owned(value::unescaped(inside))
}
