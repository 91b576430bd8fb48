//! The scanner: a cursor over checked UTF-8 that reads one value at a time.

use std::borrow::Cow;

use super::malformed::{Malformed, MalformedKind as Kind};
use super::seen::Seen;
use super::{Limits, Span, unescape};

/// A number literal longer than this is checked for its size even without an exponent.
const PLAIN_NUMBER: usize = 300;

/// Reads a text from front to back.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth_left: usize,
}

impl<'a> Scanner<'a> {
    /// Places the cursor on the first value. UTF-8 is checked here once for all: every byte that matters to the structure is ASCII.
    pub(crate) fn new(raw: &'a [u8], limits: Limits) -> Result<Self, Malformed> {
        if raw.starts_with(b"\xEF\xBB\xBF") {
            return Err(Malformed::new(Kind::ByteOrderMark, 0));
        }
        let text = std::str::from_utf8(raw).map_err(|error| Malformed::new(Kind::Utf8, error.valid_up_to()))?;
        let mut scanner = Self { text, at: 0, depth_left: limits.max_depth.min(Limits::DEEPEST) };
        scanner.space();
        if scanner.at == text.len() {
            return Err(Malformed::new(Kind::Empty, 0));
        }
        Ok(scanner)
    }

    /// The cursor.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The byte under the cursor.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Text of a span that this scanner gave out.
    pub(crate) fn slice(&self, span: &Span) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Nothing but space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.malformed(Kind::TrailingBytes)) }
    }

    /// Reads one value of any kind and gives its span.
    pub(crate) fn value(&mut self) -> Result<Span, Malformed> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string().map(drop)?,
            Some(b'{') => self.members(|scanner, _, _| scanner.value().map(drop))?,
            Some(b'[') => self.elements(|scanner| scanner.value().map(drop))?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return Err(self.unexpected()),
        }
        Ok(start..self.at)
    }

    /// Reads an object. The visitor gets each key (unescaped) with its span, the cursor on the value, and must read exactly that value.
    pub(crate) fn members<F>(&mut self, mut visit: F) -> Result<(), Malformed>
    where
        F: FnMut(&mut Self, Cow<'a, str>, Span) -> Result<(), Malformed>,
    {
        self.enter()?;
        let mut seen = Seen::new();
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(());
        }
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let (inside, escaped) = self.string()?;
            let key = if escaped { unescape(self.slice(&inside)) } else { Cow::Borrowed(self.slice(&inside)) };
            if !seen.note(&key) {
                return Err(Malformed::new(Kind::DuplicateKey, start));
            }
            let span = start..self.at;
            self.space();
            self.expect(b':')?;
            visit(self, key, span)?;
            self.space();
            match self.peek() {
                Some(b',') => self.step(),
                Some(b'}') => break,
                _ => return Err(self.unexpected()),
            }
        }
        self.leave();
        Ok(())
    }

    /// Reads an array. The visitor finds the cursor on each element and must read exactly that.
    pub(crate) fn elements<F>(&mut self, mut visit: F) -> Result<(), Malformed>
    where
        F: FnMut(&mut Self) -> Result<(), Malformed>,
    {
        self.enter()?;
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(());
        }
        loop {
            visit(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.step(),
                Some(b']') => break,
                _ => return Err(self.unexpected()),
            }
        }
        self.leave();
        Ok(())
    }

    /// Reads a string; gives the span between its quotes and whether anything in it is escaped.
    pub(crate) fn string(&mut self) -> Result<(Span, bool), Malformed> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = plain_until(bytes, self.at);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.malformed(Kind::ControlCharacter)),
                None => return Err(self.malformed(Kind::UnexpectedEnd)),
            }
        }
        let inside = start..self.at;
        self.at += 1;
        Ok((inside, escaped))
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) => Err(self.malformed(Kind::Escape)),
            None => Err(Malformed::new(Kind::UnexpectedEnd, bytes.len())),
        }
    }

    /// `\uXXXX`, or two of them where the first is the upper half of a pair.
    fn unicode_escape(&mut self) -> Result<(), Malformed> {
        let unit = self.unit(self.at).ok_or_else(|| self.malformed(Kind::Escape))?;
        match unit {
            0xD800..=0xDBFF => match self.unit(self.at + 6) {
                Some(0xDC00..=0xDFFF) => self.at += 12,
                _ => return Err(self.malformed(Kind::LoneSurrogate)),
            },
            0xDC00..=0xDFFF => return Err(self.malformed(Kind::LoneSurrogate)),
            _ => self.at += 6,
        }
        Ok(())
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits
            .iter()
            .try_fold(0u16, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.malformed(Kind::Number)),
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.malformed(Kind::Number));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        let scaled = matches!(self.peek(), Some(b'e' | b'E'));
        if scaled {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if (scaled || self.at - start > PLAIN_NUMBER) && !self.finite(start) {
            return Err(Malformed::new(Kind::NumberNotFinite, start));
        }
        Ok(())
    }

    fn finite(&self, start: usize) -> bool {
        self.slice(&(start..self.at)).parse::<f64>().is_ok_and(f64::is_finite)
    }

    fn some_digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.malformed(Kind::Number)) } else { Ok(()) }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// Steps into a container.
    fn enter(&mut self) -> Result<(), Malformed> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or_else(|| self.malformed(Kind::TooDeep))?;
        self.step();
        Ok(())
    }

    /// Steps over a container's last byte.
    fn leave(&mut self) {
        self.at += 1;
        self.depth_left += 1;
    }

    /// Steps over one byte and the space after it.
    fn step(&mut self) {
        self.at += 1;
        self.space();
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.step();
        Ok(())
    }

    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> Malformed {
        self.malformed(self.peek().map_or(Kind::UnexpectedEnd, Kind::UnexpectedByte))
    }

    pub(crate) fn malformed(&self, kind: Kind) -> Malformed {
        Malformed::new(kind, self.at)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte from `from` on that ends a run of plain string text: a quote, a backslash or a control character.
fn plain_until(bytes: &[u8], from: usize) -> usize {
    let Some(rest) = bytes.get(from..) else { return bytes.len() };
    let (words, tail) = rest.as_chunks::<8>();
    let mut at = from;
    for word in words {
        let hits = stops(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() >> 3) as usize;
        }
        at += 8;
    }
    let stop = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
    at + stop.unwrap_or(tail.len())
}

/// Sets the high bit of the bytes that stop a run. Borrows can set bits above the first stop, never below it.
fn stops(word: u64) -> u64 {
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    below(word, 0x20) | below(quote, 1) | below(backslash, 1)
}
