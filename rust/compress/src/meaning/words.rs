//! Words with their directions, each encoded once, and sentences made of them.

use std::{cell::OnceCell, collections::HashMap};

use super::{Encoder, reading::Reading};

/// Different words that are encoded; those that come later count for nothing.
const MOST: usize = 1 << 14;
/// A longer run of letters, in bytes, is no word.
const LONG: usize = 40;
/// A word that stands in more sentences than this tells none from the others.
const COMMON: u32 = 64;
/// So many of the rarest words of a sentence lead to those like it.
const LEADS: usize = 6;

/// The words of a text.
pub(super) struct Words<'e> {
    pub(super) encoder: &'e dyn Encoder,
    numbers: HashMap<Box<str>, u32>,
    known: Vec<Known>,
}

/// A word that was met.
struct Known {
    /// In small letters.
    text: Box<str>,
    /// Empty if it has none.
    direction: Vec<f32>,
    /// Sentences it stands in.
    frequency: u32,
}

/// A sentence, as the sum of its words.
#[derive(Default)]
pub(super) struct Sentence {
    /// Of length 1; empty if it has none.
    direction: Vec<f32>,
    /// Its different words, sorted by number.
    pub(super) words: Vec<u32>,
    /// What it must share with one that says the same; read when that is asked.
    pub(super) reading: OnceCell<Reading>,
}

impl<'e> Words<'e> {
    pub(super) fn of(encoder: &'e dyn Encoder) -> Self {
        Self { encoder, numbers: HashMap::new(), known: Vec::new() }
    }

    /// Reads a sentence.
    pub(super) fn sentence(&mut self, text: &str) -> Sentence {
        let mut words = Vec::new();
        let mut small = String::new();
        split(text, |_, word| {
            if word.len() <= LONG && !has_digit(word) {
                lower(word, &mut small);
                words.extend(self.learn(&small));
            }
        });
        let direction = self.sum(&words);
        words.sort_unstable();
        words.dedup();
        for number in &words {
            if let Some(known) = self.known.get_mut(*number as usize) {
                known.frequency += 1;
            }
        }
        Sentence { direction, words, reading: OnceCell::new() }
    }

    /// The direction of some words together, of length 1; empty if they have none.
    pub(super) fn sum(&self, words: &[u32]) -> Vec<f32> {
        let mut sum: Vec<f32> = Vec::new();
        for known in words.iter().filter_map(|number| self.known.get(*number as usize)) {
            if sum.is_empty() {
                sum.clone_from(&known.direction);
            } else {
                sum.iter_mut().zip(&known.direction).for_each(|(sum, part)| *sum += part);
            }
        }
        let length = dot(&sum, &sum).sqrt();
        if !(length.is_finite() && length > f32::MIN_POSITIVE) {
            return Vec::new();
        }
        for value in &mut sum {
            *value /= length;
        }
        sum
    }

    /// The word of this number, in small letters.
    pub(super) fn text(&self, number: u32) -> &str {
        self.known.get(number as usize).map_or("", |known| &known.text)
    }

    /// The number of a word in small letters.
    pub(super) fn number(&self, small: &str) -> Option<u32> {
        self.numbers.get(small).copied()
    }

    /// The rarest words of a sentence of those that stand in others, too.
    pub(super) fn leads(&self, sentence: &Sentence) -> Vec<u32> {
        let frequency = |number: &u32| self.known.get(*number as usize).map_or(0, |known| known.frequency);
        let shared = |number: &&u32| (2..=COMMON).contains(&frequency(number));
        let mut leads: Vec<u32> = sentence.words.iter().filter(shared).copied().collect();
        leads.sort_by_key(|number| (frequency(number), *number));
        leads.truncate(LEADS);
        leads
    }

    fn learn(&mut self, small: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(small) {
            return Some(*number);
        }
        let number = u32::try_from(self.known.len()).ok().filter(|_| self.known.len() < MOST)?;
        let direction = self.encoder.encode(small).unwrap_or_default();
        self.known.push(Known { text: small.into(), direction, frequency: 0 });
        self.numbers.insert(small.into(), number);
        Some(number)
    }
}

impl Sentence {
    /// The cosine to another; 0 if one has no direction.
    pub(super) fn cosine(&self, other: &Self) -> f32 {
        dot(&self.direction, &other.direction)
    }
}

pub(super) fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

pub(super) fn lower(word: &str, small: &mut String) {
    small.clear();
    small.extend(word.chars().flat_map(char::to_lowercase));
}

pub(super) fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Says the runs of letters and digits, each with the byte that it begins at.
pub(super) fn split<'a>(text: &'a str, mut say: impl FnMut(usize, &'a str)) {
    let mut start = None;
    for (at, sign) in text.char_indices().chain([(text.len(), ' ')]) {
        match start {
            None if sign.is_alphanumeric() => start = Some(at),
            Some(from) if !sign.is_alphanumeric() => {
                say(from, text.get(from..at).unwrap_or_default());
                start = None;
            }
            _ => {}
        }
    }
}
