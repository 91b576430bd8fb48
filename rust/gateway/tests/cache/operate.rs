//! The operator's hand on the cache.

use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    host::{CAPABILITIES, VERSION},
    server::{QUIET, Server},
    stage::Stage,
};

fn request(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
    json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": params})
}

fn explain(principal: &str, server: &str, message: &Value) -> Value {
    json!({"op": "explain", "server": server, "principal": principal, "message": message})
}

fn two() -> Stage {
    let servers = vec![Server::start(false, Era::Modern, QUIET), Server::start(false, Era::Modern, QUIET)];
    let spec = json!({"sessions": "shared", "trust": ["annotations"], "cache": {"ttl_ms": 60_000}});
    Stage::with(servers, &[("one", "unix", &spec), ("two", "unix", &spec)], &json!({}))
}

#[tokio::test]
async fn the_numbers_say_what_happened() {
    let stage = two();
    let call = stage.call("read", json!({}));
    for _ in 0..3 {
        call.clone().answer().await;
    }
    stage.call("write", json!({})).answer().await;
    call.answer().await;
    let stats = stage.cache(json!({"op": "stats"})).await;
    let one = &stats["servers"][0];
    assert_eq!((&one["name"], &one["hits"]["ram"], &one["misses"]), (&json!("one"), &json!(2), &json!(2)), "{stats}");
    assert_eq!((&one["kept"], &one["changes"]), (&json!(2), &json!(2)));
    assert_eq!(stats["servers"][1]["misses"], 0);
    assert!(stats["levels"]["ram"]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(stats["levels"]["disk"]["off"], "it is configured so");
}

#[tokio::test]
async fn forgetting_is_for_one_server_or_for_all() {
    let stage = two();
    let call = stage.call("read", json!({}));
    let (one, two) = (call.clone().number().await, call.clone().at(1).number().await);
    assert_eq!(stage.cache(json!({"op": "flush", "server": "one"})).await, json!({"flushed": ["one"]}));
    let anew = call.clone().number().await;
    assert_ne!(anew, one);
    assert_eq!(call.clone().at(1).number().await, two);
    assert_eq!(stage.cache(json!({"op": "flush"})).await, json!({"flushed": ["one", "two"]}));
    assert_ne!(call.clone().number().await, anew);
    assert_ne!(call.at(1).number().await, two);
    assert_eq!(stage.cache(json!({"op": "flush", "server": "none"})).await, json!({"flushed": []}));
}

#[tokio::test]
async fn it_is_explained_why_a_request_is_a_hit_or_not_and_nothing_happens_by_that() {
    let stage = two();
    let read = request("tools/call", json!({"name": "read", "arguments": {}}));
    let ask = explain("ann", "one", &read);
    let said = stage.cache(ask.clone()).await;
    assert_eq!((&said["kept"], &said["hit"]), (&json!(true), &Value::Null), "{said}");
    assert_eq!(stage.server().calls("read").len(), 0);

    stage.call("read", json!({})).answer().await;
    stage.pass(700);
    let said = stage.cache(ask.clone()).await;
    assert_eq!(said["hit"], json!({"level": "ram", "age_ms": 700, "left_ms": 59_300}), "{said}");
    assert_eq!(stage.cache(explain("bob", "one", &read)).await["hit"], Value::Null);
    assert_eq!(stage.cache(explain("ann", "two", &read)).await["hit"], Value::Null);

    let why = |name: &str| explain("ann", "one", &request("tools/call", json!({"name": name, "arguments": {}})));
    assert_eq!(stage.cache(why("write")).await["why"], "the tool is not read-only");
    assert_eq!(stage.cache(why("surf")).await["why"], "the tool's answers depend on the outside world");
    assert_eq!(stage.cache(why("none")).await["why"], "the server has not listed this tool");
    let got = stage.cache(explain("ann", "one", &request("prompts/get", json!({"name": "p"})))).await;
    assert_eq!(got["why"], "no answer to this method is kept");

    stage.call("write", json!({})).answer().await;
    assert_eq!(stage.cache(ask).await["hit"], Value::Null);
    assert_eq!(stage.cache(json!({"op": "stats"})).await["servers"][0]["hits"]["ram"], 0, "asking is not counted");
}

#[tokio::test]
async fn a_principal_whose_token_is_gone_has_nothing() {
    let stage = two();
    let read = request("tools/call", json!({"name": "read", "arguments": {}}));
    assert_eq!(stage.cache(explain("eve", "one", &read)).await["error"], "there is no principal eve");
    assert_eq!(stage.cache(explain("ann", "three", &read)).await["error"], "there is no server three");
    let odd =
        json!({"op": "explain", "server": "one", "principal": "ann", "message": {"jsonrpc": "2.0", "method": "x"}});
    assert!(stage.cache(odd).await["error"].as_str().unwrap().starts_with("the message is no request"));
}
