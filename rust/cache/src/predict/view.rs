//! What a result offers to the call after it: its scalars, each under the path that leads to it.
//!
//! A path is a number, made from the keys on the way. Where the way goes through a list, the place in the outermost
//! list is kept beside the path and not in it: all `files[*].name` have one path, so that "the next of them" can be
//! said. Text that is JSON is looked into; other text is seen line by line (see `lines.rs`). `structuredContent` speaks
//! for `content` where both are there.
//!
//! Bounds: a result above 64 KiB is not looked at; at most 256 scalars are kept, 64 of one list, each up to 512 bytes,
//! 16 KiB of text in all; deeper than 16 levels nothing is seen. A view costs at most 56 KiB.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::lines;
use super::value::{Kind, VALUE_BYTES, Value, digest};

const RESULT_BYTES: usize = 64 * 1024;
const LEAVES: usize = 256;
const TEXT_BYTES: usize = 16 * 1024;
const DEPTH: u8 = 16;
/// How many elements of one list, and lines of one text, are looked at.
pub(super) const ELEMENTS: usize = 64;

/// Where a scalar stands, without its place in a list.
pub(super) type Path = u64;

#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) path: Path,
    /// Its place in the outermost list it is in.
    pub(super) place: Option<u16>,
    kind: Kind,
    start: u16,
    end: u16,
    pub(super) digest: u64,
}

/// The scalars of one result.
#[derive(Debug, Default)]
pub(super) struct View {
    text: String,
    leaves: Vec<Leaf>,
    /// The protocol's own cursor, at the top of a list's result.
    pub(super) next_cursor: Option<String>,
    pub(super) status: Status,
}

/// How a call ended, as far as it matters for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Status {
    /// It was answered in full, or nobody can tell.
    #[default]
    Whole,
    /// It was answered, and says that there is more.
    More,
    /// It was answered with lists or text, and all were empty.
    Empty,
    /// It failed.
    Failed,
}

impl View {
    pub(super) fn of(result: &[u8]) -> Self {
        let mut sink = Sink::default();
        if result.len() <= RESULT_BYTES {
            let mut reader = serde_json::Deserializer::from_slice(result);
            // What was seen before an error stands.
            let _ = Root(&mut sink).deserialize(&mut reader);
        }
        sink.view.status = match sink {
            Sink { more: true, .. } => Status::More,
            Sink { lists, elements: 0, .. } if lists > 0 => Status::Empty,
            _ => Status::Whole,
        };
        sink.view
    }

    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    pub(super) fn text_of(&self, leaf: &Leaf) -> &str {
        self.text.get(usize::from(leaf.start)..usize::from(leaf.end)).unwrap_or_default()
    }

    pub(super) fn value_of(&self, leaf: &Leaf) -> Value {
        Value::new(leaf.kind, self.text_of(leaf))
    }

    pub(super) fn is_text(leaf: &Leaf) -> bool {
        leaf.kind == Kind::Text
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.leaves.capacity() * size_of::<Leaf>()
    }
}

/// Where scalars go.
#[derive(Debug, Default)]
pub(super) struct Sink {
    view: View,
    lists: u32,
    elements: u32,
    more: bool,
}

impl Sink {
    pub(super) fn push(&mut self, path: Path, place: Option<u16>, kind: Kind, text: &str) {
        let start = self.view.text.len();
        let fits = text.len() <= VALUE_BYTES && start + text.len() <= TEXT_BYTES && self.view.leaves.len() < LEAVES;
        let (Ok(from), Ok(to), true) = (u16::try_from(start), u16::try_from(start + text.len()), fits) else { return };
        self.view.text.push_str(text);
        self.view.leaves.push(Leaf { path, place, kind, start: from, end: to, digest: digest(kind, text) });
    }

    /// A list, or lines, of so many elements was seen.
    pub(super) fn list(&mut self, elements: u32) {
        self.lists += 1;
        self.elements = self.elements.saturating_add(elements);
    }

    pub(super) fn more(&mut self) {
        self.more = true;
    }

    fn text(&mut self, path: Path, text: &str) {
        let opened = text.trim_start().as_bytes().first().is_some_and(|first| matches!(first, b'{' | b'['));
        let marks = (self.view.leaves.len(), self.view.text.len());
        if opened {
            let mut reader = serde_json::Deserializer::from_str(text);
            let seed =
                Walk { sink: self, path: step(path, b"json"), place: None, key: Key::Other, depth: 1, opened: true };
            if seed.deserialize(&mut reader).is_ok() && reader.end().is_ok() {
                return;
            }
            self.view.leaves.truncate(marks.0);
            self.view.text.truncate(marks.1);
        }
        lines::see(text, path, self);
    }
}

pub(super) fn step(path: Path, key: &[u8]) -> Path {
    xxh3_64_with_seed(key, path)
}

/// What the name of a field says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// It says that there is more, or where.
    Next,
    /// Text for the model.
    Text,
    Other,
}

impl Key {
    fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        if name.starts_with("next") || name.ends_with("more") || name == "truncated" {
            Self::Next
        } else if name == "text" {
            Self::Text
        } else {
            Self::Other
        }
    }
}

/// The result itself: its own fields, and the two that carry what the tool said.
struct Root<'s>(&'s mut Sink);

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut carried: [Option<&'de RawValue>; 2] = [None, None];
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "structuredContent" => carried[0] = Some(map.next_value()?),
                "content" => carried[1] = Some(map.next_value()?),
                "_meta" | "isError" | "resultType" | "ttlMs" | "cacheScope" => {
                    map.next_value::<IgnoredAny>()?;
                }
                "nextCursor" => {
                    if let Ok(cursor) = serde_json::from_str::<String>(map.next_value::<&RawValue>()?.get())
                        && cursor.len() <= VALUE_BYTES
                    {
                        self.0.more();
                        self.0.view.next_cursor = Some(cursor);
                    }
                }
                name => {
                    let (path, key) = (step(0, name.as_bytes()), Key::of(name));
                    map.next_value_seed(Walk { sink: &mut *self.0, path, place: None, key, depth: 1, opened: false })?;
                }
            }
        }
        if let Some(raw) = carried.into_iter().flatten().find(|raw| raw.get() != "null") {
            let mut reader = serde_json::Deserializer::from_str(raw.get());
            let walk =
                Walk { sink: self.0, path: step(0, b"carried"), place: None, key: Key::Other, depth: 1, opened: false };
            walk.deserialize(&mut reader).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// One value on the way down.
struct Walk<'s> {
    sink: &'s mut Sink,
    path: Path,
    place: Option<u16>,
    key: Key,
    depth: u8,
    /// Inside text that was JSON: it is not looked into again.
    opened: bool,
}

impl Walk<'_> {
    fn scalar(self, kind: Kind, text: &str, says: bool) {
        if self.key == Key::Next && says {
            self.sink.more();
        }
        self.sink.push(self.path, self.place, kind, text);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, word: bool) -> Result<(), E> {
        self.scalar(Kind::Word, if word { "true" } else { "false" }, word);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.scalar(Kind::Number, &number.to_string(), true);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.scalar(Kind::Number, &number.to_string(), number > 0);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        if let Some(number) = serde_json::Number::from_f64(number) {
            self.scalar(Kind::Number, &number.to_string(), true);
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // The one text of a result is seen as lines; one of many is a field like others.
        let alone = self.place.is_none_or(|place| place == 0);
        if alone && !self.opened && (self.key == Key::Text || text.contains('\n')) {
            self.sink.text(self.path, text);
        } else {
            self.scalar(Kind::Text, text, !text.is_empty());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut seen = 0_u16;
        while usize::from(seen) < ELEMENTS && self.depth < DEPTH {
            let (path, place) = match self.place {
                None => (step(self.path, b"*"), Some(seen)),
                Some(_) => (step(self.path, &seen.to_le_bytes()), self.place),
            };
            let below = Walk {
                sink: &mut *self.sink,
                path,
                place,
                key: Key::Other,
                depth: self.depth + 1,
                opened: self.opened,
            };
            if list.next_element_seed(below)?.is_none() {
                break;
            }
            seen += 1;
        }
        self.sink.list(u32::from(seen));
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.depth >= DEPTH {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let (path, key) = (step(self.path, key.as_bytes()), Key::of(&key));
            let (place, depth, opened) = (self.place, self.depth + 1, self.opened);
            map.next_value_seed(Walk { sink: &mut *self.sink, path, place, key, depth, opened })?;
        }
        Ok(())
    }
}
