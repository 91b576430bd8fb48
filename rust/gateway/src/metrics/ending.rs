//! How a request ended: what its client got, and where that was from.

use omnimind_cache::levels::Level;
use omnimind_wire::Reason;

use crate::cache::Hit;

/// One word for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A kept result, by where it was.
    Ram,
    Compressed,
    Disk,
    /// The result of the same question in other words.
    Semantic,
    /// A kept result past its time.
    Stale,
    /// What another request fetched.
    Shared,
    /// The server's result.
    Ok,
    /// A tool's result that says it is an error.
    ToolError,
    /// An error by the protocol.
    Error,
    /// Nothing: the client went away, or took it back.
    Cancelled,
    /// Refusals that have series of their own.
    RateLimited,
    Overloaded,
    Deadline,
    UpstreamFailed,
    ServerUnavailable,
    UpstreamTimeout,
    /// Any other.
    Refused,
}

impl Ending {
    /// All, in their order.
    pub(super) const ALL: [Self; 17] = [
        Self::Ram,
        Self::Compressed,
        Self::Disk,
        Self::Semantic,
        Self::Stale,
        Self::Shared,
        Self::Ok,
        Self::ToolError,
        Self::Error,
        Self::Cancelled,
        Self::RateLimited,
        Self::Overloaded,
        Self::Deadline,
        Self::UpstreamFailed,
        Self::ServerUnavailable,
        Self::UpstreamTimeout,
        Self::Refused,
    ];

    /// That of a request answered from memory.
    pub(crate) fn of(hit: &Hit) -> Self {
        match hit.level {
            _ if hit.likeness_milli.is_some() => Self::Semantic,
            _ if hit.left_ms == 0 => Self::Stale,
            Level::Ram => Self::Ram,
            Level::Compressed => Self::Compressed,
            Level::Disk => Self::Disk,
        }
    }

    /// What the client got.
    pub(super) const fn outcome(self) -> &'static str {
        match self {
            Self::Ram | Self::Compressed | Self::Disk | Self::Semantic | Self::Stale | Self::Shared | Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::RateLimited => Reason::RateLimited.as_str(),
            Self::Overloaded => Reason::Overloaded.as_str(),
            Self::Deadline => Reason::Deadline.as_str(),
            Self::UpstreamFailed => Reason::UpstreamFailed.as_str(),
            Self::ServerUnavailable => Reason::ServerUnavailable.as_str(),
            Self::UpstreamTimeout => Reason::UpstreamTimeout.as_str(),
            Self::Refused => "refused",
        }
    }

    /// Where it was from; `none` if not from memory.
    pub(crate) const fn cache(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Compressed => "compressed",
            Self::Disk => "disk",
            Self::Semantic => "semantic",
            Self::Stale => "stale",
            Self::Shared => "shared",
            _ => "none",
        }
    }

    /// The server, or the memory for it, has answered: what was asked for exists.
    pub(super) fn is_answer(self) -> bool {
        self.outcome() == "ok"
    }
}

impl From<Reason> for Ending {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::RateLimited => Self::RateLimited,
            Reason::Overloaded => Self::Overloaded,
            Reason::Deadline => Self::Deadline,
            Reason::UpstreamFailed => Self::UpstreamFailed,
            Reason::ServerUnavailable => Self::ServerUnavailable,
            Reason::UpstreamTimeout => Self::UpstreamTimeout,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_stands_in_its_place_and_has_labels_of_its_own() {
        for (at, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, at, "{ending:?}");
        }
        let labels: HashSet<_> = Ending::ALL.iter().map(|ending| (ending.outcome(), ending.cache())).collect();
        assert_eq!(labels.len(), Ending::ALL.len());
    }

    #[test]
    fn a_refusal_has_the_word_its_client_is_told_or_none() {
        for reason in Reason::ALL {
            let outcome = Ending::from(reason).outcome();
            assert!(outcome == reason.as_str() || outcome == "refused", "{reason:?}");
        }
    }
}
