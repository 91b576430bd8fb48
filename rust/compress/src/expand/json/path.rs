//! A path of RFC 9535, read. What the standard calls well-formed and well-typed is checked here, so that walking
//! cannot fail but for its length.

use super::test::Test;
use crate::expand::Unreadable;

/// What is longer is no path that somebody wrote.
const LONGEST: usize = 4_096;
/// Brackets in one another.
const DEEPEST: usize = 24;

/// `$.a[0]`, or within a filter `@.a`.
pub(super) struct Query {
    /// From the root, not from the value that is looked at.
    pub(super) absolute: bool,
    pub(super) segments: Vec<Segment>,
}

pub(super) struct Segment {
    /// Of all that is in it, and not only of what is directly in it.
    pub(super) descendants: bool,
    pub(super) selectors: Vec<Selector>,
}

pub(super) enum Selector {
    Name(String),
    All,
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Test),
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Result<Query, Unreadable> {
    if path.len() > LONGEST {
        return Err(Unreadable::Path(format!("it is longer than {LONGEST} bytes")));
    }
    let mut reader = Reader { path, at: 0, depth: 0 };
    if !reader.takes("$") {
        return Err(reader.expected("`$`, the root"));
    }
    let query = reader.segments(true)?;
    if reader.at < path.len() { Err(reader.expected("`.`, `[` or the end")) } else { Ok(query) }
}

/// Where one is in a path.
pub(super) struct Reader<'a> {
    path: &'a str,
    pub(super) at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.path.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let is_there = self.rest().starts_with(sign);
        if is_there {
            self.at += sign.len();
        }
        is_there
    }

    pub(super) fn needs(&mut self, sign: &str) -> Result<(), Unreadable> {
        self.blank();
        if self.takes(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    pub(super) fn blank(&mut self) {
        while self.rest().starts_with([' ', '\t', '\n', '\r']) {
            self.at += 1;
        }
    }

    pub(super) fn expected(&self, what: &str) -> Unreadable {
        Unreadable::Path(format!(
            "{what} is expected at character {}",
            self.path.get(..self.at).map_or(0, |read| read.chars().count()) + 1
        ))
    }

    pub(super) fn run(&mut self, takes: impl Fn(char) -> bool) -> &str {
        let rest = self.path.get(self.at..).unwrap_or_default();
        let length = rest.find(|sign| !takes(sign)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(super) fn segments(&mut self, absolute: bool) -> Result<Query, Unreadable> {
        let mut segments = Vec::new();
        loop {
            let before = self.at;
            self.blank();
            let descendants = self.takes("..");
            if !descendants && !self.rest().starts_with(['.', '[']) {
                // White space behind a path belongs to what follows.
                self.at = before;
                return Ok(Query { absolute, segments });
            }
            let selectors = if self.rest().starts_with('[') {
                self.bracketed()?
            } else if descendants || self.takes(".") {
                if self.takes("*") { vec![Selector::All] } else { vec![Selector::Name(self.name()?)] }
            } else {
                return Err(self.expected("a name"));
            };
            segments.push(Segment { descendants, selectors });
        }
    }

    fn name(&mut self) -> Result<String, Unreadable> {
        let is_first = |sign: char| sign.is_ascii_alphabetic() || sign == '_' || !sign.is_ascii();
        if !self.peek().is_some_and(is_first) {
            return Err(self.expected("a name, or `[\"any name\"]`,"));
        }
        Ok(self.run(|sign| is_first(sign) || sign.is_ascii_digit()).to_owned())
    }

    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
        if self.depth == DEEPEST {
            return Err(Unreadable::Path("too many brackets lie in one another".to_owned()));
        }
        self.depth += 1;
        let done = read(self);
        self.depth -= 1;
        done
    }

    fn bracketed(&mut self) -> Result<Vec<Selector>, Unreadable> {
        self.needs("[")?;
        let mut selectors = Vec::new();
        loop {
            self.blank();
            selectors.push(self.deeper(Self::selector)?);
            self.blank();
            if self.takes("]") {
                return Ok(selectors);
            }
            if !self.takes(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, Unreadable> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok(Selector::All)
            }
            Some('"' | '\'') => Ok(Selector::Name(self.quoted()?)),
            Some('?') => {
                self.at += 1;
                self.blank();
                Ok(Selector::Filter(self.any()?))
            }
            Some(':' | '-' | '0'..='9') => self.index_or_slice(),
            _ => Err(self.expected("a quoted name, a number, `*`, a slice or a filter `?`")),
        }
    }

    fn index_or_slice(&mut self) -> Result<Selector, Unreadable> {
        let start = self.integer()?;
        self.blank();
        if !self.takes(":") {
            return start.map(Selector::Index).ok_or_else(|| self.expected("a number"));
        }
        self.blank();
        let end = self.integer()?;
        self.blank();
        let mut step = None;
        if self.takes(":") {
            self.blank();
            step = self.integer()?;
        }
        Ok(Selector::Slice(start, end, step.unwrap_or(1)))
    }

    fn integer(&mut self) -> Result<Option<i64>, Unreadable> {
        let from = self.at;
        let signed = self.takes("-");
        let digits = self.run(|sign| sign.is_ascii_digit()).to_owned();
        if digits.is_empty() && !signed {
            return Ok(None);
        }
        let is_plain = digits == "0" && !signed || !digits.starts_with('0') && !digits.is_empty();
        let number = self.path.get(from..self.at).and_then(|digits| digits.parse::<i64>().ok());
        // The standard's numbers are those that every JSON reader knows exactly.
        let known = number.filter(|number| is_plain && number.unsigned_abs() < 1 << 53);
        if known.is_none() {
            self.at = from;
            return Err(self.expected("a whole number without leading zeros"));
        }
        Ok(known)
    }

    pub(super) fn quoted(&mut self) -> Result<String, Unreadable> {
        let quote = self.peek().unwrap_or('"');
        self.at += 1;
        let mut json = String::from('"');
        loop {
            match self.peek() {
                Some(sign) if sign == quote => break,
                // As JSON writes it, which knows no single quotes.
                Some('"') => json.push_str("\\\""),
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some('\'') if quote == '\'' => json.push('\''),
                        Some('"') if quote == '\'' => return Err(self.expected("no escape of another quote")),
                        Some(sign) => json.extend(['\\', sign]),
                        None => return Err(self.expected("a quote")),
                    }
                }
                Some(sign) => json.push(sign),
                None => return Err(self.expected("a quote")),
            }
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        json.push('"');
        let text = serde_json::from_str(&json).map_err(|_| self.expected("a text with the escapes of JSON"));
        self.at += 1;
        text
    }
}
