//! Headers against the body: the table of mismatches, the sentinel, mirrored arguments.

use bytes::Bytes;
use omnimind_wire::error::{HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION};
use omnimind_wire::headers::{
    ParamHeader, ParamType, Values, check_legacy, check_modern, check_params, decode, encode, mirror_params,
    param_headers,
};
use omnimind_wire::{Limits, Message, Request, RpcError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::text;

type Headers<'h> = &'h [(&'h str, &'h [u8])];

fn request(method: &str, params: &Value) -> Request {
    let raw = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    match Message::parse(Bytes::from(raw), &Limits::default()).unwrap() {
        Message::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

fn values<'h>(headers: Headers<'h>, name: &str) -> Values<'h> {
    assert_eq!(name, name.to_lowercase());
    headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect()
}

fn modern(headers: Headers<'_>, request: &Request) -> Result<(), RpcError> {
    check_modern(&|name| values(headers, name), request)
}

fn with_meta(mut params: Value) -> Value {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    params
}

fn call(name: &str) -> Request {
    request("tools/call", &with_meta(json!({"name": name, "arguments": {}})))
}

const VERSION: (&str, &[u8]) = ("mcp-protocol-version", b"2026-07-28");
const CALL: (&str, &[u8]) = ("mcp-method", b"tools/call");

#[test]
fn a_request_whose_headers_say_what_the_body_says_passes() {
    assert_eq!(modern(&[VERSION, CALL, ("mcp-name", b"echo")], &call("echo")), Ok(()));
    assert_eq!(
        modern(&[VERSION, CALL, ("MCP-Name", b"echo"), ("mcp-param-x", b"1"), ("x", b"")], &call("echo")),
        Ok(())
    );
    assert_eq!(modern(&[VERSION, CALL, ("mcp-name", b"=?base64?ZWNobw==?=")], &call("echo")), Ok(()));
    assert_eq!(modern(&[VERSION, CALL, ("mcp-name", b"=?base64?w6k=?=")], &call("é")), Ok(()));
    let list = request("tools/list", &with_meta(json!({})));
    assert_eq!(modern(&[VERSION, ("mcp-method", b"tools/list")], &list), Ok(()));
    let read = request("resources/read", &with_meta(json!({"uri": "file:///x", "name": "other"})));
    assert_eq!(modern(&[VERSION, ("mcp-method", b"resources/read"), ("mcp-name", b"file:///x")], &read), Ok(()));
    let prompt = request("prompts/get", &with_meta(json!({"name": "p"})));
    assert_eq!(modern(&[VERSION, ("mcp-method", b"prompts/get"), ("mcp-name", b"p")], &prompt), Ok(()));
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let task = request(method, &with_meta(json!({"taskId": "t1"})));
        assert_eq!(modern(&[VERSION, ("mcp-method", method.as_bytes()), ("mcp-name", b"t1")], &task), Ok(()));
        assert_eq!(
            modern(&[VERSION, ("mcp-method", method.as_bytes()), ("mcp-name", b"t2")], &task).unwrap_err().code,
            HEADER_MISMATCH
        );
    }
    let nameless = request("tools/call", &with_meta(json!({})));
    assert_eq!(modern(&[VERSION, CALL], &nameless), Ok(()), "the server says what is missing");
}

#[test]
fn every_mismatch_is_refused() {
    let echo: (&str, &[u8]) = ("mcp-name", b"echo");
    let name = |value: &'static [u8]| ("mcp-name", value);
    let table: &[(&str, Headers<'_>, &str)] = &[
        ("no headers", &[], "echo"),
        ("no version", &[CALL, echo], "echo"),
        ("no method", &[VERSION, echo], "echo"),
        ("no name", &[VERSION, CALL], "echo"),
        ("version twice", &[VERSION, VERSION, CALL, echo], "echo"),
        ("version twice and unlike", &[VERSION, ("mcp-protocol-version", b"2025-11-25"), CALL, echo], "echo"),
        ("method twice", &[VERSION, CALL, CALL, echo], "echo"),
        ("method twice in two spellings of the header", &[VERSION, CALL, ("Mcp-Method", b"tools/list"), echo], "echo"),
        ("name twice", &[VERSION, CALL, echo, echo], "echo"),
        ("name twice, first wrong", &[VERSION, CALL, name(b"evil"), echo], "echo"),
        ("name twice, last wrong", &[VERSION, CALL, echo, name(b"evil")], "echo"),
        ("older version", &[("mcp-protocol-version", b"2025-11-25"), CALL, echo], "echo"),
        ("oldest version", &[("mcp-protocol-version", b"2024-11-05"), CALL, echo], "echo"),
        ("newer version", &[("mcp-protocol-version", b"2027-01-01"), CALL, echo], "echo"),
        ("empty version", &[("mcp-protocol-version", b""), CALL, echo], "echo"),
        ("version with space", &[("mcp-protocol-version", b" 2026-07-28"), CALL, echo], "echo"),
        ("versions joined", &[("mcp-protocol-version", b"2026-07-28, 2026-07-28"), CALL, echo], "echo"),
        ("version as sentinel", &[("mcp-protocol-version", b"=?base64?MjAyNi0wNy0yOA==?="), CALL, echo], "echo"),
        ("another method", &[VERSION, ("mcp-method", b"tools/list"), echo], "echo"),
        ("method in capitals", &[VERSION, ("mcp-method", b"TOOLS/CALL"), echo], "echo"),
        ("method with space", &[VERSION, ("mcp-method", b"tools/call "), echo], "echo"),
        ("method percent-encoded", &[VERSION, ("mcp-method", b"tools%2Fcall"), echo], "echo"),
        ("method as sentinel", &[VERSION, ("mcp-method", b"=?base64?dG9vbHMvY2FsbA==?="), echo], "echo"),
        ("empty method", &[VERSION, ("mcp-method", b""), echo], "echo"),
        ("another name", &[VERSION, CALL, name(b"evil")], "echo"),
        ("empty name", &[VERSION, CALL, name(b"")], "echo"),
        ("name in capitals", &[VERSION, CALL, name(b"Echo")], "echo"),
        ("name with a space before", &[VERSION, CALL, name(b" echo")], "echo"),
        ("name with a space after", &[VERSION, CALL, name(b"echo ")], "echo"),
        ("name with a zero byte", &[VERSION, CALL, name(b"echo\0")], "echo"),
        ("name as a list", &[VERSION, CALL, name(b"echo, echo")], "echo"),
        ("name percent-encoded", &[VERSION, CALL, name(b"ech%6F")], "echo"),
        ("name in quotes", &[VERSION, CALL, name(b"\"echo\"")], "echo"),
        ("a prefix", &[VERSION, CALL, name(b"ech")], "echo"),
        ("sentinel of another name", &[VERSION, CALL, name(b"=?base64?ZXZpbA==?=")], "echo"),
        ("sentinel without padding", &[VERSION, CALL, name(b"=?base64?ZWNobw?=")], "echo"),
        ("sentinel with half the padding", &[VERSION, CALL, name(b"=?base64?ZWNobw=?=")], "echo"),
        ("sentinel with too much padding", &[VERSION, CALL, name(b"=?base64?ZWNobw===?=")], "echo"),
        ("sentinel with loose bits", &[VERSION, CALL, name(b"=?base64?ZWNobx==?=")], "echo"),
        ("sentinel with a space", &[VERSION, CALL, name(b"=?base64?ZWNo bw==?=")], "echo"),
        ("sentinel with a line end", &[VERSION, CALL, name(b"=?base64?ZWNobw==\n?=")], "echo"),
        ("sentinel in the URL alphabet", &[VERSION, CALL, name(b"=?base64?w79_?=")], "\u{ff}\u{7f}"),
        ("sentinel in capitals", &[VERSION, CALL, name(b"=?BASE64?ZWNobw==?=")], "echo"),
        ("sentinel of another encoding", &[VERSION, CALL, name(b"=?utf-8?B?ZWNobw==?=")], "echo"),
        ("sentinel that does not end", &[VERSION, CALL, name(b"=?base64?ZWNobw==")], "echo"),
        ("sentinel with a tail", &[VERSION, CALL, name(b"=?base64?ZWNobw==?=x")], "echo"),
        ("sentinel of a sentinel", &[VERSION, CALL, name(b"=?base64?PT9iYXNlNjQ/WldOb2J3PT0/PQ==?=")], "echo"),
        ("sentinel of no UTF-8", &[VERSION, CALL, name(b"=?base64?/w==?=")], "\u{fffd}"),
        ("empty sentinel", &[VERSION, CALL, name(b"=?base64??=")], "echo"),
        ("raw UTF-8", &[VERSION, CALL, name("é".as_bytes())], "é"),
        ("raw Latin-1", &[VERSION, CALL, name(b"\xE9")], "é"),
        ("decomposed for composed", &[VERSION, CALL, name(b"=?base64?ZcyB?=")], "é"),
        ("composed for decomposed", &[VERSION, CALL, name(b"=?base64?w6k=?=")], "e\u{301}"),
        ("compatibility form", &[VERSION, CALL, name(b"fi")], "\u{fb01}"),
        ("Kelvin sign for K", &[VERSION, CALL, name(b"K")], "\u{212a}"),
        ("Cyrillic look-alike", &[VERSION, CALL, name(b"echo")], "echо"),
    ];
    for (what, headers, body) in table {
        let error = modern(headers, &call(body)).expect_err(what);
        assert_eq!(error.code, HEADER_MISMATCH, "{what}: {error}");
    }
}

#[test]
fn a_name_that_the_body_does_not_have_as_text_equals_nothing() {
    for body in
        [json!({"name": ["echo"]}), json!({"name": 1}), json!({"name": null}), json!({"name": {"a": 1}}), json!({})]
    {
        let request = request("tools/call", &with_meta(body));
        for header in [&b"echo"[..], b"1", b"null", b""] {
            assert_eq!(modern(&[VERSION, CALL, ("mcp-name", header)], &request).unwrap_err().code, HEADER_MISMATCH);
        }
    }
}

#[test]
fn the_envelope_keys_are_required_before_headers_are_compared() {
    let key = |name: &str| format!("io.modelcontextprotocol/{name}");
    let headers: Headers<'_> = &[VERSION, ("mcp-method", b"tools/list")];
    let table = [
        json!({}),
        json!({"_meta": null}),
        json!({"_meta": {}}),
        json!({"_meta": {key("protocolVersion"): "2026-07-28"}}),
        json!({"_meta": {key("clientCapabilities"): {}}}),
        json!({"_meta": {key("protocolVersion"): "2026-07-28", key("clientCapabilities"): null}}),
        json!({"_meta": {key("protocolVersion"): "2026-07-28", key("clientCapabilities"): []}}),
        json!({"_meta": {"protocolVersion": "2026-07-28", "clientCapabilities": {}}}),
    ];
    for params in table {
        assert_eq!(modern(headers, &request("tools/list", &params)).unwrap_err().code, INVALID_PARAMS, "{params}");
    }
    let odd = json!({"_meta": {key("protocolVersion"): 20_260_728, key("clientCapabilities"): {}}});
    assert_eq!(modern(headers, &request("tools/list", &odd)).unwrap_err().code, HEADER_MISMATCH);
}

#[test]
fn a_version_that_nobody_serves_is_answered_with_those_that_are() {
    let params = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01", "io.modelcontextprotocol/clientCapabilities": {}}});
    let headers: Headers<'_> = &[("mcp-protocol-version", b"2099-01-01"), ("mcp-method", b"tools/list")];
    let error = modern(headers, &request("tools/list", &params)).unwrap_err();
    assert_eq!(error.code, UNSUPPORTED_VERSION);
    let data: Value = serde_json::from_slice(&error.data.unwrap()).unwrap();
    let supported = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
    assert_eq!(data, json!({"supported": supported, "requested": "2099-01-01"}));
}

#[test]
fn a_modern_body_cannot_hide_behind_an_older_header() {
    let hidden = call("echo");
    let legacy = request("tools/call", &json!({"name": "echo"}));
    for headers in
        [&[][..], &[("mcp-protocol-version", &b"2025-11-25"[..])], &[("mcp-protocol-version", &b"2024-11-05"[..])]]
    {
        assert_eq!(check_legacy(&|name| values(headers, name), &hidden).unwrap_err().code, HEADER_MISMATCH);
        assert_eq!(check_legacy(&|name| values(headers, name), &legacy), Ok(()));
    }
    let twice: Headers<'_> = &[("mcp-protocol-version", b"2025-11-25"), ("mcp-protocol-version", b"2026-07-28")];
    assert_eq!(check_legacy(&|name| values(twice, name), &legacy).unwrap_err().code, HEADER_MISMATCH);
}

#[test]
fn the_sentinel_is_used_only_where_it_is_needed() {
    for (value, sent) in [
        ("echo", "echo"),
        ("", ""),
        ("a b", "a b"),
        ("é", "=?base64?w6k=?="),
        (" a", "=?base64?IGE=?="),
        ("a ", "=?base64?YSA=?="),
        ("a\tb", "=?base64?YQli?="),
        ("a\r\nx: y", "=?base64?YQ0KeDogeQ==?="),
        ("\u{7f}", "=?base64?fw==?="),
        ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
        ("=?base64?x", "=?base64?x"),
    ] {
        assert_eq!(encode(value), sent);
        assert_eq!(decode(sent.as_bytes()).as_deref(), Some(value));
    }
}

fn schema(properties: Value) -> Vec<u8> {
    json!({"type": "object", "properties": properties}).to_string().into_bytes()
}

#[test]
fn annotations_are_found_with_their_place_and_type() {
    let raw = schema(json!({
        "region": {"type": "string", "x-mcp-header": "Region"},
        "size": {"type": "integer", "x-mcp-header": "Size"},
        "plain": {"type": "string", "default": {"x-mcp-header": "no"}, "enum": [{"x-mcp-header": 1}], "const": {"x-mcp-header": 1}, "examples": [{"x-mcp-header": 1}]},
        "x-mcp-header": {"type": "string"},
        "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry-Run"}}},
    }));
    let mut found = param_headers(&raw).unwrap();
    found.sort_by(|left, right| left.header.cmp(&right.header));
    let param = |token: &str, path: &[&str], kind| ParamHeader {
        header: format!("mcp-param-{}", token.to_lowercase()),
        sent_as: format!("Mcp-Param-{token}"),
        path: path.iter().map(|key| (*key).to_owned()).collect(),
        kind,
    };
    let expected = [
        param("Dry-Run", &["deep", "dry"], ParamType::Boolean),
        param("Region", &["region"], ParamType::String),
        param("Size", &["size"], ParamType::Integer),
    ];
    assert_eq!(found, expected);
    for none in [
        "{}",
        "null",
        "true",
        "[]",
        r#"{"type":"object"}"#,
        r#"{"properties":[{"x-mcp-header":"A"}]}"#,
        r#"{"$ref":"https://x/y.json"}"#,
    ] {
        assert_eq!(param_headers(none.as_bytes()), Ok(Vec::new()), "{none}");
    }
}

#[test]
fn a_tool_with_an_annotation_that_is_not_allowed_is_told_apart() {
    let on = |annotation: Value, kind: Value| json!({"a": {"type": kind, "x-mcp-header": annotation}});
    let wrong = [
        schema(on(json!(""), json!("string"))),
        schema(on(json!("a b"), json!("string"))),
        schema(on(json!("a:b"), json!("string"))),
        schema(on(json!("é"), json!("string"))),
        schema(on(json!("a\r\nX: y"), json!("string"))),
        schema(on(json!(1), json!("string"))),
        schema(on(json!(null), json!("string"))),
        schema(on(json!(["A"]), json!("string"))),
        schema(on(json!("A"), json!("number"))),
        schema(on(json!("A"), json!("object"))),
        schema(on(json!("A"), json!("array"))),
        schema(on(json!("A"), json!(["string", "null"]))),
        schema(on(json!("A"), json!(null))),
        schema(json!({"a": {"x-mcp-header": "A"}})),
        schema(json!({"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}})),
        json!({"type": "object", "x-mcp-header": "A"}).to_string().into_bytes(),
        schema(json!({"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}})),
        schema(json!({"a": {"oneOf": [{"type": "string", "x-mcp-header": "A"}]}})),
        json!({"$defs": {"a": {"type": "string", "x-mcp-header": "A"}}}).to_string().into_bytes(),
        json!({"if": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}}).to_string().into_bytes(),
        json!({"patternProperties": {"a": {"type": "string", "x-mcp-header": "A"}}}).to_string().into_bytes(),
        b"{\"properties\":".to_vec(),
    ];
    for raw in wrong {
        assert!(param_headers(&raw).is_err(), "{}", String::from_utf8_lossy(&raw));
    }
}

#[test]
fn mirrored_arguments_are_compared_by_their_type() {
    let raw = schema(json!({
        "s": {"type": "string", "x-mcp-header": "S"}, "i": {"type": "integer", "x-mcp-header": "I"}, "b": {"type": "boolean", "x-mcp-header": "B"},
        "o": {"type": "object", "properties": {"s": {"type": "string", "x-mcp-header": "OS"}}},
    }));
    let expected = param_headers(&raw).unwrap();
    let check = |headers: Headers<'_>, arguments: &str| {
        check_params(&expected, Some(arguments.as_bytes()), &|name| values(headers, name)).is_ok()
    };
    let s = |value: &'static [u8]| ("mcp-param-s", value);
    let i = |value: &'static [u8]| ("mcp-param-i", value);
    let table: &[(Headers<'_>, &str, bool)] = &[
        (&[], "{}", true),
        (&[], r#"{"s":null}"#, true),
        (&[("mcp-param-unknown", b"x"), ("mcp-param-unknown", b"y")], "{}", true),
        (&[s(b"eu")], r#"{"s":"eu"}"#, true),
        (&[("Mcp-Param-S", b"eu")], r#"{"s":"eu"}"#, true),
        (&[s(b"eu")], r#"{"s":"\u0065u"}"#, true),
        (&[s(b"=?base64?ZXU=?=")], r#"{"s":"eu"}"#, true),
        (&[s(b"=?base64?w6k=?=")], r#"{"s":"é"}"#, true),
        (&[s(b"us")], r#"{"s":"eu"}"#, false),
        (&[s(b"EU")], r#"{"s":"eu"}"#, false),
        (&[s(b"=?base64?ZXU?=")], r#"{"s":"eu"}"#, false),
        (&[s(b"eu"), s(b"eu")], r#"{"s":"eu"}"#, false),
        (&[s(b"eu"), s(b"us")], r#"{"s":"eu"}"#, false),
        (&[], r#"{"s":"eu"}"#, false),
        (&[s(b"eu")], "{}", false),
        (&[s(b"null")], r#"{"s":null}"#, false),
        (&[s(b"1")], r#"{"s":"1"}"#, true),
        (&[s(b"1.0")], r#"{"s":"1"}"#, false),
        (&[i(b"42")], r#"{"i":42}"#, true),
        (&[i(b"42.0")], r#"{"i":42}"#, true),
        (&[i(b"42")], r#"{"i":42.0}"#, true),
        (&[i(b"042")], r#"{"i":42}"#, true),
        (&[i(b"-0")], r#"{"i":0}"#, true),
        (&[i(b"-42")], r#"{"i":42}"#, false),
        (&[i(b"42.5")], r#"{"i":42}"#, false),
        (&[i(b"4.2e1")], r#"{"i":42}"#, false),
        (&[i(b"+42")], r#"{"i":42}"#, false),
        (&[i(b"42 ")], r#"{"i":42}"#, false),
        (&[i(b"")], r#"{"i":42}"#, false),
        (&[i(b"9007199254740993")], r#"{"i":9007199254740993}"#, true),
        (&[i(b"9007199254740992")], r#"{"i":9007199254740993}"#, false),
        (&[i(b"true")], r#"{"i":true}"#, true),
        (&[i(b"1")], r#"{"i":true}"#, false),
        (&[i(b"42")], r#"{"i":"42"}"#, true),
        (&[i(b"42.0")], r#"{"i":"42"}"#, false),
        (&[("mcp-param-b", b"true")], r#"{"b":true}"#, true),
        (&[("mcp-param-b", b"True")], r#"{"b":true}"#, false),
        (&[("mcp-param-b", b"1")], r#"{"b":true}"#, false),
        (&[("mcp-param-b", b"false")], r#"{"b":true}"#, false),
        (&[], r#"{"s":["eu"]}"#, true),
        (&[s(b"eu")], r#"{"s":["eu"]}"#, false),
        (&[("mcp-param-os", b"x")], r#"{"o":{"s":"x"}}"#, true),
        (&[("mcp-param-os", b"x")], r#"{"o":"x"}"#, false),
        (&[], r#"{"o":"x"}"#, true),
    ];
    for (headers, arguments, fine) in table {
        assert_eq!(check(headers, arguments), *fine, "{headers:?} {arguments}");
    }
    assert!(check_params(&expected, None, &|_| Values::None).is_ok());
    assert_eq!(check_params(&expected, None, &|_| Values::One(b"x")).unwrap_err().code, HEADER_MISMATCH);
}

proptest! {
    #[test]
    fn the_sentinel_brings_any_text_back_as_a_valid_field_value(text in text()) {
        let sent = encode(&text);
        prop_assert!(sent.bytes().all(|byte| matches!(byte, 0x20..=0x7E)) && sent == sent.trim_matches(' '));
        let back = decode(sent.as_bytes());
        prop_assert_eq!(back.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn what_is_mirrored_is_accepted(s in text(), i in any::<i64>(), b in any::<bool>()) {
        let raw = schema(json!({"s": {"type": "string", "x-mcp-header": "S"}, "i": {"type": "integer", "x-mcp-header": "I"}, "b": {"type": "boolean", "x-mcp-header": "B"}}));
        let expected = param_headers(&raw).unwrap();
        let arguments = json!({"s": s, "i": i, "b": b}).to_string();
        let sent = mirror_params(&expected, Some(arguments.as_bytes()));
        prop_assert_eq!(sent.len(), 3);
        let headers: Vec<(&str, &[u8])> = sent.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        prop_assert_eq!(check_params(&expected, Some(arguments.as_bytes()), &|name| values(&headers, name)), Ok(()));
    }

    #[test]
    fn any_header_value_is_judged_without_panic(value in proptest::collection::vec(any::<u8>(), 0..40)) {
        let verdict = modern(&[VERSION, CALL, ("mcp-name", &value)], &call("echo"));
        prop_assert_eq!(verdict.is_ok(), decode(&value).as_deref() == Some("echo"));
    }
}
