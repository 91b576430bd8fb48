//! The eras translated into each other, with the examples of the specification's facts, both ways.

use bytes::Bytes;
use omnimind_wire::bridge::{
    CACHEABLE, common_modern_version, discover_from_initialize, error_to_legacy, error_to_modern,
    initialize_from_discover, request_meta, result_to_legacy, result_to_modern, strip_modern_meta,
};
use omnimind_wire::{LEGACY_LATEST, MODERN_VERSION, RpcError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{choices, object, written};

const INFO: &[u8] = br#"{"name":"memory","version":"1.0"}"#;

fn value(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).unwrap()
}

fn modern(method: &str, result: &Value) -> Value {
    value(&result_to_modern(method, result.to_string().as_bytes(), Some(INFO)).unwrap())
}

fn legacy(method: &str, result: &Value) -> Value {
    value(&result_to_legacy(method, result.to_string().as_bytes()).unwrap())
}

fn info_meta() -> Value {
    json!({"io.modelcontextprotocol/serverInfo": {"name": "memory", "version": "1.0"}})
}

#[test]
fn a_legacy_result_gets_what_the_modern_era_requires() {
    let call = json!({"content": [{"type": "text", "text": "hi"}], "isError": false});
    assert_eq!(
        modern("tools/call", &call),
        json!({"content": [{"type": "text", "text": "hi"}], "isError": false, "resultType": "complete", "_meta": info_meta()})
    );
    for method in CACHEABLE {
        assert_eq!(
            modern(method, &json!({"x": []})),
            json!({"x": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "_meta": info_meta()})
        );
    }
    for method in ["prompts/get", "completion/complete", "tools/call"] {
        assert_eq!(modern(method, &json!({})), json!({"resultType": "complete", "_meta": info_meta()}));
    }
    assert_eq!(modern("ping", &json!(null)), json!({"resultType": "complete", "_meta": info_meta()}));
}

#[test]
fn what_the_server_said_itself_is_kept() {
    let own = json!({"io.modelcontextprotocol/serverInfo": {"name": "own"}, "k": 1});
    let result =
        json!({"resources": [], "resultType": "complete", "ttlMs": 5000, "cacheScope": "public", "_meta": own});
    assert_eq!(modern("resources/list", &result), result);
    let asked = json!({"resultType": "input_required", "inputRequests": {}, "requestState": "s"});
    assert_eq!(modern("tools/call", &asked)["resultType"], json!("input_required"));
    assert_eq!(value(&result_to_modern("tools/call", b"{}", None).unwrap()), json!({"resultType": "complete"}));
}

#[test]
fn results_that_are_no_objects_pass_as_they_are() {
    for raw in ["[]", "1", "\"x\"", "true"] {
        assert_eq!(&result_to_modern("tools/call", raw.as_bytes(), Some(INFO)).unwrap()[..], raw.as_bytes());
        assert_eq!(&result_to_legacy("tools/call", raw.as_bytes()).unwrap()[..], raw.as_bytes());
    }
}

#[test]
fn a_modern_result_loses_what_the_legacy_era_does_not_know() {
    let list = json!({"resources": [], "nextCursor": "", "resultType": "complete", "ttlMs": 5000, "cacheScope": "public", "_meta": info_meta()});
    assert_eq!(legacy("resources/list", &list), json!({"resources": [], "nextCursor": ""}));
    let call = json!({"content": [], "resultType": "complete", "ttlMs": 1, "_meta": {"io.modelcontextprotocol/serverInfo": {}, "mine": 1}});
    assert_eq!(legacy("tools/call", &call), json!({"content": [], "ttlMs": 1, "_meta": {"mine": 1}}));
}

#[test]
fn structured_content_that_is_no_object_is_dropped_for_legacy_clients_only() {
    for (content, stays) in [
        (json!({"a": 1}), true),
        (json!({}), true),
        (json!([1]), false),
        (json!("x"), false),
        (json!(null), false),
        (json!(7), false),
    ] {
        let result = json!({"content": [], "structuredContent": content});
        let expected = if stays { result.clone() } else { json!({"content": []}) };
        assert_eq!(legacy("tools/call", &result), expected);
        assert_eq!(modern("tools/call", &result)["structuredContent"], content);
    }
}

#[test]
fn one_output_schema_that_legacy_clients_cannot_read_does_not_cost_them_the_list() {
    let tool = |name: &str, output: Value| json!({"name": name, "inputSchema": {"type": "object", "$defs": {"d": {}}}, "outputSchema": output});
    let fine = tool("fine", json!({"type": "object", "properties": {}}));
    let none = json!({"name": "none", "inputSchema": {"type": "object"}});
    let result = json!({"tools": [fine, tool("list", json!({"type": "array"})), none, tool("ref", json!({"$ref": "#/$defs/d"})), tool("any", json!(true))], "nextCursor": "c"});
    let bare = |name: &str| json!({"name": name, "inputSchema": {"type": "object", "$defs": {"d": {}}}});
    assert_eq!(
        legacy("tools/list", &result),
        json!({"tools": [fine, bare("list"), none, bare("ref"), bare("any")], "nextCursor": "c"})
    );
    let raw = br#"{"tools":[ {"outputSchema" : {"type" : "object"}} ]}"#;
    assert_eq!(&result_to_legacy("tools/list", raw).unwrap()[..], raw);
}

#[test]
fn a_schema_survives_byte_for_byte() {
    let tools = r#"[{"name":"t","inputSchema":{ "$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{"$anchor":"x","if":{},"then":false}},"additionalProperties":false,"n":1.50}}]"#;
    let raw = format!(r#"{{"tools":{tools},"resultType":"complete","ttlMs":0}}"#);
    assert_eq!(
        &result_to_legacy("tools/list", raw.as_bytes()).unwrap()[..],
        format!(r#"{{"tools":{tools}}}"#).as_bytes()
    );
    let back = result_to_modern("tools/list", format!(r#"{{"tools":{tools}}}"#).as_bytes(), None).unwrap();
    assert!(String::from_utf8_lossy(&back).contains(tools));
}

#[test]
fn a_resource_that_is_not_there_is_said_in_the_words_of_the_era() {
    let legacy_error =
        RpcError::new(-32_002, "Resource not found").with_data(Bytes::from_static(br#"{"uri":"test://x"}"#));
    let modern_error = RpcError { code: -32_602, ..legacy_error.clone() };
    let params = br#"{"uri":"test://x"}"#;
    assert_eq!(error_to_modern("resources/read", Some(params), legacy_error.clone()), modern_error);
    assert_eq!(error_to_legacy("resources/read", modern_error.clone()), legacy_error);
    let without_data = error_to_modern("resources/read", Some(params), RpcError::new(-32_002, "no"));
    assert_eq!(value(&without_data.data.unwrap()), json!({"uri": "test://x"}));
    let other_data = error_to_modern(
        "resources/read",
        Some(params),
        RpcError::new(-32_002, "no").with_data(Bytes::from_static(b"\"text\"")),
    );
    assert_eq!(value(&other_data.data.unwrap()), json!({"uri": "test://x"}));
    assert_eq!(error_to_modern("resources/read", None, RpcError::new(-32_002, "no")), RpcError::new(-32_602, "no"));
    for method in ["tools/call", "prompts/get"] {
        assert_eq!(error_to_legacy(method, modern_error.clone()), modern_error);
        assert_eq!(error_to_modern(method, None, legacy_error.clone()), legacy_error);
    }
    assert_eq!(error_to_legacy("resources/read", RpcError::new(-32_602, "bad")), RpcError::new(-32_602, "bad"));
}

#[test]
fn codes_only_one_era_knows_become_the_nearest_of_the_other() {
    let data = Bytes::from_static(br#"{"supported":["2026-07-28"]}"#);
    for (code, mapped) in [
        (-32_020, -32_600),
        (-32_021, -32_602),
        (-32_022, -32_600),
        (-32_601, -32_601),
        (-32_603, -32_603),
        (-1, -1),
        (42_900, 42_900),
    ] {
        let error = RpcError::new(code, "m").with_data(data.clone());
        assert_eq!(error_to_legacy("tools/call", error), RpcError::new(mapped, "m").with_data(data.clone()));
    }
    let url = RpcError::new(-32_042, "visit").with_data(Bytes::from_static(br#"{"elicitations":[]}"#));
    assert_eq!(error_to_modern("tools/call", None, url.clone()), RpcError { code: -32_600, ..url });
    for code in [-32_601, -32_602, -32_603, 0, 50_300] {
        assert_eq!(error_to_modern("tools/call", None, RpcError::new(code, "m")), RpcError::new(code, "m"));
    }
}

#[test]
fn the_two_greetings_become_each_other() {
    let initialize = json!({
        "protocolVersion": LEGACY_LATEST,
        "capabilities": {"tools": {"listChanged": true}, "logging": {}, "tasks": {"list": {}}},
        "serverInfo": {"name": "memory", "title": "M", "version": "1"},
        "instructions": "be kind",
    });
    let discover = json!({
        "resultType": "complete",
        "supportedVersions": [MODERN_VERSION],
        "capabilities": {"tools": {"listChanged": true}, "logging": {}},
        "instructions": "be kind",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "memory", "title": "M", "version": "1"}},
    });
    let found = discover_from_initialize(initialize.to_string().as_bytes(), &[MODERN_VERSION]).unwrap();
    assert_eq!(value(&found), discover);
    let found = initialize_from_discover(discover.to_string().as_bytes(), "2025-06-18").unwrap();
    let mut expected = initialize;
    expected["protocolVersion"] = json!("2025-06-18");
    expected["capabilities"] = discover["capabilities"].clone();
    assert_eq!(value(&found), expected);
}

#[test]
fn greetings_that_lack_parts_are_completed() {
    let found = discover_from_initialize(b"{}", &[MODERN_VERSION, LEGACY_LATEST]).unwrap();
    let expected = json!({"resultType": "complete", "supportedVersions": [MODERN_VERSION, LEGACY_LATEST], "capabilities": {}, "ttlMs": 0, "cacheScope": "private"});
    assert_eq!(value(&found), expected);
    let found = value(&initialize_from_discover(br#"{"instructions":null}"#, LEGACY_LATEST).unwrap());
    assert_eq!(
        found,
        json!({"protocolVersion": LEGACY_LATEST, "capabilities": {}, "serverInfo": {"name": "unknown", "version": "0"}})
    );
    assert!(initialize_from_discover(b"[]", LEGACY_LATEST).is_err());
}

#[test]
fn a_request_made_for_a_legacy_client_has_the_modern_envelope() {
    let meta =
        request_meta(MODERN_VERSION, Some(br#"{"name":"c","version":"1"}"#), Some(br#"{"sampling":{}}"#), Some("info"));
    let expected = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
        "io.modelcontextprotocol/logLevel": "info",
    });
    assert_eq!(value(&meta), expected);
    let bare = json!({"io.modelcontextprotocol/protocolVersion": MODERN_VERSION, "io.modelcontextprotocol/clientCapabilities": {}});
    assert_eq!(value(&request_meta(MODERN_VERSION, None, None, None)), bare);
}

#[test]
fn the_modern_envelope_is_taken_off_and_the_rest_of_meta_stays() {
    let meta = request_meta(MODERN_VERSION, Some(b"{}"), None, Some("info"));
    let only = format!(r#"{{"name":"x","_meta":{}}}"#, String::from_utf8(meta).unwrap());
    assert_eq!(value(&strip_modern_meta(only.as_bytes()).unwrap()), json!({"name": "x"}));
    let raw = json!({"uri": "u", "_meta": {"io.modelcontextprotocol/subscriptionId": 5, "progressToken": 1, "traceparent": "00-0"}});
    assert_eq!(
        value(&strip_modern_meta(raw.to_string().as_bytes()).unwrap()),
        json!({"uri": "u", "_meta": {"progressToken": 1, "traceparent": "00-0"}})
    );
    assert_eq!(&strip_modern_meta(b"{}").unwrap()[..], b"{}");
}

#[test]
fn a_common_version_is_found_or_not() {
    assert_eq!(
        common_modern_version(br#"{"supportedVersions":["2025-11-25","2026-07-28"]}"#),
        Ok(Some(MODERN_VERSION))
    );
    assert_eq!(common_modern_version(br#"{"supportedVersions":["2025-11-25","2099-01-01",7]}"#), Ok(None));
    assert_eq!(common_modern_version(br#"{"supportedVersions":[]}"#), Ok(None));
    assert_eq!(common_modern_version(b"{}"), Ok(None));
    assert!(common_modern_version(br#"{"supportedVersions":"2026-07-28"}"#).is_err());
}

proptest! {
    #[test]
    fn there_and_back_a_legacy_result_is_the_same(result in object(), choices in choices(), method in prop::sample::select(vec!["tools/call", "tools/list", "resources/read", "prompts/get"])) {
        let mut result = result;
        for key in ["resultType", "ttlMs", "cacheScope", "_meta", "structuredContent", "tools"] {
            result.as_object_mut().unwrap().remove(key);
        }
        let there = result_to_modern(method, written(&result, choices).as_bytes(), Some(INFO)).unwrap();
        let back = result_to_legacy(method, &there).unwrap();
        prop_assert_eq!(value(&back), result);
    }

    #[test]
    fn a_modern_result_stays_modern(result in object(), choices in choices()) {
        let once = result_to_modern("tools/list", written(&result, choices).as_bytes(), None).unwrap();
        let twice = result_to_modern("tools/list", &once, None).unwrap();
        prop_assert_eq!(value(&once), value(&twice));
    }
}
