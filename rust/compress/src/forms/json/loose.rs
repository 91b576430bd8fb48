//! A value on one line, as JSON without the quotes that say nothing: `{name:web,ports:[80,443],"a b":"true"}`.
//!
//! Rule: a bare word is a string unless JSON knows it as a number or as `true`, `false`, `null`; a string that would be
//! mistaken for one of these, or holds a sign of the form, keeps its quotes.

use super::{
    parse::{At, DEPTH, Doc, Sort},
    text,
};

/// Signs that end a bare word inside brackets.
const SIGNS: &[u8] = b",;[]{}\"";

/// Adds a value.
pub(crate) fn print(doc: &Doc<'_>, at: At, out: &mut String) {
    match doc.sort(at) {
        Sort::Array => {
            out.push('[');
            for (index, inner) in doc.inner(at).enumerate() {
                comma(out, index);
                print(doc, inner, out);
            }
            out.push(']');
        }
        Sort::Object => {
            out.push('{');
            for (index, inner) in doc.inner(at).enumerate() {
                comma(out, index);
                name(doc, inner, out);
                out.push(':');
                print(doc, inner, out);
            }
            out.push('}');
        }
        _ => scalar(doc, at, out, |value| !value.bytes().any(|byte| SIGNS.contains(&byte))),
    }
}

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// Adds the name of a member.
pub(crate) fn name(doc: &Doc<'_>, at: At, out: &mut String) {
    raw_name(doc.raw_name(at), out);
}

/// Adds a name, given as it stands between its quotes.
pub(crate) fn raw_name(raw: &str, out: &mut String) {
    match text::unescaped(raw) {
        Some(name) if text::is_name(&name) => out.push_str(&name),
        Some(name) => text::quote(out, &name),
        None => wrapped(raw, out),
    }
}

/// Adds a scalar; a string without quotes if it is plain, `fits`, and reads as no literal.
pub(crate) fn scalar(doc: &Doc<'_>, at: At, out: &mut String, fits: impl Fn(&str) -> bool) {
    let raw = doc.raw_value(at);
    if doc.sort(at) != Sort::Text {
        out.push_str(raw);
        return;
    }
    match text::unescaped(raw) {
        Some(value) if text::is_plain(&value) && !text::is_literal(&value) && fits(&value) => out.push_str(&value),
        Some(value) => text::quote(out, &value),
        None => wrapped(raw, out),
    }
}

/// A string that no text can say, with the escapes that it came with.
fn wrapped(raw: &str, out: &mut String) {
    out.push('"');
    out.push_str(raw);
    out.push('"');
}

/// How far a value at the begin of `text` reaches if its first byte says where it ends: a string in quotes or a
/// bracket; `None` for a bare word.
pub(crate) fn closed(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => at += text::string(bytes.get(at + 1..)?)?.0 + 2,
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ if depth == 0 => return None,
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Adds, as JSON, what a value on one line says: a whole cell or the rest of a line.
pub(crate) fn read(text: &str, out: &mut String) -> Option<()> {
    match text.as_bytes().first()? {
        b'"' | b'[' | b'{' => {
            let mut reader = Reader { text, at: 0 };
            reader.value(out, DEPTH)?;
            (reader.at == text.len()).then_some(())
        }
        _ => {
            word(text, out);
            Some(())
        }
    }
}

/// Adds what a bare word says.
pub(crate) fn word(word: &str, out: &mut String) {
    if text::is_literal(word) {
        out.push_str(word);
    } else {
        text::quote(out, word);
    }
}

/// Reads what [`print`] printed.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes this byte, if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Adds a value that stands inside brackets, nested at most `depth` deep.
    pub(crate) fn value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => out.push_str(self.quoted()?),
            b'[' => self.array(out, depth.checked_sub(1)?)?,
            b'{' => self.object(out, depth.checked_sub(1)?)?,
            _ => word(self.bare(SIGNS)?, out),
        }
        Some(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.at += 1;
        out.push('[');
        if self.take(b']').is_none() {
            loop {
                self.value(out, depth)?;
                if self.take(b',').is_none() {
                    break;
                }
                out.push(',');
            }
            self.take(b']')?;
        }
        out.push(']');
        Some(())
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.at += 1;
        out.push('{');
        if self.take(b'}').is_none() {
            loop {
                self.name(out)?;
                self.take(b':')?;
                out.push(':');
                self.value(out, depth)?;
                if self.take(b',').is_none() {
                    break;
                }
                out.push(',');
            }
            self.take(b'}')?;
        }
        out.push('}');
        Some(())
    }

    /// Adds a member's name.
    pub(crate) fn name(&mut self, out: &mut String) -> Option<()> {
        if self.peek()? == b'"' {
            out.push_str(self.quoted()?);
        } else {
            text::quote(out, self.bare(b" ,:;=|.[]{}()\"")?);
        }
        Some(())
    }

    /// A string with its quotes.
    pub(crate) fn quoted(&mut self) -> Option<&'a str> {
        let from = self.at;
        let (length, _) = text::string(self.text.as_bytes().get(from + 1..)?)?;
        self.at = from + length + 2;
        self.text.get(from..self.at)
    }

    fn bare(&mut self, signs: &[u8]) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let length = rest.bytes().position(|byte| signs.contains(&byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|word| !word.is_empty())
    }
}
