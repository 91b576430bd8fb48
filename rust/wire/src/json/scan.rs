//! The scanner: a cursor over checked UTF-8 that reads one value at a time.

use std::borrow::Cow;

use super::malformed::{Malformed, MalformedKind as Kind};
use super::seen::Seen;
use super::{Limits, Span, unescape};

/// A number literal longer than this is checked for its size even without an exponent.
const PLAIN_NUMBER: usize = 300;

/// A member's key as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    /// What stands between the quotes.
    pub(super) inside: &'a str,
    /// Where it begins.
    pub(super) start: usize,
    /// True if it must be unescaped to be read.
    pub(super) escaped: bool,
}

impl<'a> Key<'a> {
    /// The key, unescaped.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        if self.escaped { unescape(self.inside) } else { Cow::Borrowed(self.inside) }
    }

    /// The key's bytes, unescaped.
    pub(crate) fn bytes(&self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.inside.as_bytes());
        }
        match self.text() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// Where the literal stands, quotes included.
    pub(crate) fn span(&self) -> Span {
        self.start - 1..self.start + self.inside.len() + 1
    }
}

/// The scan cannot go on; the scanner knows why. As small as can be: every value's reading returns one.
#[derive(Debug)]
pub(crate) struct Stop;

/// What reading a part gives.
pub(crate) type Scan<T = ()> = Result<T, Stop>;

/// Reads a text from front to back.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth_left: usize,
    fault: Option<(Kind, usize)>,
}

/// Reads a whole text: `reader` must read the one value in it, nothing but space may follow.
///
/// UTF-8 is checked here once for all: every byte that matters to the structure is ASCII.
pub(crate) fn read<'a, T>(
    raw: &'a [u8],
    limits: Limits,
    reader: impl FnOnce(&mut Scanner<'a>) -> Scan<T>,
) -> Result<T, Malformed> {
    if raw.starts_with(b"\xEF\xBB\xBF") {
        return Err(Malformed::new(Kind::ByteOrderMark, 0));
    }
    let text = std::str::from_utf8(raw).map_err(|error| Malformed::new(Kind::Utf8, error.valid_up_to()))?;
    let depth_left = limits.max_depth.min(Limits::DEEPEST);
    let mut scanner = Scanner { text, bytes: raw, at: 0, depth_left, fault: None };
    scanner.space();
    if scanner.at == raw.len() {
        return Err(Malformed::new(Kind::Empty, 0));
    }
    let outcome = reader(&mut scanner).and_then(|found| scanner.end().map(|()| found));
    outcome.map_err(|Stop| {
        let (kind, offset) = scanner.fault.unwrap_or((Kind::UnexpectedEnd, raw.len()));
        Malformed::new(kind, offset)
    })
}

impl<'a> Scanner<'a> {
    /// The cursor.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The byte under the cursor.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Text of a span that this scanner gave out.
    pub(crate) fn slice(&self, span: &Span) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Reads one value of any kind.
    pub(crate) fn value(&mut self) -> Scan {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.members(|scanner, _| scanner.value()),
            Some(b'[') => self.elements(Self::value),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.unexpected()),
        }
    }

    /// Reads one value of any kind and gives its span.
    pub(crate) fn span(&mut self) -> Scan<Span> {
        let start = self.at;
        self.value()?;
        Ok(start..self.at)
    }

    /// Steps over a value that is known to be sound: it ends before this offset.
    pub(crate) fn skip_to(&mut self, end: usize) {
        self.at = end.clamp(self.at, self.bytes.len());
    }

    /// Reads one value of any kind and gives its text.
    pub(crate) fn raw(&mut self) -> Scan<&'a str> {
        let span = self.span()?;
        Ok(self.slice(&span))
    }

    /// Nothing but space may follow.
    fn end(&mut self) -> Scan {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fail(Kind::TrailingBytes)) }
    }

    /// Notes what is wrong under the cursor.
    #[cold]
    pub(crate) fn fail(&mut self, kind: Kind) -> Stop {
        self.fail_at(kind, self.at)
    }

    /// Notes what is wrong at an offset.
    #[cold]
    pub(crate) fn fail_at(&mut self, kind: Kind, offset: usize) -> Stop {
        self.fault = Some((kind, offset));
        Stop
    }

    /// Reads an object. The visitor gets each key, finds the cursor on the value, and must read exactly that value.
    #[inline]
    pub(crate) fn members<F>(&mut self, mut visit: F) -> Scan
    where
        F: FnMut(&mut Self, &Key<'a>) -> Scan,
    {
        self.enter()?;
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(());
        }
        let mut seen = Seen::new();
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let start = self.at + 1;
            let escaped = self.string()?;
            let inside = self.slice(&(start..self.at - 1));
            let key = Key { inside, start, escaped };
            if !seen.note(self.bytes, &key) {
                return Err(self.fail_at(Kind::DuplicateKey, start - 1));
            }
            self.space();
            self.expect(b':')?;
            visit(self, &key)?;
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
    pub(crate) fn elements<F>(&mut self, mut visit: F) -> Scan
    where
        F: FnMut(&mut Self) -> Scan,
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

    /// Reads a string; says whether anything in it is escaped. What stands between the quotes ends one before the
    /// cursor.
    #[inline]
    pub(crate) fn string(&mut self) -> Scan<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fail(Kind::ControlCharacter)),
                None => return Err(self.fail(Kind::UnexpectedEnd)),
            }
        }
    }

    fn escape(&mut self) -> Scan {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) => Err(self.fail(Kind::Escape)),
            None => Err(self.fail_at(Kind::UnexpectedEnd, self.bytes.len())),
        }
    }

    /// `\uXXXX`, or two of them where the first is the upper half of a pair.
    fn unicode_escape(&mut self) -> Scan {
        let Some(unit) = self.unit(self.at) else { return Err(self.fail(Kind::Escape)) };
        match unit {
            0xD800..=0xDBFF => match self.unit(self.at + 6) {
                Some(0xDC00..=0xDFFF) => self.at += 12,
                _ => return Err(self.fail(Kind::LoneSurrogate)),
            },
            0xDC00..=0xDFFF => return Err(self.fail(Kind::LoneSurrogate)),
            _ => self.at += 6,
        }
        Ok(())
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits
            .iter()
            .try_fold(0u16, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
    }

    fn number(&mut self) -> Scan {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fail(Kind::Number)),
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fail(Kind::Number));
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
            return Err(self.fail_at(Kind::NumberNotFinite, start));
        }
        Ok(())
    }

    fn finite(&self, start: usize) -> bool {
        self.slice(&(start..self.at)).parse::<f64>().is_ok_and(f64::is_finite)
    }

    fn some_digits(&mut self) -> Scan {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.fail(Kind::Number)) } else { Ok(()) }
    }

    fn digits(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    }

    fn word(&mut self, word: &str) -> Scan {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// Steps into a container.
    fn enter(&mut self) -> Scan {
        let Some(left) = self.depth_left.checked_sub(1) else { return Err(self.fail(Kind::TooDeep)) };
        self.depth_left = left;
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

    fn expect(&mut self, byte: u8) -> Scan {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.step();
        Ok(())
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn unexpected(&mut self) -> Stop {
        let kind = self.peek().map_or(Kind::UnexpectedEnd, Kind::UnexpectedByte);
        self.fail(kind)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte from `from` on that ends a run of plain string text: a quote, a backslash or a control character.
#[inline]
pub(crate) fn plain_until(bytes: &[u8], from: usize) -> usize {
    let Some(rest) = bytes.get(from..) else { return bytes.len() };
    let (words, tail) = rest.as_chunks::<8>();
    let mut at = from;
    for (count, word) in words.iter().enumerate() {
        let hits = stops(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() >> 3) as usize;
        }
        at += 8;
        if count == SHORT_WORDS {
            return long_until(bytes, at);
        }
    }
    let stop = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
    at + stop.unwrap_or(tail.len())
}

/// Most strings end within so many words.
const SHORT_WORDS: usize = 6;

/// The same for a run that has turned out long: it is stepped over in blocks, which the compiler compares many bytes
/// at a time.
#[cold]
fn long_until(bytes: &[u8], from: usize) -> usize {
    let (blocks, _) = bytes.get(from..).unwrap_or_default().as_chunks::<BLOCK>();
    let at = from + blocks.iter().take_while(|block| is_plain(block)).count() * BLOCK;
    let rest = bytes.get(at..).unwrap_or_default();
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
    at + stop.unwrap_or(rest.len())
}

/// Bytes of a run that are looked at together.
const BLOCK: usize = 64;

/// True if nothing in a block ends a run.
#[inline]
fn is_plain(block: &[u8; BLOCK]) -> bool {
    block
        .iter()
        .fold(0u8, |stop, byte| stop | u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20))
        == 0
}

/// Sets the high bit of the bytes that stop a run. Borrows can set bits above the first stop, never below it; bytes
/// above 0x7F never stop.
#[inline]
fn stops(word: u64) -> u64 {
    let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    (quote | backslash | control) & !word & HIGHS
}
