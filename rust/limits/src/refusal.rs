//! What a caller is told when it may not proceed: a value, not an error.

use std::fmt;
use std::time::Duration;

/// Why a cell did not admit a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// Not yet. The same call is admitted after `retry_after`, to the nanosecond, unless others take the tokens first.
    TooSoon {
        /// How long to wait, from the instant the caller asked about. Never zero.
        retry_after: Duration,
    },
    /// Not ever at the present quota: the call costs more than a full bucket holds. Waiting will not help.
    TooLarge {
        /// The most a call may cost.
        burst: f64,
    },
}

impl Refusal {
    /// How long to wait, where waiting helps.
    #[inline]
    pub fn retry_after(&self) -> Option<Duration> {
        match *self {
            Self::TooSoon { retry_after } => Some(retry_after),
            Self::TooLarge { .. } => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSoon { retry_after } => write!(f, "refused: ask again in {retry_after:?}"),
            Self::TooLarge { burst } => {
                write!(f, "refused: costs more than the burst of {burst} tokens")
            }
        }
    }
}
