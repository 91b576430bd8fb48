//! Calls that are taken back: what becomes of their permits, by what carries them.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use omnimind_gateway::reply::Reply;
use omnimind_wire::{Limits, Message};
use serde_json::{Value, json};

use crate::{
    doubles::{
        lines::Speaks,
        web::{self, Answer},
    },
    gate::fixed,
    stage::{As, Stage, is_empty, result, soon, until},
};

fn counts(limits: &Value) -> [u64; 4] {
    ["in_flight", "zombies", "usable", "limit"].map(|key| limits[key].as_u64().unwrap())
}

#[tokio::test]
async fn a_call_that_is_given_up_frees_its_permit_at_once_and_shrinks_the_limit_until_the_late_answer() {
    let stage = Arc::new(Stage::new(fixed(4)));
    let calls = stage.begin(&As::tenant("ann"), 2, 0).await;
    until(|| stage.held.lock().len() == 2).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    stage.until(|limits| counts(limits) == [0, 2, 2, 4]).await;
    until(|| stage.double.heard.lock().iter().any(|message| message["method"] == "notifications/cancelled")).await;
    stage.answer(1).await;
    stage.until(|limits| counts(limits) == [0, 1, 3, 4]).await;
    stage.answer(1).await;
    stage.until(|limits| counts(limits) == [0, 0, 4, 4]).await;
}

#[tokio::test]
async fn a_server_that_never_answers_what_was_cancelled_is_not_counted_against_for_ever() {
    let stage = Arc::new(Stage::new(fixed(3)));
    let calls = stage.begin(&As::tenant("ann"), 2, 0).await;
    until(|| stage.held.lock().len() == 2).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    stage.until(|limits| counts(limits)[1] == 2).await;
    let since = std::time::Instant::now();
    stage.until(|limits| counts(limits) == [0, 0, 3, 3]).await;
    assert!(since.elapsed() > Duration::from_millis(500) && since.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn the_end_of_a_connection_ends_its_zombies() {
    let stage = Arc::new(Stage::new(fixed(3)));
    let calls = stage.begin(&As::tenant("ann"), 1, 0).await;
    until(|| stage.held.lock().len() == 1).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    stage.until(|limits| counts(limits)[1] == 1).await;
    let (_, line) = stage.held.lock().remove(0);
    line.hang_up();
    let since = std::time::Instant::now();
    stage.until(|limits| counts(limits) == [0, 0, 3, 3]).await;
    assert!(since.elapsed() < Duration::from_millis(900), "not by its time: {:?}", since.elapsed());
}

#[tokio::test]
async fn a_legacy_client_takes_back_what_is_in_flight_and_what_waits() {
    let stage = Arc::new(Stage::new(fixed(1)));
    let ann = As::tenant("ann");
    let post = async |headers: &[(&str, &str)], body: Value| {
        let message = Message::parse(body.to_string().into(), &Limits::default()).unwrap();
        omnimind_gateway::relay::post(stage.caller(&ann, headers), message).await
    };
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let Reply::Whole(greeted) = post(&[], hello).await else { panic!("no greeting") };
    let session = greeted.headers[0].1.to_str().unwrap();
    let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
    let call = |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "hold"}});
    let cancel = |id: u32| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});

    let Reply::Flow { mut flow, .. } = post(&headers, call(1)).await else { panic!("no flow") };
    assert!(flow.next().now_or_never().is_none());
    until(|| stage.held.lock().len() == 1).await;
    let mut waiting = Box::pin(post(&headers, call(2)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(crate::stage::waiting(&stage.limits()), 1);
    post(&headers, cancel(2)).await;
    assert!(matches!(soon(waiting).await, Reply::Accepted));
    assert_eq!(crate::stage::waiting(&stage.limits()), 0);
    post(&headers, cancel(1)).await;
    assert!(soon(flow.next()).await.is_none());
    drop(flow);
    let limits = stage.limits();
    assert_eq!(counts(&limits)[..2], [0, 1], "{limits}");
    let (message, line) = stage.held.lock().remove(0);
    line.answer(&message, &result("late"));
    stage.until(is_empty).await;
    stage.until(|limits| limits["zombies"] == 0).await;
}

#[tokio::test]
async fn a_call_that_runs_out_of_time_counts_as_dropped_and_holds_nothing() {
    let stage = Stage::with(json!({"limits": fixed(2), "timeout_ms": 60}), json!({})).warm().await;
    let answer = stage.call(&As::tenant("ann"), "hold").await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (504, &json!(50_400)));
    assert_eq!(counts(&stage.limits()), [0, 0, 2, 2]);
    assert!(stage.limits()["service_ms"].as_f64().unwrap() >= 25.0, "it is counted with the time it took at least");
}

#[tokio::test]
async fn a_client_in_a_great_hurry_teaches_nothing_of_the_server() {
    let stage = Arc::new(Stage::new(fixed(2)).warm().await);
    let call = stage.begin(&As::tenant("ann"), 1, 0).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.answer(1).await;
    for call in call {
        soon(call).await.unwrap();
    }
    let before = stage.limits()["service_ms"].as_f64().unwrap();
    let answer = stage.call(&As::tenant("bob").meta("omnimind/timeoutMs", json!(10)), "hold").await;
    assert_eq!(answer.status, 504);
    assert!((stage.limits()["service_ms"].as_f64().unwrap() - before).abs() < 1e-6);
    assert_eq!(counts(&stage.limits()), [0, 1, 1, 2], "the server may go on with it");
    stage.answer(1).await;
    stage.until(|limits| counts(limits) == [0, 0, 2, 2]).await;
}

#[tokio::test]
async fn a_call_over_http_ends_with_its_stream_and_leaves_no_zombie() {
    let streams = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let open = Arc::clone(&streams);
    let web = web::serve(move |ask| match ask.method() {
        "tools/call" => {
            let (answer, stream) = Answer::stream();
            open.lock().push(stream);
            answer
        }
        _ => ask.result(&json!({"supportedVersions": ["2026-07-28"], "capabilities": {}, "resultType": "complete"})),
    })
    .await;
    let spec = json!({"kind": "http", "url": web.url, "limits": fixed(2)});
    let stage = Arc::new(Stage::with(spec, json!({})));
    let calls = stage.begin(&As::tenant("ann"), 2, 0).await;
    until(|| streams.lock().len() == 2).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    stage.until(|limits| counts(limits) == [0, 0, 2, 2]).await;
    let streams = std::mem::take(&mut *streams.lock());
    for stream in streams {
        soon(stream.closed()).await;
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_holds_nobody_up() {
    let stage = Arc::new(Stage::speaking(Speaks::Legacy, json!({"limits": fixed(1)}), json!({})));
    let able = As::tenant("ann").meta("io.modelcontextprotocol/clientCapabilities", json!({"elicitation": {}}));
    let parked = stage.call(&able, "ask").await;
    assert_eq!(parked.body["result"]["resultType"], "input_required", "{parked:?}");
    assert_eq!(counts(&stage.limits()), [0, 0, 1, 1], "neither a permit nor a zombie");
    assert_eq!(stage.call(&able, "done").await.status, 200, "the only permit is free");
    let state = parked.body["result"]["requestState"].clone();
    let key = parked.body["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let answers = json!({key: {"action": "decline"}});
    let params = json!({"name": "ask", "arguments": {}, "requestState": state, "inputResponses": answers});
    let resumed = stage.reply(&able, "tools/call", params).await;
    stage.answer(1).await;
    assert_eq!(crate::stage::ended(resumed).await.body["result"]["content"][0]["text"], "held");
    stage.until(is_empty).await;
}
