//! What clients and operators learn of the memory: what became of one request, how full it is, why something is
//! no hit.
//!
//! A client that asks (`_meta["omnimind/cache"]: "report"`) gets it in the answer's `_meta` and in the header
//! `Cache-Status` (RFC 9211). Nobody else does: an answer from memory looks like any other.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::AGE};
use omnimind_cache::levels::Level;
use omnimind_wire::{
    Edit,
    json::{as_str, find},
};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What a client says about the memory, and what it is told.
const META_CACHE: &str = "omnimind/cache";

/// What a client wishes of the memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Nothing is to be looked up, and nothing kept.
    pub(crate) no_store: bool,
    /// It wants to know what happened.
    pub(crate) report: bool,
}

impl Wish {
    /// Reads a request's `_meta`.
    pub(crate) fn read(meta: &[u8]) -> Self {
        match find(meta, &[META_CACHE]).ok().flatten().and_then(as_str).as_deref() {
            Some("no-store") => Self { no_store: true, report: false },
            Some("report") => Self { no_store: false, report: true },
            _ => Self::default(),
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Answered from memory.
    Hit {
        /// Where it was found.
        level: Level,
        /// How old it is.
        age_ms: u64,
        /// It is past its time.
        stale: bool,
    },
    /// Answered with what was said to the same question in other words.
    Alike {
        /// How alike, in thousandths.
        likeness_milli: u16,
        /// How old the answer is.
        age_ms: u64,
    },
    /// Answered by what another request fetched.
    Shared,
    /// Nothing was found; it goes upstream.
    Missed,
    /// It went upstream, and its answer was kept or not.
    Fetched {
        /// It was.
        kept: bool,
    },
    /// The client did not want the memory.
    Bypassed,
    /// Its answer is never kept, for this reason.
    NotKept(&'static str),
}

impl How {
    /// The headers that tell it to a client that wants to know.
    pub(crate) fn headers_for(self, wish: Wish) -> Vec<(HeaderName, HeaderValue)> {
        if wish.report { self.headers() } else { Vec::new() }
    }

    /// A result that tells it to a client that wants to know. That the question was another is told unasked.
    pub(crate) fn told_to(self, wish: Wish, result: Bytes) -> Bytes {
        if wish.report || matches!(self, Self::Alike { .. }) { self.told(result) } else { result }
    }

    /// What becomes of a fetched answer is not known when the headers are sent.
    fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::with_capacity(2);
        let status = match self {
            Self::Hit { level, age_ms, .. } => {
                headers.push((AGE, HeaderValue::from(age_ms / 1_000)));
                match level {
                    Level::Ram => "omnimind; hit; detail=ram",
                    Level::Compressed => "omnimind; hit; detail=compressed",
                    Level::Disk => "omnimind; hit; detail=disk",
                }
            }
            Self::Alike { age_ms, .. } => {
                headers.push((AGE, HeaderValue::from(age_ms / 1_000)));
                "omnimind; hit; detail=semantic"
            }
            Self::Shared => "omnimind; fwd=miss; collapsed",
            Self::Missed | Self::Fetched { .. } => "omnimind; fwd=miss",
            Self::Bypassed => "omnimind; fwd=request",
            Self::NotKept(_) => "omnimind; fwd=bypass",
        };
        headers.push((CACHE_STATUS, HeaderValue::from_static(status)));
        headers
    }

    fn told(self, result: Bytes) -> Bytes {
        let said = match self {
            Self::Hit { level, age_ms, stale } => {
                serde_json::json!({"hit": true, "level": level.name(), "ageMs": age_ms, "stale": stale})
            }
            Self::Alike { likeness_milli, age_ms } => {
                let similarity = f64::from(likeness_milli) / 1_000.0;
                serde_json::json!({"hit": true, "level": "semantic", "similarity": similarity, "ageMs": age_ms})
            }
            Self::Shared => serde_json::json!({"hit": false, "shared": true}),
            Self::Missed => serde_json::json!({"hit": false}),
            Self::Fetched { kept } => serde_json::json!({"hit": false, "kept": kept}),
            Self::Bypassed => serde_json::json!({"hit": false, "why": "no-store was asked for"}),
            Self::NotKept(why) => serde_json::json!({"hit": false, "why": why}),
        };
        let edited = Edit::new(&result).set(&["_meta", META_CACHE], said.to_string().into_bytes()).finish();
        edited.unwrap_or(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_one_of_two_words() {
        assert!(Wish::read(br#"{"omnimind/cache":"no-store"}"#).no_store);
        assert!(Wish::read(br#"{"omnimind/cache":"report"}"#).report);
        for other in [&b"{}"[..], br#"{"omnimind/cache":"x"}"#, br#"{"omnimind/cache":1}"#, b""] {
            assert_eq!(Wish::read(other), Wish::default());
        }
    }

    #[test]
    fn a_result_says_what_became_of_it() {
        let told = How::Fetched { kept: true }.told(Bytes::from_static(br#"{"a":1}"#));
        assert_eq!(told, r#"{"a":1,"_meta":{"omnimind/cache":{"hit":false,"kept":true}}}"#);
        let told = How::NotKept("x").told(Bytes::from_static(br#"{"_meta":{"b":2}}"#));
        assert_eq!(told, r#"{"_meta":{"b":2,"omnimind/cache":{"hit":false,"why":"x"}}}"#);
    }
}
