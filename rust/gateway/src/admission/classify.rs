//! How urgent a call is, and of what kind: from what the operator says, lowered by what the client says.
//!
//! The class comes from the tool, if its settings name one, else from the tier of its server; a token of another class
//! than `normal` decides by itself. A client may only lower it, in `_meta["omnimind/class"]` or by the header `Priority`
//! (RFC 9218): anybody could ask to be served first.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use omnimind_limits::{concurrency::ToolClass, queue::Class};
use omnimind_wire::{
    Request,
    json::{as_str, find, find_checked, span_in},
};

use crate::config::{self, ServerSpec};

const META_CLASS: &str = "omnimind/class";
const PRIORITY: HeaderName = HeaderName::from_static("priority");
/// Kinds of calls that are no tool calls.
const OTHERS: u8 = 8;

/// The tool a request calls; none if it calls none. What was noted when it was read is not searched again.
pub(crate) fn tool<'a>(method: &str, params: &'a [u8], request: Option<&'a Request>) -> Option<Cow<'a, str>> {
    if method != "tools/call" {
        return None;
    }
    let noted = request.and_then(|request| request.subject.as_deref()).filter(|noted| span_in(params, noted).is_some());
    noted.or_else(|| find_checked(params, "name")).and_then(as_str)
}

/// The kind of a call: its tool, or what it does otherwise. Two tools may share one; no tool shares that of a list.
pub(super) fn kind(method: &str, tool: Option<&str>) -> ToolClass {
    let Some(tool) = tool else {
        return ToolClass(match method {
            "resources/read" => 1,
            "prompts/get" => 2,
            "completion/complete" => 3,
            method if method.ends_with("/list") => 0,
            _ => 4,
        });
    };
    // Without a secret: the same tool is of the same kind after a restart too.
    let mut hasher = DefaultHasher::new();
    tool.hash(&mut hasher);
    let number = hasher.finish() % u64::from(u8::MAX - OTHERS);
    ToolClass(OTHERS.saturating_add(u8::try_from(number).unwrap_or_default()))
}

/// The class of a call.
pub(super) fn class(token: config::Class, spec: &ServerSpec, tool: Option<&str>, hint: Option<Class>) -> Class {
    let of_tool = || tool.and_then(|tool| spec.limits.tools.get(tool)).and_then(|tool| tool.class);
    let own = match token {
        config::Class::Normal => of_tool().map_or_else(|| of_tier(&spec.tier), of_word),
        other => of_word(other),
    };
    hint.map_or(own, |hint| own.lowered_to(hint))
}

/// What the client says of its call; the lower of the two, if it says it twice.
pub(super) fn hint(headers: &HeaderMap, meta: Option<&Bytes>) -> Option<Class> {
    let said = meta.and_then(|meta| find(meta, &[META_CLASS]).ok().flatten()).and_then(as_str);
    let said = said.and_then(|word| match &*word {
        "interactive" => Some(Class::Interactive),
        "normal" => Some(Class::Normal),
        "background" => Some(Class::Background),
        _ => None,
    });
    let priority = headers.get(&PRIORITY).and_then(|value| urgency(value.to_str().ok()?)).and_then(of_urgency);
    said.max(priority)
}

/// `u` of a `Priority` header: 0 is the most urgent, 7 the least.
fn urgency(value: &str) -> Option<u8> {
    let said = value.split(',').filter_map(|part| part.trim().strip_prefix("u=")).next_back()?;
    said.parse().ok().filter(|urgency| *urgency <= 7)
}

/// What clients send of their own accord (browsers: 0 to 4) says nothing of the call.
fn of_urgency(urgency: u8) -> Option<Class> {
    match urgency {
        0..=4 => None,
        5 | 6 => Some(Class::Normal),
        _ => Some(Class::Background),
    }
}

fn of_tier(tier: &str) -> Class {
    match tier {
        "critical" => Class::Interactive,
        "high" => Class::Normal,
        _ => Class::Background,
    }
}

fn of_word(class: config::Class) -> Class {
    match class {
        config::Class::System => Class::System,
        config::Class::Interactive => Class::Interactive,
        config::Class::Normal => Class::Normal,
        config::Class::Background => Class::Background,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn spec(tier: &str) -> ServerSpec {
        let limits = json!({"tools": {"slow": {"class": "background"}, "plain": {"cost": 2}}});
        serde_json::from_value(json!({"name": "s", "kind": "unix", "tier": tier, "limits": limits})).unwrap()
    }

    fn headers(priority: &str) -> HeaderMap {
        HeaderMap::from_iter([(PRIORITY, HeaderValue::from_str(priority).unwrap())])
    }

    #[test]
    fn the_tier_gives_the_class_unless_the_tool_has_its_own() {
        let of = |tier, tool| class(config::Class::Normal, &spec(tier), tool, None);
        assert_eq!(of("critical", Some("any")), Class::Interactive);
        assert_eq!(of("high", Some("plain")), Class::Normal);
        assert_eq!(of("medium", None), Class::Background);
        assert_eq!(of("critical", Some("slow")), Class::Background);
    }

    #[test]
    fn a_token_of_another_class_than_normal_decides_itself() {
        let of = |token| class(token, &spec("critical"), Some("slow"), None);
        assert_eq!(of(config::Class::System), Class::System);
        assert_eq!(of(config::Class::Interactive), Class::Interactive);
        assert_eq!(of(config::Class::Background), Class::Background);
    }

    #[test]
    fn a_client_only_lowers_its_class() {
        let of = |token, hint| class(token, &spec("high"), None, Some(hint));
        assert_eq!(of(config::Class::Normal, Class::Interactive), Class::Normal);
        assert_eq!(of(config::Class::Normal, Class::Background), Class::Background);
        assert_eq!(of(config::Class::Interactive, Class::Normal), Class::Normal);
        let said = |meta: &str, priority| hint(&headers(priority), Some(&Bytes::copy_from_slice(meta.as_bytes())));
        assert_eq!(said(r#"{"omnimind/class":"normal"}"#, "u=7, i"), Some(Class::Background));
        assert_eq!(said(r#"{"omnimind/class":"background"}"#, "u=0"), Some(Class::Background));
        assert_eq!(said(r#"{"omnimind/class":"system"}"#, "i, u=5"), Some(Class::Normal));
        for nothing in ["u=3", "u=4", "u=8", "u=-1", "u=", "7", ""] {
            assert_eq!(said("{}", nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_tool_is_of_its_own_kind_and_never_of_that_of_a_list() {
        assert_eq!(kind("tools/list", None), kind("prompts/list", None));
        assert_ne!(kind("tools/list", None), kind("resources/read", None));
        assert_eq!(kind("tools/call", Some("echo")), kind("tools/call", Some("echo")));
        assert_ne!(kind("tools/call", Some("echo")), kind("tools/call", Some("slow")));
        assert!((0..1_000).all(|n| kind("tools/call", Some(&format!("tool{n}"))).0 >= OTHERS));
    }
}
