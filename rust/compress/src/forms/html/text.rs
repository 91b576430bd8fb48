//! Text out of markup: white space collapsed, entities as characters, and for each part where it stood.

use std::{borrow::Cow, ops::Range};

/// What is collected until a block ends.
#[derive(Default)]
pub(super) struct Buffer {
    text: String,
    /// From which byte of the text on what stands there stood from which byte of the block on.
    points: Vec<(usize, usize)>,
    /// Where in the block what was collected last ends.
    end: usize,
    /// Bytes of the text that stand in links.
    pub(super) linked: usize,
}

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.points.clear();
        self.linked = 0;
    }

    /// Puts something there that does not stand in the block so, at the place where it belongs.
    pub(super) fn put(&mut self, text: &str, source: Range<usize>) {
        self.points.push((self.text.len(), source.start));
        self.text.push_str(text);
        self.end = source.end.max(self.end);
    }

    /// A blank where the block has none.
    pub(super) fn space(&mut self) {
        self.put(" ", self.end..self.end);
    }

    /// Text of the block; with its blanks if it is `kept` as it stands.
    pub(super) fn push(&mut self, block: &str, range: Range<usize>, raw: bool, kept: bool) {
        let mut at = range.start;
        self.end = range.end.max(self.end);
        while at < range.end {
            let rest = block.get(at..range.end).unwrap_or_default();
            let stop = |sign: char| sign == '&' && !raw || !kept && sign.is_whitespace();
            let plain = rest.find(stop).unwrap_or(rest.len());
            if plain > 0 {
                self.points.push((self.text.len(), at));
                self.text.push_str(rest.get(..plain).unwrap_or_default());
            }
            at += plain;
            let rest = rest.get(plain..).unwrap_or_default();
            if rest.starts_with('&') {
                let (sign, length) = entity(rest).unwrap_or((Cow::Borrowed("&"), 1));
                self.points.push((self.text.len(), at));
                self.text.push_str(&sign);
                at += length;
            } else if !rest.is_empty() {
                let blank = rest.len() - rest.trim_start().len();
                if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                    self.points.push((self.text.len(), at));
                    self.text.push(' ');
                }
                // A text of blanks only ends here.
                at += blank.max(1);
            }
        }
    }

    /// Where a part of the text stood.
    pub(super) fn source(&self, part: Range<usize>) -> Range<usize> {
        let of = |at: usize| {
            let next = self.points.partition_point(|(text, _)| *text <= at);
            let (text, block) = next.checked_sub(1).and_then(|at| self.points.get(at)).copied().unwrap_or_default();
            let most = self.points.get(next).map_or(self.end, |(_, block)| *block);
            (block + (at - text)).min(most.max(block))
        };
        let start = of(part.start);
        let last = part.end.checked_sub(1).filter(|last| *last >= part.start).map_or(start, of);
        start..(last + 1).min(self.end).max(start)
    }
}

/// The character that an entity at the text's begin stands for, and its length.
fn entity(text: &str) -> Option<(Cow<'static, str>, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        let sign = char::from_u32(code).filter(|sign| !sign.is_control() || *sign == '\n')?;
        return Some((Cow::Owned(if sign == '\u{a0}' { ' ' } else { sign }.to_string()), end + 1));
    }
    let (_, sign) = NAMED.iter().find(|(known, _)| *known == name)?;
    Some((Cow::Borrowed(*sign), end + 1))
}

/// Text with its entities as characters.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut buffer = Buffer::default();
    buffer.push(text, 0..text.len(), false, true);
    Cow::Owned(buffer.text)
}

static NAMED: &[(&str, &str)] = &[
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("mdash", "—"),
    ("hellip", "…"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("bull", "•"),
    ("middot", "·"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("deg", "°"),
    ("plusmn", "±"),
    ("times", "×"),
    ("euro", "€"),
    ("pound", "£"),
    ("yen", "¥"),
    ("cent", "¢"),
    ("sect", "§"),
    ("para", "¶"),
    ("rarr", "→"),
    ("larr", "←"),
    ("uarr", "↑"),
    ("darr", "↓"),
    ("le", "≤"),
    ("ge", "≥"),
    ("ne", "≠"),
    ("frac12", "½"),
    ("micro", "µ"),
    ("shy", ""),
    ("zwnj", ""),
    ("thinsp", " "),
    ("ensp", " "),
    ("emsp", " "),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("szlig", "ß"),
    ("eacute", "é"),
    ("egrave", "è"),
    ("agrave", "à"),
    ("ccedil", "ç"),
    ("ntilde", "ñ"),
];
