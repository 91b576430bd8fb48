//! Which lines belong together: a line and those that go on with it.
//!
//! In a log a line without a time goes on with the one before; but what says that something went wrong, and what
//! caused it, begins anew, so that a rare exception is not lost among many of the same request. In what compilers and
//! test runners print, lines further in go on with an error.

use std::ops::Range;

use super::{
    Of,
    alarm::{self, Grade},
    shape::Log,
};
use crate::{forms::trace, outline::Reserve};

/// Lines that belong together.
pub(super) struct Record {
    pub(super) lines: Range<usize>,
    pub(super) reserve: Option<Reserve>,
    /// The record that it goes on with.
    pub(super) of: Option<usize>,
}

/// How loud each template is.
pub(super) fn grades(log: &Log<'_>) -> Vec<Grade> {
    let models = log.templates.iter().map(|template| log.model(template));
    models.map(|model| model.map_or(Grade::Quiet, |line| alarm::in_words(log, line))).collect()
}

pub(super) fn read(log: &Log<'_>, of: Of, grades: &[Grade]) -> Vec<Record> {
    let timed = log.lines.iter().filter(|line| line.stamp.is_some()).count();
    let joins = timed > 0 && timed.saturating_mul(5) >= log.lines.len();
    let mut records: Vec<Record> = Vec::new();
    // The last record that goes on with no other, and whether lines further in belong to it.
    let mut head = 0;
    let mut open = of == Of::Trace;
    for (at, line) in log.lines.iter().enumerate() {
        let loud = || grades.get(line.template).is_some_and(|grade| *grade > Grade::Quiet);
        let text = log.text(line);
        let further_in = text.starts_with([' ', '\t']);
        let goes_on = if joins {
            line.stamp.is_none()
        } else {
            open && (further_in && !text.trim().is_empty() || is_of_source(text) || trace::is_frame(text, None))
        };
        let anew = !goes_on || joins && !further_in && loud();
        match records.last_mut() {
            Some(record) if !anew => record.lines.end = at + 1,
            _ => {
                let whose = goes_on.then_some(head).filter(|head| *head < records.len());
                head = if goes_on { head } else { records.len() };
                open = of == Of::Trace || loud();
                records.push(Record { lines: at..at + 1, reserve: None, of: whose });
            }
        }
    }
    records
}

/// `12 |     let x = 1;`, as compilers show the place.
fn is_of_source(text: &str) -> bool {
    let digits = text.bytes().take(8).take_while(u8::is_ascii_digit).count();
    digits > 0 && text.get(digits..).is_some_and(|rest| rest.trim_start().starts_with('|'))
}
