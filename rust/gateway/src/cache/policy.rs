//! Which answers may be kept, and how long: decided once before a request is sent, and once when it is answered.
//!
//! The protocol makes six methods cacheable and says for how long (`ttlMs`) and for whom (`cacheScope`); without
//! its word the operator's counts, else nothing is kept. `tools/call` it leaves open: kept is only what a
//! trusted server calls read-only and closed to the world, if the operator gave it a time, or if the server is ours
//! and names what the answer depends on. Never kept: errors, questions, and answers to a request with a state.

use bytes::Bytes;
use memchr::memmem;
use omnimind_cache::Life;
use omnimind_wire::{
    Edit, Era, Object,
    json::{as_bool, as_str, as_u64, find},
};

use super::depends::Depends;
use crate::{
    config::{ServerSpec, Sharing},
    relay::Word,
};

/// The member of a worker's `_meta` that names what an answer depends on.
pub(crate) const DEPENDS: &str = "omnimind/depends";
/// No answer is kept longer, whatever anybody says.
const LONGEST_MS: u64 = 24 * 3_600_000;
/// How long an answer of ours is kept whose files do not change.
const UNCHANGED_MS: u64 = 3_600_000;
/// How long after its time a list or a resource may stand in for a server that cannot be reached.
const STAND_IN_MS: u64 = 60_000;

/// Which changes make an answer old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of what the server offers.
    Catalogue,
    /// Those of what it works on.
    Data,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the server is and can do.
    Server,
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// A list of resources, or of their templates.
    Resources,
    /// A resource.
    Resource,
    /// A tool's work.
    Tool,
}

impl Kind {
    fn of(method: &str) -> Option<Self> {
        Some(match method {
            "server/discover" => Self::Server,
            "tools/list" => Self::Tools,
            "prompts/list" => Self::Prompts,
            "resources/list" | "resources/templates/list" => Self::Resources,
            "resources/read" => Self::Resource,
            "tools/call" => Self::Tool,
            _ => return None,
        })
    }

    /// Which changes concern it.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Server | Self::Tools | Self::Prompts => Scope::Catalogue,
            Self::Resources | Self::Resource | Self::Tool => Scope::Data,
        }
    }

    /// It comes in pages.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts | Self::Resources)
    }
}

/// How the answer to one request may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    /// The operator's word on how long.
    ttl_ms: Option<u64>,
}

/// An answer that may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) life: Life,
    /// For everyone.
    pub(crate) public: bool,
    /// The answer says itself how long it is good.
    pub(crate) timed: bool,
    /// What must be unchanged for a hit.
    pub(crate) depends: Option<Depends>,
}

/// Whether, and how, the answer to a request may be kept; or why not, for people. `tool` is the tool that is called
/// and what its server says of it.
pub(crate) fn plan(spec: &ServerSpec, method: &str, tool: Option<(&str, Word)>) -> Result<Plan, &'static str> {
    if !spec.cache.enabled {
        return Err("the cache is off for this server");
    }
    if spec.sessions == Sharing::Own {
        return Err("the server keeps state by session");
    }
    let kind = Kind::of(method).ok_or("no answer to this method is kept")?;
    if kind != Kind::Tool {
        return Ok(Plan { kind, ttl_ms: spec.cache.ttl_ms });
    }
    if !spec.trusts_annotations() {
        return Err("the server's hints are not trusted (trust: [\"annotations\"])");
    }
    let (name, word) = tool.ok_or("the server has not listed this tool")?;
    of_tool(spec, name, word)
}

fn of_tool(spec: &ServerSpec, name: &str, word: Word) -> Result<Plan, &'static str> {
    if !word.read_only || word.destructive {
        return Err("the tool is not read-only");
    }
    if !word.closed_world {
        return Err("the tool's answers depend on the outside world");
    }
    let own = spec.cache.tools.get(name);
    if own.is_some_and(|own| !own.enabled) {
        return Err("the cache is off for this tool");
    }
    let ttl_ms = own.and_then(|own| own.ttl_ms).or(spec.cache.ttl_ms);
    if ttl_ms.is_none() && !spec.first_party {
        return Err("no time is configured for this tool (cache.tools or cache.ttl_ms)");
    }
    Ok(Plan { kind: Kind::Tool, ttl_ms })
}

/// Whether, and for how long, an answer may be kept.
pub(crate) fn judge(plan: &Plan, spec: &ServerSpec, era: Era, result: &[u8], now_ms: u64) -> Option<Kept> {
    let answer = Object::parse(result).ok()?;
    let complete = answer.get("resultType").is_none_or(|raw| as_str(raw).as_deref() == Some("complete"));
    if !complete || answer.get("isError").and_then(as_bool) == Some(true) {
        return None;
    }
    let depends = match spec.first_party.then(|| find(answer.get("_meta")?, &[DEPENDS]).ok().flatten()).flatten() {
        Some(raw) => Some(Depends::read(raw)?),
        None => None,
    };
    let ours = depends.is_some().then_some(UNCHANGED_MS);
    let hinted = (era == Era::Modern && plan.kind != Kind::Tool).then(|| answer.get("ttlMs")).flatten();
    let ttl_ms = match (hinted, ours) {
        // What the SDK says of every resource where a server of ours knows better: its clients may not keep it, we may.
        (Some(_), Some(unchanged_ms)) if plan.kind == Kind::Resource => plan.ttl_ms.or(Some(unchanged_ms)),
        // Anything but a whole number above zero is stale at once.
        (Some(raw), _) => as_u64(raw),
        (None, ours) => plan.ttl_ms.or(ours),
    };
    let ttl_ms = ttl_ms.filter(|ms| *ms > 0)?.min(LONGEST_MS);
    let public = hinted.is_some()
        && spec.trusts_public()
        && answer.get("cacheScope").and_then(as_str).as_deref() == Some("public");
    let fresh_until_ms = now_ms + ttl_ms;
    let stand_in_ms = if plan.kind == Kind::Tool { 0 } else { STAND_IN_MS };
    let life = Life {
        created_ms: now_ms,
        fresh_until_ms,
        stale_until_ms: fresh_until_ms + spec.cache.stale_ms.max(stand_in_ms),
    };
    let timed = era == Era::Modern && answer.get("ttlMs").is_some();
    Some(Kept { life, public, timed, depends })
}

/// A result without what is between a worker of ours and the gateway; a stranger has no business to say it.
pub(crate) fn without_own(result: &Bytes) -> Bytes {
    if memmem::find(result, DEPENDS.as_bytes()).is_none() {
        return result.clone();
    }
    Edit::new(result).remove_pruned(&["_meta", DEPENDS]).finish().unwrap_or_else(|_| result.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test may")]
mod tests {
    use serde_json::json;

    use super::*;

    const READS: Word = Word { read_only: true, idempotent: false, destructive: false, closed_world: true, digest: 1 };

    fn spec(more: serde_json::Value) -> ServerSpec {
        let mut spec = json!({"name": "s", "kind": "stdio", "tier": "high"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn kept(spec: &ServerSpec, method: &str, era: Era, result: &str) -> Option<Kept> {
        let plan = plan(spec, method, Some(("t", READS))).unwrap();
        judge(&plan, spec, era, result.as_bytes(), 1_000)
    }

    #[test]
    fn a_list_lives_as_long_as_its_server_says() {
        let spec = spec(json!({}));
        let life = kept(&spec, "tools/list", Era::Modern, r#"{"ttlMs":500,"tools":[]}"#).unwrap().life;
        assert_eq!((life.created_ms, life.fresh_until_ms), (1_000, 1_500));
        for hint in ["0", "-5", "1.5", "\"500\"", "null"] {
            assert_eq!(kept(&spec, "tools/list", Era::Modern, &format!(r#"{{"ttlMs":{hint}}}"#)), None, "{hint}");
        }
        assert_eq!(kept(&spec, "tools/list", Era::Modern, "{}"), None);
        let day = kept(&spec, "tools/list", Era::Modern, r#"{"ttlMs":999999999999}"#).unwrap().life;
        assert_eq!(day.fresh_until_ms - day.created_ms, LONGEST_MS);
    }

    #[test]
    fn without_a_hint_the_operator_decides() {
        let configured = spec(json!({"cache": {"enabled": true, "ttl_ms": 70}}));
        assert_eq!(kept(&configured, "tools/list", Era::Legacy, "{}").unwrap().life.fresh_until_ms, 1_070);
        // A legacy result has no hints, whatever a member of it is called.
        assert_eq!(kept(&configured, "tools/list", Era::Legacy, r#"{"ttlMs":0}"#).unwrap().life.fresh_until_ms, 1_070);
        assert_eq!(kept(&configured, "tools/list", Era::Modern, r#"{"ttlMs":0}"#), None);
    }

    #[test]
    fn public_is_only_what_a_trusted_server_calls_so() {
        let result = r#"{"ttlMs":5,"cacheScope":"public"}"#;
        let public =
            |trust: &[&str]| kept(&spec(json!({"trust": trust})), "tools/list", Era::Modern, result).unwrap().public;
        assert!(public(&["public"]));
        assert!(!public(&["annotations"]));
        let private = kept(&spec(json!({"trust": ["public"]})), "tools/list", Era::Modern, r#"{"ttlMs":5}"#).unwrap();
        assert!(!private.public);
    }

    #[test]
    fn a_tool_needs_trust_a_hint_and_a_time() {
        let trusted = json!({"trust": ["annotations"], "cache": {"enabled": true, "ttl_ms": 9}});
        let may = |spec: &ServerSpec, word| plan(spec, "tools/call", Some(("t", word))).is_ok();
        assert!(may(&spec(trusted.clone()), READS));
        assert!(!may(&spec(trusted.clone()), Word { read_only: false, ..READS }));
        assert!(!may(&spec(trusted.clone()), Word { destructive: true, ..READS }));
        assert!(!may(&spec(trusted.clone()), Word { closed_world: false, ..READS }));
        assert!(!may(&spec(json!({"cache": {"enabled": true, "ttl_ms": 9}})), READS));
        assert!(!may(&spec(json!({"trust": ["annotations"]})), READS));
        let why = |spec: &ServerSpec| plan(spec, "tools/call", None).unwrap_err();
        assert_eq!(why(&spec(trusted.clone())), "the server has not listed this tool");
        // Nobody asked it: its word would not count.
        assert!(why(&spec(json!({}))).contains("trust"));
        let off = json!({"trust": ["annotations"], "cache": {"ttl_ms": 9, "tools": {"t": {"enabled": false}}}});
        assert!(!may(&spec(off), READS));
        let own = json!({"sessions": "own", "trust": ["annotations"], "cache": {"ttl_ms": 9}});
        assert!(!may(&spec(own), READS));
    }

    #[test]
    fn a_tool_of_ours_is_kept_if_it_says_what_it_depends_on() {
        let ours = spec(json!({"kind": "worker", "first_party": true, "trust": ["annotations"]}));
        let says = |meta: &str| kept(&ours, "tools/call", Era::Modern, &format!(r#"{{"content":[],"_meta":{meta}}}"#));
        assert_eq!(says("{}"), None);
        assert_eq!(says(r#"{"omnimind/depends":[{"path":"relative"}]}"#), None);
        assert_eq!(says(r#"{"omnimind/depends":[]}"#).unwrap().depends, Some(Depends::default()));
        let resource = r#"{"contents":[],"ttlMs":0,"_meta":{"omnimind/depends":[]}}"#;
        assert!(kept(&ours, "resources/read", Era::Modern, resource).is_some());
        assert!(kept(&ours, "resources/read", Era::Modern, r#"{"contents":[],"ttlMs":0}"#).is_none());
        let stranger = spec(json!({"trust": ["annotations"], "cache": {"ttl_ms": 9}}));
        let said = r#"{"content":[],"_meta":{"omnimind/depends":[]}}"#;
        assert_eq!(kept(&stranger, "tools/call", Era::Modern, said).unwrap().depends, None);
    }

    #[test]
    fn errors_and_questions_are_never_kept() {
        let spec = spec(json!({"trust": ["annotations"], "cache": {"ttl_ms": 9}}));
        assert_eq!(kept(&spec, "tools/call", Era::Modern, r#"{"isError":true,"content":[]}"#), None);
        assert_eq!(kept(&spec, "tools/call", Era::Modern, r#"{"resultType":"input_required"}"#), None);
        assert_eq!(kept(&spec, "tools/list", Era::Modern, r#"{"resultType":"input_required","ttlMs":9}"#), None);
        assert!(kept(&spec, "tools/call", Era::Modern, r#"{"resultType":"complete","content":[]}"#).is_some());
    }

    #[test]
    fn a_client_never_sees_what_an_answer_depends_on() {
        let seen = |result: &'static str| without_own(&Bytes::from_static(result.as_bytes()));
        assert_eq!(seen(r#"{"a":1,"_meta":{"omnimind/depends":[]}}"#), r#"{"a":1}"#);
        assert_eq!(seen(r#"{"_meta":{"omnimind/depends":[{"path":"/x"}],"b":2},"a":1}"#), r#"{"_meta":{"b":2},"a":1}"#);
        assert_eq!(seen(r#"{"a":"omnimind/depends"}"#), r#"{"a":"omnimind/depends"}"#);
    }

    #[test]
    fn other_methods_are_not_kept() {
        for method in ["prompts/get", "completion/complete", "ping", "tasks/get", "acme/read"] {
            assert!(plan(&spec(json!({})), method, None).is_err(), "{method}");
        }
    }
}
