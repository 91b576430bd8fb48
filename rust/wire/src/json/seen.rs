//! The keys of one object so far: cheap for few, linear for many.

use std::borrow::Cow;
use std::collections::HashSet;

/// Objects of up to this many members are compared pairwise; larger ones by a keyed hash set, so that no one can make it slow.
const FEW: usize = 12;

/// The keys of one object that were read so far.
pub(super) struct Seen<'a> {
    filter: u64,
    count: usize,
    few: [&'a str; FEW],
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new() -> Self {
        Self { filter: 0, count: 0, few: [""; FEW], many: None }
    }

    /// Notes a key, already unescaped; false if it was there before.
    #[allow(clippy::ptr_arg, reason = "only a borrowed key can be kept without a copy")]
    pub(super) fn note(&mut self, key: &Cow<'a, str>) -> bool {
        if self.many.is_none() {
            if let (Cow::Borrowed(key), true) = (key, self.count < FEW) {
                return self.note_few(key);
            }
            self.many = Some(self.few.iter().take(self.count).map(|key| Cow::Borrowed(*key)).collect());
        }
        self.many.as_mut().is_some_and(|many| many.insert(key.clone()))
    }

    /// One bit for length and outer bytes tells most new keys apart without looking at the others.
    fn note_few(&mut self, key: &'a str) -> bool {
        let bytes = key.as_bytes();
        let ends = bytes.first().copied().unwrap_or(0).wrapping_mul(7) ^ bytes.last().copied().unwrap_or(0);
        let bit = 1u64 << ((usize::from(ends) ^ (bytes.len() << 2)) & 63);
        if self.filter & bit != 0 && self.few.iter().take(self.count).any(|other| *other == key) {
            return false;
        }
        self.filter |= bit;
        if let Some(slot) = self.few.get_mut(self.count) {
            *slot = key;
        }
        self.count += 1;
        true
    }
}
