//! Numbers and their units, where lines are printed by template.
//!
//! Rule: a reader who looks for `5883 requests` finds these two beside each other. A unit that stands behind a space goes
//! into the sign for its number (`{ requests}`) and is printed with it in every line.

use std::ops::Range;

use crate::critical;

/// The units behind the numbers of a line.
pub(super) struct Units<'a> {
    text: &'a str,
    closing: char,
    numbers: Vec<Range<usize>>,
}

impl<'a> Units<'a> {
    pub(super) fn of(text: &'a str, mark: &str) -> Self {
        let found = critical::scan(text).into_iter();
        let numbers = found.filter(|found| found.kind == critical::Kind::Number).map(|found| found.range).collect();
        Self { text, closing: mark.chars().next_back().unwrap_or_default(), numbers }
    }

    /// What belongs to the number that ends at `end` and stands behind a space, before `bound`; nothing else may be
    /// between two marks.
    pub(super) fn behind(&self, end: usize, bound: usize) -> &'a str {
        let whole = self.numbers.iter().find(|number| number.start < end && end < number.end && number.end <= bound);
        let unit = whole.and_then(|number| self.text.get(end..number.end)).unwrap_or_default();
        let plain = unit.strip_prefix(' ').is_some_and(|unit| !unit.starts_with(' ') && !unit.contains(self.closing));
        if plain { unit } else { "" }
    }
}

/// What stands for a value with a unit behind it; the sign for a value alone if there is none.
pub(super) fn unit_mark(mark: &str, unit: &str) -> String {
    let closing = mark.len() - mark.chars().next_back().map_or(0, char::len_utf8);
    let (opening, closing) = mark.split_at(closing);
    format!("{opening}{unit}{closing}")
}

/// What all those begin with that have a unit.
pub(super) fn unit_begin(mark: &str) -> String {
    let mut begin = mark.to_owned();
    begin.pop();
    begin.push(' ');
    begin
}
