//! The vocabulary: which runs of bytes are tokens, and which of two is merged first.
//!
//! Two tables of open addressing. A token of up to seven bytes is its own key (the bytes and their number in one word),
//! which is most of what is asked; longer ones are hashed by words of eight bytes and compared. Cost: 5 MB, unpacked
//! once.

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k_base.bin"));

/// No token.
pub(super) const NONE: u32 = u32::MAX;
const SHORT: usize = 7;
/// Slots of each table; the longer half of the tokens fills less than half of them.
const BITS: u32 = 18;
const MASK: usize = (1 << BITS) - 1;
/// Odd, with its bits well spread (the golden ratio's).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

pub(super) struct Ranks {
    /// Where each token stands in [`PACKED`], by rank.
    starts: Vec<u32>,
    short_keys: Vec<u64>,
    short_values: Vec<u32>,
    /// The hash's upper half and the rank.
    long: Vec<(u32, u32)>,
}

impl Ranks {
    pub(super) fn unpacked() -> Self {
        let slots = 1 << BITS;
        let mut ranks = Self {
            starts: Vec::with_capacity(200_000),
            short_keys: vec![0; slots],
            short_values: vec![NONE; slots],
            long: vec![(0, NONE); slots],
        };
        let mut at = 0;
        let mut rank = 0;
        while let Some(length) = PACKED.get(at) {
            let end = at + 1 + usize::from(*length);
            ranks.starts.push(u32::try_from(at).unwrap_or(NONE));
            ranks.insert(PACKED.get(at + 1..end).unwrap_or_default(), rank);
            at = end;
            rank += 1;
        }
        ranks
    }

    fn insert(&mut self, token: &[u8], rank: u32) {
        if token.len() <= SHORT {
            let key = key(word(token, 0), token.len());
            let slot = self.short_slot(key);
            if let (Some(place), Some(value)) = (self.short_keys.get_mut(slot), self.short_values.get_mut(slot)) {
                (*place, *value) = (key, rank);
            }
            return;
        }
        let hash = hash(token);
        let mut slot = low(hash);
        while self.long.get(slot).is_some_and(|entry| entry.1 != NONE) {
            slot = (slot + 1) & MASK;
        }
        if let Some(place) = self.long.get_mut(slot) {
            *place = (high(hash), rank);
        }
    }

    /// How many tokens there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    fn token(&self, rank: u32) -> &'static [u8] {
        let at = self.starts.get(rank as usize).map_or(usize::MAX, |at| *at as usize);
        let length = PACKED.get(at).map_or(0, |length| usize::from(*length));
        PACKED.get(at + 1..at + 1 + length).unwrap_or_default()
    }

    /// The slot that holds this key, or the empty one where it would stand.
    #[inline]
    fn short_slot(&self, key: u64) -> usize {
        let mut slot = low(spread(key));
        while self.short_keys.get(slot).is_some_and(|held| *held != key && *held != 0) {
            slot = (slot + 1) & MASK;
        }
        slot
    }

    /// Whether `bytes[from..to]` is a token, and which.
    #[inline]
    pub(super) fn rank(&self, bytes: &[u8], from: usize, to: usize) -> u32 {
        let length = to - from;
        if length <= SHORT {
            let key = key(word(bytes, from), length);
            return self.short_values.get(self.short_slot(key)).copied().unwrap_or(NONE);
        }
        self.long_rank(bytes.get(from..to).unwrap_or_default())
    }

    /// Whether it is a token: what is asked of every piece.
    #[inline]
    pub(super) fn holds(&self, bytes: &[u8], from: usize, to: usize) -> bool {
        let length = to - from;
        if length <= SHORT {
            let key = key(word(bytes, from), length);
            return self.short_keys.get(self.short_slot(key)) == Some(&key);
        }
        self.long_rank(bytes.get(from..to).unwrap_or_default()) != NONE
    }

    fn long_rank(&self, token: &[u8]) -> u32 {
        if token.len() > 128 {
            return NONE;
        }
        let hash = hash(token);
        let mut slot = low(hash);
        while let Some((tag, rank)) = self.long.get(slot).copied().filter(|entry| entry.1 != NONE) {
            if tag == high(hash) && self.token(rank) == token {
                return rank;
            }
            slot = (slot + 1) & MASK;
        }
        NONE
    }
}

/// The eight bytes from there, the first lowest; zeros past the end.
#[inline]
fn word(bytes: &[u8], from: usize) -> u64 {
    if let Some(Ok(eight)) = bytes.get(from..from + 8).map(<[u8; 8]>::try_from) {
        return u64::from_le_bytes(eight);
    }
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The first bytes of a word (seven at most) and how many they are.
#[inline]
fn key(word: u64, length: usize) -> u64 {
    let bits = length * 8;
    word & ((1 << bits) - 1) | (length as u64) << 56
}

#[inline]
fn spread(word: u64) -> u64 {
    let mixed = word.wrapping_mul(SPREAD);
    (mixed ^ (mixed >> 32)).wrapping_mul(SPREAD)
}

fn hash(token: &[u8]) -> u64 {
    let mut hash = token.len() as u64;
    let mut at = 0;
    while at < token.len() {
        hash = spread(hash ^ word(token, at)).rotate_left(23);
        at += 8;
    }
    spread(hash)
}

#[inline]
fn low(hash: u64) -> usize {
    usize::try_from(hash >> (64 - BITS)).unwrap_or(0)
}

fn high(hash: u64) -> u32 {
    u32::try_from(hash & 0xFFFF_FFFF).unwrap_or(0)
}
