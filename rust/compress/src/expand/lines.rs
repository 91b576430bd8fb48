//! Where lines begin. A line end belongs to the line that it ends, and nothing stands behind the last one.

use std::ops::Range;

use super::Unreadable;

/// The lines of a text.
pub(super) struct Lines<'a> {
    text: &'a str,
    /// The end of each, behind its line end.
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut ends: Vec<usize> =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        if !text.is_empty() && !text.ends_with('\n') {
            ends.push(text.len());
        }
        Self { text, ends }
    }

    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// The line, from 1, that this byte stands in.
    pub(super) fn at(&self, byte: usize) -> usize {
        (self.ends.partition_point(|end| *end <= byte) + 1).min(self.count().max(1))
    }

    /// The bytes of lines, from 1, both ends in; those beyond the last one are not there.
    pub(super) fn range(&self, first: usize, last: usize) -> Result<Range<usize>, Unreadable> {
        let last = last.min(self.count());
        if first == 0 || first > last {
            return Err(Unreadable::NoSuchLines(self.count()));
        }
        let end = |line: usize| self.ends.get(line.wrapping_sub(1)).copied().unwrap_or_default();
        Ok(end(first - 1)..end(last))
    }

    /// A line without its end.
    pub(super) fn line(&self, number: usize) -> &'a str {
        let range = self.range(number, number).unwrap_or_default();
        let line = self.text.get(range).unwrap_or_default();
        line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line))
    }
}
