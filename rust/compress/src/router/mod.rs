//! Which part of a text is of which kind. What reads decides: JSON is what parses, a diff is what its hunks count, a
//! table is where the columns agree; only what is left is judged by how its lines look, paragraph by paragraph.
//!
//! The parts, joined by line ends, are the text. Every text has an answer, the same each time, in time linear in its
//! length: what fails to parse is charged to an allowance, and once that is spent no more is tried.

mod columns;
mod json;
mod line;
mod paragraphs;
mod spans;
#[cfg(test)]
mod tests;

pub(crate) use spans::is_commit;

use std::ops::Range;

use crate::{Kind, policy::Hints};

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is made of.
    pub kind: Kind,
    /// Its bytes; the line end behind it is in no part.
    pub range: Range<usize>,
}

/// A text's parts, in order; there is always one.
pub fn parts(text: &str, hints: &Hints<'_>) -> Vec<Part> {
    if let Some(kind) = json::whole(text) {
        return with_rest(text, kind);
    }
    if let Some(kind) = whole_by_begin(text, hints) {
        return vec![Part { kind, range: 0..text.len() }];
    }
    let lines = lines(text);
    if json::are_lines(text, &lines) {
        return with_rest(text, Kind::JsonLines);
    }
    paragraphs::judge(text, &lines, hints)
}

/// The text as one part, and the blank lines behind it as another.
fn with_rest(text: &str, kind: Kind) -> Vec<Part> {
    let end = text.trim_end().len();
    match text.get(end..).and_then(|rest| rest.find('\n')) {
        Some(at) => vec![Part { kind, range: 0..end + at }, Part { kind: Kind::Text, range: end + at + 1..text.len() }],
        None => vec![Part { kind, range: 0..text.len() }],
    }
}

/// What says in its first words what it is.
fn whole_by_begin(text: &str, hints: &Hints<'_>) -> Option<Kind> {
    let begin = line::begin(text.trim_start(), 64).to_ascii_lowercase();
    let markup = ["<!doctype", "<html", "<?xml"].iter().any(|start| begin.starts_with(start));
    let told = hints.mime.starts_with("text/html") && begin.starts_with('<');
    (markup || told).then_some(Kind::Html)
}

/// Where the lines stand, without their ends.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    text.split('\n')
        .map(|line| {
            let range = at..at + line.len();
            at = range.end + 1;
            range
        })
        .collect()
}
