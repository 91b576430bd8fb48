//! Is this the answer to that call? The id must be its own, and so must the canary, which names caller and call.

use std::fmt::Write;

use memchr::memmem;

use crate::message::Envelope;

/// What an answer turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The right one.
    Right,
    /// The peer's error, by kind.
    Error(String),
    /// An answer to another call, or to another caller, or to none.
    Wrong(&'static str),
}

/// The text only the answer to call `number` of `principal` in this run holds.
pub(crate) fn canary(principal: &str, tag: &str, number: u64) -> String {
    let mut text = String::with_capacity(principal.len() + tag.len() + 24);
    let _ = write!(text, "{principal}.{tag}.{number}.");
    text
}

/// Judges one message as the answer to call `number`; `canary` where the tool must return it.
pub(crate) fn judge(message: &[u8], number: u64, canary: Option<&str>) -> Verdict {
    match Envelope::parse(message) {
        Some(envelope) => judge_parsed(&envelope, number, canary),
        None => Verdict::Wrong("no JSON-RPC message"),
    }
}

/// The same for a message already parsed.
pub(crate) fn judge_parsed(envelope: &Envelope<'_>, number: u64, canary: Option<&str>) -> Verdict {
    if let Some(fault) = &envelope.error {
        let own = envelope.id.is_none_or(|id| id.get() == "null") || envelope.number() == Some(number);
        return if own { Verdict::Error(format!("rpc_{}", fault.code)) } else { Verdict::Wrong("another's id") };
    }
    let Some(result) = envelope.result else { return Verdict::Wrong("neither result nor error") };
    if envelope.number() != Some(number) {
        return Verdict::Wrong("another's id");
    }
    let result = result.get().as_bytes();
    if canary.is_none_or(|canary| memmem::find(result, canary.as_bytes()).is_some()) {
        return if is_tool_error(result) { Verdict::Error("tool_error".into()) } else { Verdict::Right };
    }
    if is_tool_error(result) { Verdict::Error("tool_error".into()) } else { Verdict::Wrong("another's canary") }
}

fn is_tool_error(result: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Flag {
        #[serde(rename = "isError", default)]
        is_error: bool,
    }
    memmem::find(result, b"\"isError\"").is_some()
        && serde_json::from_slice::<Flag>(result).is_ok_and(|flag| flag.is_error)
}

#[cfg(test)]
mod tests {
    use super::{Verdict, canary, judge};

    fn answer(id: &str, text: &str) -> Vec<u8> {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
            .into_bytes()
    }

    #[test]
    fn the_own_id_and_canary_make_a_right_answer() {
        let own = canary("alice", "t", 7);
        assert_eq!(judge(&answer("7", &own), 7, Some(&own)), Verdict::Right);
    }

    #[test]
    fn another_id_or_canary_or_a_number_that_only_begins_alike_is_wrong() {
        let own = canary("alice", "t", 7);
        assert_eq!(judge(&answer("8", &own), 7, Some(&own)), Verdict::Wrong("another's id"));
        assert_eq!(judge(&answer("\"7\"", &own), 7, Some(&own)), Verdict::Wrong("another's id"));
        for other in [canary("bob", "t", 7), canary("alice", "t", 77), canary("alice", "s", 7)] {
            assert_eq!(judge(&answer("7", &other), 7, Some(&own)), Verdict::Wrong("another's canary"));
        }
        assert!(matches!(judge(b"not json", 7, None), Verdict::Wrong(_)));
    }

    #[test]
    fn errors_are_counted_by_their_code() {
        let refused = br#"{"jsonrpc":"2.0","id":7,"error":{"code":42900,"message":"rate limited"}}"#;
        assert_eq!(judge(refused, 7, None), Verdict::Error("rpc_42900".into()));
        assert_eq!(judge(refused, 8, None), Verdict::Wrong("another's id"));
        let failed = br#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#;
        assert_eq!(judge(failed, 7, None), Verdict::Error("tool_error".into()));
    }
}
