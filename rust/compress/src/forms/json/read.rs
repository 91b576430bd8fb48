//! A printed document read back.

use super::{
    loose::{self, Reader},
    parse::DEPTH,
    rows, text,
    tree::{ITEMS, TEXT, VALUES},
};
use crate::forms::grid::Head;

struct Lines<'a> {
    text: &'a str,
    /// The byte after the last line taken; `None` after the last.
    at: Option<usize>,
    out: String,
}

/// The JSON of what was printed.
pub(super) fn document(printed: &str) -> Option<String> {
    let mut lines = Lines { text: printed, at: Some(0), out: String::with_capacity(printed.len() * 2) };
    if printed.starts_with(['{', '[']) {
        loose::read(lines.take()?, &mut lines.out)?;
    } else if Lines::block(printed.split('\n').next()?).is_some() {
        let head = lines.take()?;
        lines.value(head, 0)?;
    } else {
        lines.members(0)?;
    }
    lines.at.is_none().then_some(lines.out)
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        let rest = self.text.get(self.at?..)?;
        Some(rest.split_once('\n').map_or(rest, |(line, _)| line))
    }

    fn take(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        let next = self.at? + line.len() + 1;
        self.at = (next <= self.text.len()).then_some(next);
        Some(line)
    }

    /// What a head says of the lines that follow: how many, and what they are.
    fn block(head: &'a str) -> Option<(usize, &'a str)> {
        let (count, noun) = head.split_once(' ')?;
        let known = matches!(noun, ITEMS | VALUES | TEXT) || Head::read(head).is_some();
        known.then(|| Some((count.parse().ok()?, noun)))?
    }

    /// The members at a depth, one or more: as many lines as are indented so far.
    fn members(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        self.out.push('{');
        let mut first = true;
        while let Some(line) = self.peek().and_then(|line| unindented(line, depth)) {
            self.take()?;
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            let mut reader = Reader { text: line, at: 0 };
            reader.name(&mut self.out)?;
            self.out.push(':');
            let mut inner = 0;
            while reader.take(b'.').is_some() {
                self.out.push('{');
                reader.name(&mut self.out)?;
                self.out.push(':');
                inner += 1;
            }
            reader.take(b':')?;
            self.after(line.get(reader.at..)?, depth + 1)?;
            self.out.extend(std::iter::repeat_n('}', inner));
        }
        self.out.push('}');
        (!first).then_some(())
    }

    /// What follows a name or a `-`: a value after a space, or members.
    fn after(&mut self, rest: &'a str, depth: usize) -> Option<()> {
        match rest.strip_prefix(' ') {
            Some(value) => self.value(value, depth),
            None if rest.is_empty() => self.members(depth),
            None => None,
        }
    }

    fn value(&mut self, value: &'a str, depth: usize) -> Option<()> {
        match Self::block(value) {
            None => loose::read(value, &mut self.out),
            Some((count, ITEMS)) => self.items(count, depth),
            Some((count, VALUES)) => self.values(count),
            Some((count, TEXT)) => self.lines(count),
            Some(_) => {
                let head = Head::read(value)?;
                let mut out = std::mem::take(&mut self.out);
                rows::read(&head, || self.take(), &mut out)?;
                self.out = out;
                Some(())
            }
        }
    }

    fn items(&mut self, count: usize, depth: usize) -> Option<()> {
        self.out.push('[');
        for item in 0..count {
            if item > 0 {
                self.out.push(',');
            }
            let line = unindented(self.take()?, depth)?.strip_prefix('-')?;
            self.after(line, depth + 1)?;
        }
        self.out.push(']');
        Some(())
    }

    fn values(&mut self, count: usize) -> Option<()> {
        self.out.push('[');
        let mut left = count;
        while left > 0 {
            let line = self.take()?;
            let mut reader = Reader { text: line, at: 0 };
            loop {
                reader.value(&mut self.out, 1)?;
                left = left.checked_sub(1)?;
                if left > 0 {
                    self.out.push(',');
                }
                if reader.at == line.len() {
                    break;
                }
                reader.take(b',')?;
            }
        }
        self.out.push(']');
        Some(())
    }

    fn lines(&mut self, count: usize) -> Option<()> {
        let from = self.at?;
        let mut end = from;
        for _ in 0..count {
            let start = self.at?;
            end = start + self.take()?.len();
        }
        text::quote(&mut self.out, self.text.get(from..end)?);
        Some(())
    }
}

/// A line without so many spaces, if it has just so many.
fn unindented(line: &str, depth: usize) -> Option<&str> {
    let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
    (spaces == depth).then(|| line.get(depth..)).flatten()
}
