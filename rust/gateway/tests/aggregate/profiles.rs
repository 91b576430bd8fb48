//! How tools are told: whole, pruned, as lines behind `call_tool`, or to be searched for. However they are, a call comes
//! to the same.

use std::sync::Arc;

use omnimind_gateway::{
    config::{Snapshot, ToolList},
    control::Outbox,
    plane::Plane,
    relay::{self, Target},
};
use omnimind_wire::{Era, Limits, Message};
use serde_json::{Value, json};

use crate::{
    host::{Answer, CAPABILITIES, Host, VERSION, collect},
    lines::{Double, Speaks, serve},
};

const PROMISES: &str = r#"{"tools":{"listChanged":true}}"#;

fn tool(name: &str, description: &str, properties: Value) -> Value {
    let required: Vec<_> =
        properties.as_object().unwrap().keys().filter(|name| *name != "mode" && *name != "text").collect();
    json!({
        "name": name, "title": "A title", "description": description,
        "inputSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
            "title": "Arguments", "properties": properties, "required": required,
        },
        "outputSchema": {"type": "object", "properties": {"said": {"type": "string"}}},
        "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": false, "title": "A title"},
    })
}

fn files() -> Vec<Value> {
    vec![
        tool("read_text", "Reads  a file.\n\n\nAs text.", json!({"path": {"type": "string", "title": "Path"}})),
        tool(
            "remove",
            "Deletes a file for ever.",
            json!({"path": {"type": "string"}, "mode": {"type": "string", "enum": ["soft", "hard"]}}),
        ),
        tool("stat", "Size and times.", json!({"path": {"type": "string", "x-mcp-header": "Path"}})),
    ]
}

fn mail() -> Vec<Value> {
    vec![tool(
        "send",
        "Sends a letter to somebody.",
        json!({"recipient": {"type": "string"}, "text": {"type": "string"}}),
    )]
}

/// A server with these tools, so many a page; a call answers with what it was called with. On each connection it has one
/// tool more, which is named after that.
fn server(era: Era, tools: Vec<Value>, page: usize) -> Double {
    serve(false, Speaks::Promises(era, PROMISES), move |message, line| {
        if message.get("id").is_none() {
            return;
        }
        match message["method"].as_str().unwrap_or_default() {
            "tools/list" => {
                let mut tools = tools.clone();
                tools.push(tool(&format!("own_{}", line.connection), "For one alone.", json!({"x": {"type": "null"}})));
                let first: usize = message["params"]["cursor"].as_str().map_or(0, |at| at.parse().unwrap());
                let last = tools.len().min(first + page);
                let mut result =
                    json!({"resultType": "complete", "tools": tools[first..last], "ttlMs": 0, "_meta": {"said": 1}});
                if last < tools.len() {
                    result["nextCursor"] = json!(last.to_string());
                }
                line.answer(&message, &result);
            }
            "tools/call" => {
                let (name, arguments) = (&message["params"]["name"], &message["params"]["arguments"]);
                let said = json!({"said": format!("{name} {arguments}")});
                line.answer(&message, &json!({"resultType": "complete", "content": [], "structuredContent": said}));
            }
            _ => line.answer(&message, &json!({})),
        }
    })
}

struct Workshop {
    host: Host,
    _servers: Vec<Double>,
}

impl Workshop {
    fn new(servers: Vec<(&str, Double)>) -> Self {
        let spec = |(name, double): &(&str, Double)| json!({"name": name, "kind": "unix", "tier": "medium", "path": double.path, "heartbeat_ms": 0});
        let specs: Vec<Value> = servers.iter().map(spec).collect();
        let snapshot: Snapshot = serde_json::from_value(json!({
            "version": "0.0.1", "state_dir": "/nonexistent", "keys": ["11".repeat(32)],
            "auth": {"required": false, "tokens": []}, "servers": specs,
        }))
        .unwrap();
        let plane = Plane::new(1, snapshot, Arc::new(Outbox::new().unwrap()));
        Self {
            host: Host { plane: Arc::new(plane) },
            _servers: servers.into_iter().map(|(_, double)| double).collect(),
        }
    }

    fn both() -> Self {
        Self::new(vec![("files", server(Era::Modern, files(), 2)), ("mail", server(Era::Legacy, mail(), 9))])
    }

    async fn ask(&self, target: Target, tools: ToolList, principal: &str, method: &str, mut params: Value) -> Answer {
        params["_meta"] = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if method == "tools/call" {
            headers.push(("mcp-name", &name));
        }
        let mut caller = self.host.caller(principal, &headers);
        (caller.target, caller.tools) = (target, tools);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let message = Message::parse(body.to_string().into(), &Limits::default()).unwrap();
        collect(relay::post(caller, message).await).await
    }

    async fn list(&self, target: Target, tools: ToolList) -> Vec<Value> {
        let answer = self.ask(target, tools, "ann", "tools/list", json!({})).await;
        answer.end["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
    }

    async fn call(&self, target: Target, tools: ToolList, name: &str, arguments: Value) -> Answer {
        self.ask(target, tools, "ann", "tools/call", json!({"name": name, "arguments": arguments})).await
    }

    fn only(&self) -> Target {
        Target::One(self.host.plane.snapshot.load().servers[0].clone())
    }
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

fn said(answer: &Answer) -> &str {
    answer.end["result"]["structuredContent"]["said"].as_str().unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn a_pruned_list_has_all_that_a_call_needs_and_is_the_same_each_time() {
    let shop = Workshop::both();
    let whole = shop.list(Target::All, ToolList::Whole).await;
    let pruned = shop.list(Target::All, ToolList::Pruned).await;
    assert_eq!(names(&whole), names(&pruned));
    assert_eq!(names(&pruned)[..3], ["files__read_text", "files__remove", "files__stat"]);
    assert_eq!((pruned.len(), names(&pruned)[4]), (6, "mail__send"));
    for (whole, pruned) in whole.iter().zip(&pruned) {
        let (whole_schema, schema) = (&whole["inputSchema"], &pruned["inputSchema"]);
        assert_eq!(whole_schema["required"], schema["required"]);
        let properties = whole_schema["properties"].as_object().unwrap();
        for (name, property) in properties {
            for keyword in ["type", "enum", "x-mcp-header"] {
                assert_eq!(property.get(keyword), schema["properties"][name].get(keyword), "{name} {keyword}");
            }
        }
        assert_eq!(properties.len(), schema["properties"].as_object().unwrap().len());
        for member in ["outputSchema", "annotations", "title"] {
            assert!(whole.get(member).is_some() && pruned.get(member).is_none(), "{member}");
        }
    }
    assert_eq!(pruned[0]["description"], "Reads a file.\nAs text.");
    for _ in 0..3 {
        assert_eq!(shop.list(Target::All, ToolList::Pruned).await, pruned);
    }
    let answer = shop.call(Target::All, ToolList::Pruned, "files__read_text", json!({"path": "a"})).await;
    assert_eq!(said(&answer), r#""read_text" {"path":"a"}"#, "what has a schema that is not told is told nevertheless");
}

#[tokio::test]
async fn signatures_stand_in_one_tool_that_calls_the_others() {
    let shop = Workshop::both();
    let list = shop.list(Target::All, ToolList::Signatures).await;
    assert_eq!(names(&list), ["call_tool"]);
    let text = list[0]["description"].as_str().unwrap().replace("own_1", "own_0");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[2..],
        [
            "files__read_text(path) - Reads a file",
            "files__remove(mode?:soft|hard, path) - Deletes a file for ever",
            "files__stat(path) - Size and times",
            "files__own_0(x:null) - For one alone",
            "mail__send(recipient, text?) - Sends a letter to somebody",
            "mail__own_0(x:null) - For one alone",
        ]
    );
    assert_eq!(shop.list(Target::All, ToolList::Signatures).await, list);
    for tools in [ToolList::Signatures, ToolList::Search] {
        let wanted = json!({"name": "mail__send", "arguments": {"recipient": "bob"}});
        let through = shop.call(Target::All, tools, "call_tool", wanted.clone()).await;
        let direct = shop.call(Target::All, tools, "mail__send", json!({"recipient": "bob"})).await;
        assert_eq!((through.status, &through.end), (direct.status, &direct.end));
        assert_eq!(said(&through), r#""send" {"recipient":"bob"}"#);
        let empty = shop.call(Target::All, tools, "call_tool", json!({"name": "files__read_text"})).await;
        assert_eq!(said(&empty), r#""read_text" {}"#);
    }
    for tools in [ToolList::Whole, ToolList::Pruned] {
        let unknown = shop.call(Target::All, tools, "call_tool", json!({"name": "mail__send"})).await;
        assert_eq!(unknown.code(), -32602, "it is there where it is listed");
    }
}

#[tokio::test]
async fn a_tool_is_found_by_what_it_does_and_comes_with_its_schema() {
    let shop = Workshop::both();
    assert_eq!(names(&shop.list(Target::All, ToolList::Search).await), ["find_tool", "call_tool"]);
    let pruned = shop.list(Target::All, ToolList::Pruned).await;
    let find = |arguments| shop.call(Target::All, ToolList::Search, "find_tool", arguments);
    let found = find(json!({"query": "delete a file"})).await;
    let tools: Vec<Value> = serde_json::from_str(found.text()).unwrap();
    assert_eq!(names(&tools)[0], "files__remove");
    assert_eq!(tools[0], pruned[1]);
    for (query, wanted) in [("letter", "mail__send"), ("recipient", "mail__send"), ("readText", "files__read_text")] {
        let found = find(json!({"query": query, "limit": 1})).await;
        let tools: Vec<Value> = serde_json::from_str(found.text()).unwrap();
        assert_eq!(names(&tools), [wanted]);
    }
    let through = json!({"name": "find_tool", "arguments": {"query": "letter", "limit": 1}});
    let through = shop.call(Target::All, ToolList::Search, "call_tool", through).await;
    assert!(through.text().contains("mail__send"));
    let none = find(json!({"query": "zebra"})).await;
    assert!(none.text().starts_with("None of 6 tools"), "{none:?}");
    for odd in [
        json!({}),
        json!({"query": " "}),
        json!({"query": 3}),
        json!({"query": "a", "limit": 0}),
        json!({"query": "a", "limit": 51}),
    ] {
        let refused = find(odd).await;
        assert_eq!(refused.end["result"]["isError"], true, "{refused:?}");
    }
}

#[tokio::test]
async fn who_calls_it_wrongly_is_told_how_to_and_an_unknown_tool_is_one() {
    let shop = Workshop::both();
    for odd in [json!({}), json!({"name": 3}), json!({"name": "mail__send", "arguments": "bob"})] {
        let refused = shop.call(Target::All, ToolList::Signatures, "call_tool", odd).await;
        assert_eq!(refused.end["result"]["isError"], true, "{refused:?}");
    }
    for (asked, near) in
        [("files__read_txt", "files__read_text"), ("read_text", "files__read_text"), ("mail_send", "mail__send")]
    {
        let through = shop.call(Target::All, ToolList::Search, "call_tool", json!({"name": asked})).await;
        let direct = shop.call(Target::All, ToolList::Search, asked, json!({})).await;
        assert_eq!((through.code(), &through.end), (-32602, &direct.end));
        let message = through.end["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("Unknown tool: {asked}; did you mean {near}")), "{message}");
    }
    for own in ["call_tool", "find_tool"] {
        let through = shop.call(Target::All, ToolList::Signatures, "call_tool", json!({"name": own})).await;
        assert_eq!(through.code(), -32602, "{own}");
    }
    for tools in [ToolList::Signatures, ToolList::Search] {
        let answer = shop.ask(Target::All, tools, "ann", "tools/list", json!({"cursor": "x"})).await;
        assert_eq!(answer.code(), -32602, "it has one page");
    }
}

#[tokio::test]
async fn each_principal_is_told_and_may_call_what_is_its_own() {
    let shop = Workshop::new(vec![("files", server(Era::Modern, files(), 9))]);
    let mut own = Vec::new();
    for principal in ["ann", "bob"] {
        for tools in [ToolList::Pruned, ToolList::Signatures, ToolList::Search] {
            let listed = shop.ask(Target::All, tools, principal, "tools/list", json!({})).await.end.to_string();
            let query = json!({"name": "find_tool", "arguments": {"query": "for one alone", "limit": 50}});
            let found = shop.ask(Target::All, ToolList::Search, principal, "tools/call", query).await.end.to_string();
            let seen = |name: &str| listed.contains(name) || found.contains(name);
            assert!(seen("files__own_") && !own.iter().any(|name: &String| seen(name)), "{listed} {found}");
            if tools == ToolList::Search {
                own.push(if found.contains("files__own_0") { "files__own_0" } else { "files__own_1" }.to_owned());
            }
        }
    }
    assert_eq!(own.len(), 2);
    assert_ne!(own[0], own[1]);
    let foreign = json!({"name": "call_tool", "arguments": {"name": own[0]}});
    let refused = shop.ask(Target::All, ToolList::Search, "bob", "tools/call", foreign).await;
    assert_eq!(refused.code(), -32602);
    let message = refused.end["error"]["message"].as_str().unwrap();
    assert_eq!(message.matches(&own[0]).count(), 1, "not even its name is told again: {message}");
}

#[tokio::test]
async fn one_servers_own_endpoint_tells_its_pages_pruned_and_all_in_one_where_they_are_hidden() {
    for era in [Era::Modern, Era::Legacy] {
        let shop = Workshop::new(vec![("files", server(era, files(), 2))]);
        let whole = shop.ask(shop.only(), ToolList::Whole, "ann", "tools/list", json!({})).await;
        let pruned = shop.ask(shop.only(), ToolList::Pruned, "ann", "tools/list", json!({})).await;
        let (whole, pruned) = (&whole.end["result"], &pruned.end["result"]);
        for member in ["nextCursor", "ttlMs", "resultType"] {
            assert_eq!(whole[member], pruned[member], "{member}");
        }
        assert_eq!(pruned["_meta"]["said"], 1);
        assert_eq!(names(pruned["tools"].as_array().unwrap()), ["read_text", "remove"]);
        assert!(pruned["tools"][0].get("outputSchema").is_none());
        let next =
            shop.ask(shop.only(), ToolList::Pruned, "ann", "tools/list", json!({"cursor": pruned["nextCursor"]})).await;
        assert_eq!(names(next.end["result"]["tools"].as_array().unwrap())[0], "stat");
        let list = shop.list(shop.only(), ToolList::Signatures).await;
        let text = list[0]["description"].as_str().unwrap();
        assert!(text.contains("\nread_text(path) - ") && text.contains("\nstat(path) - "), "{text}");
        let through = shop
            .call(shop.only(), ToolList::Search, "call_tool", json!({"name": "remove", "arguments": {"path": "x"}}))
            .await;
        assert_eq!(said(&through), r#""remove" {"path":"x"}"#);
    }
}

#[tokio::test]
async fn a_servers_own_tool_of_our_name_stays_its_own() {
    let own = || tool("call_tool", "The server's own.", json!({"name": {"type": "string"}}));
    for (tools, ours) in [
        (vec![own()], "omnimind_call_tool"),
        (vec![own(), tool("omnimind_call_tool", "This too.", json!({"a": {}}))], "omnimind_omnimind_call_tool"),
    ] {
        let shop = Workshop::new(vec![("odd", server(Era::Modern, tools, 9))]);
        let direct = shop.call(shop.only(), ToolList::Signatures, "call_tool", json!({"name": "x"})).await;
        assert_eq!(said(&direct), r#""call_tool" {"name":"x"}"#, "also before anybody listed it");
        assert_eq!(names(&shop.list(shop.only(), ToolList::Signatures).await), [ours]);
        let through = json!({"name": "call_tool", "arguments": {"name": "y"}});
        let through = shop.call(shop.only(), ToolList::Signatures, ours, through).await;
        assert_eq!(said(&through), r#""call_tool" {"name":"y"}"#);
        assert_eq!(
            names(&shop.list(Target::All, ToolList::Signatures).await),
            ["call_tool"],
            "the aggregate has no such names"
        );
        let there = shop.call(Target::All, ToolList::Search, "call_tool", json!({"name": "odd__call_tool"})).await;
        assert_eq!(said(&there), r#""call_tool" {}"#);
    }
}

#[tokio::test]
async fn a_header_that_only_a_told_schema_asks_for_is_not_missed() {
    let shop = Workshop::both();
    let missed = shop.call(Target::All, ToolList::Pruned, "files__stat", json!({"path": "a"})).await;
    assert!(missed.end.get("error").is_some(), "the client was told: {missed:?}");
    for tools in [ToolList::Signatures, ToolList::Search] {
        let through = json!({"name": "files__stat", "arguments": {"path": "a"}});
        assert_eq!(said(&shop.call(Target::All, tools, "call_tool", through).await), r#""stat" {"path":"a"}"#);
        assert_eq!(
            said(&shop.call(Target::All, tools, "files__stat", json!({"path": "a"})).await),
            r#""stat" {"path":"a"}"#
        );
    }
}
