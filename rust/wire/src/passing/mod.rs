//! A long answer on its way through: checked, taken out of its envelope and put into another, without ever being whole.
//!
//! Pieces of any size go in, pieces of the client's message come out; between them stays only what must be read before
//! it can be decided on: a key, `_meta`, a URI, each at most [`HELD_BYTES`]. The text is held to the same rules as one
//! that is read whole (see [`crate::json`]): a piece that breaks one ends the answer. Two things differ, because
//! they would need the whole: of keys in objects that are open at one time, only the first [`COMPARED_KEYS`] are compared
//! with each other, and a URI in a content block is renamed by its place where the block says its type after it.
//!
//! What stands around the result (`id`, `jsonrpc`) may come before or after it. What may be edited is given as a
//! [`Plan`]; everything else passes byte for byte, but for line breaks between values, which become spaces, as an event
//! stream has them mean something.

mod level;
mod plan;
mod text;
mod utf8;

use crate::{
    json::{Malformed, MalformedKind as Kind, as_str, is_object, push_quoted},
    names::Shape,
};
use level::{Block, Compared, Level};
pub use plan::Plan;
use text::{Inside, Text};
use utf8::Utf8;

/// The longest text that is held back to be looked at.
pub const HELD_BYTES: usize = 64 << 10;
/// Keys of open objects that are compared with each other.
pub const COMPARED_KEYS: usize = 1 << 16;

/// What comes next between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ElementOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// A value that is not simply passed on, and the number of containers around it.
#[derive(Debug, Clone, Copy)]
struct Special {
    what: What,
    around: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The message's id.
    Id,
    /// The message's version.
    Version,
    /// Another member of the message.
    Other,
    /// `result.resultType`.
    Kind,
    /// `result._meta`.
    Meta,
    /// Left out.
    Dropped,
    /// A block's type.
    Block,
    /// A URI.
    Uri,
}

/// One answer on its way.
#[derive(Debug)]
pub struct Passing {
    plan: Plan,
    utf8: Utf8,
    inside: Inside,
    next: Next,
    levels: Vec<Level>,
    compared: Compared,
    /// The key that was read last, as it stands between its quotes.
    key: Vec<u8>,
    special: Option<Special>,
    held: Vec<u8>,
    /// Bytes taken.
    taken: usize,
    /// The id, raw, once it was read.
    id: Option<Vec<u8>>,
    has_version: bool,
    has_result: bool,
    asks: bool,
    /// Members of the result that were written.
    written: usize,
}

impl Passing {
    /// An answer of which nothing has come.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            utf8: Utf8::default(),
            inside: Inside::Nothing,
            next: Next::Value,
            levels: Vec::new(),
            compared: Compared::default(),
            key: Vec::new(),
            special: None,
            held: Vec::new(),
            taken: 0,
            id: None,
            has_version: false,
            has_result: false,
            asks: false,
            written: 0,
        }
    }

    /// The id of the request it answers, raw, if that has come.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// True once the result has begun: the message is an answer, and no error.
    pub fn has_result(&self) -> bool {
        self.has_result
    }

    /// True if the result says that it is not complete: it asks for something.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Takes the next piece and appends what it comes to.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.utf8.push(piece).map_err(|at| Malformed::new(Kind::Utf8, self.taken + at))?;
        let mut at = 0;
        while at < piece.len() {
            let step = match &mut self.inside {
                Inside::Nothing => self.between(piece, at, out),
                Inside::Text(_) => self.text(piece, at, out),
                Inside::Number(_) => self.number(piece, at, out),
                Inside::Word(_) => self.word(piece, at, out),
            };
            at = step.map_err(|kind| Malformed::new(kind, self.taken + at))?;
        }
        self.taken += piece.len();
        Ok(())
    }

    /// The text has ended: appends what is left to say.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let whole = self.next == Next::Nothing && self.utf8.is_whole();
        if !whole {
            return Err(Malformed::new(Kind::UnexpectedEnd, self.taken));
        }
        if !self.has_version {
            return Err(Malformed::new(Kind::Version, self.taken));
        }
        if !self.has_result || self.id.is_none() {
            return Err(Malformed::new(Kind::NoMessage, self.taken));
        }
        out.push(b'}');
        Ok(())
    }

    /// Reads what stands between values.
    fn between(&mut self, piece: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Kind> {
        let Some(&byte) = piece.get(at) else { return Ok(at) };
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            self.structure(if byte == b'\t' { byte } else { b' ' }, out)?;
            return Ok(at + 1);
        }
        match (self.next, byte) {
            (Next::Value | Next::ElementOrEnd, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.begin_value(byte, out)?;
            }
            (Next::ElementOrEnd, b']') | (Next::KeyOrEnd, b'}') => self.leave(byte, out)?,
            (Next::Key | Next::KeyOrEnd, b'"') => {
                self.key.clear();
                self.inside = Inside::Text(Text::key());
                self.structure(byte, out)?;
            }
            (Next::Colon, b':') => {
                self.structure(byte, out)?;
                self.next = Next::Value;
            }
            (Next::CommaOrEnd, b',') => {
                self.structure(byte, out)?;
                self.next = if self.levels.last().is_some_and(|level| level.object) { Next::Key } else { Next::Value };
            }
            (Next::CommaOrEnd, b'}') if self.levels.last().is_some_and(|level| level.object) => {
                self.leave(byte, out)?;
            }
            (Next::CommaOrEnd, b']') if self.levels.last().is_some_and(|level| !level.object) => {
                self.leave(byte, out)?;
            }
            (Next::Nothing, _) => return Err(Kind::TrailingBytes),
            _ => return Err(Kind::UnexpectedByte(byte)),
        }
        Ok(at + 1)
    }

    /// A value begins with this byte.
    fn begin_value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Kind> {
        let shape = self.role(byte, out)?;
        self.emit(&[byte], out)?;
        match byte {
            b'{' | b'[' => self.enter(byte == b'{', shape)?,
            b'"' => self.inside = Inside::Text(Text::value()),
            b't' => self.inside = Inside::Word(b"rue"),
            b'f' => self.inside = Inside::Word(b"alse"),
            b'n' => self.inside = Inside::Word(b"ull"),
            _ => self.inside = Inside::Number(vec![byte]),
        }
        Ok(())
    }

    /// What the value that begins here is, by where it stands; gives its shape.
    fn role(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<Option<Shape>, Kind> {
        if self.special.is_some() {
            return Ok(None);
        }
        let around = self.levels.len();
        let set = |what| Some(Special { what, around });
        match around {
            0 if byte == b'{' => return Ok(None),
            0 => return Err(Kind::NotAnObject),
            1 => match &self.key[..] {
                b"result" if byte == b'{' => {
                    self.has_result = true;
                    self.plan.open(out);
                    return Ok(self.plan.shape());
                }
                b"result" => return Err(Kind::NotAnObject),
                b"method" | b"error" => return Err(Kind::Ambiguous),
                b"id" => self.special = set(What::Id),
                b"jsonrpc" => self.special = set(What::Version),
                _ => self.special = set(What::Other),
            },
            2 => return Ok(self.member(byte, out)),
            _ => {
                let Some(level) = self.levels.last() else { return Ok(None) };
                match level.inner(&self.key) {
                    Some(Shape::Uri) if byte == b'"' && self.plan.renames() => self.special = set(What::Uri),
                    None if byte == b'"' && level.is_block_type(&self.key) => self.special = set(What::Block),
                    shape => return Ok(shape),
                }
            }
        }
        Ok(None)
    }

    /// A member of the result begins: it is written, changed or left out.
    fn member(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Shape> {
        let set = |what| Some(Special { what, around: 2 });
        self.plan.saw(&self.key);
        match &self.key[..] {
            b"resultType" => self.special = set(What::Kind),
            b"_meta" if self.plan.edits_meta() => self.special = set(What::Meta),
            key if self.plan.drops(key, byte) => self.special = set(What::Dropped),
            _ => {
                let shape = self.levels.last().and_then(|level| level.inner(&self.key));
                let key = std::mem::take(&mut self.key);
                self.put_key(&String::from_utf8_lossy(&key), out);
                return shape;
            }
        }
        None
    }

    /// Writes the key of a member of the result, with the comma before it.
    fn put_key(&mut self, key: &str, out: &mut Vec<u8>) {
        if self.written > 0 {
            out.push(b',');
        }
        self.written += 1;
        push_quoted(out, key);
        out.push(b':');
    }

    fn enter(&mut self, object: bool, shape: Option<Shape>) -> Result<(), Kind> {
        if self.levels.len() >= crate::Limits::DEEPEST {
            return Err(Kind::TooDeep);
        }
        self.levels.push(Level::new(object, shape, self.compared.open()));
        self.next = if object { Next::KeyOrEnd } else { Next::ElementOrEnd };
        Ok(())
    }

    /// The innermost container ends with this byte.
    fn leave(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Kind> {
        if self.levels.len() == 2 && self.special.is_none() {
            self.plan.close(self.written, out);
            out.push(byte);
        } else {
            self.emit(&[byte], out)?;
        }
        if let Some(level) = self.levels.pop() {
            self.compared.close(&level);
        }
        self.end_value(out)
    }

    /// A value has ended.
    fn end_value(&mut self, out: &mut Vec<u8>) -> Result<(), Kind> {
        self.inside = Inside::Nothing;
        self.next = if self.levels.is_empty() { Next::Nothing } else { Next::CommaOrEnd };
        let Some(special) = self.special.filter(|special| special.around == self.levels.len()) else { return Ok(()) };
        self.special = None;
        let held = std::mem::take(&mut self.held);
        match special.what {
            What::Id => self.id = Some(held),
            What::Version if held != b"\"2.0\"" => return Err(Kind::Version),
            What::Version => self.has_version = true,
            What::Other | What::Dropped => {}
            What::Kind => {
                self.asks |= held != b"\"complete\"";
                if !self.plan.drops(b"resultType", b'"') {
                    self.put_key("resultType", out);
                    out.extend_from_slice(&held);
                }
            }
            What::Meta => {
                if let Some(meta) = self.plan.meta(is_object(&held).then_some(&held[..])) {
                    self.put_key("_meta", out);
                    out.extend_from_slice(&meta);
                }
            }
            What::Block => {
                let kind = as_str(&held).map_or(Block::Other, |kind| Block::named(&kind));
                if let Some(level) = self.levels.last_mut() {
                    level.block = Some(kind);
                }
                out.extend_from_slice(&held);
            }
            What::Uri => match as_str(&held).and_then(|uri| self.plan.renamed(&uri)) {
                Some(renamed) => push_quoted(out, &renamed),
                None => out.extend_from_slice(&held),
            },
        }
        Ok(())
    }

    /// Passes on what stands between values: around the result nothing, as that is written anew.
    fn structure(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Kind> {
        if self.special.is_some() || self.levels.len() > 2 { self.emit(&[byte], out) } else { Ok(()) }
    }

    /// Passes on bytes of a value: to the client, to what is held back, or nowhere.
    fn emit(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Kind> {
        match self.special.map(|special| special.what) {
            None if self.levels.len() > 1 => out.extend_from_slice(bytes),
            None | Some(What::Dropped) => {}
            Some(_) if self.held.len() + bytes.len() > HELD_BYTES => return Err(Kind::TooLong),
            Some(_) => self.held.extend_from_slice(bytes),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
