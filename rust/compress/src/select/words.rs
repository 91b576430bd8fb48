//! Words, as selection compares them: lower case, the parts of `camelCase` and `snake_case` apart, digits kept, CJK by
//! pairs of characters. A word is its hash: two words in a million of the same text may be taken for one, which moves a
//! score and nothing else.

/// A word and what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    /// Equal for equal words.
    pub(crate) hash: u64,
    /// It has a digit.
    pub(crate) digits: bool,
    /// It begins with a capital letter.
    pub(crate) capital: bool,
    /// Its characters, bytes for ASCII.
    pub(crate) length: u8,
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

#[derive(Default)]
struct Open {
    hash: u64,
    length: u8,
    digits: bool,
    capital: bool,
    /// What the last character was.
    last: Class,
    /// The last letter was an `s` that may be a plural's, and the hash before it.
    plural: Option<u64>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Class {
    #[default]
    Other,
    Lower,
    Upper,
    Digit,
    Wide,
}

/// Says the words of a text, in order.
pub(crate) fn words(text: &str, mut say: impl FnMut(Word)) {
    let mut open = Open::default();
    let mut wide: Option<char> = None;
    for sign in text.chars() {
        let class = class(sign);
        if class == Class::Wide {
            open.end(&mut say);
            let hash = mix(mix(SEED, u64::from(u32::from(wide.unwrap_or('\0')))), u64::from(u32::from(sign)));
            if wide.is_some() {
                say(Word { hash, digits: false, capital: false, length: 2 });
            }
            wide = Some(sign);
            continue;
        }
        wide = None;
        if class == Class::Other {
            open.end(&mut say);
            continue;
        }
        if open.last == Class::Lower && class == Class::Upper {
            open.end(&mut say);
        }
        open.push(sign, class);
    }
    open.end(&mut say);
}

impl Open {
    fn push(&mut self, sign: char, class: Class) {
        if self.length == 0 {
            self.hash = SEED;
            self.capital = class == Class::Upper;
        }
        let low = if sign.is_ascii() { sign.to_ascii_lowercase() } else { sign.to_lowercase().next().unwrap_or(sign) };
        self.plural = (low == 's' && self.length > 2).then_some(self.hash);
        self.hash = mix(self.hash, u64::from(u32::from(low)));
        self.digits |= class == Class::Digit;
        self.length = self.length.saturating_add(1);
        self.last = class;
    }

    fn end(&mut self, say: &mut impl FnMut(Word)) {
        if self.length > 0 {
            let hash = self.plural.filter(|_| !self.digits).unwrap_or(self.hash);
            say(Word { hash, digits: self.digits, capital: self.capital, length: self.length });
        }
        *self = Self::default();
    }
}

fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(PRIME);
    mixed ^ (mixed >> 29)
}

fn class(sign: char) -> Class {
    if sign.is_ascii() {
        return match sign {
            'a'..='z' => Class::Lower,
            'A'..='Z' => Class::Upper,
            '0'..='9' => Class::Digit,
            _ => Class::Other,
        };
    }
    match u32::from(sign) {
        0x3040..=0x30ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xac00..=0xd7af
        | 0xf900..=0xfaff
        | 0x2_0000..=0x3_ffff => Class::Wide,
        _ if sign.is_uppercase() => Class::Upper,
        _ if sign.is_alphabetic() => Class::Lower,
        _ if sign.is_numeric() => Class::Digit,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(text: &str) -> Vec<u64> {
        let mut all = Vec::new();
        words(text, |word| all.push(word.hash));
        all
    }

    #[test]
    fn names_are_read_by_their_parts() {
        assert_eq!(hashes("getUserName"), hashes("get user name"));
        assert_eq!(hashes("MAX_RETRY_COUNT"), hashes("max-retry-count"));
        assert_eq!(hashes("node17"), hashes("Node17"));
        assert_ne!(hashes("node17"), hashes("node 17"));
    }

    #[test]
    fn one_and_many_are_one_word() {
        assert_eq!(hashes("refunds"), hashes("refund"));
        assert_ne!(hashes("s3"), hashes("3"));
    }

    #[test]
    fn cjk_is_read_by_pairs_and_cyrillic_without_case() {
        assert_eq!(hashes("数据库").len(), 2);
        assert_eq!(hashes("数据库").first(), hashes("数据").first());
        assert_eq!(hashes("Ошибка"), hashes("ошибка"));
    }
}
