//! All units of a text on one level, as selection sees them: what each costs, what it says, and what stands around it.

use std::{collections::HashMap, hash::BuildHasherDefault};

use super::words::{Word, words};
use crate::{
    Gaps, Kind, critical,
    meaning::Found,
    outline::{Outline, Reserve, When},
    tokens,
};

/// What a mark costs, about; a count in its stead, and the mark behind all that is counted.
const MARK: usize = 9;
const COUNT: usize = 3;
const MARK_OF_ALL: usize = 12;

/// A map of what is a hash already.
pub(super) type Known<V> = HashMap<u64, V, BuildHasherDefault<Same>>;

/// Hands a hash on as it is.
#[derive(Default)]
pub(super) struct Same(u64);

impl std::hash::Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A block whose units are chosen from.
pub(crate) struct Source<'a> {
    /// What it is made of.
    pub(crate) kind: Kind,
    /// Its units.
    pub(crate) outline: Outline<'a>,
}

/// A unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// Its group, among those of all blocks.
    pub(super) group: usize,
    /// Its tokens, with a line end.
    pub(super) cost: usize,
    pub(super) reserve: Option<Reserve>,
    /// Units of equal number are alike; none is 0.
    pub(super) like: u64,
    /// It sums up its group.
    pub(super) sums_up: bool,
    /// It says in short what the item before it says.
    pub(super) brief: bool,
    /// Another item says it, and that there is more like it: it is not kept.
    pub(super) merged: bool,
    /// How near its meaning is to the query's, between 0 and 1.
    pub(super) near: f32,
    /// The kind of its block.
    pub(super) kind: Option<Kind>,
    /// Its block, and what a mark costs there.
    pub(super) block: usize,
    pub(super) mark: usize,
    /// The unit before it that says what it belongs to.
    pub(super) label: Option<usize>,
    /// Where its words end in [`Field::words`]; they begin where those of the unit before end.
    pub(super) words_end: usize,
    /// The same for [`Field::values`].
    pub(super) values_end: usize,
}

/// A critical value in a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    /// Its number; the same for the same value.
    pub(super) number: u32,
    pub(super) kind: critical::Kind,
}

/// A word in a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    /// Its number; the same for the same word.
    pub(super) number: u32,
    pub(super) word: Word,
}

/// A head and where it stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Head {
    pub(super) parent: Option<usize>,
    /// Its tokens with a line end; 0 if nothing is printed.
    pub(super) cost: usize,
    /// Where its words end in [`Field::head_words`].
    pub(super) words_end: usize,
}

/// Units, heads, and the words and values in them.
#[derive(Default)]
pub(crate) struct Field {
    pub(super) items: Vec<Item>,
    pub(super) heads: Vec<Head>,
    pub(super) words: Vec<Term>,
    pub(super) head_words: Vec<u32>,
    pub(super) values: Vec<Value>,
    /// What it costs to say that all of a block is gone.
    pub(super) blocks: Vec<usize>,
    /// In how many units a word stands, by its number.
    pub(super) frequency: Vec<u32>,
    /// In how many units a value stands, by its number.
    pub(super) value_frequency: Vec<u32>,
    numbers: Known<u32>,
    value_numbers: Known<u32>,
}

impl Field {
    /// Reads all units once.
    pub(crate) fn read(sources: &[Source<'_>]) -> Self {
        let mut field = Self::default();
        for source in sources {
            field.read_block(source);
        }
        field
    }

    fn read_block(&mut self, source: &Source<'_>) {
        let first_group = self.heads.len();
        for group in &source.outline.groups {
            let cost = if group.head.is_empty() { 0 } else { cost(&group.head) };
            self.head_words(&group.head);
            let parent = group.parent.map(|parent| first_group + parent);
            self.heads.push(Head { parent, cost, words_end: self.head_words.len() });
        }
        let mark = match source.kind.gaps() {
            Gaps::Marked => (MARK, MARK),
            Gaps::Counted => (COUNT, MARK_OF_ALL),
            Gaps::Silent => (0, MARK_OF_ALL),
        };
        let mut label: Option<usize> = None;
        let mut line = 0;
        for unit in &source.outline.units {
            let at = self.items.len();
            let brief = unit.when == When::Instead;
            // Its words stand in the unit before it; said twice they would seem half as rare.
            let like = if brief { 0 } else { self.words(&unit.text) };
            self.values(&unit.text);
            self.items.push(Item {
                group: first_group + unit.group,
                // What is printed in the stead of another shares a line with others, so do sentences.
                cost: if unit.line != 0 && (brief || unit.line == line) {
                    follows(&unit.text)
                } else {
                    cost(&unit.text)
                },
                reserve: unit.reserve,
                like: if unit.like == 0 { like } else { unit.like },
                sums_up: unit.when == When::Cut,
                brief,
                merged: false,
                near: 0.0,
                kind: Some(source.kind),
                block: self.blocks.len(),
                mark: mark.0,
                label: label.filter(|_| !brief && !unit.text.trim().is_empty()),
                words_end: self.words.len(),
                values_end: self.values.len(),
            });
            line = unit.line;
            let text = unit.text.trim_end();
            label = match text.as_bytes().last() {
                Some(b':') if text.len() < 200 => Some(at),
                Some(_) if label.is_some() && text.starts_with([' ', '\t', '-', '*']) => label,
                _ => None,
            };
        }
        self.blocks.push(mark.1);
    }

    /// Takes in what an encoder found of the units.
    pub(crate) fn heed(&mut self, found: &Found) {
        for (item, (merged, near)) in self.items.iter_mut().zip(found.merged.iter().zip(&found.near)) {
            (item.merged, item.near) = (*merged, *near);
        }
    }

    /// Takes in the words of a unit; what comes back is equal for texts that differ in numbers only.
    fn words(&mut self, text: &str) -> u64 {
        let begin = self.words.len();
        let mut shape = 0xcbf2_9ce4_8422_2325_u64;
        words(text, |word| {
            if !word.digits {
                shape = (shape ^ word.hash).wrapping_mul(0x0100_0000_01b3);
            }
            let next = u32::try_from(self.frequency.len()).unwrap_or(u32::MAX);
            let number = *self.numbers.entry(word.hash).or_insert(next);
            if number == next {
                self.frequency.push(0);
            }
            self.words.push(Term { number, word });
        });
        // A word counts once a unit.
        let mut seen: Vec<u32> = self.words.get(begin..).unwrap_or_default().iter().map(|term| term.number).collect();
        seen.sort_unstable();
        seen.dedup();
        for number in seen {
            if let Some(count) = self.frequency.get_mut(number as usize) {
                *count += 1;
            }
        }
        shape | 1
    }

    fn head_words(&mut self, text: &str) {
        words(text, |word| {
            let next = u32::try_from(self.frequency.len()).unwrap_or(u32::MAX);
            let number = *self.numbers.entry(word.hash).or_insert(next);
            if number == next {
                self.frequency.push(0);
            }
            self.head_words.push(number);
        });
    }

    fn values(&mut self, text: &str) {
        for found in critical::scan(text) {
            let Some(value) = text.get(found.range) else { continue };
            let hash = hash(value);
            let next = u32::try_from(self.value_frequency.len()).unwrap_or(u32::MAX);
            let number = *self.value_numbers.entry(hash).or_insert(next);
            if number == next {
                self.value_frequency.push(0);
            }
            if let Some(count) = self.value_frequency.get_mut(number as usize) {
                *count += 1;
            }
            self.values.push(Value { number, kind: found.kind });
        }
    }

    /// The number of a word, if it stands in the text.
    pub(super) fn number(&self, word: Word) -> Option<u32> {
        self.numbers.get(&word.hash).copied()
    }

    pub(super) fn words_of(&self, at: usize) -> &[Term] {
        let begin = at.checked_sub(1).and_then(|before| self.items.get(before)).map_or(0, |item| item.words_end);
        self.items.get(at).and_then(|item| self.words.get(begin..item.words_end)).unwrap_or_default()
    }

    pub(super) fn values_of(&self, at: usize) -> &[Value] {
        let begin = at.checked_sub(1).and_then(|before| self.items.get(before)).map_or(0, |item| item.values_end);
        self.items.get(at).and_then(|item| self.values.get(begin..item.values_end)).unwrap_or_default()
    }

    pub(super) fn words_of_head(&self, at: usize) -> &[u32] {
        let begin = at.checked_sub(1).and_then(|before| self.heads.get(before)).map_or(0, |head| head.words_end);
        self.heads.get(at).and_then(|head| self.head_words.get(begin..head.words_end)).unwrap_or_default()
    }

    /// Groups from this one outwards.
    pub(super) fn around(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let mut next = Some(group);
        std::iter::from_fn(move || {
            let at = next?;
            next = self.heads.get(at)?.parent.filter(|parent| *parent < at);
            Some(at)
        })
    }

    /// The unit of the block before or after this one, of those that are not said in short of another.
    pub(super) fn beside(&self, at: usize, forward: bool) -> Option<usize> {
        let block = self.items.get(at)?.block;
        let mut next = at;
        loop {
            next = if forward { next.checked_add(1) } else { next.checked_sub(1) }?;
            let item = self.items.get(next).filter(|item| item.block == block)?;
            if !item.brief {
                return Some(next);
            }
        }
    }

    /// What says this unit in short.
    pub(super) fn brief_of(&self, at: usize) -> Option<usize> {
        let after = at.checked_add(1)?;
        self.items.get(after).filter(|item| item.brief).map(|_| after)
    }

    /// Tokens that a unit costs.
    pub(crate) fn cost(&self, at: usize) -> usize {
        self.items.get(at).map_or(0, |item| item.cost)
    }
}

fn cost(text: &str) -> usize {
    // Most line ends are a token of their own.
    tokens::count(text) + 1
}

/// What a text costs behind a space.
fn follows(text: &str) -> usize {
    tokens::count(&format!(" {text}"))
}

/// Of a value.
pub(crate) fn hash(value: &str) -> u64 {
    let full = value
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    full ^ (full >> 32)
}
