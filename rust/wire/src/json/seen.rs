//! The keys of one object so far: cheap for few, linear for many.

use std::borrow::Cow;
use std::collections::HashSet;

use super::scan::Key;

/// Objects of up to this many members are compared pairwise; larger ones by a keyed hash set, so that no one can make
/// it slow.
const FEW: usize = 12;

/// Texts of up to this many bytes have offsets that fit 32 bits.
const SHORT: usize = u32::MAX as usize;

/// The keys of one object that were read so far.
pub(super) struct Seen<'a> {
    filter: u64,
    count: usize,
    /// Where the first keys stand in the text. As small as can be: it is set up for every object.
    few: [(u32, u32); FEW],
    many: Option<HashSet<Cow<'a, [u8]>>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new() -> Self {
        Self { filter: 0, count: 0, few: [(0, 0); FEW], many: None }
    }

    /// Notes a key of a text; false if it was there before.
    #[inline]
    pub(super) fn note(&mut self, text: &'a [u8], key: &Key<'a>) -> bool {
        if self.count < FEW && !key.escaped && self.many.is_none() && text.len() <= SHORT {
            return self.note_few(text, key);
        }
        self.note_many(text, key)
    }

    /// One bit for length and outer bytes tells most new keys apart without looking at the others.
    #[inline]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "offsets fit, as `note` has checked; a length's low bits will do"
    )]
    fn note_few(&mut self, text: &'a [u8], key: &Key<'a>) -> bool {
        let (first, last) = match key.inside.as_bytes() {
            [] => (0, 0),
            [only] => (*only, *only),
            [first, .., last] => (*first, *last),
        };
        let outer = first.wrapping_add(last.wrapping_mul(3)).wrapping_add((key.inside.len() as u8).wrapping_mul(5));
        let bit = 1u64 << (outer & 63);
        if self.filter & bit != 0
            && self.few.iter().take(self.count).any(|other| at(text, *other) == key.inside.as_bytes())
        {
            return false;
        }
        self.filter |= bit;
        if let Some(slot) = self.few.get_mut(self.count) {
            *slot = (key.start as u32, (key.start + key.inside.len()) as u32);
        }
        self.count += 1;
        true
    }

    #[cold]
    fn note_many(&mut self, text: &'a [u8], key: &Key<'a>) -> bool {
        let few = self.few.iter().take(self.count);
        let many = self.many.get_or_insert_with(|| few.map(|key| Cow::Borrowed(at(text, *key))).collect());
        many.insert(key.bytes())
    }
}

fn at(text: &[u8], (start, end): (u32, u32)) -> &[u8] {
    text.get(start as usize..end as usize).unwrap_or_default()
}
