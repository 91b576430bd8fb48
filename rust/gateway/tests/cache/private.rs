//! What is between a worker and the gateway, and what a client is told of the cache.

use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    host::{Answer, Stream, collect},
    server::{QUIET, TELLS},
    stage::{Stage, header, told},
};

/// What every result of the worker says besides.
fn own(more: Value) -> Value {
    let mut extra =
        json!({"_meta": {"omnimind/depends": [{"path": "/nonexistent/secret", "missing": true}], "acme/own": 1}});
    extra.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    extra
}

fn clean(answer: &Answer, way: &str) {
    let all = format!("{:?}{}", answer.notes, answer.end);
    assert!(!all.contains("depends") && !all.contains("secret"), "{way}: {all}");
}

#[tokio::test]
async fn what_an_answer_depends_on_reaches_no_client_on_any_way() {
    let stage = Stage::ours(QUIET, &json!({}));
    stage.server().lists_say(own(json!({"ttlMs": 60_000})));
    let hold = json!({"hold": true, "extra": own(json!({}))});
    let call = stage.call("read", hold.clone());
    let (first, second) = (call.clone().send().await, call.clone().id(json!(2)).send().await);
    stage.server().release(1);
    let (first, second) = (tokio::spawn(collect(first)), tokio::spawn(collect(second)));
    let first = first.await.unwrap();
    assert_eq!(first.end["result"]["_meta"]["acme/own"], 1);
    clean(&first, "fetched");
    clean(&second.await.unwrap(), "shared");
    let hit = call.meta("omnimind/cache", json!("report")).answer().await;
    assert_eq!(told(&hit)["hit"], true);
    clean(&hit, "hit");
    let named = json!({"name": "s__read", "arguments": hold});
    clean(&stage.request("tools/call", named).at_all().answer().await, "the aggregate");
    for extra in [own(json!({"isError": true})), own(json!({"resultType": "input_required", "requestState": "s"}))] {
        clean(&stage.call("read", json!({"extra": extra})).answer().await, "an error or a question");
        clean(&stage.call("write", json!({"extra": extra})).answer().await, "a write's");
    }
    clean(&stage.call("write", json!({"extra": own(json!({}))})).answer().await, "a write");
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        clean(&stage.request(method, json!({})).answer().await, method);
        clean(&stage.request(method, json!({})).at_all().answer().await, method);
    }
    let read = stage.request("resources/read", json!({"uri": format!("x:{}", own(json!({})))}));
    for request in
        [read.clone(), read.clone(), read.at_all().param("uri", json!(format!("omnimind+s:x:{}", own(json!({})))))]
    {
        let answer = request.answer().await;
        assert_eq!(answer.end["result"]["_meta"], json!({"acme/own": 1}), "a resource: {answer:?}");
    }
}

#[tokio::test]
async fn a_legacy_client_does_not_see_it_either() {
    let stage = Stage::ours(TELLS, &json!({}));
    let legacy = stage.host.session("ann", json!({"elicitation": {}})).await;
    for _ in 0..2 {
        let answer = collect(legacy.call("read", json!({"extra": own(json!({}))})).await).await;
        assert_eq!(answer.text(), "#1");
        clean(&answer, "legacy");
    }
}

#[tokio::test]
async fn a_strangers_word_on_what_its_answer_depends_on_is_not_believed_nor_handed_on() {
    for era in crate::stage::ERAS {
        let stage = Stage::theirs(era, QUIET, &json!({"trust": ["annotations"]}));
        let call = stage.call("read", json!({"extra": own(json!({}))}));
        let (one, two) = (call.clone().answer().await, call.answer().await);
        assert_ne!(one.text(), two.text(), "{era:?}");
        clean(&one, "a stranger's");
    }
}

#[tokio::test]
async fn who_asks_is_told_what_became_of_the_request_and_nobody_else() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({}));
    let asks = call.clone().meta("omnimind/cache", json!("report"));
    let reply = asks.clone().send().await;
    assert_eq!(header(&reply, "cache-status").as_deref(), Some("omnimind; fwd=miss"));
    assert_eq!(told(&collect(reply).await), &json!({"hit": false, "kept": true}));

    stage.pass(3_500);
    let reply = asks.clone().send().await;
    assert_eq!(header(&reply, "cache-status").as_deref(), Some("omnimind; hit; detail=ram"));
    assert_eq!(header(&reply, "age").as_deref(), Some("3"));
    assert_eq!(told(&collect(reply).await), &json!({"hit": true, "level": "ram", "ageMs": 3_500, "stale": false}));

    let reply = call.clone().send().await;
    assert_eq!((header(&reply, "cache-status"), header(&reply, "age")), (None, None));
    assert!(collect(reply).await.end["result"].get("_meta").is_none_or(|meta| meta.get("omnimind/cache").is_none()));
    assert!(stage.server().heard("tools/call").iter().all(|call| !call.to_string().contains("omnimind/")));

    let reply = stage.call("write", json!({})).meta("omnimind/cache", json!("report")).send().await;
    assert_eq!(header(&reply, "cache-status").as_deref(), Some("omnimind; fwd=bypass"));
    assert_eq!(told(&collect(reply).await), &json!({"hit": false, "why": "the tool is not read-only"}));
}

#[tokio::test]
async fn one_that_waited_is_told_so() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let asks = stage.call("read", json!({"hold": true})).meta("omnimind/cache", json!("report"));
    let (first, second) = (asks.clone().send().await, asks.id(json!(2)).send().await);
    assert_eq!(header(&second, "cache-status").as_deref(), Some("omnimind; fwd=miss; collapsed"));
    stage.server().release(1);
    let (_, second) = tokio::join!(collect(first), collect(second));
    assert_eq!(told(&second), &json!({"hit": false, "shared": true}));
}

#[tokio::test]
async fn who_wants_nothing_stored_gets_the_servers_own_answer_and_leaves_nothing_behind() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({}));
    let alone = call.clone().meta("omnimind/cache", json!("no-store"));
    let (one, two) = (alone.clone().number().await, alone.clone().number().await);
    assert_ne!(one, two);
    let kept = call.clone().number().await;
    assert_ne!(kept, two, "it was not kept");
    assert_ne!(alone.number().await, kept, "nor looked for");
    assert_eq!(call.number().await, kept, "what was kept stays");
}

#[tokio::test]
async fn who_wants_nothing_stored_waits_for_nobody() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({"hold": true}));
    let _first = call.clone().send().await;
    let _second = Stream::of(call.meta("omnimind/cache", json!("no-store")).send().await);
    stage.server().until("both go", |server| server.calls("read").len() == 2).await;
}
