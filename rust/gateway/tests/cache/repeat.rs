//! Requests that are the same but for their id are answered without being read; whatever else differs is.

use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    server::{QUIET, TELLS},
    stage::{Request, Stage, number},
};

/// A call that was answered from memory once, so that the next need not be read.
async fn known(stage: &Stage) -> (Request<'_>, String) {
    known_by(stage, 1).await
}

async fn known_by(stage: &Stage, argument: u8) -> (Request<'_>, String) {
    let call = stage.call("read", json!({"a": argument}));
    let first = call.clone().number().await;
    assert!(!call.is_repeated(), "a miss proves nothing");
    assert_eq!(call.clone().number().await, first);
    assert!(call.is_repeated());
    (call, first)
}

#[tokio::test]
async fn the_same_with_another_id_is_answered_under_that_id() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, first) = known(&stage).await;
    for id in [json!(7), json!(0), json!("a name")] {
        let call = call.clone().id(id.clone());
        assert!(call.is_repeated(), "{id}");
        let answer = call.answer().await;
        assert_eq!((number(&answer), &answer.end["id"]), (first.clone(), &id));
    }
    for id in [json!(-1), json!("quo\"te"), json!(12_345_678_901_234_567_u64), json!("x".repeat(65))] {
        assert!(!call.clone().id(id.clone()).is_repeated(), "{id}");
    }
    assert_eq!(stage.server().calls("read").len(), 1);
}

#[tokio::test]
async fn it_counts_as_a_hit() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, _) = known(&stage).await;
    let hits = async || stage.cache(json!({"op": "stats"})).await["servers"][0]["hits"]["ram"].as_u64().unwrap();
    let before = hits().await;
    call.answer().await;
    assert_eq!(hits().await, before + 1);
}

#[tokio::test]
async fn nobody_else_is_answered_so() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, first) = known(&stage).await;
    for other in [call.clone().by("bob"), call.clone().operator()] {
        assert!(!other.is_repeated());
        assert_ne!(other.number().await, first);
    }
    assert!(call.is_repeated());
}

#[tokio::test]
async fn another_header_or_byte_is_read() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, _) = known(&stage).await;
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
        ("mcp-name", "read"),
        ("mcp-param-a", "1"),
    ] {
        let odd = call.clone().header(name, value);
        assert!(!odd.is_repeated(), "{name}: {value}");
    }
    let twice = call.clone().header("mcp-name", "write").answer().await;
    assert!(twice.end.get("error").is_some(), "{twice:?}");
    assert!(!call.clone().param("b", json!(1)).is_repeated());
    assert!(!call.clone().meta("progressToken", json!(1)).is_repeated());
    assert!(call.clone().header("traceparent", "00-x").is_repeated());
    for wish in ["report", "no-store"] {
        let asked = call.clone().meta("omnimind/cache", json!(wish));
        asked.clone().answer().await;
        asked.clone().answer().await;
        assert!(!asked.is_repeated(), "{wish}");
    }
}

#[tokio::test]
async fn what_makes_an_answer_old_is_seen() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, first) = known(&stage).await;
    stage.call("write", json!({})).answer().await;
    assert!(!call.is_repeated());
    assert_ne!(call.number().await, first);

    let (call, first) = known_by(&stage, 2).await;
    stage.pass(60_000);
    assert!(!call.is_repeated());
    assert_ne!(call.number().await, first);

    let (call, _) = known_by(&stage, 3).await;
    stage.cache(json!({"op": "flush"})).await;
    assert!(!call.is_repeated());
}

#[tokio::test]
async fn what_a_server_says_of_its_tools_is_heard() {
    let stage = Stage::trusted(Era::Legacy, TELLS);
    // The answers of an older era are made over for a newer client.
    let call = stage.call("read", json!({}));
    for _ in 0..3 {
        call.clone().answer().await;
    }
    assert!(!call.is_repeated());

    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, first) = known(&stage).await;
    stage.server().describe("read", "something else");
    stage.request("tools/list", json!({})).answer().await;
    assert!(!call.is_repeated());
    assert_ne!(call.number().await, first);
}

#[tokio::test]
async fn another_configuration_is_followed() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let (call, first) = known(&stage).await;
    stage.reload(|_, _| ());
    assert_eq!(call.clone().number().await, first, "nothing was changed");
    assert!(call.is_repeated());
    stage.reload(|specs, _| specs[0]["cache"] = json!({"ttl_ms": 60_000, "tools": {"read": {"enabled": false}}}));
    assert!(!call.is_repeated());
    assert_ne!(call.clone().number().await, first);
    stage.reload(|_, settings| settings["enabled"] = json!(false));
    assert!(!call.is_repeated());
}

#[tokio::test]
async fn what_is_edited_on_its_way_is_read() {
    let stage = Stage::ours(QUIET, &json!({}));
    stage.server().lists_say(json!({"ttlMs": 60_000}));
    let list = stage.request("tools/list", json!({}));
    for _ in 0..3 {
        list.clone().answer().await;
    }
    assert!(!list.is_repeated(), "what is left of its time is handed on");
    let named = stage.request("tools/call", json!({"name": "s__read", "arguments": {}})).at_all();
    for _ in 0..3 {
        named.clone().answer().await;
    }
    assert!(!named.is_repeated(), "the aggregate has names of its own");
    let learns = Stage::with(
        vec![crate::server::Server::start(false, Era::Modern, QUIET)],
        &[("s", "unix", &json!({"sessions": "shared", "trust": ["annotations"], "cache": {"ttl_ms": 60_000}}))],
        &json!({"predict": true}),
    );
    let call: Request<'_> = learns.call("read", Value::Null);
    for _ in 0..3 {
        call.clone().answer().await;
    }
    assert!(!call.is_repeated(), "there is time to learn from it");
}
