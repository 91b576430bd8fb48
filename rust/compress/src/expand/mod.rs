//! Parts of an original, as they are asked for: by place, by pattern, by path, by words.
//!
//! Two rules. What is given is the original's own bytes, never a shorter form of them: lines and bytes that are asked
//! for piece by piece join to the whole. And whoever asks is a stranger: a pattern takes time linear in the text, a path
//! a bounded number of steps, and what is refused is refused in a sentence that says what to do instead.
//!
//! Where an answer would cost more tokens than it may, it ends at the end of a line, of a value, or, if not even one
//! fits, between two characters, and says which part comes [`next`](Expanded::next).

mod cut;
mod grep;
mod json;
mod lines;
mod passages;

use std::fmt;
use std::ops::Range;

use lines::Lines;

/// What is wanted of an original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// All of it.
    All,
    /// Lines, from 1, both ends in.
    Lines(usize, usize),
    /// Bytes, from 0, the end not in; widened to whole characters.
    Bytes(Range<usize>),
    /// The lines that a regular expression matches, each as `line:text`.
    Grep {
        /// Has no look-around and no back references, so that it takes linear time.
        pattern: &'a str,
        /// Lines shown before and after each, as `line-text`.
        context: usize,
        /// Only lines from the first to the last of these, from 1.
        within: (usize, usize),
    },
    /// The values that a path of RFC 9535 leads to, one a line where they have no line ends of their own.
    JsonPath(&'a str),
    /// The passages that answer these words best, in the order of the text, each under its place.
    Query(&'a str),
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The bytes of the original, and for [`Part::Grep`], [`Part::Query`] and several values what tells them apart.
    pub text: String,
    /// What the text costs.
    pub tokens: usize,
    /// How many lines, values or passages were found, and how many of them are shown.
    pub found: usize,
    /// Whole or begun.
    pub shown: usize,
    /// What is not shown of it begins here; none if all is.
    pub next: Option<Place>,
    /// That bytes were widened to whole characters: those that are given.
    pub widened: Option<Range<usize>>,
}

/// A place of an original, as a mark in a cut text says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Lines, from 1, both ends in.
    Lines(usize, usize),
    /// Bytes, from 0, the end not in.
    Bytes(Range<usize>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(first, last) if first == last => write!(f, "L{first}"),
            Self::Lines(first, last) => write!(f, "L{first}-{last}"),
            Self::Bytes(range) => write!(f, "B{}-{}", range.start, range.end),
        }
    }
}

/// Why there is no such part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// No such lines; the original has so many.
    NoSuchLines(usize),
    /// No such bytes; the original has so many.
    NoSuchBytes(usize),
    /// The regular expression cannot be used.
    Pattern(String),
    /// The path cannot be used.
    Path(String),
    /// The original is not JSON, or lies in one another more than 200 times.
    NotJson,
    /// The path leads through too much of the original.
    TooManySteps,
    /// The query has no words.
    NoWords,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchLines(0) => f.write_str("the original is empty: it has no lines"),
            Self::NoSuchLines(count) => write!(f, "there are no such lines: ask for lines between 1 and {count}"),
            Self::NoSuchBytes(count) => write!(f, "there are no such bytes: ask for bytes between 0 and {count}"),
            Self::Pattern(why) => write!(f, "the pattern cannot be used: {why}"),
            Self::Path(why) => write!(f, "the path cannot be used: {why}"),
            Self::NotJson => {
                f.write_str("the original is no JSON that can be read: ask for lines, with a pattern or with a query")
            }
            Self::TooManySteps => f.write_str("the path leads through too much: begin it with names, not with `..`"),
            Self::NoWords => f.write_str("the query has no words: say what to look for, or ask for lines"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// A part of an original, in no more than `max_tokens`.
pub fn expand(original: &str, part: &Part<'_>, max_tokens: Option<usize>) -> Result<Expanded, Unreadable> {
    match part {
        Part::All => Ok(cut::of(original, 0..original.len(), max_tokens)),
        Part::Lines(first, last) => {
            let range = Lines::of(original).range(*first, *last)?;
            Ok(cut::of(original, range, max_tokens))
        }
        Part::Bytes(range) => bytes(original, range, max_tokens),
        Part::Grep { pattern, context, within } => grep::matching(original, pattern, *context, *within, max_tokens),
        Part::JsonPath(path) => json::at(original, path, max_tokens),
        Part::Query(query) => passages::best(original, query, max_tokens),
    }
}

fn bytes(original: &str, asked: &Range<usize>, max_tokens: Option<usize>) -> Result<Expanded, Unreadable> {
    let end = asked.end.min(original.len());
    if asked.start > end {
        return Err(Unreadable::NoSuchBytes(original.len()));
    }
    let range = cut::floor(original, asked.start)..cut::ceil(original, end);
    let widened = (range != (asked.start..end)).then(|| range.clone());
    Ok(Expanded { widened, ..cut::of(original, range, max_tokens) })
}

#[cfg(test)]
mod tests;
