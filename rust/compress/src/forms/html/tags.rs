//! Markup in tokens: tags and the text between them.
//!
//! Tolerant: what is no tag is text, a tag ends at `>`, at the next `<` or with the text, quotes that never close are
//! none. Comments, processing instructions and declarations are passed, CDATA is text. One pass; a closing quote that
//! is missing is looked for once.

use std::ops::Range;

/// A token, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text as it stands in the block; `raw` if no entities are in it.
    Text {
        range: Range<usize>,
        raw: bool,
    },
    Open(Tag<'a>),
    Close {
        name: &'a str,
        range: Range<usize>,
    },
}

/// A tag that opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    /// What stands behind the name.
    attributes: &'a str,
    /// It ends with `/>`.
    pub(super) closed: bool,
    pub(super) range: Range<usize>,
}

impl<'a> Tag<'a> {
    /// The names and values of its attributes, in order, entities as they stand.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|sign: char| sign.is_whitespace() || matches!(sign, '/' | '=' | '"' | '\''));
            let end = rest.find(|sign: char| sign.is_whitespace() || matches!(sign, '=' | '/')).unwrap_or(rest.len());
            let (name, behind) = rest.split_at_checked(end)?;
            if name.is_empty() {
                return None;
            }
            let value = behind.trim_start().strip_prefix('=').map(str::trim_start);
            let (value, behind) = value.map_or(("", behind), value_of);
            rest = behind;
            Some((name, value))
        })
    }

    pub(super) fn attribute(&self, wanted: &str) -> Option<&'a str> {
        self.attributes().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    }
}

/// A value, and what stands behind it.
fn value_of(text: &str) -> (&str, &str) {
    let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.split_once(quote));
    quoted.unwrap_or_else(|| {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text.split_at_checked(end).unwrap_or((text, ""))
    })
}

/// Reads tokens.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Passes all up to the tag that closes `name`, or to the end.
    pub(super) fn pass(&mut self, name: &str) {
        let mut at = self.at;
        while let Some(found) = self.rest(at).find("</") {
            at += found + 2;
            if self.rest(at).get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name)) {
                self.at = at - 2;
                return;
            }
        }
        self.at = self.text.len();
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    /// The name at `at`, if one stands there.
    fn name(&self, at: usize) -> &'a str {
        let rest = self.rest(at);
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
        let length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        rest.get(..length)
            .filter(|name| name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic))
            .unwrap_or_default()
    }

    /// Where the tag ends whose inside begins at `at`: the end of the inside, and of the tag.
    fn end(&self, at: usize) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        let mut next = at;
        while let Some(byte) = bytes.get(next) {
            match byte {
                b'>' => return (next, next + 1),
                b'<' => return (next, next),
                b'"' | b'\'' if bytes.get(next - 1) == Some(&b'=') || bytes.get(next - 1) == Some(&b' ') => {
                    let quote = char::from(*byte);
                    next = self.rest(next + 1).find(quote).map_or(next + 1, |close| next + close + 2);
                }
                _ => next += 1,
            }
        }
        (self.text.len(), self.text.len())
    }

    /// Where what is no tag ends: a comment, a declaration, an instruction; and the text in it, of CDATA.
    fn passed(&self, at: usize) -> Option<(usize, Option<Range<usize>>)> {
        let rest = self.rest(at);
        let until = |from: usize, sign: &str| {
            let found = rest.get(from..).and_then(|rest| rest.find(sign));
            found.map_or((rest.len(), rest.len()), |found| (from + found, from + found + sign.len()))
        };
        if rest.starts_with("<!--") {
            return Some((at + until(4, "-->").1, None));
        }
        if rest.starts_with("<![CDATA[") {
            let (inner, end) = until(9, "]]>");
            return Some((at + end, Some(at + 9..at + inner)));
        }
        if rest.starts_with("<?") || rest.starts_with("<!") {
            return Some((at + until(2, ">").1, None));
        }
        None
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let start = self.at;
            let rest = self.rest(start);
            if rest.is_empty() {
                return None;
            }
            if !rest.starts_with('<') {
                self.at = start + rest.find('<').unwrap_or(rest.len());
                return Some(Token::Text { range: start..self.at, raw: false });
            }
            if let Some((end, text)) = self.passed(start) {
                self.at = end;
                match text {
                    Some(range) => return Some(Token::Text { range, raw: true }),
                    None => continue,
                }
            }
            let closes = rest.starts_with("</");
            let from = start + 1 + usize::from(closes);
            let name = self.name(from);
            if name.is_empty() {
                self.at = start + 1 + self.rest(start + 1).find('<').unwrap_or(rest.len() - 1);
                return Some(Token::Text { range: start..self.at, raw: false });
            }
            let (inner, end) = self.end(from + name.len());
            self.at = end;
            if closes {
                return Some(Token::Close { name, range: start..end });
            }
            let attributes = self.text.get(from + name.len()..inner).unwrap_or_default();
            let closed = attributes.ends_with('/');
            return Some(Token::Open(Tag { name, attributes, closed, range: start..end }));
        }
    }
}
