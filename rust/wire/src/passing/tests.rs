#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Limits, Message, bridge,
    message::result,
    names::{rewrite_uris, uri::wrap},
};

const ID: &[u8] = b"\"the client's\"";
const INFO: &[u8] = br#"{"name":"old","version":"1"}"#;

/// What a text comes to when it is cut into pieces of these lengths, again and again.
fn passed(plan: Plan, text: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Malformed> {
    let (mut passing, mut out, mut rest) = (Passing::new(plan), Vec::new(), text);
    let mut cuts = cuts.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cuts.next().unwrap().clamp(1, rest.len()));
        passing.push(piece, &mut out)?;
        rest = after;
    }
    passing.finish(&mut out)?;
    assert_eq!(passing.id(), Some(&b"7"[..]));
    Ok(out)
}

/// What the same text comes to when it is read whole.
fn whole(text: &str) -> Option<Bytes> {
    match Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits { max_depth: Limits::DEEPEST }) {
        Ok(Message::Response(response)) => response.outcome.ok(),
        _ => None,
    }
}

fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

/// What a whole answer becomes.
type Whole = Box<dyn Fn(&Bytes) -> Bytes>;

/// Every way through, with what the whole answer becomes that way.
fn ways(method: &'static str) -> Vec<(Plan, Whole)> {
    vec![
        (Plan::new(ID), Box::new(Bytes::clone)),
        (
            Plan::new(ID).to_modern(method, Some(Bytes::from_static(INFO))),
            Box::new(|raw| bridge::result_to_modern(method, raw, Some(INFO)).unwrap()),
        ),
        (Plan::new(ID).to_legacy(method), Box::new(|raw| bridge::result_to_legacy(method, raw).unwrap())),
        (
            Plan::new(ID).renaming(method, |uri| Some(wrap("s", uri))),
            Box::new(|raw| rewrite_uris(method, raw, &mut |uri| Some(wrap("s", uri))).unwrap()),
        ),
    ]
}

/// A text of a string: plain, escaped, of any length of characters.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,6}",
        Just("\u{e9}\u{1F600}\"\\\n\u{7f}\u{2028}".to_owned()),
        Just("file:///a b".to_owned()),
        "\\PC{0,12}",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("uri".to_owned()),
        Just("_meta".to_owned()),
        Just("id".to_owned()),
        Just("result".to_owned()),
        text()
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A content block as servers make them; serde writes `resource` before `type`, and `uri` after it.
fn block() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        text().prop_map(|uri| json!({"type": "resource_link", "name": "n", "uri": uri})),
        text().prop_map(|uri| json!({"type": "resource", "resource": {"uri": uri, "text": uri}})),
        text().prop_map(|uri| json!({"type": "image", "uri": uri, "data": "", "mimeType": "a/b"})),
        anything().prop_filter("a block of no type", |value| !value.is_object()),
    ]
}

fn results() -> impl Strategy<Value = Value> {
    let blocks = prop::collection::vec(block(), 0..4);
    let more = prop::collection::btree_map(
        prop_oneof![
            key(),
            Just("structuredContent".to_owned()),
            Just("ttlMs".to_owned()),
            Just("cacheScope".to_owned())
        ],
        anything(),
        0..4,
    );
    let meta = prop::option::of(prop_oneof![
        Just(json!({})),
        Just(json!({"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "2"}})),
        Just(json!({"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "2"}, "a": [1]})),
        Just(json!({"a": 1})),
    ]);
    (blocks, more, meta, any::<bool>()).prop_map(|(blocks, more, meta, typed)| {
        let contents: Vec<_> = blocks.iter().map(|block| json!({"uri": block["uri"], "text": "t"})).collect();
        let mut result: serde_json::Map<String, Value> = more.into_iter().collect();
        result.remove("_meta");
        result.extend([("content".to_owned(), blocks.into()), ("contents".to_owned(), contents.into())]);
        result.extend(meta.map(|meta| ("_meta".to_owned(), meta)));
        result.extend(typed.then(|| ("resultType".to_owned(), "complete".into())));
        Value::Object(result)
    })
}

/// A message around a result: its members in an order, with space or without.
fn message(result: &Value, order: u8, airy: bool) -> String {
    let result = if airy { serde_json::to_string_pretty(result) } else { serde_json::to_string(result) }.unwrap();
    let (version, id, result) = (r#""jsonrpc":"2.0""#, r#""id":7"#, format!("\"result\" : {result}"));
    let members = match order % 4 {
        0 => [version, id, &result],
        1 => [version, &result, id],
        2 => [&result, version, id],
        _ => [id, &result, version],
    };
    format!(" {{{}}}\n", members.join(if airy { " ,\r\n\t" } else { "," }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_answer_in_pieces_comes_to_what_it_comes_to_whole(
        result_value in results(),
        order in any::<u8>(),
        airy in any::<bool>(),
        cuts in prop::collection::vec(1usize..40, 1..6),
        method in prop::sample::select(&["tools/call", "resources/read", "prompts/get"][..]),
    ) {
        let text = message(&result_value, order, airy);
        let raw = whole(&text).unwrap();
        for (plan, expected) in ways(method) {
            let out = passed(plan, text.as_bytes(), &cuts).unwrap();
            prop_assert_eq!(value(&out), value(&result(ID, &expected(&raw))), "{}", text);
            prop_assert!(!out.contains(&b'\n') && !out.contains(&b'\r'));
        }
    }

    #[test]
    fn a_spoilt_text_is_refused_in_pieces_as_it_is_whole(
        result_value in results(),
        order in any::<u8>(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<u8>().prop_map(|byte| vec![byte]), Just(Vec::new()), Just(b"\"a\":1,".to_vec()),
            Just(b"\\ud800".to_vec()), Just(b"00".to_vec()), Just(b",".to_vec()), Just(b"{}".to_vec())],
        cuts in prop::collection::vec(1usize..9, 1..4),
    ) {
        let mut text = message(&result_value, order, false).into_bytes();
        let at = at.index(text.len());
        text.splice(at..=at, with);
        let sound = match Message::parse(Bytes::from(text.clone()), &Limits { max_depth: Limits::DEEPEST }) {
            Ok(Message::Response(response)) => response.outcome.is_ok_and(|result| crate::json::is_object(&result))
                && response.id == Some(crate::Id::Int(7)),
            _ => false,
        };
        let mut passing = Passing::new(Plan::new(ID));
        let mut out = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        let mut rest = &text[..];
        let mut taken = Ok(());
        while !rest.is_empty() && taken.is_ok() {
            let (piece, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            taken = passing.push(piece, &mut out);
            rest = after;
        }
        let passes = taken.and_then(|()| passing.finish(&mut out)).is_ok() && passing.id() == Some(b"7");
        prop_assert_eq!(passes, sound, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn what_passes_unchanged_passes_byte_for_byte() {
    let inside = br#"{"content":[{"type":"text","text":"a\u00e9\n"}], "n" : -1.50e3,"deep":{"a" :[ true,null]}}"#;
    let text = [br#"{"jsonrpc":"2.0","id":7,"result":"#, &inside[..], b"}"].concat();
    for cut in 1..text.len() {
        let out = passed(Plan::new(b"1"), &text, &[cut]).unwrap();
        let expected = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a\u00e9\n"}],"n":-1.50e3,"deep":{"a" :[ true,null]}}}"#;
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
    }
}

#[test]
fn a_key_in_disguise_is_the_key_it_spells() {
    let text = br#"{"jsonrpc":"2.0","\u0069d":7,"r\u0065sult":{"\u005fmeta":{"io.modelcontextprotocol/serverInfo":{}},"resultTyp\u0065":"complete","a":1}}"#;
    let out = passed(Plan::new(b"1").to_legacy("tools/call"), text, &[3]).unwrap();
    assert_eq!(value(&out), json!({"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}));
    for twice in [
        &br#"{"jsonrpc":"2.0","id":7,"i\u0064":7,"result":{}}"#[..],
        br#"{"jsonrpc":"2.0","id":7,"result":{"a":[{"b":1,"\u0062":2}]}}"#,
    ] {
        assert_eq!(passed(Plan::new(b"1"), twice, &[5]).unwrap_err().kind, Kind::DuplicateKey);
    }
}

#[test]
fn what_is_no_answer_with_a_result_is_refused() {
    for (text, kind) in [
        (&br#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":""}}"#[..], Kind::Ambiguous),
        (br#"{"jsonrpc":"2.0","method":"m"}"#, Kind::Ambiguous),
        (br#"{"jsonrpc":"2.0","result":{}}"#, Kind::NoMessage),
        (br#"{"jsonrpc":"1.0","id":7,"result":{}}"#, Kind::Version),
        (br#"{"id":7,"result":{}}"#, Kind::Version),
        (br#"{"jsonrpc":"2.0","id":7,"result":[]}"#, Kind::NotAnObject),
        (br#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#, Kind::NotAnObject),
        (br#"{"jsonrpc":"2.0","id":7,"result":{}}{"#, Kind::TrailingBytes),
        (br#"{"jsonrpc":"2.0","id":7,"result":{}"#, Kind::UnexpectedEnd),
        ("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":\"\u{e9}".as_bytes(), Kind::UnexpectedEnd),
    ] {
        assert_eq!(passed(Plan::new(b"1"), text, &[4]).unwrap_err().kind, kind, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_asks_for_input_is_known_as_soon_as_it_says_so() {
    let mut passing = Passing::new(Plan::new(b"1"));
    passing.push(br#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required""#, &mut Vec::new()).unwrap();
    assert!(passing.asks() && passing.has_result());
}

#[test]
fn only_what_must_be_held_is_held() {
    let mut passing = Passing::new(Plan::new(b"1").to_modern("tools/call", Some(Bytes::from_static(INFO))));
    let mut out = Vec::new();
    passing.push(br#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":""#, &mut out).unwrap();
    let long = vec![b'x'; 1 << 20];
    for _ in 0..8 {
        out.clear();
        passing.push(&long, &mut out).unwrap();
        assert_eq!(out.len(), long.len());
    }
    assert!(passing.held.capacity() <= HELD_BYTES);
    let text = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"_meta":{{"a":"{}"}}}}}}"#, "x".repeat(HELD_BYTES));
    let plan = || Plan::new(b"1").without_meta("b");
    assert_eq!(passed(plan(), text.as_bytes(), &[4_000]).unwrap_err().kind, Kind::TooLong);
    assert!(passed(Plan::new(b"1"), text.as_bytes(), &[4_000]).is_ok(), "it need not be read");
}
