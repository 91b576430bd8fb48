//! The inside of strings, numbers and words, which may be cut anywhere.

use super::{HELD_BYTES, Next, Passing};
use crate::json::{Limits, MalformedKind as Kind, check, plain_until};

/// The longest number that is read.
const NUMBER_BYTES: usize = 1_024;

/// Where in a value the text is.
#[derive(Debug)]
pub(super) enum Inside {
    /// Between values.
    Nothing,
    Text(Text),
    /// What there is of a number.
    Number(Vec<u8>),
    /// What is still to come of a word.
    Word(&'static [u8]),
}

/// A string that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    is_key: bool,
    escape: Escape,
    /// The upper half of a pair was read; the lower one must follow.
    half: bool,
}

#[derive(Debug, Clone, Copy)]
enum Escape {
    None,
    Slash,
    /// So many digits are still to come.
    Unit(u8, u16),
}

impl Text {
    pub(super) fn key() -> Self {
        Self { is_key: true, escape: Escape::None, half: false }
    }

    pub(super) fn value() -> Self {
        Self { is_key: false, ..Self::key() }
    }

    /// Takes one byte of an escape, or the one that begins it.
    fn escaped(&mut self, byte: u8) -> Result<(), Kind> {
        self.escape = match self.escape {
            Escape::None => Escape::Slash,
            Escape::Slash if byte == b'u' => Escape::Unit(4, 0),
            Escape::Slash if self.half => return Err(Kind::LoneSurrogate),
            Escape::Slash if matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::None,
            Escape::Slash => return Err(Kind::Escape),
            Escape::Unit(left, unit) => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
                let unit = unit << 4 | digit.ok_or(Kind::Escape)?;
                if left > 1 { Escape::Unit(left - 1, unit) } else { self.unit(unit)? }
            }
        };
        Ok(())
    }

    fn unit(&mut self, unit: u16) -> Result<Escape, Kind> {
        let (upper, lower) = (matches!(unit, 0xD800..=0xDBFF), matches!(unit, 0xDC00..=0xDFFF));
        if lower != self.half {
            return Err(Kind::LoneSurrogate);
        }
        self.half = upper;
        Ok(Escape::None)
    }
}

impl Passing {
    /// Reads on in a string.
    pub(super) fn text(&mut self, piece: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Kind> {
        let Inside::Text(mut text) = self.inside else { return Ok(at) };
        let mut end = at;
        let mut over = false;
        while let Some(&byte) = piece.get(end) {
            if matches!(text.escape, Escape::None) {
                if text.half && byte != b'\\' {
                    return Err(Kind::LoneSurrogate);
                }
                match byte {
                    b'"' => over = true,
                    b'\\' => text.escaped(byte)?,
                    0..=0x1F => return Err(Kind::ControlCharacter),
                    _ => {
                        end = plain_until(piece, end);
                        continue;
                    }
                }
            } else {
                text.escaped(byte)?;
            }
            end += 1;
            if over {
                break;
            }
        }
        let run = piece.get(at..end).unwrap_or_default();
        if text.is_key {
            self.key.extend_from_slice(if over { run.get(..run.len() - 1).unwrap_or_default() } else { run });
            if self.key.len() > HELD_BYTES {
                return Err(Kind::TooLong);
            }
            if self.special.is_some() || self.levels.len() > 2 {
                self.emit(run, out)?;
            }
        } else {
            self.emit(run, out)?;
        }
        self.inside = Inside::Text(text);
        if over && text.is_key {
            self.inside = Inside::Nothing;
            self.next = Next::Colon;
            self.end_key()?;
        } else if over {
            self.end_value(out)?;
        }
        Ok(end)
    }

    /// Reads on in a number. It ends with the first byte that is no part of one, which is not taken.
    pub(super) fn number(&mut self, piece: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Kind> {
        let rest = piece.get(at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let run = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        self.emit(run, out)?;
        let Inside::Number(number) = &mut self.inside else { return Ok(at) };
        number.extend_from_slice(run);
        if number.len() > NUMBER_BYTES {
            return Err(Kind::TooLong);
        }
        if length.is_some() {
            check(number, &Limits::default()).map_err(|malformed| malformed.kind)?;
            self.end_value(out)?;
        }
        Ok(at + run.len())
    }

    /// Reads on in `true`, `false` or `null`.
    pub(super) fn word(&mut self, piece: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Kind> {
        let Inside::Word([next, rest @ ..]) = self.inside else { return Ok(at) };
        let byte = piece.get(at).copied().unwrap_or_default();
        if byte != *next {
            return Err(Kind::UnexpectedByte(byte));
        }
        self.emit(&[byte], out)?;
        self.inside = Inside::Word(rest);
        if rest.is_empty() {
            self.end_value(out)?;
        }
        Ok(at + 1)
    }

    /// A key has ended: no other of its object may be the same.
    fn end_key(&mut self) -> Result<(), Kind> {
        if self.key.contains(&b'\\') {
            // What the scanner of strings has let through is UTF-8 with sound escapes.
            self.key = crate::json::unescape(&String::from_utf8_lossy(&self.key)).into_owned().into_bytes();
        }
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        if self.compared.note(level, &self.key) { Ok(()) } else { Err(Kind::DuplicateKey) }
    }
}
