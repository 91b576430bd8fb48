//! What a bucket is known by: a keyed digest of one name or of several.
//!
//! 64 bits under a secret drawn for the process: nobody outside can choose names that collide, or that crowd one part
//! of a table. Two names fall together by chance once in 2^64 pairs (ten thousand names: one in 3 * 10^11), and would
//! share a bucket then. A digest instead of the name is what lets a table stay flat, fixed and free of pointers.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::quota::Quota;

/// An odd number whose bits lie evenly: the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A digest of one name or more, valid beside others of the same [`Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// Makes [`Key`]s of names.
#[derive(Clone, Debug, Default)]
pub struct Keys(RandomState);

impl Keys {
    /// Digests with a new secret.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of a name.
    #[inline]
    pub fn of(&self, name: &str) -> Key {
        Key::from_digest(self.0.hash_one(name))
    }
}

impl Key {
    /// Stands for a name that does not count.
    pub(super) const NONE: Self = Self(1);

    /// The key of the two together; the order matters.
    #[inline]
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        // Both are digests under a secret, so that a plain mix does; the number tells (a, b) from (b, a).
        let product = u128::from(self.0 ^ SPREAD) * u128::from(other.0);
        let [low, high] = halves(product);
        Self::from_digest(low ^ high)
    }

    /// The key of its bucket under a quota.
    #[inline]
    pub(super) fn under(self, quota: &Quota) -> Self {
        let numbers = quota.emission_interval_ns() ^ quota.burst_tolerance_ns().rotate_left(32);
        self.and(Self(numbers.wrapping_mul(SPREAD) | 1))
    }

    /// Zero is no key: it marks a place without one.
    #[inline]
    pub(super) fn from_digest(digest: u64) -> Self {
        Self(if digest == 0 { 1 } else { digest })
    }

    #[inline]
    pub(super) fn tag(self) -> u64 {
        self.0
    }

    /// Two numbers that choose its places.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the low bits are what is wanted
    pub(super) fn choices(self) -> [usize; 2] {
        [self.0 as usize, (self.0 >> 32) as usize]
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // the low half is what is wanted
fn halves(product: u128) -> [u64; 2] {
    [product as u64, (product >> 64) as u64]
}
