//! The two protocol eras, told apart by the version a request names.
//!
//! Revisions are an enumerated set, not an order: an unknown string is never "newer", it is refused.

use std::fmt;

/// The revision of the modern era: one POST a request, no session.
pub const MODERN_VERSION: &str = "2026-07-28";
/// The newest revision of the legacy era: `initialize` and sessions.
pub const LEGACY_LATEST: &str = "2025-11-25";
/// All revisions of the legacy era, oldest first.
pub const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY_LATEST];
/// All revisions of the modern era.
pub const MODERN_VERSIONS: [&str; 1] = [MODERN_VERSION];

/// How a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25 and older: `initialize`, sessions, requests from the server.
    Legacy,
}

impl Era {
    /// The word used in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }

    /// The era of a revision that is known.
    pub fn of_version(version: &str) -> Option<Self> {
        if MODERN_VERSIONS.contains(&version) {
            return Some(Self::Modern);
        }
        LEGACY_VERSIONS.contains(&version).then_some(Self::Legacy)
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A protocol version that nobody here speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedVersion {
    /// What was asked for.
    pub requested: String,
}

impl fmt::Display for UnsupportedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol version {:?} is not supported", self.requested)
    }
}

impl std::error::Error for UnsupportedVersion {}

/// The era a request's `MCP-Protocol-Version` header puts it in; without the header it is legacy.
pub fn era_of_header(version: Option<&str>) -> Result<Era, UnsupportedVersion> {
    match version {
        None => Ok(Era::Legacy),
        Some(version) => {
            Era::of_version(version).ok_or_else(|| UnsupportedVersion { requested: version.chars().take(64).collect() })
        }
    }
}
