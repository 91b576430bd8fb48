//! What is asked ahead, for whom, and when it makes way.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    host::{Stream, collect},
    server::{QUIET, Server},
    stage::{Request, Stage, number, told},
};

fn settings() -> Value {
    json!({"predict": true})
}

/// A server of which these may be asked ahead.
fn stage(listed: &Value, settings: &Value) -> Stage {
    let server = Server::start(false, Era::Modern, QUIET);
    server.lists_say(json!({"ttlMs": 60_000}));
    let cache = json!({"ttl_ms": 60_000, "predict": listed});
    let spec = json!({"sessions": "shared", "trust": ["annotations"], "cache": cache});
    Stage::with(vec![server], &[("s", "unix", &spec)], settings)
}

/// Real work, of which a small share may be spent on guesses.
async fn work(stage: &Stage, by: &str) {
    let slow = (0..3).map(|number| stage.call("surf", json!({"ms": 190, "number": number})).by(by).answer());
    join_all(slow).await;
}

async fn settle(stage: &Stage, count: u64) {
    for _ in 0..500 {
        if stats(stage).await["observed"].as_u64() >= Some(count) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{}", stats(stage).await);
}

async fn stats(stage: &Stage) -> Value {
    stage.cache(json!({"op": "stats"})).await["levels"]["predictive"].clone()
}

fn page<'s>(stage: &'s Stage, cursor: Option<&str>) -> Request<'s> {
    stage.request("resources/list", cursor.map_or(json!({}), |cursor| json!({"cursor": cursor})))
}

#[tokio::test]
async fn the_next_page_is_fetched_ahead_and_found_and_lives_for_seconds() {
    let stage = stage(&json!(["resources/list"]), &settings());
    work(&stage, "ann").await;
    page(&stage, None).answer().await;
    stage.server().hears("resources/list", 2).await;
    assert_eq!(stage.server().heard("resources/list")[1]["params"]["cursor"], "");
    let report = |cursor| page(&stage, cursor).meta("omnimind/cache", json!("report"));
    let asked = Instant::now();
    let mut hit = report(Some("")).answer().await;
    while told(&hit)["hit"] != true && asked.elapsed() < Duration::from_secs(2) {
        hit = report(Some("")).answer().await;
    }
    assert_eq!(told(&hit)["hit"], true, "{hit:?}");
    assert!(hit.end["result"]["ttlMs"].as_u64().unwrap() <= 5_000, "{hit:?}");
    stage.pass(5_001);
    stage.server().release(9);
    assert_ne!(number(&report(Some("")).answer().await), number(&hit), "a guess is not kept for long");
}

#[tokio::test]
async fn a_page_that_is_just_fetched_ahead_is_waited_for_and_counts_as_used() {
    let stage = stage(&json!(["resources/list"]), &settings());
    work(&stage, "ann").await;
    page(&stage, Some("")).answer().await;
    stage.server().hears("resources/list", 2).await;
    assert_eq!(stage.server().heard("resources/list")[1]["params"]["cursor"], "hold");
    let real = tokio::spawn(collect(page(&stage, Some("hold")).send().await));
    tokio::time::sleep(Duration::from_millis(20)).await;
    stage.server().release(1);
    assert_eq!(real.await.unwrap().status, 200);
    assert_eq!((stage.server().count("resources/list"), stage.server().count("notifications/cancelled")), (2, 0));
    settle(&stage, 5).await;
    assert_eq!(stats(&stage).await["used"], 1, "{}", stats(&stage).await);
}

#[tokio::test]
async fn what_is_asked_ahead_makes_way_for_a_real_call() {
    let stage = stage(&json!(["resources/list"]), &settings());
    work(&stage, "ann").await;
    page(&stage, Some("")).answer().await;
    stage.server().hears("resources/list", 2).await;
    let began = Instant::now();
    let _real = Stream::of(stage.call("surf", json!({"hold": true})).by("bob").send().await);
    stage.server().hears("notifications/cancelled", 1).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let cancelled = &stage.server().heard("notifications/cancelled")[0]["params"]["requestId"];
    assert_eq!(cancelled, &stage.server().heard("resources/list")[1]["id"]);
    assert_eq!(stats(&stage).await["cancelled"], 1);
}

#[tokio::test]
async fn nothing_is_asked_ahead_while_a_real_call_is_on_its_way() {
    let stage = stage(&json!(["resources/list"]), &settings());
    work(&stage, "ann").await;
    let real = Stream::of(stage.call("surf", json!({"hold": true})).by("bob").send().await);
    stage.server().until("it runs", |server| server.calls("surf").len() == 4).await;
    page(&stage, None).answer().await;
    settle(&stage, 4).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(stage.server().count("resources/list"), 1);
    drop(real);
}

#[tokio::test]
async fn nothing_is_asked_ahead_that_is_not_listed_or_when_it_is_off() {
    for (listed, settings) in [
        (json!(["read"]), settings()),
        (Value::Null, settings()),
        (json!(["resources/list"]), json!({"predict": false})),
        (json!(["resources/list"]), json!({})),
    ] {
        let stage = stage(&listed, &settings);
        work(&stage, "ann").await;
        page(&stage, None).answer().await;
        if settings["predict"] == true {
            settle(&stage, 4).await;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert_eq!(stage.server().count("resources/list"), 1, "{listed} {settings}");
    }
}

/// One session of a principal: a look at a list, then a read of what it names; a write ends it.
async fn habit(stage: &Stage, by: &'static str, round: usize) {
    let extra = json!({"structuredContent": {"next": format!("{by}-{round}")}, "_meta": {"omnimind/depends": []}});
    stage.call("look", json!({"folder": format!("{by}/{round}"), "extra": extra})).by(by).answer().await;
    let extra = json!({"_meta": {"omnimind/depends": []}});
    stage.call("read", json!({"file": format!("{by}-{round}"), "extra": extra, "ms": 1})).by(by).answer().await;
    stage.call("write", json!({"file": format!("{by}-{round}")})).by(by).answer().await;
}

#[tokio::test]
async fn a_sequence_is_learned_and_neither_a_write_nor_anothers_arguments_are_ever_asked_ahead() {
    let stage = Stage::ours(QUIET, &settings());
    for by in ["ann", "bob"] {
        work(&stage, by).await;
    }
    // On a busy machine a guess may cost too much for a while.
    let mut rounds = 0;
    while rounds < 6 || rounds < 40 && stats(&stage).await["used"] == 0 {
        for (number, by) in [(1, "ann"), (2, "bob")] {
            habit(&stage, by, rounds).await;
            settle(&stage, 6 + 6 * rounds as u64 + 3 * number).await;
        }
        rounds += 1;
    }
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(stage.server().calls("write").len(), 2 * rounds, "no write but the real ones");
    for call in stage.server().heard("tools/call") {
        let whose = call["params"]["_meta"]["omnimind/principal"].as_str().unwrap().to_owned();
        for name in ["file", "folder"] {
            let said = call["params"]["arguments"][name].as_str().unwrap_or(&whose);
            assert!(said.starts_with(&whose), "{whose} asks for {said}");
        }
    }
    assert!(stats(&stage).await["used"].as_u64().unwrap() > 0, "{}", stats(&stage).await);
}
