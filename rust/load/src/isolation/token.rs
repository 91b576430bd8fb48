//! The mark that every answer of the vault carries: who answered whom, in which era, how new, and what was asked.
//!
//! It is plain ASCII between two `~~`, so that it stands unescaped in any JSON and is found without reading it.

use std::fmt::Write;

use memchr::memmem;
use serde_json::Value;

const FENCE: &[u8] = b"~~";
/// Stands where an answer is for everyone, or has no version.
pub(super) const NONE: &str = "-";

/// One mark, borrowed from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Which vault answered.
    pub(super) instance: &'a str,
    /// Whom: the principal it was told, or the connection the call came on; [`NONE`] if it does not matter.
    pub(super) who: &'a str,
    /// The era it was asked in, `m` or `l`.
    pub(super) era: &'a str,
    /// How many writes came before; [`NONE`] where no write matters.
    pub(super) version: &'a str,
    /// What was asked, as [`echo`] spells it.
    pub(super) echo: &'a str,
}

impl Token<'_> {
    /// As text.
    pub(super) fn text(&self) -> String {
        format!("~~{};{};{};{};{}~~", self.instance, self.who, self.era, self.version, self.echo)
    }

    /// The version, where there is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }
}

/// Every mark in an answer; none for a fence that encloses something else.
pub(super) fn tokens(answer: &[u8]) -> impl Iterator<Item = Option<Token<'_>>> {
    let mut fences = memmem::find_iter(answer, FENCE);
    std::iter::from_fn(move || {
        let open = fences.next()? + FENCE.len();
        let close = fences.next().unwrap_or(open);
        Some(answer.get(open..close).and_then(read))
    })
}

fn read(inner: &[u8]) -> Option<Token<'_>> {
    let mut parts = std::str::from_utf8(inner).ok()?.split(';');
    let mut next = || parts.next();
    let token = Token { instance: next()?, who: next()?, era: next()?, version: next()?, echo: next()? };
    parts.next().is_none().then_some(token)
}

/// A principal that a vault was told, as it stands in a mark.
pub(super) fn told(principal: &str, operator: bool) -> String {
    format!("p{}/{}", hex(principal.as_bytes()), if operator { 'o' } else { 'u' })
}

/// What was asked, spelled alike for equal questions: a tool or resource, and arguments.
pub(super) fn echo(what: &str, arguments: &Value) -> String {
    format!("{}.{}", hex(what.as_bytes()), hex(sorted(arguments).to_string().as_bytes()))
}

/// A value whose objects have their members in order, whatever map they are kept in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<_> = members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::{Token, echo, tokens, told};

    #[test]
    fn a_mark_is_found_again_in_any_json() {
        let token = Token { instance: "a-1", who: "c7", era: "m", version: "12", echo: "6c.7b7d" };
        let answer = json!({"result": {"content": [{"text": format!("x {} y {}", token.text(), token.text())}]}});
        let found: Vec<_> = answer.to_string().into_bytes();
        assert_eq!(tokens(&found).collect::<Vec<_>>(), [Some(token), Some(token)]);
        assert_eq!(tokens(b"~~a;b~~").collect::<Vec<_>>(), [None]);
        assert_eq!(tokens(b"~~a;b;m;1;e").collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn equal_questions_have_equal_echoes_and_others_do_not() {
        let spelled: serde_json::Value =
            serde_json::from_str(r#"{"b": [1, {"z": 1, "y": 2}], "a": "\u0078"}"#).unwrap();
        assert_eq!(echo("look", &spelled), echo("look", &json!({"a": "x", "b": [1, {"y": 2, "z": 1}]})));
        for other in [json!({"a": "x", "b": ["1", {"y": 2, "z": 1}]}), json!({"a": "X"}), json!({})] {
            assert_ne!(echo("look", &spelled), echo("look", &other));
        }
        assert_ne!(told("Ann", false), told("ann", false));
        assert_ne!(told("ann", true), told("ann", false));
    }
}
