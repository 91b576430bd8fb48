//! Why a request has no answer, or not the whole of one.

use std::time::Duration;

/// What went wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Not sent: no connection became free in time.
    Crowded {
        /// In words.
        why: String,
        /// When it may be worth trying again.
        retry_after: Duration,
    },
    /// Not sent: there is no connection to be had.
    Unreachable {
        /// In words.
        why: String,
        /// When it may be worth trying again, where the origin is left alone until then.
        retry_after: Option<Duration>,
    },
    /// Sent, and nobody can say what became of it; or its answer broke off.
    Lost(String),
    /// It took longer than this.
    Late(Duration),
    /// The answer was packed in a way that cannot be read.
    Unreadable(String),
    /// The answer is larger than may be.
    TooLarge {
        /// What had come.
        received: u64,
        /// What that was unpacked, or what was announced.
        unpacked: u64,
        /// What it was measured by.
        limit: Limit,
    },
    /// The client is closed.
    Closed,
    /// The system refused something.
    System(String),
}

/// A bound of answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many bytes.
    Bytes(u64),
    /// So many times what came.
    Ratio(f64),
}
