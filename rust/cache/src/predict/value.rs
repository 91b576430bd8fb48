//! The arguments of a call, as far as they can be learned: few, small, each a name with one JSON value.
//!
//! A call with more or larger arguments than the bounds below is *opaque*: that it happened is learned, what it said is
//! neither kept nor predicted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

const ARGUMENTS_BYTES: usize = 8 * 1024;
const ARGUMENTS: usize = 16;
const NAME_BYTES: usize = 128;
/// The longest value that is learned, in bytes of its text.
pub(super) const VALUE_BYTES: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string; its text is the string itself.
    Text,
    /// A number; its text is what JSON writes.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// A list or an object, as JSON.
    Nested,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) text: Arc<str>,
    digest: u64,
}

/// Equal for equal values; tells most different ones apart without looking at their text.
pub(super) fn digest(kind: Kind, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), kind as u64)
}

impl Value {
    pub(super) fn new(kind: Kind, text: &str) -> Self {
        Self { kind, text: text.into(), digest: digest(kind, text) }
    }

    pub(super) fn text(text: &str) -> Option<Self> {
        (text.len() <= VALUE_BYTES).then(|| Self::new(Kind::Text, text))
    }

    pub(super) fn integer(number: i64) -> Self {
        Self::new(Kind::Number, &number.to_string())
    }

    /// Whether this is the value of that digest.
    pub(super) fn is(&self, of: u64) -> bool {
        self.digest == of
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        (self.kind == Kind::Text).then_some(&*self.text)
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        (self.kind == Kind::Number).then(|| self.text.parse().ok()).flatten()
    }

    fn parse(raw: &RawValue) -> Option<Self> {
        let json = raw.get();
        let (kind, text) = match json.as_bytes().first()? {
            b'"' => (Kind::Text, serde_json::from_str::<String>(json).ok()?),
            b'{' | b'[' => (Kind::Nested, json.to_owned()),
            b't' | b'f' | b'n' => (Kind::Word, json.to_owned()),
            _ => (Kind::Number, json.to_owned()),
        };
        (text.len() <= VALUE_BYTES).then(|| Self::new(kind, &text))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Text => write_string(&self.text, out),
            _ => out.extend_from_slice(self.text.as_bytes()),
        }
    }
}

/// A call's arguments by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arguments(BTreeMap<Arc<str>, Value>);

impl Arguments {
    /// None: no JSON object, or beyond the bounds.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        if json.is_empty() {
            return Some(Self::default());
        }
        if json.len() > ARGUMENTS_BYTES {
            return None;
        }
        let raw: BTreeMap<String, &RawValue> = serde_json::from_slice(json).ok()?;
        if raw.len() > ARGUMENTS || raw.keys().any(|name| name.len() > NAME_BYTES) {
            return None;
        }
        raw.into_iter().map(|(name, raw)| Some((name.into(), Value::parse(raw)?))).collect::<Option<_>>().map(Self)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn set(&mut self, name: Arc<str>, value: Value) {
        self.0.insert(name, value);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.0.iter()
    }

    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.keys()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.text.len() + 96).sum()
    }

    pub(super) fn to_json(&self) -> Bytes {
        let mut out = vec![b'{'];
        for (place, (name, value)) in self.0.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_string(name, &mut out);
            out.push(b':');
            value.write(&mut out);
        }
        out.push(b'}');
        out.into()
    }

    /// One number for one call of one tool.
    pub(super) fn fingerprint(&self, tool: u64) -> u64 {
        let mut hash = Xxh3::with_seed(tool);
        for (name, value) in &self.0 {
            hash.update(&digest(Kind::Text, name).to_le_bytes());
            hash.update(&value.digest.to_le_bytes());
        }
        hash.digest()
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, text).is_err() {
        // A string and a vector cannot fail; an empty string is valid JSON if they ever do.
        out.truncate(before);
        out.extend_from_slice(b"\"\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_as_the_same_json() {
        let json = br#"{"a":"line\nbreak \"q\"","b":12.50,"c":[1,{"x":null}],"d":true}"#;
        assert_eq!(Arguments::parse(json).unwrap().to_json(), &json[..]);
    }

    #[test]
    fn the_order_of_names_does_not_matter_and_a_kind_does() {
        let print = |json: &str| Arguments::parse(json.as_bytes()).unwrap().fingerprint(1);
        assert_eq!(print(r#"{"a":1,"b":2}"#), print(r#" {"b": 2, "a": 1} "#));
        assert_ne!(print(r#"{"a":1}"#), print(r#"{"a":"1"}"#));
    }

    #[test]
    fn what_is_beyond_the_bounds_is_opaque() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(VALUE_BYTES + 1));
        let many = format!("{{{}}}", (0..17).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","));
        for json in [long.as_str(), many.as_str(), "[1]", "{", "nonsense", "\u{0}"] {
            assert!(Arguments::parse(json.as_bytes()).is_none(), "{json}");
        }
    }
}
