//! Those who cannot be served: refused at the door or after a wait, in numbers a program reads and words a model reads.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    gate::fixed,
    stage::{As, Stage, is_empty, soon, waiting},
};

#[tokio::test]
async fn who_would_be_done_too_late_is_refused_at_the_door() {
    let stage = Arc::new(Stage::new(fixed(1)).warm().await);
    let call = stage.begin(&As::tenant("ann"), 1, 0).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    stage.answer(1).await;
    for call in call {
        soon(call).await.unwrap();
    }
    // From here on a call is known to take 60 ms.
    let held = stage.begin(&As::tenant("ann"), 1, 0).await;
    let hurried = As::tenant("ann").meta("omnimind/timeoutMs", json!(40));
    let refused = stage.call(&hurried, "hold").await;
    assert_eq!((refused.status, refused.retry_after), (504, Some(1)));
    let error = &refused.body["error"];
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(42_902), &json!("deadline")));
    assert_eq!((&error["data"]["scope"], &error["data"]["server"]), (&json!("server"), &json!("double")));
    assert!(error["data"]["retryAfterMs"].as_u64().unwrap() >= 1);
    assert_eq!(stage.limits()["refused"]["deadline"], 1);
    assert_eq!(waiting(&stage.limits()), 0);
    stage.answer(1).await;
    for call in held {
        soon(call).await.unwrap();
    }
}

#[tokio::test]
async fn who_waited_in_vain_is_told_at_its_deadline_and_leaves_nothing_behind() {
    let stage = Arc::new(Stage::new(fixed(1)));
    let held = stage.begin(&As::tenant("ann"), 1, 0).await;
    let since = std::time::Instant::now();
    let refused = stage.call(&As::tenant("bob").meta("omnimind/timeoutMs", json!(80)), "hold").await;
    let took = since.elapsed();
    assert_eq!((refused.status, &refused.body["error"]["code"]), (504, &json!(42_902)), "{refused:?}");
    assert!(took >= Duration::from_millis(70) && took < Duration::from_millis(800), "{took:?}");
    let waited_ms = refused.body["error"]["data"]["queueMs"].as_u64().unwrap();
    assert!((60..=u64::try_from(took.as_millis()).unwrap() + 1).contains(&waited_ms), "{waited_ms} ms of {took:?}");
    assert_eq!(stage.limits()["refused"]["expired"], 1);
    stage.answer(1).await;
    for call in held {
        assert_eq!(soon(call).await.unwrap().status, 200);
    }
    assert!(is_empty(&stage.limits()));
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_again() {
    let stage = Arc::new(Stage::new(json!({"policy": "fixed", "start": 1, "min": 1, "queue": 2})));
    let mut calls = stage.begin(&As::tenant("ann"), 3, 2).await;
    let background = As::tenant("ann").meta("omnimind/class", json!("background"));
    let refused = stage.call(&background, "hold").await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (503, &json!(42_901)));
    assert_eq!(refused.body["error"]["data"]["reason"], "overloaded");
    assert!(refused.retry_after.is_some());
    assert_eq!(stage.limits()["refused"]["queue_full"], 1);
    // One that is more urgent takes the place of one that is less.
    let mut urgent = As::tenant("ann");
    urgent.class = omnimind_gateway::config::Class::Interactive;
    let more = Arc::clone(&stage);
    calls.push(tokio::spawn(async move { more.call(&urgent, "hold").await }));
    stage.until(|limits| limits["refused"]["evicted"] == 1 && waiting(limits) == 2).await;
    stage.answer(3).await;
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(soon(call).await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 503]);
    assert!(is_empty(&stage.limits()));
}

#[tokio::test]
async fn a_rate_is_asked_before_the_memory_and_refused_calls_cost_the_server_nothing() {
    let spec =
        json!({"trust": ["annotations"], "cache": {"ttl_ms": 60_000}, "limits": {"tools": {"done": {"cost": 2}}}});
    let stage = Stage::with(spec, json!({"tenant": {"per_s": 0.01, "burst": 4}}));
    for _ in 0..2 {
        assert_eq!(stage.call(&As::tenant("ann"), "done").await.status, 200);
    }
    let refused = stage.call(&As::tenant("ann"), "done").await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (429, &json!(42_900)));
    let data = &refused.body["error"]["data"];
    assert_eq!((&data["reason"], &data["scope"]), (&json!("rate_limited"), &json!("tenant")));
    let retry_ms = data["retryAfterMs"].as_u64().unwrap();
    assert!((199_000..=200_000).contains(&retry_ms), "two tokens at one in a hundred seconds: {retry_ms}");
    assert_eq!(refused.retry_after, Some(retry_ms.div_ceil(1_000)));
    assert_eq!(stage.call(&As::tenant("bob"), "done").await.status, 200, "another tenant has a rate of its own");
    assert_eq!(stage.limits()["started"], 2, "ann's second call was answered from memory, her third not at all");
    assert_eq!(stage.report()["rates"]["refused"]["tenant"], 1);
}

#[tokio::test]
async fn a_model_may_be_told_in_words() {
    let words = json!({"refusals_as_text": true, "tenant": {"per_s": 0.01, "burst": 1}});
    let stage = Stage::with(json!({}), words);
    assert_eq!(stage.call(&As::tenant("ann"), "done").await.status, 200);
    let refused = stage.call(&As::tenant("ann"), "done").await;
    assert_eq!(refused.status, 200);
    assert_eq!(refused.body["result"]["isError"], true);
    assert_eq!(
        refused.body["result"]["content"][0]["text"],
        "The call was not made: the rate of this tenant is used up. Try again in 100 seconds."
    );
    let other = crate::stage::ended(stage.reply(&As::tenant("ann"), "tools/list", json!({})).await).await;
    assert_eq!(other.status, 429, "only the results of tools are read by a model");
}
