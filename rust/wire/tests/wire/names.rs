//! Names and URIs of the aggregate endpoint: valid, stable, apart from each other, and back again.

use std::collections::HashMap;

use omnimind_wire::names::{MAX_NAME, is_shortened, join, rewrite_request_uris, rewrite_uris, uri};
use proptest::prelude::*;
use serde_json::{Value, json};

fn is_valid(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[test]
fn a_plain_name_stays_plain() {
    for (server, tool, name) in [
        ("memory", "create_entities", "memory__create_entities"),
        ("system_info", "cpu", "system_info__cpu"),
        ("git", "_private", "git___private"),
        ("a", "b__c", "a__b__c"),
        ("Time-Zone", "convert-time", "Time-Zone__convert-time"),
    ] {
        assert_eq!(join(server, tool), name);
        assert!(!is_shortened(server, tool, name));
    }
}

#[test]
fn shortened_names_are_the_same_on_every_run_of_every_version() {
    let long = "x".repeat(100);
    for (server, tool, name) in [
        ("files", "read.text", "files__read_text_6x2rxqirso6d"),
        ("a_", "b", "a___b_3zplrbb3m4ns"),
        ("fs", long.as_str(), "fs__xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_6zti5rg73jn4"),
    ] {
        assert_eq!(join(server, tool), name);
        assert!(is_shortened(server, tool, name));
    }
}

#[test]
fn a_word_as_long_as_a_digest_stays() {
    assert_eq!(join("memory", "add_observations"), "memory__add_observations");
}

#[test]
fn the_longest_plain_name_stays_and_one_more_letter_is_shortened() {
    let tool = "t".repeat(MAX_NAME - "server__".len());
    assert_eq!(join("server", &tool), format!("server__{tool}"));
    let longer = join("server", &format!("{tool}t"));
    assert_eq!(longer.len(), MAX_NAME);
    assert!(longer.starts_with("server__t"));
}

#[test]
fn pairs_that_are_made_to_collide_do_not() {
    let long = "x".repeat(200);
    let pairs = [
        ("a", "b__c"),
        ("a__b", "c"),
        ("a_", "b"),
        ("a", "_b"),
        ("a", "__b"),
        ("a__", "b"),
        ("a_", "_b"),
        ("", "a__b"),
        ("a__b", ""),
        ("", ""),
        ("a", ""),
        ("", "a"),
        ("x.y", "t"),
        ("x_y", "t"),
        ("x/y", "t"),
        ("x y", "t"),
        ("é", "t"),
        ("e\u{301}", "t"),
        ("_", "t"),
        ("-", "t"),
        ("s", "t.u"),
        ("s", "t_u"),
        ("s", "t/u"),
        ("s", "t\0u"),
        ("s", &long),
        ("s", &long[..150]),
        ("s", &long[1..]),
        (&long, "s"),
        (&long[..150], "s"),
        ("files", "read_text_6x2rxqirso6d"),
        ("files", "read.text"),
    ];
    let mut names = HashMap::new();
    for pair in pairs {
        let name = join(pair.0, pair.1);
        assert!(is_valid(&name), "{name}");
        assert_eq!(names.insert(name.clone(), pair), None, "{name} for {pair:?}");
    }
}

#[test]
fn a_uri_is_wrapped_so_that_readers_of_uris_leave_it_alone() {
    for (server, inner, wrapped) in [
        ("memory", "memory://graph", "omnimind+memory:memory://graph"),
        ("system_info", "file:///etc/a b?x#y", "omnimind+system+5finfo:file:///etc/a b?x#y"),
        ("GitHub", "repo://{owner}/{name}", "omnimind++47it+48ub:repo://{owner}/{name}"),
        ("a+b", "x:", "omnimind+a+2bb:x:"),
        ("é", "", "omnimind++c3+a9:"),
    ] {
        assert_eq!(uri::wrap(server, inner), wrapped);
        assert_eq!(uri::unwrap(wrapped), Some((server.to_owned(), inner)));
    }
    assert_eq!(uri::unwrap("OMNIMIND+System+5Finfo:x"), Some(("system_info".to_owned(), "x")));
}

#[test]
fn what_is_not_wrapped_is_not_unwrapped() {
    for uri in [
        "",
        "omnimind",
        "omnimind+",
        "omnimind+:x",
        "omnimind:x",
        "omnimind-a:x",
        "file:///x",
        "omnimind+a",
        "omnimind++4:x",
        "omnimind++zz:x",
        "omnimind++ff:x",
        "xomnimind+a:x",
        "é+:x",
    ] {
        assert_eq!(uri::unwrap(uri), None, "{uri}");
    }
}

fn wrapped(method: &str, raw: &Value) -> Value {
    let bytes = rewrite_uris(method, raw.to_string().as_bytes(), &mut |uri| Some(format!("W:{uri}"))).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn every_uri_field_of_results_is_rewritten_and_nothing_else() {
    let link = |uri: &str| json!({"type": "resource_link", "uri": uri, "name": "uri", "description": "file:///x"});
    let embedded = |uri: &str| json!({"resource": {"uri": uri, "text": "file:///x", "mimeType": "text/plain"}, "type": "resource"});
    let text = json!({"type": "text", "text": "{\"uri\":\"file:///x\"}", "uri": "not a field of text"});
    let all = |mark: &str| {
        let uri = format!("{mark}file:///x");
        [
            (
                "resources/list",
                json!({"resources": [{"uri": uri, "name": "a", "icons": [{"src": "https://x/i.png"}]}, {"name": "no uri"}], "nextCursor": "c"}),
            ),
            (
                "resources/templates/list",
                json!({"resourceTemplates": [{"uriTemplate": format!("{mark}file:///{{p}}"), "uri": "no"}]}),
            ),
            ("resources/read", json!({"contents": [{"uri": uri, "text": "t"}, {"uri": uri, "blob": "AA=="}]})),
            (
                "tools/call",
                json!({"content": [link(&uri), text.clone(), embedded(&uri)], "structuredContent": {"uri": "file:///x", "content": [link("file:///x")]}, "_meta": {"uri": "file:///x"}}),
            ),
            (
                "prompts/get",
                json!({"messages": [{"role": "user", "content": link(&uri)}, {"role": "user", "content": embedded(&uri)}, {"role": "user", "content": text.clone()}]}),
            ),
            ("notifications/resources/updated", json!({"uri": uri, "_meta": {"uri": "file:///x"}})),
            (
                "sampling/createMessage",
                json!({"messages": [{"role": "user", "content": [{"type": "tool_result", "toolUseId": "1", "content": [link(&uri), embedded(&uri)]}]}, {"role": "user", "content": {"type": "text", "text": "x"}}], "maxTokens": 1}),
            ),
            (
                "tools/call",
                json!({"resultType": "input_required", "inputRequests": {"a": {"method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": embedded(&uri)}], "maxTokens": 1}}, "uri": {"method": "elicitation/create", "params": {"url": "https://x", "mode": "url"}}}}),
            ),
            (
                "notifications/subscriptions/acknowledged",
                json!({"notifications": {"resourceSubscriptions": [uri], "toolsListChanged": true}}),
            ),
        ]
    };
    for ((method, plain), (_, marked)) in all("").into_iter().zip(all("W:")) {
        assert_eq!(wrapped(method, &plain), marked, "{method}");
    }
}

#[test]
fn methods_without_uris_pass_byte_for_byte() {
    let raw = br#"{ "tools" : [ { "name":"x" , "uri":"file:///x" } ] }"#;
    for method in ["tools/list", "completion/complete", "server/discover", "unknown/method"] {
        assert_eq!(&rewrite_uris(method, raw, &mut |_| Some("W".into())).unwrap()[..], raw);
    }
}

#[test]
fn what_is_left_alone_keeps_its_bytes() {
    let raw = br#"{ "contents" : [ { "uri" : "a" , "n" : 1.0e1 } , { "uri":"\u0062" } ] }"#;
    let out = rewrite_uris("resources/read", raw, &mut |uri| (uri == "b").then(|| "B\"".to_owned())).unwrap();
    assert_eq!(&out[..], br#"{ "contents" : [ { "uri" : "a" , "n" : 1.0e1 } , { "uri":"B\"" } ] }"#);
}

#[test]
fn uris_of_requests_are_rewritten_where_they_stand() {
    for (method, params, expected) in [
        (
            "resources/read",
            json!({"uri": "W:a", "_meta": {"uri": "W:a"}}),
            json!({"uri": "a", "_meta": {"uri": "W:a"}}),
        ),
        ("resources/subscribe", json!({"uri": "W:a"}), json!({"uri": "a"})),
        ("resources/unsubscribe", json!({"uri": "W:a"}), json!({"uri": "a"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "W:a"}, "argument": {"name": "uri", "value": "W:a"}}),
            json!({"ref": {"type": "ref/resource", "uri": "a"}, "argument": {"name": "uri", "value": "W:a"}}),
        ),
        (
            "subscriptions/listen",
            json!({"notifications": {"resourceSubscriptions": ["W:a", "b"]}}),
            json!({"notifications": {"resourceSubscriptions": ["a", "b"]}}),
        ),
        (
            "tools/call",
            json!({"name": "x", "arguments": {"uri": "W:a"}}),
            json!({"name": "x", "arguments": {"uri": "W:a"}}),
        ),
    ] {
        let out = rewrite_request_uris(method, params.to_string().as_bytes(), &mut |uri| {
            uri.strip_prefix("W:").map(str::to_owned)
        })
        .unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected, "{method}");
    }
}

#[test]
fn shapes_that_are_not_as_they_should_be_pass_and_broken_text_does_not() {
    for raw in
        [r#"{"contents":{"uri":1}}"#, r#"{"contents":[[{"uri":"a"}],null,"x"]}"#, r#"{"contents":"a"}"#, "[]", "null"]
    {
        assert_eq!(&rewrite_uris("resources/read", raw.as_bytes(), &mut |_| None).unwrap()[..], raw.as_bytes());
    }
    assert!(rewrite_uris("resources/read", br#"{"contents":[}"#, &mut |_| None).is_err());
    assert!(rewrite_uris("resources/read", b"{} x", &mut |_| None).is_err());
}

#[test]
fn deep_nesting_of_tool_results_is_bounded() {
    let deep = format!("{}[]{}", r#"[{"type":"tool_result","content":"#.repeat(200), "}]".repeat(200));
    assert!(rewrite_uris("tools/call", format!(r#"{{"content":{deep}}}"#).as_bytes(), &mut |_| None).is_err());
}

proptest! {
    #[test]
    fn any_pair_gives_a_valid_name_twice_the_same(server in ".{0,40}", tool in ".{0,80}") {
        let name = join(&server, &tool);
        prop_assert!(is_valid(&name), "{}", name);
        prop_assert_eq!(join(&server, &tool), name);
    }

    #[test]
    fn two_pairs_of_few_letters_never_share_a_name(pairs in proptest::collection::hash_set(("[a_.]{0,4}", "[a_.]{0,4}"), 0..200)) {
        let names: std::collections::HashSet<String> = pairs.iter().map(|(server, tool)| join(server, tool)).collect();
        prop_assert_eq!(names.len(), pairs.len());
    }

    #[test]
    fn wrapping_comes_back_exactly(server in ".{1,20}", inner in ".{0,40}") {
        let wrapped = uri::wrap(&server, &inner);
        prop_assert_eq!(uri::unwrap(&wrapped), Some((server, inner.as_str())));
        let scheme = wrapped.split(':').next().unwrap();
        prop_assert!(scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)));
    }
}
