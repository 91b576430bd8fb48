//! What an encoder adds to words: which sentences say the same otherwise, and which are near what is asked.
//!
//! Off unless a caller passes an [`Encoder`]; nothing here knows a file or a table. Two rules. Likeness only proposes:
//! two sentences are merged only if the [`reading`] of both has the same values, names, negations and limits in the
//! same order. And nothing is lost by it: one of them is offered to the choice with how many it stands for, the others
//! are left out as anything is, with a mark, and stand among the omissions.

mod merge;
mod reading;
mod words;

use std::fmt;

use crate::{Kind, select::field::Source};
use words::{Sentence, Words};

/// What reads a text for its meaning.
pub trait Encoder: Sync {
    /// A direction: the sum of those of the parts of the text, so that the sum of two words' is that of both. As many
    /// numbers each time; none for what cannot be read.
    fn encode(&self, text: &str) -> Option<Vec<f32>>;

    /// What a word in small letters is to who compares two texts.
    fn weigh<'a>(&self, word: &'a str) -> Weight<'a>;

    /// Whether one word is the other with its meaning turned: `likely`, `unlikely`.
    fn is_opposed(&self, one: &str, other: &str) -> bool;
}

impl fmt::Debug for dyn Encoder + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}

/// What a word is to who compares two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight<'a> {
    /// A word that others may stand for.
    Plain,
    /// It may say nothing.
    Light,
    /// Texts that differ in it say different things; the one spelling by which it is compared.
    Own(&'a str),
    /// The same; and who begins with it speaks of something said before.
    Pointing(&'a str),
    /// It says which way, if a value follows: `from 5 to 9`.
    Leading,
}

/// The units nearest to the query whose place is looked at again.
const CANDIDATES: usize = 50;
/// Nearer than this is a candidate, as a cosine; from there on the nearest one counts fully.
const NEAR: f32 = 0.15;
const VERY_NEAR: f32 = 0.3;

/// What was found of all units, in the order of the sources.
pub(crate) struct Found {
    /// How near the unit is to the query, between 0 and 1; 0 but for the few nearest.
    pub(crate) near: Vec<f32>,
    /// Another unit says it, and how many there are.
    pub(crate) merged: Vec<bool>,
}

/// Reads all sentences and lines; those that say the same are merged.
pub(crate) fn read(encoder: &dyn Encoder, sources: &mut [Source<'_>], query: &str) -> Found {
    let mut words = Words::of(encoder);
    let mut sentences = Vec::new();
    for source in sources.iter() {
        let is_worded = is_worded(source.kind);
        let of = |text: &str| if is_worded { words.sentence(text) } else { Sentence::default() };
        sentences.extend(source.outline.units.iter().map(|unit| &*unit.text).map(of));
    }
    let near = near(&words.sentence(query), &sentences);
    let merged = merge::merge(&words, sources, &sentences, &near);
    Found { near, merged }
}

/// Made of sentences or of lines that read like some.
fn is_worded(kind: Kind) -> bool {
    matches!(kind, Kind::Prose | Kind::Html | Kind::Text | Kind::Log)
}

fn near(query: &Sentence, sentences: &[Sentence]) -> Vec<f32> {
    let mut near: Vec<f32> = sentences.iter().map(|sentence| query.cosine(sentence)).collect();
    let mut best: Vec<(usize, f32)> = near.iter().copied().enumerate().filter(|(_, cosine)| *cosine > NEAR).collect();
    best.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    near.fill(0.0);
    // So that the last candidate is hardly nearer than what is none.
    let floor = best.get(CANDIDATES).map_or(NEAR, |(_, cosine)| *cosine);
    let span = best.first().map_or(1.0, |(_, cosine)| cosine.max(VERY_NEAR) - floor).max(f32::EPSILON);
    for (at, cosine) in best.into_iter().take(CANDIDATES) {
        if let Some(place) = near.get_mut(at) {
            *place = (cosine - floor) / span;
        }
    }
    near
}

#[cfg(test)]
mod tests;
