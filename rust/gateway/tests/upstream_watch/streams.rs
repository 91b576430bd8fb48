//! What the gateway hears of servers behind HTTP, where it comes on streams of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use omnimind_gateway::{
    cache::changes::{Hold, What},
    upstream::Change,
};
use omnimind_wire::Era;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Duration;

use crate::{
    Log, SUBSCRIPTION, for_ann, note,
    subscriptions::{ALL, changes, heard, pass},
    updated,
    upstream_doubles::{
        result, shared, soon, tool, until, watched,
        web::{self, Answer, Stream},
    },
};

#[tokio::test]
async fn an_unused_remote_server_is_listened_to_no_more() {
    let streams = Arc::new(Mutex::new(Vec::<Stream>::new()));
    let open = Arc::clone(&streams);
    let web = web::serve(move |ask| {
        if ask.method() == "server/discover" {
            let promises: Value = serde_json::from_str(ALL).unwrap();
            return ask.result(&json!({"supportedVersions": ["2026-07-28"], "capabilities": promises}));
        }
        let (answer, stream) = Answer::stream();
        let (filter, meta) = (&ask.body["params"]["notifications"], json!({SUBSCRIPTION: ask.body["id"]}));
        stream.say(&note("subscriptions/acknowledged", json!({"notifications": filter, "_meta": meta})));
        open.lock().push(stream);
        answer
    })
    .await;
    let (log, changes) = (Arc::<Log>::default(), changes());
    let servers = json!([{"name": "s", "kind": "http", "tier": "high", "url": web.url}]);
    let fleet = watched(&servers, log.clone()).0;
    let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    heard(&changes, &lease, What::Tools).await;
    drop(lease);
    let stream = streams.lock()[0].clone();
    pass(Duration::from_secs(620)).await;
    tokio::time::timeout(Duration::from_secs(5), stream.closed()).await.expect("the stream is let go");
    until("it is told", || log.count(&Change::Lost) == 1).await;
    assert_eq!(streams.lock().len(), 1);
}

/// A legacy server behind HTTP; what its session's stream is, is asked each time.
async fn remote(stream: impl Fn() -> Option<Answer> + Send + Sync + 'static) -> web::Web {
    let sessions = AtomicUsize::new(0);
    web::serve(move |ask| match (ask.verb.as_str(), ask.method()) {
        ("POST", "server/discover") => Answer::status(400),
        ("POST", "initialize") => {
            let promises: Value = serde_json::from_str(ALL).unwrap();
            let id = sessions.fetch_add(1, Ordering::Relaxed).to_string();
            ask.result(&json!({"protocolVersion": "2025-11-25", "capabilities": promises, "serverInfo": {"name": "d"}}))
                .with("mcp-session-id", &id)
        }
        ("POST", "tools/call") if ask.header("mcp-session-id") == "0" => Answer::status(404),
        ("POST", "tools/call" | "resources/subscribe") => ask.result(&json!({})),
        ("GET", _) => stream().unwrap_or_else(|| Answer::status(405)),
        _ => Answer::status(202),
    })
    .await
}

#[tokio::test]
async fn a_legacy_server_without_a_stream_is_not_heard() {
    let web = remote(|| None).await;
    let (log, changes) = (Arc::<Log>::default(), changes());
    let servers = json!([{"name": "s", "kind": "http", "tier": "high", "url": web.url}]);
    let lease = shared(&watched(&servers, log.clone()).0, "s", "ann", Era::Legacy).await.unwrap();
    until("it is known", || changes.ensure(&lease, What::Tools, soon()) == Hold::Deaf).await;
    assert_eq!(changes.ensure(&lease, What::Resource("a:b"), soon()), Hold::Deaf);
    assert_eq!((web.times("resources/subscribe"), log.take()), (0, Vec::new()));
}

#[tokio::test]
async fn a_stream_that_ends_and_a_session_that_is_forgotten_may_have_missed_something() {
    let streams = Arc::new(Mutex::new(Vec::<Stream>::new()));
    let open = Arc::clone(&streams);
    let web = remote(move || {
        let (answer, stream) = Answer::stream();
        stream.raw("retry: 10\n\n: open\n\n");
        open.lock().push(stream);
        Some(answer)
    })
    .await;
    let (log, changes) = (Arc::<Log>::default(), changes());
    let servers = json!([{"name": "s", "kind": "http", "tier": "high", "url": web.url}]);
    let fleet = watched(&servers, log.clone()).0;
    let lease = shared(&fleet, "s", "ann", Era::Legacy).await.unwrap();
    heard(&changes, &lease, What::Tools).await;
    heard(&changes, &lease, What::Resource("a:b")).await;
    streams.lock()[0].say(&note("resources/updated", json!({"uri": "a:b/c"})));
    until("the update is told", || log.count(&updated("a:b/c")) == 1).await;
    log.take();

    streams.lock().clear();
    until("the end is told", || log.take() == [for_ann(Change::Lost)]).await;
    heard(&changes, &lease, What::Resource("a:b")).await;
    assert_eq!(web.times("resources/subscribe"), 2);

    result(lease.call(tool("1", &json!({})))).await;
    until("the new session is told", || log.take() == [for_ann(Change::Lost)]).await;
    heard(&changes, &lease, What::Resource("a:b")).await;
    assert_eq!(web.last("resources/subscribe").header("mcp-session-id"), "1");
}
