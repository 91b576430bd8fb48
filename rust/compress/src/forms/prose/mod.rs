//! Prose: sentences under their headings.
//!
//! A sentence is a unit of its own, so is a short point of a list, a line of quoted code, a line that was meant to be a
//! line. A heading is the head of what stands under it, so it is printed only where something of that is kept. Sentences
//! that differ in names and numbers only, or in few words, are said to be alike ([`like`]).
//!
//! Rule: a unit's text is the block's text as it stands there, at most without the blanks at its ends (a later sentence
//! of a quote gets the quote's sign). Prose has no shorter form from which it could be read back, so there is none.

mod facts;
mod layout;
mod like;
pub(super) mod sections;
pub(super) mod sentences;

use std::{borrow::Cow, ops::Range};

use crate::outline::{Aim, Outline};
use layout::{Line, Shape};
use sections::Sections;

/// A point of a list is one unit up to this length, in bytes.
pub(super) const POINT: usize = 320;

/// The block in sentences; `None` if all of it is to be printed.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    if aim == Aim::Whole {
        return None;
    }
    let lines = layout::read(block);
    let mut reader = Reader { block, sections: Sections::new() };
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += reader.step(line, lines.get(at + 1..).unwrap_or_default()).max(1);
    }
    Some(reader.sections.finish())
}

struct Reader<'a> {
    block: &'a str,
    sections: Sections<'a>,
}

impl<'a> Reader<'a> {
    /// Reads what begins with this line; how many lines that were.
    fn step(&mut self, line: &Line, rest: &[Line]) -> usize {
        match line.shape {
            Shape::Blank | Shape::Rule => 1,
            Shape::Heading(level) => {
                let lines =
                    1 + usize::from(rest.first().is_some_and(|next| next.shape == Shape::Rule && next.underlines));
                let head = self.block.get(line.range.clone()).unwrap_or_default().trim_end();
                self.sections.heading(level, Cow::Borrowed(head), line.range.clone());
                lines
            }
            Shape::Single => {
                self.unit(line.range.clone(), None);
                1
            }
            Shape::Point => {
                let more = rest.iter().take_while(|next| next.shape == Shape::Plain).count();
                let end =
                    more.checked_sub(1).and_then(|last| rest.get(last)).map_or(line.range.end, |last| last.range.end);
                let range = line.range.start..end;
                if range.len() <= POINT {
                    self.unit(range, None);
                } else {
                    self.paragraph(line, rest.get(..more));
                }
                1 + more
            }
            Shape::Plain | Shape::Quote => {
                let more = rest.iter().take_while(|next| next.shape == line.shape).count();
                self.paragraph(line, rest.get(..more));
                1 + more
            }
        }
    }

    /// Lines that belong together, sentence by sentence.
    fn paragraph(&mut self, first: &Line, more: Option<&[Line]>) {
        let more = more.unwrap_or_default();
        let sign = if first.shape == Shape::Quote { "> " } else { "" };
        let widest = more.iter().chain([first]).map(|line| line.range.len()).max().unwrap_or_default();
        let mut start = first.range.start;
        let mut last = first;
        for next in more.iter().map(Some).chain([None]) {
            if next.is_none_or(|next| layout::breaks(self.block, last, next, widest)) {
                let text = self.block.get(start..last.range.end).unwrap_or_default();
                self.sections.paragraph();
                sentences::split(text, |sentence| self.sentence(start + sentence.start..start + sentence.end, sign));
                start = next.map_or(start, |next| next.range.start);
            }
            last = next.unwrap_or(last);
        }
    }

    fn sentence(&mut self, range: Range<usize>, sign: &str) {
        let text = self.block.get(range.clone()).unwrap_or_default();
        if sign.is_empty() {
            self.sections.sentence(
                self.sections.last(),
                Cow::Borrowed(text.trim_end()),
                range.start..range.start + text.trim_end().len(),
            );
        } else if text.trim_start().starts_with('>') {
            self.unit(range, None);
        } else {
            self.unit(range, Some(Cow::Owned(format!("{sign}{text}"))));
        }
    }

    fn unit(&mut self, range: Range<usize>, text: Option<Cow<'a, str>>) {
        let text = text.unwrap_or_else(|| Cow::Borrowed(self.block.get(range.clone()).unwrap_or_default().trim_end()));
        let range = range.start..range.start + self.block.get(range).unwrap_or_default().trim_end().len();
        self.sections.unit(self.sections.last(), text, range);
    }
}

#[cfg(test)]
mod tests;
