//! What a reader must not lose: ids, numbers with their units, dates, paths, addresses, errors, limits.
//!
//! One pass over the bytes. The text falls into chunks (runs of letters, digits and the signs that stand inside values);
//! while a chunk is passed, the classes of its bytes are collected, and by them it is told what it can be at all: most
//! chunks are words, and a word costs one look into a table. What a value is has to be seen in its form alone, because a
//! form is the same in every language; only errors and limits need words, and these are lists of several languages.
//!
//! Rules kept:
//! - every range is a part of the text that can be copied as it is, without the signs of the sentence around it;
//! - ranges are sorted by where they begin (an outer one before an inner one) and never cross: an error or a quoted
//!   string may hold other finds, nothing else does;
//! - any text is read in time linear in its length. No part is read more often than a fixed number of times.
//!
//! Kept out: names in code (`snake_case`, `CamelCase`), bare numbers below 1000, words in a path's form (`and/or`).

mod date;
mod errors;
mod ids;
mod number;
mod places;
mod quotes;
mod text;
mod words;

use std::ops::Range;

use text::{AT, BACK, COLON, DIGIT, DOT, HIGH, LETTER, LOWER, SIGN, SLASH, Text, UPPER, class, width};

/// What kind of value it is that must not be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An UUID, a hash, a token, a ticket, an ARN, a name with a generated end.
    Id,
    /// A number with its unit or currency; without one from 1000 on, or with a fraction.
    Number,
    /// A date, a time of day, or both.
    Date,
    /// A path or a file's name, with line and column.
    Path,
    /// A URL.
    Url,
    /// A version, or what a version must be (`>=3.11`).
    Version,
    /// An IP address or network, an e-mail address, a host with its port.
    Address,
    /// What stands in quotes, up to 120 characters; the quotes are no part of it.
    Quoted,
    /// A negation or a limit: not, must, never, except, only, at most.
    Limit,
    /// An error: from the word, level or exception's name that says so to the end of its line, or 200 bytes.
    Error,
    /// An exit code or status.
    Exit,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 11] = [
        Self::Id,
        Self::Number,
        Self::Date,
        Self::Path,
        Self::Url,
        Self::Version,
        Self::Address,
        Self::Quoted,
        Self::Limit,
        Self::Error,
        Self::Exit,
    ];

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Number => "number",
            Self::Date => "date",
            Self::Path => "path",
            Self::Url => "url",
            Self::Version => "version",
            Self::Address => "address",
            Self::Quoted => "quoted",
            Self::Limit => "limit",
            Self::Error => "error",
            Self::Exit => "exit",
        }
    }
}

/// One find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub range: Range<usize>,
    /// Its kind.
    pub kind: Kind,
}

/// All that must not be lost, sorted by where it begins.
pub fn scan(text: &str) -> Vec<Found> {
    let mut scanner =
        Scanner { text: Text(text.as_bytes()), found: Vec::new(), quote_end: 0, error_end: 0, value_end: 0 };
    let mut at = 0;
    while at < text.len() {
        at = scanner.step(at).max(at + 1);
    }
    scanner.found
}

/// A longer run of signs is no one value, but for a place, bytes.
const LONG: usize = 256;

struct Scanner<'a> {
    text: Text<'a>,
    found: Vec<Found>,
    /// Where the quoted string ends in which we are, or the last one ended.
    quote_end: usize,
    /// Where the last error ends.
    error_end: usize,
    /// Where the last find ends that holds no others.
    value_end: usize,
}

impl Scanner<'_> {
    /// Reads what begins at `at` and says where to go on.
    fn step(&mut self, at: usize) -> usize {
        let first = self.text.at(at);
        if class(first) & !HIGH != 0 || (0xC3..0xE0).contains(&first) {
            return self.chunk(at);
        }
        match first {
            b'"' | b'\'' | b'`' => self.quote(at),
            0xC2.. => self.wide(at),
            _ => at + 1,
        }
    }

    fn push(&mut self, from: usize, to: usize, kind: Kind) -> usize {
        // A sign between two numbers (`3 €5`) may be of one of them only.
        let holds = matches!(kind, Kind::Error | Kind::Quoted);
        let from = if holds { from } else { from.max(self.value_end) };
        // What closes a string (`«https://a»`) is no part of a value in it.
        let quoted = !holds && from < self.quote_end;
        let to = if quoted { to.min(self.quote_end) } else { to };
        if from < to {
            self.value_end = if holds { self.value_end } else { to };
            self.found.push(Found { range: from..to, kind });
        }
        to
    }

    /// A run of the bytes that stand in words and values.
    fn chunk(&mut self, at: usize) -> usize {
        let mut seen = 0;
        let mut end = at;
        for byte in self.text.slice(at, self.text.len()) {
            let class = class(*byte);
            if class == 0 {
                break;
            }
            seen |= class;
            end += 1;
        }
        if seen & !LETTER == 0 {
            return self.word(at, end, seen);
        }
        if seen & LETTER == 0 && seen & DIGIT == 0 {
            return if seen & SLASH == 0 { end } else { self.value(at, end, seen).unwrap_or(end) };
        }
        if seen & !(LETTER | DOT | COLON) == 0 {
            // The last word of a sentence, or a name with what it is behind it.
            let bare = self.trimmed(at, end);
            if self.text.slice(at, bare).iter().all(|byte| class(*byte) & LETTER != 0) {
                return self.word(at, bare, seen & LETTER).max(end);
            }
        }
        if end - at > LONG {
            return self.long(at, end, seen);
        }
        match self.value(at, end, seen) {
            Some(end) => end,
            None => self.parts(at, end),
        }
    }

    /// A chunk that is too long to be read again from each value on: a place that it begins with, then parts that are
    /// cut at every sign and read once.
    fn long(&mut self, at: usize, end: usize, seen: u16) -> usize {
        let place = places::find(self.text, at, end, seen);
        let mut from = place.map_or(at, |(from, to, kind)| self.push(from, to, kind));
        while from < end {
            let (mut to, mut seen) = (from, 0);
            while to < end && class(self.text.at(to)) & (DIGIT | LETTER) != 0 {
                seen |= class(self.text.at(to));
                to += 1;
            }
            if from < to && to - from <= LONG {
                to = self.part(from, to, seen).max(to);
            }
            from = to + 1;
        }
        from.min(self.text.len())
    }

    /// A chunk that is no value as a whole: its parts between colons, slashes and the like.
    fn parts(&mut self, at: usize, end: usize) -> usize {
        const CUT: u16 = COLON | SLASH | BACK | AT | SIGN;
        let mut from = at;
        while from < end {
            let mut seen = 0;
            let mut to = from;
            while to < end && class(self.text.at(to)) & CUT == 0 {
                seen |= class(self.text.at(to));
                to += 1;
            }
            // After a backslash stands the letter of an escape.
            let escaped = class(self.text.at(to)) & BACK != 0 && to < end;
            if from < to {
                let next = self.part(from, to, seen);
                if next > to {
                    return next;
                }
            }
            from = to + 1 + usize::from(escaped);
        }
        end.max(from.min(self.text.len()))
    }

    fn part(&mut self, at: usize, end: usize, seen: u16) -> usize {
        if seen & !LETTER == 0 {
            return self.word(at, end, seen);
        }
        if seen & (LETTER | DIGIT) == 0 {
            return end;
        }
        if let Some(end) = self.value(at, end, seen) {
            return end;
        }
        // `error.` at the end of a sentence is a word still.
        let bare = self.trimmed(at, end);
        if bare < end && self.text.slice(at, bare).iter().all(|byte| class(*byte) & LETTER != 0) {
            return self.word(at, bare, seen & LETTER);
        }
        end
    }

    /// The end of a chunk without the signs of the sentence.
    fn trimmed(&self, at: usize, end: usize) -> usize {
        let kept = self.text.slice(at, end).iter().rposition(|byte| class(*byte) & (LETTER | DIGIT) != 0);
        kept.map_or(at, |last| at + last + 1)
    }

    /// What the chunk is by its form; the end of the value, which may lie beyond the chunk.
    fn value(&mut self, at: usize, end: usize, seen: u16) -> Option<usize> {
        let text = self.text;
        if seen & (COLON | SLASH | DOT | BACK | AT) != 0
            && let Some((from, to, kind)) = places::find(text, at, end, seen)
        {
            return Some(self.push(from, to, kind));
        }
        if seen & DIGIT == 0 {
            return self.exception(at, end);
        }
        let bare = self.trimmed(at, end);
        if let Some(to) = date::end(text, at) {
            return Some(self.push(at, to, Kind::Date));
        }
        if let Some((from, kind)) = ids::find(text, at, bare, seen) {
            return Some(self.push(from, bare, kind));
        }
        if let Some((from, to, kind)) = number::find(text, at) {
            return Some(self.number(from, to, kind));
        }
        self.exception(at, end)
    }

    fn number(&mut self, from: usize, to: usize, kind: Kind) -> usize {
        if let Some(kind) = errors::by_context(self.text, from, to) {
            return self.push(from, to, kind);
        }
        let told = kind == Kind::Version || number::tells(self.text, from, to);
        if told { self.push(from, to, kind) } else { to }
    }

    /// `java.io.IOException`, `TypeError`: an error if it is thrown here, not if it is only named.
    fn exception(&mut self, at: usize, end: usize) -> Option<usize> {
        let bare = self.trimmed(at, end);
        let to = errors::exception(self.text, at, bare)?;
        self.error(at, to);
        Some(to)
    }

    /// A run of letters.
    fn word(&mut self, at: usize, end: usize, seen: u16) -> usize {
        let text = self.text;
        if let Some(to) = date::month(text, at, end) {
            return self.push(at, to, Kind::Date);
        }
        let hit = if seen & HIGH == 0 { words::plain(text, at, end) } else { words::folded(text, at, end) };
        match hit {
            Some((to, words::Role::Limit)) => self.limit(at, to),
            Some((to, words::Role::Exit)) => self.exit(to),
            Some((to, role)) => {
                if errors::is_one(text, at, to, role) {
                    self.error(at, to);
                }
                to
            }
            None if seen & (UPPER | LOWER) == UPPER | LOWER && self.exception(at, end).is_some() => end,
            None => end,
        }
    }

    /// Limits that follow each other (`must not`) are one.
    fn limit(&mut self, at: usize, to: usize) -> usize {
        if let Some(last) = self.found.last_mut()
            && last.kind == Kind::Limit
            && last.range.end + 1 == at
            && self.text.before(at) == b' '
        {
            last.range.end = to;
            self.value_end = to;
            return to;
        }
        self.push(at, to, Kind::Limit)
    }

    /// `exit code 137`: from the word to the number; `to` if none follows.
    fn exit(&mut self, to: usize) -> usize {
        let Some((from, end)) = errors::exit_number(self.text, to) else { return to };
        self.push(from, end, Kind::Exit)
    }

    /// An error's core: to the end of the line or of the string it stands in. One at a time.
    fn error(&mut self, at: usize, to: usize) {
        if at < self.error_end {
            return;
        }
        let bound = if at < self.quote_end { self.quote_end } else { self.text.len() };
        self.error_end = errors::core_end(self.text, to, bound);
        self.push(at, self.error_end, Kind::Error);
    }

    fn quote(&mut self, at: usize) -> usize {
        let Some(close) = quotes::close(self.text, at, self.quote_end) else { return at + 1 };
        self.quote_end = close;
        if quotes::counts(self.text, at, close) {
            self.stretch_error(at, close);
            self.push(at + width(self.text.at(at)), close, Kind::Quoted);
        }
        at + width(self.text.at(at))
    }

    /// An error whose core would end within the string that is quoted from `at` to `close` ends with it.
    fn stretch_error(&mut self, at: usize, close: usize) {
        if at < self.error_end && self.error_end < close {
            self.error_end = close;
            if let Some(error) = self.found.iter_mut().rfind(|found| found.kind == Kind::Error) {
                error.range.end = close;
            }
        }
    }

    /// A character of which the script has no spaces between words, a sign, or a quote that opens.
    fn wide(&mut self, at: usize) -> usize {
        let next = at + width(self.text.at(at));
        if let Some((from, to)) = number::money(self.text, at) {
            return self.push(from, to, Kind::Number);
        }
        if quotes::opens(self.text.slice(at, next)) {
            return self.quote(at).max(next);
        }
        match words::unspaced(self.text, at) {
            Some((to, words::Role::Limit)) => self.push(at, to, Kind::Limit),
            Some((to, words::Role::Exit)) => self.exit(to),
            Some((to, _)) => {
                self.error(at, to);
                to
            }
            None => next,
        }
    }
}

#[cfg(test)]
mod tests;
