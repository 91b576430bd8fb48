//! What a caller is told that will not be served: a value, not an error.

use std::fmt;
use std::time::Duration;

/// Why a call was not started, and when it may be worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// How long what stands before it will take, as far as is known: at least 1 ms, at most 60 s. No jitter is in it.
    pub retry_after: Duration,
}

/// Why a call was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Everything that waits is as good as this call or better.
    QueueFull,
    /// It would have been done too late.
    Deadline,
    /// It waited, and its place was given to another.
    Evicted,
    /// It waited as long as waiting made sense.
    Expired,
    /// The brake is on: nothing is started at all.
    Shed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::QueueFull, Self::Deadline, Self::Evicted, Self::Expired, Self::Shed];

    /// The word used on the wire and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Shed => "shed",
        }
    }
}

impl Refused {
    const SOONEST_NS: u64 = 1_000_000;
    const LATEST_NS: u64 = 60_000_000_000;

    pub(crate) fn new(reason: Reason, retry_after_ns: u64) -> Self {
        Self { reason, retry_after: Duration::from_nanos(retry_after_ns.clamp(Self::SOONEST_NS, Self::LATEST_NS)) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused ({}): ask again in {:?}", self.reason.word(), self.retry_after)
    }
}
