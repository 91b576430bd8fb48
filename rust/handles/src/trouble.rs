//! What can go wrong, in words that say what to do.

use std::fmt;
use std::io;

use rusqlite::ErrorCode;

/// Why there is no answer. Where a put ends with one, nothing was kept, and nothing half.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// What was given as a handle cannot be one.
    NoName,
    /// More than one original of this principal begins with these digits.
    Ambiguous,
    /// What is on disk is not what was put.
    Damaged,
    /// The original is larger than all that its principal may keep: so many bytes, packed, of so many.
    TooLarge(u64, u64),
    /// The disk is full.
    Full,
    /// Another process held the file for too long.
    Busy,
    /// A later version of `OmniMind` wrote the file: its version, and the last one that is known here.
    Newer(i64, i64),
    /// The folder or the file cannot be used.
    Unusable(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("a handle is 64 hexadecimal digits, or at least the first 16 of them"),
            Self::Ambiguous => f.write_str("more than one original begins with these digits: give more of them"),
            Self::Damaged => f.write_str("the original was damaged on disk: call again what made it"),
            Self::TooLarge(bytes, bound) => {
                write!(f, "the original has {bytes} bytes when packed, and a principal may keep {bound}")
            }
            Self::Full => f.write_str("the disk is full: the original was not kept"),
            Self::Busy => f.write_str("another process holds the originals for too long: try again"),
            Self::Newer(found, known) => {
                write!(f, "the originals are of version {found} and this program knows {known}: use the later program")
            }
            Self::Unusable(why) => write!(f, "the originals cannot be used: {why}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Unusable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        match error.sqlite_error_code() {
            // A column that holds what was never written there.
            None if matches!(
                error,
                FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
            ) =>
            {
                Self::Damaged
            }
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            _ => Self::Unusable(error.to_string()),
        }
    }
}
