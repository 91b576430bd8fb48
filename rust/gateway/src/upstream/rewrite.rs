//! Ids, tokens and traces on their way up, ids and tokens back on their way down.
//!
//! A client's own ids and progress tokens are never shown to an upstream: two clients of one connection could
//! choose the same, or guess another's. On the way up both become the call's number; on the way down the
//! number in a notification finds the call, and the client's own value is put back, byte for byte.

use std::{ops::Range, sync::LazyLock};

use bytes::Bytes;
use memchr::memmem::{self, Finder};
use omnimind_wire::{
    Edit, Malformed, Object,
    json::{self, push_quoted},
};

use super::Call;
use crate::traces::{Context, TRACEPARENT, TRACESTATE, Tracestate};

/// The key that ties a notification to the `subscriptions/listen` that asked for it.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// For whom a worker says something, and for whom it works.
const PRINCIPAL: &str = "omnimind/principal";
/// What the principal may see beside its own: only `operator` is ever said.
const ROLE: &str = "omnimind/role";
/// What is left of the call's time, in milliseconds.
const DEADLINE: &str = "omnimind/deadlineMs";
/// The method whose answer and notifications carry a subscription id.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// What a first-party worker is told beside the client's words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// The verified principal.
    pub principal: &'a str,
    /// Whether that principal is an operator.
    pub operator: bool,
    /// What is left of the call's time.
    pub deadline_ms: Option<u64>,
}

/// What is written into `_meta` beside the client's words.
#[derive(Clone, Copy)]
struct Ours<'a> {
    stamp: Option<Stamp<'a>>,
    trace: Option<&'a Context>,
}

impl Ours<'_> {
    fn is_nothing(self) -> bool {
        self.stamp.is_none() && self.trace.is_none()
    }

    /// True if what the client wrote under this key is not sent on.
    fn replaces(self, key: &str) -> bool {
        match key {
            PRINCIPAL | ROLE | DEADLINE => self.stamp.is_some(),
            TRACEPARENT => self.trace.is_some(),
            TRACESTATE => self.trace.is_some_and(|trace| matches!(trace.tracestate, Tracestate::Is(_))),
            _ => false,
        }
    }

    /// Appends members after those that begin at `open`.
    fn push(self, out: &mut Vec<u8>, open: usize) {
        if let Some(stamp) = self.stamp {
            comma(out, open);
            push_stamp(out, stamp);
        }
        if let Some(trace) = self.trace {
            comma(out, open);
            push_trace(out, trace);
        }
    }
}

/// Appends the whole request and gives the client's progress token, if it set one.
pub(super) fn push_request(
    out: &mut Vec<u8>,
    id: u64,
    call: &Call,
    stamp: Option<Stamp<'_>>,
) -> Result<Option<Bytes>, Malformed> {
    let mut digits = [0u8; 20];
    let id = decimal(id, &mut digits);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"method\":");
    push_quoted(out, &call.method);
    let ours = Ours { stamp, trace: call.trace.as_deref() };
    let token = if call.params.is_empty() && ours.is_nothing() {
        None
    } else {
        out.extend_from_slice(b",\"params\":");
        push_params(out, id, &call.params, ours)?
    };
    out.push(b'}');
    Ok(token)
}

/// Appends a notification.
pub(super) fn push_notification(out: &mut Vec<u8>, method: &str, params: &[u8]) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":");
    push_quoted(out, method);
    if !params.is_empty() {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
}

/// The parameters of a `notifications/cancelled`.
pub(super) fn cancelled_params(id: u64, why: &str) -> Vec<u8> {
    let mut out = format!("{{\"requestId\":{id},\"reason\":").into_bytes();
    push_quoted(&mut out, why);
    out.push(b'}');
    out
}

fn push_params(out: &mut Vec<u8>, id: &[u8], params: &Bytes, ours: Ours<'_>) -> Result<Option<Bytes>, Malformed> {
    let params: &[u8] = if params.is_empty() { b"{}" } else { params };
    if ours.is_nothing() && may_stay(params) {
        out.extend_from_slice(params);
        return Ok(None);
    }
    let meta = if may_have_meta(params) { member(params, "_meta")? } else { None };
    let Some(meta) = meta else {
        push_without_meta(out, params, ours);
        return Ok(None);
    };
    let text = params.get(meta.clone()).filter(|text| json::is_object(text)).unwrap_or(b"{}");
    let inner = Object::parse(text)?;
    let mut token = None;
    out.extend_from_slice(params.get(..meta.start).unwrap_or_default());
    out.push(b'{');
    let open = out.len();
    for member in &inner {
        let key: &str = &member.key;
        if ours.replaces(key) {
            continue;
        }
        comma(out, open);
        out.extend_from_slice(text.get(member.key_span.clone()).unwrap_or_default());
        out.push(b':');
        if key == "progressToken" {
            token = Some(Bytes::copy_from_slice(member.value));
            out.extend_from_slice(id);
        } else {
            out.extend_from_slice(member.value);
        }
    }
    ours.push(out, open);
    out.push(b'}');
    out.extend_from_slice(params.get(meta.end..).unwrap_or_default());
    Ok(token)
}

/// Keys that decide how params are written, and what could spell them in other bytes: a text with any `\u` is read
/// properly.
static META: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"_meta\""));
static TOKEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"progressToken\""));
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u"));

fn may_have_meta(params: &[u8]) -> bool {
    META.find(params).is_some() || ESCAPE.find(params).is_some()
}

/// True if no `_meta` in the text has a progress token, or is anything but an object.
fn may_stay(params: &[u8]) -> bool {
    let is_object = |at: usize| {
        let after = params.get(at + META.needle().len()..).unwrap_or_default().trim_ascii_start();
        after.strip_prefix(b":").is_some_and(json::is_object)
    };
    TOKEN.find(params).is_none() && ESCAPE.find(params).is_none() && META.find_iter(params).all(is_object)
}

fn push_without_meta(out: &mut Vec<u8>, params: &[u8], ours: Ours<'_>) {
    if ours.is_nothing() {
        return out.extend_from_slice(params);
    }
    let inside = params.trim_ascii_start().strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    out.extend_from_slice(b"{\"_meta\":{");
    ours.push(out, out.len());
    out.push(b'}');
    if !inside.starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(inside);
}

fn push_stamp(out: &mut Vec<u8>, stamp: Stamp<'_>) {
    push_quoted(out, PRINCIPAL);
    out.push(b':');
    push_quoted(out, stamp.principal);
    if stamp.operator {
        out.push(b',');
        push_quoted(out, ROLE);
        out.extend_from_slice(b":\"operator\"");
    }
    if let Some(left) = stamp.deadline_ms {
        out.push(b',');
        push_quoted(out, DEADLINE);
        out.push(b':');
        let mut digits = [0u8; 20];
        out.extend_from_slice(decimal(left, &mut digits));
    }
}

fn push_trace(out: &mut Vec<u8>, Context { traceparent, tracestate }: &Context) {
    out.extend_from_slice(b"\"traceparent\":\"");
    out.extend_from_slice(traceparent);
    out.push(b'"');
    if let Tracestate::Is(Some(state)) = tracestate {
        out.extend_from_slice(b",\"tracestate\":");
        push_quoted(out, state);
    }
}

fn comma(out: &mut Vec<u8>, open: usize) {
    if out.len() > open {
        out.push(b',');
    }
}

fn member(raw: &[u8], key: &str) -> Result<Option<Range<usize>>, Malformed> {
    Ok(Object::parse(raw)?.iter().find(|member| member.key == key).map(|member| member.value_span.clone()))
}

fn decimal(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        // The remainder of a division by ten fits a byte.
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        at -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    digits.get(at..).unwrap_or_default()
}

/// Whom a notification of an upstream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Progress of a call.
    Progress(u64),
    /// Something a subscription asked for.
    Subscription(u64),
    /// The end of a request, ours or (by a raw id) the upstream's own.
    Cancelled(Option<u64>),
    /// A request of ours is named, but not in a way that can be one.
    Stranger,
    /// Names no request.
    Nobody,
}

/// Reads whom a notification is about.
pub(super) fn about(method: &str, params: &[u8]) -> About {
    let number = |path: &[&str]| json::find(params, path).ok().flatten().map(json::as_u64);
    match method {
        "notifications/progress" => number(&["progressToken"]).flatten().map_or(About::Stranger, About::Progress),
        "notifications/cancelled" => About::Cancelled(number(&["requestId"]).flatten()),
        _ if memmem::find(params, b"ubscriptionId").is_none() => About::Nobody,
        _ => match number(&["_meta", SUBSCRIPTION]) {
            None => About::Nobody,
            Some(None) => About::Stranger,
            Some(Some(id)) => About::Subscription(id),
        },
    }
}

/// Puts the client's progress token back.
pub(super) fn with_token(params: &Bytes, token: &Bytes) -> Bytes {
    Edit::new(params).set(&["progressToken"], token.as_ref()).finish().unwrap_or_default()
}

/// Puts the client's id back where a `notifications/cancelled` names the call.
pub(super) fn with_request(params: &Bytes, id: &Bytes) -> Bytes {
    Edit::new(params).set(&["requestId"], id.as_ref()).finish().unwrap_or_default()
}

/// Puts the client's id back as the subscription's, if the object names a subscription.
pub(super) fn with_subscription(object: &Bytes, id: &Bytes) -> Bytes {
    if memmem::find(object, b"ubscriptionId").is_none()
        || !matches!(json::find(object, &["_meta", SUBSCRIPTION]), Ok(Some(_)))
    {
        return object.clone();
    }
    Edit::new(object).set(&["_meta", SUBSCRIPTION], id.as_ref()).finish().unwrap_or_else(|_| object.clone())
}

/// Takes out for whom a worker says something.
pub(super) fn take_principal(params: &Bytes) -> (Bytes, Option<String>) {
    if memmem::find(params, b"omnimind").is_none() {
        return (params.clone(), None);
    }
    let said = json::find(params, &["_meta", PRINCIPAL])
        .ok()
        .flatten()
        .and_then(json::as_str)
        .map(std::borrow::Cow::into_owned);
    let rest = Edit::new(params).remove_pruned(&["_meta", PRINCIPAL]).finish().unwrap_or_default();
    (rest, said)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn call(params: &'static str) -> Call {
        Call {
            id: Bytes::from_static(b"\"a\""),
            method: Arc::from("tools/call"),
            params: Bytes::from_static(params.as_bytes()),
            headers: Vec::new(),
            operator: false,
            idle: None,
            deadline: None,
            trace: None,
        }
    }

    fn written(params: &'static str, stamp: Option<Stamp<'_>>) -> (String, Option<Bytes>) {
        let mut out = Vec::new();
        let token = push_request(&mut out, (7 << 32) + 1, &call(params), stamp).unwrap();
        (String::from_utf8(out).unwrap(), token)
    }

    const STAMP: Stamp<'_> = Stamp { principal: "an\"n", operator: false, deadline_ms: Some(1500) };

    #[test]
    fn a_request_without_meta_keeps_its_params_byte_for_byte() {
        let (text, token) = written(r#"{ "name":"x","arguments":{"n":1.0} }"#, None);
        assert_eq!(
            text,
            r#"{"jsonrpc":"2.0","id":30064771073,"method":"tools/call","params":{ "name":"x","arguments":{"n":1.0} }}"#
        );
        assert_eq!(token, None);
    }

    fn traced(params: &'static str, tracestate: Tracestate, stamp: Option<Stamp<'_>>) -> String {
        let traceparent = *b"00-0000000000000000000000000000000a-000000000000000b-01";
        let mut out = Vec::new();
        let call = Call { trace: Some(Box::new(Context { traceparent, tracestate })), ..call(params) };
        push_request(&mut out, 7, &call, stamp).unwrap();
        let text = String::from_utf8(out).unwrap();
        let params = text.strip_prefix(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":"#).unwrap();
        params.replace(std::str::from_utf8(&traceparent).unwrap(), "OURS").strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn a_server_is_told_of_our_span_once_whatever_the_client_wrote() {
        let sent = r#"{"_meta":{"tracep\u0061rent":"theirs","tracestate":"a=1","baggage":"k=v"},"x":1}"#;
        let put = Tracestate::Is(Some("b=\"2".into()));
        assert_eq!(
            traced(sent, Tracestate::AsSent, None),
            r#"{"_meta":{"tracestate":"a=1","baggage":"k=v","traceparent":"OURS"},"x":1}"#
        );
        assert_eq!(
            traced(sent, Tracestate::Is(None), None),
            r#"{"_meta":{"baggage":"k=v","traceparent":"OURS"},"x":1}"#
        );
        assert_eq!(
            traced(sent, put, Some(STAMP)),
            r#"{"_meta":{"baggage":"k=v","omnimind/principal":"an\"n","omnimind/deadlineMs":1500,"traceparent":"OURS","tracestate":"b=\"2"},"x":1}"#
        );
        for (sent, wanted) in [
            ("", r#"{"_meta":{"traceparent":"OURS"}}"#),
            (r#"{"x":1}"#, r#"{"_meta":{"traceparent":"OURS"},"x":1}"#),
            (r#"{"_meta":{},"x":1}"#, r#"{"_meta":{"traceparent":"OURS"},"x":1}"#),
        ] {
            assert_eq!(traced(sent, Tracestate::AsSent, None), wanted);
        }
    }

    #[test]
    fn a_progress_token_becomes_the_number_of_the_call() {
        let (text, token) = written(r#"{"_meta":{"progressToken":"t\u00e9","a":1},"name":"x"}"#, None);
        assert!(text.ends_with(r#""params":{"_meta":{"progressToken":30064771073,"a":1},"name":"x"}}"#), "{text}");
        assert_eq!(token.as_deref(), Some(&br#""t\u00e9""#[..]));
    }

    #[test]
    fn a_meta_without_a_progress_token_stays_as_it_is() {
        let params = r#"{ "_meta" : {"a":1} ,"arguments":{"_meta":{ }}}"#;
        let (text, token) = written(params, None);
        assert!(text.ends_with(&format!("\"params\":{params}}}")), "{text}");
        assert_eq!(token, None);
    }

    #[test]
    fn a_meta_that_is_no_object_becomes_one() {
        let (text, _) = written(r#"{"arguments":{"_meta":{}},"_meta": null}"#, None);
        assert!(text.ends_with(r#""params":{"arguments":{"_meta":{}},"_meta": {}}}"#), "{text}");
    }

    #[test]
    fn a_token_key_in_disguise_is_found() {
        let (text, token) = written(r#"{"_meta":{"pro\u0067ressToken":5}}"#, None);
        assert_eq!(token.as_deref(), Some(&b"5"[..]));
        assert!(text.contains(":30064771073}"), "{text}");
    }

    #[test]
    fn a_meta_key_in_disguise_is_found() {
        let (text, token) = written(r#"{"\u005fmeta":{"progressToken":5}}"#, Some(STAMP));
        assert_eq!(token.as_deref(), Some(&b"5"[..]));
        assert!(
            text.contains(r#"{"progressToken":30064771073,"omnimind/principal":"an\"n","omnimind/deadlineMs":1500}"#),
            "{text}"
        );
        assert!(!text.contains("\"_meta\""), "{text}");
    }

    #[test]
    fn a_worker_is_told_the_principal_once_whatever_the_client_wrote() {
        let (text, _) = written(r#"{"_meta":{"omnimind/principal":"root"},"name":"x"}"#, Some(STAMP));
        assert!(
            text.ends_with(
                r#""params":{"_meta":{"omnimind/principal":"an\"n","omnimind/deadlineMs":1500},"name":"x"}}"#
            ),
            "{text}"
        );
        let (text, _) = written(r#"{"_meta":{"omnimind/role":"operator"}}"#, Some(STAMP));
        assert!(!text.contains("role"), "{text}");
        let (text, _) = written("", Some(Stamp { operator: true, ..STAMP }));
        assert!(
            text.contains(r#""omnimind/principal":"an\"n","omnimind/role":"operator","omnimind/deadlineMs":1500"#),
            "{text}"
        );
        let (text, _) = written("", Some(STAMP));
        assert!(
            text.ends_with(r#""params":{"_meta":{"omnimind/principal":"an\"n","omnimind/deadlineMs":1500}}}"#),
            "{text}"
        );
        let (text, _) = written(r#" { "a":1}"#, Some(STAMP));
        assert!(
            text.ends_with(r#"{"_meta":{"omnimind/principal":"an\"n","omnimind/deadlineMs":1500},"a":1}}"#),
            "{text}"
        );
    }

    #[test]
    fn a_notification_names_its_call_or_nobody() {
        assert_eq!(about("notifications/progress", br#"{"progressToken":12}"#), About::Progress(12));
        assert_eq!(about("notifications/progress", br#"{"progressToken":"12"}"#), About::Stranger);
        let listen = br#"{"_meta":{"io.modelcontextprotocol/subscriptionId":9}}"#;
        assert_eq!(about("notifications/tools/list_changed", listen), About::Subscription(9));
        assert_eq!(about("notifications/tools/list_changed", b""), About::Nobody);
        assert_eq!(about("notifications/cancelled", br#"{"requestId":"q"}"#), About::Cancelled(None));
    }

    #[test]
    fn what_the_client_wrote_comes_back() {
        let params = Bytes::from_static(br#"{"progressToken":30064771073,"progress":1}"#);
        assert_eq!(with_token(&params, &Bytes::from_static(b"\"t\"")), r#"{"progressToken":"t","progress":1}"#);
        let params = Bytes::from_static(br#"{"_meta":{"io.modelcontextprotocol/subscriptionId":3}}"#);
        assert_eq!(
            with_subscription(&params, &Bytes::from_static(b"\"s\"")),
            r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":"s"}}"#
        );
    }
}
