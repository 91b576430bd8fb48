//! A line cut into pieces: words that are the same each time, values that are not.
//!
//! Rule: a value is what stands between separators, never a part of it: an id with a prefix, a path, a number with its
//! unit stay in one. What is a value is told by its own spelling (digits, slashes, quotes) or by what stands before it
//! (`user=root`), so that a line is read without looking at any other.

use super::stamp::{self, Stamp};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Word,
    Value,
    Time,
}

/// A piece of a line, in bytes from the line's begin. What stands between pieces is neither word nor value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) what: What,
}

impl Piece {
    pub(super) fn of<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Longer lines are no lines of a log; they are one word.
const LONGEST: usize = 16 * 1024;

/// What stands behind these is text, not a value.
const TEXT_KEYS: [&str; 9] = ["msg", "message", "level", "lvl", "severity", "event", "logger", "component", "module"];
const METHODS: [&str; 7] = ["GET ", "POST ", "PUT ", "DELETE ", "HEAD ", "PATCH ", "OPTIONS "];
const LEVELS: [&str; 19] = [
    "info", "warn", "warning", "error", "debug", "trace", "fatal", "critical", "crit", "notice", "severe", "fine",
    "err", "emerg", "alert", "panic", "config", "note", "verbose",
];

const ENDINGS: [&str; 34] = [
    "exe", "dll", "so", "jar", "log", "txt", "csv", "json", "xml", "html", "yaml", "yml", "toml", "conf", "cfg", "ini",
    "db", "sql", "gz", "zip", "tar", "png", "jpg", "pdf", "rs", "py", "js", "ts", "go", "java", "c", "h", "cpp", "sh",
];

const SEPARATOR: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const SIGN: u8 = 3;
/// Letters of scripts that put no space between words.
const WIDE: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [SIGN; 256];
    let mut at = 0_u8;
    loop {
        table[at as usize] = match at {
            0..=b' '
            | b'['
            | b']'
            | b'('
            | b')'
            | b'{'
            | b'}'
            | b'<'
            | b'>'
            | b'"'
            | b'\''
            | b','
            | b';'
            | b'='
            | b'|'
            | b'`' => SEPARATOR,
            b'0'..=b'9' => DIGIT,
            0xe3..=0xed | 0xef | 0xf0 => WIDE,
            b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => LETTER,
            _ => SIGN,
        };
        if at == u8::MAX {
            return table;
        }
        at += 1;
    }
}

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(SIGN)
}

/// Where the quoted text that begins at `from` (a quote) ends: the place of the closing quote.
pub(super) fn closing(line: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += line.get(at..)?.iter().position(|byte| *byte == b'"')?;
        if line.get(at - 1) != Some(&b'\\') || at - 1 == from {
            return Some(at);
        }
        at += 1;
    }
}

/// Cuts a line; its pieces come behind those that `out` has. `stamp` is the line's time, if it counts as one.
pub(super) fn cut(line: &str, stamp: Option<&Stamp>, out: &mut Vec<Piece>) {
    let mut cutter =
        Cutter { line, bytes: line.as_bytes(), out, header: 0, quotes: true, inside: None, address_first: false };
    if line.len() > LONGEST {
        return cutter.push(0, line.len(), What::Word);
    }
    let Some(stamp) = stamp else { return cutter.stretch(0, line.len()) };
    let first = cutter.out.len();
    cutter.stretch(0, stamp.whole.start);
    // `address - user [time]`: what servers write before the time of an access are values.
    if stamp.whole.start > 8 && line.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        cutter.address_first = true;
        cutter.out.iter_mut().skip(first).for_each(|piece| piece.what = What::Value);
    }
    cutter.push(stamp.whole.start, stamp.whole.end, What::Time);
    cutter.header = if cutter.address_first { 0 } else { 5 };
    cutter.stretch(stamp.whole.end, line.len());
}

struct Cutter<'a> {
    line: &'a str,
    bytes: &'a [u8],
    out: &'a mut Vec<Piece>,
    /// How many of the next pieces may be fields of the line's head.
    header: usize,
    /// False once a quote was seen that nothing closes.
    quotes: bool,
    /// The closing quote of a text that was stepped into.
    inside: Option<usize>,
    address_first: bool,
}

impl Cutter<'_> {
    fn push(&mut self, start: usize, end: usize, what: What) {
        if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end)) {
            self.out.push(Piece { start, end, what });
            self.header = self.header.saturating_sub(1);
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b' ')
    }

    fn text(&self, start: usize, end: usize) -> &str {
        self.line.get(start..end).unwrap_or_default()
    }

    fn stretch(&mut self, from: usize, to: usize) {
        let mut at = from;
        while at < to {
            let byte = self.byte(at);
            if byte == b'"' && self.quotes && self.inside != Some(at) {
                at = self.quoted(at, to);
            } else if class(byte) == SEPARATOR {
                at += 1;
            } else {
                let end = self.token_end(at, to);
                self.token(at, end);
                at = end;
            }
        }
    }

    /// Takes quoted text as a value, or steps over the quote if what it holds is text or a name.
    fn quoted(&mut self, at: usize, to: usize) -> usize {
        let Some(close) = closing(self.bytes, at).filter(|close| *close < to) else {
            self.quotes = false;
            return at + 1;
        };
        let inner = self.text(at + 1, close);
        let is_name = self.byte(close + 1) == b':';
        if is_name || self.is_text_before(at) || is_method(inner) {
            self.inside = Some(close);
            return at + 1;
        }
        self.push(at, close + 1, What::Value);
        close + 1
    }

    /// The key before `at`, if a value begins there: `key=`, `"key":`, `"key": `.
    fn key_before(&self, at: usize) -> Option<&str> {
        let before = self.bytes.get(..at)?;
        let before = before.strip_suffix(b" ").filter(|before| before.ends_with(b"\":")).unwrap_or(before);
        let before = match before.strip_suffix(b"=") {
            Some(before) => before,
            None => before.strip_suffix(b"\":")?,
        };
        let length = before
            .iter()
            .rev()
            .take(40)
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || !byte.is_ascii())
            .count();
        self.line.get(before.len() - length..before.len()).filter(|key| !key.is_empty())
    }

    fn is_text_before(&self, at: usize) -> bool {
        self.key_before(at).is_some_and(|key| TEXT_KEYS.contains(&key))
    }

    fn token_end(&self, at: usize, to: usize) -> usize {
        let wide = class(self.byte(at)) == WIDE;
        let mut end = at;
        while end < to {
            let class = class(self.byte(end));
            if class == SEPARATOR && !self.is_within_number(end) {
                break;
            }
            // Bytes after the first of a character say nothing of its script.
            if self.line.is_char_boundary(end) && (class == WIDE) != wide {
                break;
            }
            end += 1;
        }
        end
    }

    /// A comma as in `$1,250.00`.
    fn is_within_number(&self, at: usize) -> bool {
        let is_digit = |at: usize| self.byte(at).is_ascii_digit();
        self.byte(at) == b',' && at > 0 && is_digit(at - 1) && is_digit(at + 1) && is_digit(at + 2) && is_digit(at + 3)
    }

    fn token(&mut self, start: usize, token_end: usize) {
        let mut end = token_end;
        while end > start && matches!(self.byte(end - 1), b'.' | b':' | b'!' | b'?') {
            end -= 1;
        }
        let Some(token) = self.bytes.get(start..end) else { return };
        let plain = token.iter().any(|byte| matches!(class(*byte), LETTER | DIGIT | WIDE));
        if !plain {
            if token == b"-" {
                self.push(start, end, What::Value);
            }
            return;
        }
        let method = || {
            self.inside.is_some() && self.byte(start.wrapping_sub(1)) == b'"' && is_method(self.text(start, end + 1))
        };
        let what = if self.is_value(start, end, token) || method() { What::Value } else { What::Word };
        self.push(start, end, what);
    }

    fn is_value(&self, start: usize, end: usize, token: &[u8]) -> bool {
        is_value_by_itself(token)
            || self.byte(start.wrapping_sub(1)) == b'='
                && self.key_before(start).is_some()
                && !self.is_text_before(start)
            || self.header > 0
                && self.byte(start.wrapping_sub(1)) == b'['
                && self.byte(end) == b']'
                && !is_level(self.text(start, end))
            || self.header > 0 && self.is_program(end)
    }

    /// `[number]:` follows, as behind the name of a program that says the same as others do.
    fn is_program(&self, end: usize) -> bool {
        let Some(rest) = self.bytes.get(end..).and_then(|rest| rest.strip_prefix(b"[")) else { return false };
        let digits = rest.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(b"]:"))
    }
}

/// The text begins with the method of a request.
fn is_method(text: &str) -> bool {
    METHODS.iter().any(|method| text.starts_with(method))
}

/// The word is the name of a level.
pub(super) fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}

fn is_value_by_itself(token: &[u8]) -> bool {
    let mut slashes = 0_u32;
    let mut dots = 0_u32;
    let mut at_sign = false;
    let mut hex = token.len() >= 8;
    for byte in token {
        match byte {
            b'0'..=b'9' => return true,
            b'/' | b'\\' => slashes += 1,
            b'.' => dots += 1,
            b'@' => at_sign = true,
            _ => {}
        }
        hex = hex && byte.is_ascii_hexdigit();
    }
    hex || at_sign
        || dots > 0 && is_file(token)
        || slashes > 1
        || slashes == 1 && (dots > 0 || token.first() == Some(&b'/') || token.last() == Some(&b'/'))
        || stamp::is_calendar(token)
        || matches!(token, b"true" | b"false" | b"null" | b"None" | b"True" | b"False" | b"nil" | b"undefined")
}

/// The name of a file, by its ending.
fn is_file(token: &[u8]) -> bool {
    let ending = token.iter().rposition(|byte| *byte == b'.').and_then(|dot| token.get(dot + 1..));
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| known.as_bytes() == ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let mut pieces = Vec::new();
        cut(line, stamp::find(line.as_bytes()).as_ref(), &mut pieces);
        let mut out = String::new();
        let mut at = 0;
        for piece in pieces {
            out.push_str(&line[at..piece.start as usize]);
            match piece.what {
                What::Word => out.push_str(piece.of(line)),
                What::Value => out.push_str("{}"),
                What::Time => out.push_str("{t}"),
            }
            at = piece.end as usize;
        }
        out + &line[at..]
    }

    #[test]
    fn values_stand_out_from_words() {
        for (line, template) in [
            (
                "2026-11-21 10:00:01,234 INFO [main] a.b.C: Received block blk_-16 of size 67",
                "{t} INFO [{}] a.b.C: Received block {} of size {}",
            ),
            ("session opened for user root by (uid=0)", "session opened for user root by (uid={})"),
            ("level=info msg=\"up on port 80\" user=root", "level=info msg=\"up on port {}\" user={}"),
            (
                "10.0.0.1 - bob [21/Nov/2026:10:00:01 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\"",
                "{} {} {} [{t}] \"{} {} {}\" {} {} {}",
            ),
            ("Nov 21 10:00:01 gate sshd[12]: closed for bob", "{t} gate {}[{}]: closed for bob"),
            ("took 12ms, see /var/log/x.log: done", "took {}, see {}: done"),
            ("用户123登录成功", "用户{}登录成功"),
            ("{\"level\":\"info\",\"user\":\"bob\"}", "{\"level\":\"info\",\"user\":{}}"),
            ("paid $1,250.00 of 3,400,000, 7,8", "paid {} of {}, {},{}"),
            ("flag true of bob@example.org", "flag {} of {}"),
        ] {
            assert_eq!(shown(line), template);
        }
    }
}
