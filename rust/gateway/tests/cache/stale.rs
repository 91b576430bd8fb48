//! Answers past their time: while a fresh one is fetched, or while the server cannot be reached.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use omnimind_wire::Era;
use serde_json::json;

use crate::{
    server::{QUIET, TELLS},
    stage::{ERAS, Stage, number, told},
};

#[tokio::test]
async fn an_answer_past_its_time_stands_in_for_a_server_that_cannot_be_reached() {
    for era in ERAS {
        let stage = Stage::theirs(era, QUIET, &json!({"cache": {"ttl_ms": 1_000}}));
        let request = stage.read(&json!({"ttlMs": 1_000}));
        let first = request.clone().number().await;
        stage.server().vanish();
        stage.pass(1_000 + 59_999);
        let answer = request.clone().meta("omnimind/cache", json!("report")).answer().await;
        assert_eq!((number(&answer), &told(&answer)["stale"]), (first, &json!(true)), "{era:?}");
        if era == Era::Modern {
            assert_eq!(answer.end["result"]["ttlMs"], 0);
        }
        stage.pass(1);
        assert_eq!(request.answer().await.status, 503);
    }
}

#[tokio::test]
async fn a_tools_answer_does_not_stand_in_unless_configured() {
    for (stale_ms, stands_in) in [(0, false), (5_000, true)] {
        let cache = json!({"ttl_ms": 1_000, "stale_ms": stale_ms});
        let stage = Stage::theirs(Era::Modern, QUIET, &json!({"trust": ["annotations"], "cache": cache}));
        let call = stage.call("read", json!({}));
        call.clone().number().await;
        stage.server().vanish();
        stage.pass(2_000);
        assert_eq!(call.answer().await.status == 200, stands_in, "{stale_ms}");
    }
}

#[tokio::test]
async fn a_server_that_answers_with_an_error_is_believed() {
    let stage = Stage::theirs(Era::Modern, QUIET, &json!({}));
    let page = stage.request("resources/list", json!({"cursor": "bad"}));
    stage.server().lists_say(json!({"ttlMs": 1_000}));
    assert_eq!(page.answer().await.code(), -32602);
    let read = stage.read(&json!({"ttlMs": 1_000}));
    read.clone().number().await;
    stage.pass(1_500);
    assert_ne!(read.clone().number().await, "#1", "a server that is there is asked");
}

#[tokio::test]
async fn what_changed_while_the_server_was_asked_does_not_stand_in() {
    for era in ERAS {
        let stage =
            Stage::theirs(era, TELLS, &json!({"sessions": "shared", "timeout_ms": 120, "cache": {"ttl_ms": 1_000}}));
        let uri = format!("x:{}", json!({"ttlMs": 1_000, "hold": 1}));
        let request = stage.request("resources/read", json!({"uri": uri}));
        stage.server().release(1);
        let first = request.clone().number().await;
        let subscribing = if era == Era::Modern { "subscriptions/listen" } else { "resources/subscribe" };
        stage.server().hears(subscribing, 1).await;
        stage.pass(2_000);
        let asking = tokio::spawn({
            let reply = request.send().await;
            async move { crate::host::collect(reply).await }
        });
        stage.server().hears("resources/read", 2).await;
        stage.server().tell("notifications/resources/updated", &json!({"uri": uri}), era);
        let answer = asking.await.unwrap();
        assert_eq!(answer.status, 504, "{era:?}: {first} is older than the change: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_what_is_past_its_time_get_it_at_once_and_it_is_fetched_once() {
    for era in ERAS {
        let cache = json!({"ttl_ms": 1_000, "stale_ms": 5_000});
        let stage = Arc::new(Stage::theirs(era, QUIET, &json!({"trust": ["annotations"], "cache": cache})));
        stage.call("read", json!({})).answer().await;
        for round in 1..=20 {
            let (now, fresh) = (format!("#{round}"), format!("#{}", round + 1));
            stage.pass(1_500);
            let all = (0..50).map(|id| {
                let stage = Arc::clone(&stage);
                tokio::spawn(async move { stage.call("read", json!({})).id(json!(id)).number().await })
            });
            for answer in join_all(all).await {
                let answer = answer.unwrap();
                assert!(answer == now || answer == fresh, "round {round}: {answer}");
            }
            stage.server().until("a fresh one came", |server| server.calls("read").len() > round).await;
            while stage.call("read", json!({})).number().await != fresh {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(stage.server().calls("read").len(), round + 1, "{era:?}");
        }
    }
}
