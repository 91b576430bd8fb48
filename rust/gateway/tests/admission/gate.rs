//! The limit of a server: it holds, it is shared fairly, it is kept over a reload, and what needs no permit has none.

use std::{sync::Arc, time::Duration};

use omnimind_gateway::config::Class;
use serde_json::{Value, json};

use crate::stage::{As, Stage, asked_for_limits, ended, is_empty, soon, waiting};

pub(crate) fn fixed(limit: u32) -> Value {
    // The machine these tests run on may be out of breath: the least is not braked.
    json!({"policy": "fixed", "start": limit, "min": limit})
}

#[tokio::test]
async fn no_more_calls_than_the_limit_are_in_flight_and_who_waits_is_told_how_long() {
    let stage = Arc::new(Stage::new(fixed(3)).warm().await);
    let calls = stage.begin(&As::tenant("ann"), 5, 2).await;
    let limits = stage.limits();
    assert_eq!((&limits["limit"], &limits["in_flight"], waiting(&limits)), (&json!(3), &json!(3), 2));
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(stage.held.lock().len(), 3, "the server has seen no more");
    stage.answer(5).await;
    let mut waits = Vec::new();
    for call in calls {
        let answer = soon(call).await.unwrap();
        assert_eq!(answer.body["result"]["content"][0]["text"], "held", "{answer:?}");
        waits.extend(answer.body["result"]["_meta"]["omnimind/queueMs"].as_u64());
    }
    assert_eq!(waits.len(), 2, "only who waited is told so");
    assert!(waits.iter().all(|ms| *ms >= 30));
    let limits = stage.limits();
    assert!(is_empty(&limits), "{limits}");
    assert!(limits["queue_ms"]["p99"].as_f64().unwrap() >= 30.0 && limits["queue_ms"]["p50"].as_f64().unwrap() < 30.0);
    let text = stage.plane.metrics.render(&stage.plane);
    for line in [
        "omnimind_server_limit{server=\"double\"} 3",
        "omnimind_server_in_flight{server=\"double\"} 0",
        "omnimind_server_waiting{server=\"double\",class=\"background\"} 0",
        "omnimind_queue_wait_seconds_count{server=\"double\"} 6",
        "omnimind_service_seconds_count{server=\"double\"} 6",
        "omnimind_brake ",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn tenants_take_turns_and_the_most_urgent_call_of_a_tenant_goes_first() {
    let stage = Arc::new(Stage::new(fixed(1)));
    let first = stage.begin(&As::tenant("hog"), 1, 0).await;
    let mut calls = Vec::new();
    let hog = |class, word: &str| {
        As { class, ..As::tenant("hog") }.meta("omnimind/timeoutMs", json!(20_000)).meta("word", json!(word))
    };
    for (by, word) in [(Class::Background, "last"), (Class::Normal, "third"), (Class::Interactive, "second")] {
        calls.extend(stage.begin(&hog(by, word), 1, 1).await);
    }
    calls.extend(stage.begin(&As::tenant("other").meta("word", json!("other")), 1, 1).await);
    let mut order = Vec::new();
    for _ in 0..5 {
        crate::stage::until(|| !stage.held.lock().is_empty()).await;
        let word = stage.held.lock()[0].0["params"]["_meta"]["word"].as_str().map(str::to_owned);
        order.extend(word);
        stage.answer(1).await;
    }
    for call in first.into_iter().chain(calls) {
        assert_eq!(soon(call).await.unwrap().status, 200);
    }
    let of_hog: Vec<_> = order.iter().filter(|word| *word != "other").collect();
    assert_eq!(of_hog, ["second", "third", "last"]);
    let place = order.iter().position(|word| word == "other").unwrap();
    assert!(place <= 1, "who asks little is not behind all of who asks much: {order:?}");
}

#[tokio::test]
async fn a_client_that_lowers_its_class_waits_in_that() {
    let stage = Arc::new(Stage::new(fixed(1)));
    let mut calls = stage.begin(&As::tenant("ann"), 1, 0).await;
    let mut urgent = As::tenant("ann");
    urgent.class = Class::Interactive;
    calls.extend(stage.begin(&urgent, 1, 1).await);
    calls.extend(stage.begin(&urgent.clone().meta("omnimind/class", json!("background")), 1, 1).await);
    urgent.headers.push(("priority", "u=5".to_owned()));
    calls.extend(stage.begin(&urgent, 1, 1).await);
    let limits = stage.limits();
    assert_eq!(limits["waiting"], json!({"system": 0, "interactive": 1, "normal": 1, "background": 1}));
    stage.answer(4).await;
    for call in calls {
        assert_eq!(soon(call).await.unwrap().status, 200);
    }
    assert!(!stage.double.heard.lock().iter().any(|message| message.to_string().contains("omnimind/")));
    assert!(is_empty(&stage.limits()));
}

#[tokio::test]
async fn a_reload_keeps_what_is_in_flight_and_what_waits_and_the_new_limit_holds_at_once() {
    let stage = Arc::new(Stage::new(fixed(2)));
    let calls = stage.begin(&As::tenant("ann"), 4, 2).await;
    stage.reload(json!({"limits": fixed(3), "timeout_ms": 50_000}), json!({}));
    stage.until(|limits| limits["in_flight"] == 3 && waiting(limits) == 1).await;
    stage.reload(json!({"limits": fixed(1)}), json!({}));
    let limits = stage.limits();
    assert_eq!((&limits["limit"], &limits["in_flight"], waiting(&limits)), (&json!(1), &json!(3), 1));
    stage.answer(4).await;
    for call in calls {
        assert_eq!(soon(call).await.unwrap().status, 200);
    }
    assert!(is_empty(&stage.limits()));
    assert_eq!(stage.limits()["started"], 4, "the books go on");
}

#[tokio::test]
async fn the_gateways_own_questions_take_no_permit() {
    let spec = json!({"limits": fixed(1), "trust": ["annotations"], "cache": {"ttl_ms": 60_000}});
    let stage = Arc::new(Stage::with(spec, json!({})));
    let calls = stage.begin(&As::tenant("ann"), 1, 0).await;
    assert!(stage.double.heard.lock().iter().any(|message| message["method"] == "tools/list"));
    assert_eq!(stage.limits()["started"], 1);
    stage.answer(1).await;
    for call in calls {
        assert_eq!(soon(call).await.unwrap().status, 200);
    }
    let (started, waiting) = (stage.limits()["started"].clone(), stage.call(&As::tenant("ann"), "hold").await);
    assert_eq!(waiting.body["result"]["content"][0]["text"], "held");
    assert_eq!(stage.limits()["started"], started, "an answer from memory holds no permit");
}

#[tokio::test]
async fn who_waits_for_anothers_answer_holds_no_permit() {
    let spec = json!({"limits": fixed(1), "trust": ["annotations"], "cache": {"ttl_ms": 60_000}});
    let stage = Arc::new(Stage::with(spec, json!({})));
    let one = stage.begin(&As::tenant("ann"), 1, 0).await;
    let more: Vec<_> = (0..9)
        .map(|_| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move { stage.call(&As::tenant("ann"), "hold").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let limits = stage.limits();
    assert_eq!((&limits["in_flight"], waiting(&limits)), (&json!(1), 0));
    stage.answer(1).await;
    for call in one.into_iter().chain(more) {
        assert_eq!(soon(call).await.unwrap().body["result"]["content"][0]["text"], "held");
    }
}

#[tokio::test]
async fn an_operator_is_told_over_the_link() {
    let stage = Stage::new(json!({}));
    let done =
        ended(stage.reply(&As::tenant("ann"), "tools/call", json!({"name": "done", "arguments": {}})).await).await;
    assert_eq!(done.status, 200);
    stage.plane.hear(asked_for_limits(7), Vec::new()).unwrap();
    let said = loop {
        tokio::task::yield_now().await;
        let said = stage.outbox().take().into_iter().find(|line| line.contains("\"request\":7"));
        if let Some(line) = said {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    let server = &said["answer"]["servers"][0];
    assert_eq!(
        (&server["name"], &server["tier"], &server["policy"]),
        (&json!("double"), &json!("high"), &json!("gradient"))
    );
    assert_eq!((&server["limit"], &server["usable"], &server["started"]), (&json!(128), &json!(128), &json!(1)));
    assert!(server["service_ms"].is_number() && server["stretch"].is_number());
    assert_eq!(server["refused"], json!({"queue_full": 0, "deadline": 0, "evicted": 0, "expired": 0, "shed": 0}));
    let rates = &said["answer"]["rates"];
    assert_eq!(
        rates,
        &json!({"policy": "fixed", "pace": 1.0, "refused": {"tenant": 0, "tenant_server": 0, "server_tool": 0}})
    );
    assert!(said["answer"]["health"]["brake"].is_number());
}

#[tokio::test]
async fn calls_that_wait_for_a_server_to_come_up_hold_up_nobody() {
    let stage = Arc::new(Stage::with(json!({"kind": "stdio", "limits": fixed(1)}), json!({})));
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move { stage.call(&As::tenant("ann"), "done").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(is_empty(&stage.limits()) && stage.limits()["started"] == 0);
    assert!(calls.iter().all(|call| !call.is_finished()), "none was refused for want of a turn");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}
