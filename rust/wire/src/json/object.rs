//! Looking into one level of a text: members of an object, elements of an array, the value at a path.

use std::borrow::Cow;

use super::malformed::{Malformed, MalformedKind as Kind};
use super::{Key, Limits, Scan, Scanner, Span, read};

/// One member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// Where the key's literal stands in the text, quotes included.
    pub key_span: Span,
    /// Where the value stands in the text.
    pub value_span: Span,
    /// The value's text.
    pub value: &'a [u8],
}

/// The members of one object, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    members: Vec<Member<'a>>,
}

impl<'a> Object<'a> {
    /// Checks the whole text, nested values included, and keeps the outermost members.
    pub fn parse(raw: &'a [u8]) -> Result<Self, Malformed> {
        Self::gather(raw, |scanner, _| scanner.value())
    }

    /// The same, and from the same pass the elements of this member; none if it is no array.
    pub fn parse_with_elements(raw: &'a [u8], of: &str) -> Result<(Self, Vec<&'a [u8]>), Malformed> {
        let mut elements = Vec::new();
        let object = Self::gather(raw, |scanner, key| {
            if scanner.peek() != Some(b'[') || key.bytes().as_ref() != of.as_bytes() {
                return scanner.value();
            }
            scanner.elements(|scanner| {
                elements.push(scanner.raw()?.as_bytes());
                Ok(())
            })
        })?;
        Ok((object, elements))
    }

    /// `value` reads the value of each outermost member.
    fn gather(raw: &'a [u8], mut value: impl FnMut(&mut Scanner<'a>, &Key<'a>) -> Scan) -> Result<Self, Malformed> {
        let mut members = Vec::with_capacity(8);
        read(raw, Limits::WIDEST, |scanner| {
            expect(scanner, b'{', Kind::NotAnObject)?;
            scanner.members(|scanner, key| {
                let start = scanner.at();
                value(scanner, key)?;
                let value_span = start..scanner.at();
                let value = scanner.slice(&value_span).as_bytes();
                members.push(Member { key: key.text(), key_span: key.span(), value_span, value });
                Ok(())
            })
        })?;
        Ok(Self { members })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        self.members.iter().find(|member| member.key == key).map(|member| member.value)
    }

    /// The text of a key whose value is a string.
    pub fn get_str(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(super::as_str)
    }

    /// The members in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Member<'a>> {
        self.members.iter()
    }

    /// How many members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True for `{}`.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<'o, 'a> IntoIterator for &'o Object<'a> {
    type Item = &'o Member<'a>;
    type IntoIter = std::slice::Iter<'o, Member<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The elements of an array; the whole text is checked.
pub fn elements(raw: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    read(raw, Limits::WIDEST, |scanner| {
        expect(scanner, b'[', Kind::NotAnArray)?;
        scanner.elements(|scanner| {
            found.push(scanner.raw()?.as_bytes());
            Ok(())
        })
    })?;
    Ok(found)
}

/// The value at a path of keys, without building anything; none if a step is missing or leads into something that is no
/// object.
pub fn find<'a>(raw: &'a [u8], path: &[&str]) -> Result<Option<&'a [u8]>, Malformed> {
    read(raw, Limits::WIDEST, |scanner| descend(scanner, path))
}

/// A member of an object that was checked before: what comes after it is not read again.
pub fn find_checked<'a>(raw: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let _ = read(raw, Limits::WIDEST, |scanner| {
        if scanner.peek() != Some(b'{') {
            return scanner.value();
        }
        scanner.members(|scanner, member| {
            let value = scanner.raw()?;
            if member.bytes().as_ref() == key.as_bytes() {
                found = Some(value.as_bytes());
                return Err(super::scan::Stop);
            }
            Ok(())
        })
    });
    found
}

fn descend<'a>(scanner: &mut Scanner<'a>, path: &[&str]) -> Scan<Option<&'a [u8]>> {
    let Some((first, rest)) = path.split_first() else { return scanner.raw().map(|raw| Some(raw.as_bytes())) };
    if scanner.peek() != Some(b'{') {
        return scanner.value().map(|()| None);
    }
    let mut found = None;
    scanner.members(|scanner, key| {
        if key.bytes().as_ref() != first.as_bytes() {
            return scanner.value();
        }
        found = descend(scanner, rest)?;
        Ok(())
    })?;
    Ok(found)
}

/// A value of another kind is read over first, so that what is broken is called broken.
fn expect(scanner: &mut Scanner<'_>, opening: u8, otherwise: Kind) -> Scan {
    if scanner.peek() == Some(opening) {
        return Ok(());
    }
    let start = scanner.at();
    scanner.value()?;
    Err(scanner.fail_at(otherwise, start))
}
