//! The memory: what was answered before and may be answered again. No network, no runtime.
//!
//! The rule of all levels: an answer is given only while its [`Life`] lasts, under exactly the key it was put
//! under. Time is an argument everywhere, in milliseconds since the Unix epoch: what is on disk outlives the
//! process, so its clock must be one that outlives it too.

#![forbid(unsafe_code)]

pub mod compressed;
pub mod disk;
pub mod flight;
pub mod generation;
pub mod levels;
pub mod predict;
pub mod ram;
pub mod semantic;
mod sync;

use bytes::Bytes;

/// What an answer is kept under: a digest of everything that it depends on, made by the owner of the cache.
pub type Key = [u8; 32];

/// How far a clock may lie behind the one that stamped an entry before the stamp is not believed any more.
const SKEW_MS: u64 = 1_000;

/// How long an entry may be served. All absolute, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it was made.
    pub created_ms: u64,
    /// Until then it is served as it is.
    pub fresh_until_ms: u64,
    /// Until then it may be served where its owner allows stale answers; never before `fresh_until_ms`.
    pub stale_until_ms: u64,
}

/// What may be done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it only where a stale answer is allowed.
    Stale,
    /// Do not serve it.
    Expired,
}

impl Life {
    /// What may be done at this time. An entry from the future is expired: the clock went backwards, and nobody
    /// can tell any more how old the entry is.
    pub fn state(&self, now_ms: u64) -> Freshness {
        if self.created_ms > now_ms.saturating_add(SKEW_MS) {
            Freshness::Expired
        } else if now_ms < self.fresh_until_ms {
            Freshness::Fresh
        } else if now_ms < self.stale_until_ms {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }
}

/// One kept answer. Clones share its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How long it may be served.
    pub life: Life,
    /// What its owner needs to serve it: small, opaque here.
    pub head: Bytes,
    /// The answer.
    pub body: Bytes,
}

impl Entry {
    /// Bytes it counts for, without the bookkeeping of the level it is in.
    pub fn weight(&self) -> u64 {
        (size_of::<Key>() + self.head.len() + self.body.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Freshness::{Expired, Fresh, Stale},
        *,
    };

    #[test]
    fn an_entry_is_fresh_then_stale_then_expired() {
        let life = Life { created_ms: 1_000, fresh_until_ms: 2_000, stale_until_ms: 3_000 };
        let states = [1_000, 1_999, 2_000, 2_999, 3_000].map(|now| life.state(now));
        assert_eq!(states, [Fresh, Fresh, Stale, Stale, Expired]);
    }

    #[test]
    fn a_clock_that_went_backwards_expires_what_it_stamped() {
        let life = Life { created_ms: 10_000, fresh_until_ms: 20_000, stale_until_ms: 20_000 };
        assert_eq!(life.state(9_500), Fresh);
        assert_eq!(life.state(8_000), Expired);
    }
}
