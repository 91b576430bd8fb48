#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashSet;

use bytes::Bytes;
use http::HeaderValue;
use omnimind_wire::Limits;

use super::*;

const THEIRS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn tracer(sampler: &str, ratio: f64) -> Arc<Tracer> {
    let text = serde_json::json!({"sampler": {"name": sampler, "ratio": ratio}, "queue": 64, "batch": 8});
    Arc::new(Tracer::new(serde_json::from_value(text).unwrap(), [7; 32]))
}

fn request(meta: &str) -> Message {
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{{"_meta":{meta},"name":"x"}}}}"#);
    Message::parse(Bytes::from(text), &Limits::default()).unwrap()
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn begun(tracer: &Arc<Tracer>, meta: &str, fields: &[(&'static str, &'static str)]) -> Option<Arc<Trace>> {
    tracer.draw(Instant::now(), 1_000).begin(&request(meta), &headers(fields))
}

#[test]
fn a_request_is_a_part_of_its_callers_trace() {
    let theirs = Parent::parse(THEIRS.as_bytes()).unwrap();
    let told = format!(r#"{{"traceparent":"{THEIRS}","tracestate":"a=1"}}"#);
    let other = [("traceparent", "00-11111111111111111111111111111111-2222222222222222-01")];
    let trace = begun(&tracer("parentbased_always_off", 0.0), &told, &other).unwrap();
    assert_eq!((trace.own.trace, trace.parent), (theirs.trace, Some(theirs.span)));
    assert_ne!(trace.own.span, theirs.span);
    assert_eq!((trace.state.as_deref(), trace.stands), (Some("a=1"), true));
}

#[test]
fn the_head_counts_where_meta_says_nothing() {
    let fields = [("traceparent", THEIRS), ("tracestate", "a=1"), ("tracestate", "b=2")];
    let trace = begun(&tracer("parentbased_always_off", 0.0), r#"{"tracestate":"of=nobody"}"#, &fields).unwrap();
    assert_eq!(trace.parent, Some(0x00f0_67aa_0ba9_02b7));
    assert_eq!((trace.state.as_deref(), trace.stands), (Some("a=1,b=2"), false));
    // Two heads are none.
    assert!(begun(&tracer("parentbased_always_off", 0.0), "{}", &[fields[0], fields[0]]).is_none());
}

#[test]
fn what_cannot_be_read_begins_a_trace_of_its_own() {
    let tracer = tracer("parentbased_always_on", 1.0);
    for told in [r#""nonsense""#, "5", "null", &format!("\"{}\"", THEIRS.to_uppercase()), &format!("[\"{THEIRS}\"]")] {
        let meta = format!(r#"{{"traceparent":{told},"tracestate":"a=1"}}"#);
        let trace = begun(&tracer, &meta, &[("traceparent", THEIRS)]).unwrap();
        assert_eq!((trace.parent, trace.state.as_deref(), trace.stands), (None, None, false), "{told}");
        assert_ne!(trace.own.trace, Parent::parse(THEIRS.as_bytes()).unwrap().trace, "{told}");
    }
}

#[test]
fn what_its_caller_does_not_record_is_not_recorded() {
    let told = format!(r#"{{"traceparent":"{}"}}"#, THEIRS.replace("-01", "-00"));
    assert!(begun(&tracer("parentbased_always_on", 1.0), &told, &[]).is_none());
    assert!(begun(&tracer("always_on", 1.0), &told, &[]).is_some());
}

#[test]
fn what_is_surely_not_recorded_need_not_be_read() {
    let never = tracer("parentbased_always_off", 0.0);
    let passes = |tracer: &Arc<Tracer>, fields: &[(&'static str, &'static str)], body: &str| {
        tracer.draw(Instant::now(), 0).passes(&headers(fields), body.as_bytes())
    };
    assert!(passes(&never, &[], r#"{"params":{}}"#));
    assert!(!passes(&never, &[("traceparent", "x")], "{}"));
    assert!(!passes(&never, &[], r#"{"_meta":{"traceparent":"x"}}"#));
    assert!(!passes(&tracer("always_on", 1.0), &[], "{}"));
}

#[test]
fn ids_are_never_the_same_and_never_those_of_another_key() {
    let ids = |key| Ids { key: [key; 32], count: AtomicU64::new(0) };
    let (one, other) = (ids(1), ids(2));
    let mut seen = HashSet::new();
    for _ in 0..10_000 {
        for (trace, span) in [one.next(), other.next()] {
            assert!(trace != 0 && span != 0 && seen.insert(trace) && seen.insert(span.into()));
        }
    }
}

#[test]
fn a_share_of_traces_is_the_share_that_was_asked_for() {
    let tracer = tracer("parentbased_traceidratio", 0.1);
    let recorded = (0..10_000).filter(|_| begun(&tracer, "{}", &[]).is_some()).count();
    assert!((800..1_200).contains(&recorded), "{recorded}");
}

#[test]
fn spans_tell_what_was_asked_and_never_with_what() {
    let tracer = tracer("always_on", 1.0);
    let trace = begun(&tracer, r#"{"secret":"s3cret"}"#, &[("mcp-protocol-version", MODERN_VERSION)]).unwrap();
    let at = trace.since + Duration::from_micros(30);
    trace.waited("memory", Duration::from_micros(10), at);
    let counted = Counted { server: "memory", method: "tools/call", tool: "x", cache: "none" };
    trace.end(&counted, Some(Fault::of_code(-32602)), at);
    let spans = tracer.buffer().take(Duration::ZERO).unwrap();
    let [queue, server] = [&spans[0], &spans[1]];
    assert_eq!(
        (queue.kind, queue.parent, queue.start_ns, queue.end_ns),
        (Kind::Internal, Some(server.span), 21_000, 31_000)
    );
    assert_eq!((&*server.name, server.start_ns, server.end_ns, server.failed), ("tools/call x", 1_000, 31_000, true));
    let told: Vec<_> = server.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        told,
        [
            "mcp.method.name=tools/call",
            "omnimind.server=memory",
            "gen_ai.operation.name=execute_tool",
            "gen_ai.tool.name=x",
            "mcp.protocol.version=2026-07-28",
            "network.transport=tcp",
            "error.type=-32602",
            "rpc.response.status_code=-32602",
            "omnimind.cache=none",
            "network.protocol.name=http",
            "jsonrpc.request.id=a-1",
        ]
    );
    assert!(!format!("{spans:?}").contains("s3cret"));
}
