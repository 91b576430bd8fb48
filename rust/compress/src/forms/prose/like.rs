//! Which sentences say nearly the same.
//!
//! Every word that holds a digit, with the signs inside it, is masked; of the other words a sentence is the set. Two
//! sentences are alike if these sets have [`SHARED`] percent of their words in common. To find the like one of a
//! sentence among all before it, each set is boiled down to a few smallest hashes, and only sentences that agree in a
//! band of these are compared: so a text is read in time linear in its length.

use crate::forms::log::ByHash;

/// Of all words of two sentences, how many in a hundred they have in common if they are alike.
const SHARED: usize = 60;
/// Sentences of fewer different words are compared by nobody here.
const FEWEST: usize = 4;
/// No more different words of a sentence are looked at.
const MOST: usize = 64;
/// Smallest hashes that are kept of a sentence, two to a band.
const SKETCH: usize = 6;

/// The sentences that were seen, by what they are like.
#[derive(Default)]
pub(in crate::forms) struct Likes {
    /// By band: the sentence that stands for those like it.
    bands: ByHash<usize>,
    /// The words of these sentences, one after the other, and where those of each end.
    words: Vec<u64>,
    ends: Vec<usize>,
}

impl Likes {
    /// The number that this sentence has in common with those like it; 0 if it is too short to say.
    pub(in crate::forms) fn of(&mut self, text: &str) -> u64 {
        let words = masked(text);
        if words.len() < FEWEST {
            return 0;
        }
        let bands = bands(&words);
        let found =
            bands.iter().filter_map(|band| self.bands.get(band)).find(|other| alike(&words, self.of_sentence(**other)));
        let number = if let Some(number) = found {
            *number
        } else {
            self.words.extend(&words);
            self.ends.push(self.words.len());
            self.ends.len() - 1
        };
        for band in bands {
            self.bands.entry(band).or_insert(number);
        }
        number as u64 + 1
    }

    fn of_sentence(&self, number: usize) -> &[u64] {
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(number).and_then(|end| self.words.get(start..*end)).unwrap_or_default()
    }
}

/// The different words of a sentence without those that hold a digit, sorted by their hashes.
fn masked(text: &str) -> Vec<u64> {
    let mut words = Vec::with_capacity(24);
    // Where the words of the open chunk begin, and whether it holds a digit.
    let (mut chunk, mut digits) = (0, false);
    let mut word = SEED;
    for sign in text.chars() {
        let part = sign.is_ascii_alphabetic() || !sign.is_ascii() && sign.is_alphanumeric();
        if part && u32::from(sign) > 0x2e80 {
            // Scripts without spaces are read by their characters.
            words.push(mixed(u64::from(u32::from(sign))));
            continue;
        }
        if part {
            word = step(word, sign);
            continue;
        }
        if word != SEED {
            words.push(mixed(word));
            word = SEED;
        }
        digits |= sign.is_ascii_digit();
        if sign.is_whitespace() || matches!(sign, ',' | ';' | '(' | ')' | '"') {
            words.truncate(if digits { chunk } else { words.len() });
            (chunk, digits) = (words.len(), false);
            if chunk > 4 * MOST {
                break;
            }
        }
    }
    if word != SEED {
        words.push(mixed(word));
    }
    words.truncate(if digits { chunk } else { words.len() });
    words.sort_unstable();
    words.dedup();
    words.truncate(MOST);
    words
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// Takes a letter into a word's hash, small.
fn step(word: u64, sign: char) -> u64 {
    let small = if sign.is_ascii() { sign.to_ascii_lowercase() } else { sign.to_lowercase().next().unwrap_or(sign) };
    (word ^ u64::from(u32::from(small))).wrapping_mul(0x0100_0000_01b3)
}

/// Spreads a hash over all its bits.
fn mixed(hash: u64) -> u64 {
    let one = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let two = (one ^ (one >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    two ^ (two >> 31)
}

/// The smallest of the words under several orders, by twos.
fn bands(words: &[u64]) -> [u64; SKETCH / 2] {
    let smallest = |turn: u64| {
        let key = mixed(turn + 1);
        words.iter().map(|word| (word ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15)).min().unwrap_or_default()
    };
    std::array::from_fn(|band| {
        let turn = 2 * band as u64;
        mixed(smallest(turn).rotate_left(23) ^ smallest(turn + 1)) ^ turn
    })
}

/// Both sorted.
fn alike(one: &[u64], other: &[u64]) -> bool {
    let (mut left, mut right, mut shared) = (0, 0, 0);
    while let (Some(a), Some(b)) = (one.get(left), other.get(right)) {
        shared += usize::from(a == b);
        left += usize::from(a <= b);
        right += usize::from(b <= a);
    }
    shared * 100 >= (one.len() + other.len() - shared) * SHARED
}
