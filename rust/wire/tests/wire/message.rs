//! Envelopes: what is read is what was sent, and what is written is read again.
use crate::common::{self, choices, object, text, written};
use bytes::Bytes;
use omnimind_wire::{Id, Limits, Message, Notification, Request, Response, RpcError, message};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(raw: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(raw.as_bytes()), &Limits::default()).unwrap()
}

fn request(raw: &str) -> Request {
    let Message::Request(request) = parse(raw) else { panic!("a request: {raw}") };
    request
}

fn response(raw: &str) -> Response {
    let Message::Response(response) = parse(raw) else { panic!("a response: {raw}") };
    response
}

#[test]
fn a_request_gives_what_the_gateway_decides_by() {
    let raw = r#"{"jsonrpc":"2.0","id":"a\u0062","method":"tools/call","params":{"name":"echo","arguments":{"name":"other","uri":"x"},"_meta":{"progressToken":7}}}"#;
    let request = request(raw);
    assert_eq!(request.id, Id::Str("ab".into()));
    assert_eq!(&request.id.raw()[..], b"\"ab\"");
    assert_eq!(request.method, "tools/call");
    assert_eq!(request.name().as_deref(), Some("echo"));
    assert_eq!(request.meta.as_deref(), Some(&br#"{"progressToken":7}"#[..]));
    assert_eq!(request.param("arguments"), Some(&br#"{"name":"other","uri":"x"}"#[..]));
    assert_eq!(request.meta_value("progressToken"), Some(&b"7"[..]));
    assert_eq!(request.meta_value("name"), None);
}

#[test]
fn the_subject_follows_the_method_wherever_the_method_stands() {
    for (method, subject) in [
        ("tools/call", Some("N")),
        ("prompts/get", Some("N")),
        ("resources/read", Some("U")),
        ("resources/subscribe", Some("U")),
        ("tasks/get", Some("T")),
        ("tasks/cancel", Some("T")),
        ("tools/list", None),
        ("completion/complete", None),
    ] {
        let raw =
            format!(r#"{{"params":{{"name":"N","uri":"U","taskId":"T"}},"id":0,"method":"{method}","jsonrpc":"2.0"}}"#);
        assert_eq!(request(&raw).name().as_deref(), subject, "{method}");
    }
    let odd = request(r#"{"jsonrpc":"2.0","id":0,"method":"tools/call","params":{"name":["x"]}}"#);
    assert_eq!((odd.name(), odd.subject.as_deref()), (None, Some(&br#"["x"]"#[..])));
}

#[test]
fn the_parts_are_slices_of_the_body_and_not_copies() {
    let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"k":1}}}"#);
    let range = body.as_ptr_range();
    let Message::Request(request) = Message::parse(body, &Limits::default()).unwrap() else { panic!("a request") };
    for part in [request.params.unwrap(), request.meta.unwrap()] {
        assert!(range.contains(&part.as_ptr()));
    }
}

#[test]
fn null_params_and_null_meta_are_as_good_as_none() {
    assert_eq!(request(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#).params, None);
    let found = request(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":null}}"#);
    assert_eq!((found.params.as_deref(), found.meta), (Some(&br#"{"_meta":null}"#[..]), None));
}

#[test]
fn notifications_have_no_id() {
    let raw = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9,"_meta":{"a":1}}}"#;
    let Message::Notification(Notification { method, params, meta }) = parse(raw) else { panic!("a notification") };
    assert_eq!(method, "notifications/cancelled");
    assert_eq!(params.as_deref(), Some(&br#"{"requestId":9,"_meta":{"a":1}}"#[..]));
    assert_eq!(meta.as_deref(), Some(&br#"{"a":1}"#[..]));
}

#[test]
fn responses_carry_a_result_of_any_kind_or_an_error() {
    for result in ["{}", r#"{"content":[]}"#, "null", "[]", "1"] {
        let found = response(&format!(r#"{{"jsonrpc":"2.0","id":4294967297,"result":{result}}}"#));
        assert_eq!(
            found,
            Response { id: Some(Id::Int(4_294_967_297)), outcome: Ok(Bytes::copy_from_slice(result.as_bytes())) }
        );
    }
    let found =
        response(r#"{"jsonrpc":"2.0","id":1,"error":{"data":{"uri":"x"},"message":"no \u00e9","code":-32002}}"#);
    let error = RpcError::new(-32_002, "no é").with_data(Bytes::from_static(br#"{"uri":"x"}"#));
    assert_eq!(found, Response { id: Some(Id::Int(1)), outcome: Err(error) });
}

#[test]
fn an_error_may_come_without_an_id() {
    for raw in [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#,
    ] {
        assert_eq!(response(raw), Response { id: None, outcome: Err(RpcError::new(-32_700, "x")) });
    }
}

#[test]
fn ids_at_the_edges_are_kept_exactly() {
    for (raw, id) in [
        ("0", Id::Int(0)),
        ("-1", Id::Int(-1)),
        ("9007199254740992", Id::Int(1 << 53)),
        ("-9007199254740992", Id::Int(-(1 << 53))),
        ("\"\"", Id::Str(String::new())),
        ("\"1\"", Id::Str("1".into())),
        ("\"\u{1F600}\"", Id::Str("\u{1F600}".into())),
    ] {
        let found = request(&format!(r#"{{"jsonrpc":"2.0","id":{raw},"method":"m"}}"#)).id;
        assert_eq!(found, id);
        assert_eq!(&found.raw()[..], raw.as_bytes());
        assert_eq!(Id::from_raw(raw.as_bytes()), Some(id));
    }
    for raw in ["null", "1.0", "{}", "", "-0", "1e2", "9007199254740993", "\"x", " 1"] {
        assert_eq!(Id::from_raw(raw.as_bytes()), None, "{raw}");
    }
}

#[test]
fn an_integer_id_and_the_same_digits_as_text_are_two_ids() {
    assert_ne!(Id::from_raw(b"1"), Id::from_raw(b"\"1\""));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(id in any::<i32>(), name in text(), method in "[a-z/]{1,20}", params in proptest::option::of(object()), choices in choices()) {
        let raw = params.as_ref().map(|params| written(params, choices));
        let raw_params = raw.as_ref().map(|raw| raw.trim());
        for id in [Id::Int(id.into()), Id::Str(name)] {
            let bytes = message::request(&id.raw(), &method, raw_params.map(str::as_bytes));
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(&value["jsonrpc"], &json!("2.0"));
            match Message::parse(bytes, &Limits::default()) {
                Ok(Message::Request(found)) => {
                    prop_assert_eq!(&found.id, &id);
                    prop_assert_eq!(&found.method, &method);
                    prop_assert_eq!(found.params.as_deref(), raw_params.map(str::as_bytes));
                    let again = Message::parse(found.to_bytes(None), &Limits::default()).unwrap();
                    prop_assert_eq!(again, Message::Request(found));
                }
                Ok(other) => prop_assert!(false, "{other:?}"),
                Err(malformed) => prop_assert!(params.as_ref().is_some_and(|p| p.get("_meta").is_some_and(|m| !m.is_object() && !m.is_null())), "{malformed}"),
            }
        }
    }

    #[test]
    fn errors_and_results_are_read_as_they_were_written(code in any::<i64>(), text in text(), data in proptest::option::of(common::value()), choices in choices()) {
        let mut error = RpcError::new(code, text);
        error.data = data.as_ref().map(|data| Bytes::from(written(data, choices).trim().to_owned()));
        let found = Message::parse(message::error(b"7", &error), &Limits::default()).unwrap();
        prop_assert_eq!(found, Message::Response(Response { id: Some(Id::Int(7)), outcome: Err(error.clone()) }));
        let found = Message::parse(message::error(b"null", &error), &Limits::default()).unwrap();
        prop_assert_eq!(found, Message::Response(Response { id: None, outcome: Err(error) }));
        let result = Bytes::from(data.unwrap_or(Value::Null).to_string());
        let found = Message::parse(message::result(b"\"x\"", &result), &Limits::default()).unwrap();
        prop_assert_eq!(found, Message::Response(Response { id: Some(Id::Str("x".into())), outcome: Ok(result) }));
    }

    #[test]
    fn any_bytes_are_parsed_or_refused_and_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..96)) {
        let _ = Message::parse(Bytes::from(raw), &Limits::default());
    }
}

#[test]
fn what_a_request_is_judged_by_is_read_from_the_outermost_meta_alone() {
    let found = request(
        r#"{"jsonrpc":"2.0","id":"a\u0062","method":"tools/call","params":{"arguments":{"requestState":"s",
        "_meta":{"omnimind/x":1,"io.modelcontextprotocol/protocolVersion":"nested"}},
        "_meta": {"a":{"omnimind/x":1}, "io.modelcontextprotocol/protocolVersion" : "v",
        "io.modelcontextprotocol/clientC\u0061pabilities":{"roots":{}},"io.modelcontextprotocol/clientInfo":[],
        "io.modelcontextprotocol/logLevel":"debug"},"name":"x"}}"#,
    );
    assert_eq!(&found.id_raw[..], br#""a\u0062""#);
    assert_eq!(found.meta_version(), Some(&b"\"v\""[..]));
    assert_eq!(found.meta_capabilities(), Some(&br#"{"roots":{}}"#[..]));
    assert_eq!(found.meta_client_info(), Some(&b"[]"[..]));
    assert_eq!(found.meta_log_level(), Some(&b"\"debug\""[..]));
    assert!(!found.has_own_meta() && !found.has_state);

    assert!(!found.has_passing_meta());

    let hidden = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"re\u0071uestState":null,"\u005fmeta":{"\u006fmnimind/t":1}}}"#;
    let found = request(hidden);
    assert!(found.has_own_meta() && found.has_state && found.continues() && found.has_passing_meta());
    let tracing = r#"{"progressToken":1,"traceparent":"a","tracestate":"b","baggage":"c","omnimind/x":{}}"#;
    let meta = |meta: &str| request(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{meta}}}}}"#));
    assert!(meta(tracing).has_passing_meta() && !meta(r#"{"progresstoken":1}"#).has_passing_meta());
    assert!(!request(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"inputResponses":1}}}"#).continues());
    assert!(request(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"input\u0052esponses":null}}"#).continues());
    assert_eq!(found.meta_version(), None);

    let found = request(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":null}}"#);
    assert!(found.meta.is_none() && found.meta_version().is_none() && !found.has_own_meta());
}
