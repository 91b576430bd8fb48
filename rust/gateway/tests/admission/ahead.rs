//! What is asked ahead, and what is refreshed: it takes no permit that anybody wants.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    gate::fixed,
    stage::{As, Stage, is_empty, soon, until},
};

/// A server whose answers are stale at once and served so for a minute.
async fn stale(limits: Value) -> Arc<Stage> {
    let cache = json!({"ttl_ms": 1, "stale_ms": 60_000});
    let spec = json!({"limits": limits, "trust": ["annotations"], "cache": cache});
    let stage = Arc::new(Stage::with(spec, json!({})));
    let calls = stage.begin(&As::tenant("ann"), 1, 0).await;
    stage.answer(1).await;
    for call in calls {
        soon(call).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    stage
}

#[tokio::test]
async fn a_call_takes_the_permit_of_a_refresh_and_does_not_wait_for_it() {
    let stage = stale(fixed(1)).await;
    let answer = stage.call(&As::tenant("ann"), "hold").await;
    assert_eq!(answer.body["result"]["content"][0]["text"], "held", "the stale one");
    until(|| stage.held.lock().len() == 1).await;
    assert_eq!(stage.limits()["in_flight"], 1, "the refresh has the only permit");
    let answer = stage.call(&As::tenant("bob"), "done").await;
    assert_eq!((answer.status, answer.body["result"]["_meta"].get("omnimind/queueMs")), (200, None));
    stage.until(is_empty).await;
    until(|| stage.double.heard.lock().iter().any(|message| message["method"] == "notifications/cancelled")).await;
}

#[tokio::test]
async fn nothing_is_refreshed_while_half_of_the_permits_are_taken() {
    let stage = stale(fixed(2)).await;
    let other = As::tenant("bob");
    let busy = stage.begin(&other, 1, 0).await;
    until(|| stage.held.lock().len() == 1).await;
    assert_eq!(stage.call(&As::tenant("ann"), "hold").await.status, 200);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(stage.held.lock().len(), 1, "only bob's call is at the server");
    stage.answer(1).await;
    for call in busy {
        soon(call).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(stage.call(&As::tenant("ann"), "hold").await.status, 200);
    until(|| stage.held.lock().len() == 1).await;
    stage.answer(1).await;
    stage.until(is_empty).await;
}
