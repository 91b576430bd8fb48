//! The hash of a [`Key`](crate::Key): eight of its bytes. A digest needs no second hash function.

use std::hash::{BuildHasher, Hasher};

/// Makes hashers for keys that are digests: an attacker cannot choose them to collide, and their bytes are spread
/// evenly. For no other keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher;

/// Takes the first eight bytes of what it is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstBytes(u64);

impl BuildHasher for KeyHasher {
    type Hasher = FirstBytes;

    #[inline]
    fn build_hasher(&self) -> FirstBytes {
        FirstBytes(0)
    }
}

impl Hasher for FirstBytes {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    }

    /// The length of an array, written before it: always the same.
    #[inline]
    fn write_usize(&mut self, _length: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
