//! What is told of what an upstream says, and of what becomes of it.

use std::sync::Arc;

use omnimind_gateway::upstream::Change;
use omnimind_wire::Era;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::{
    Log, SUBSCRIPTION, for_ann, note, stranger, updated,
    upstream_doubles::{
        KEY, call, change,
        children::{nursery, ready, stdio},
        lines::{Line, Speaks, serve},
        next, result, shared, snapshot, tool, until, value, watched,
        web::{self, Answer, Stream},
    },
    worker,
};

/// All a server can say of changes.
fn changes(meta: Value) -> Vec<Value> {
    let with = |mut params: Value| {
        if !meta.is_null() {
            params["_meta"] = meta.clone();
        }
        params
    };
    vec![
        note("tools/list_changed", with(json!({}))),
        note("prompts/list_changed", with(json!({}))),
        note("resources/list_changed", with(json!({}))),
        note("resources/updated", with(json!({"uri": "a:b"}))),
    ]
}

fn all() -> Vec<crate::Told> {
    [Change::Tools, Change::Prompts, Change::Resources, updated("a:b")].map(for_ann).into()
}

/// Says everything when a tool is called, then answers.
fn saying(message: Value, line: Line) {
    if message["method"] == "tools/call" {
        for change in changes(Value::Null) {
            line.say(&change);
        }
        line.answer(&message, &json!({}));
    }
}

#[tokio::test]
async fn every_change_said_on_a_socket_is_told_once_in_both_eras() {
    for (era, speaks) in [(Era::Legacy, Speaks::Legacy), (Era::Modern, Speaks::Modern)] {
        let (double, log) = (serve(false, speaks, saying), Arc::<Log>::default());
        let lease = shared(&stranger(&double, &log), "s", "ann", era).await.unwrap();
        result(lease.call(tool("1", &json!({})))).await;
        assert_eq!(log.take(), all());
    }
}

#[tokio::test]
async fn every_change_said_by_a_child_is_told_once_and_then_that_it_has_ended() {
    let log = Arc::<Log>::default();
    let (fleet, outbox) = watched(&stdio("principal"), log.clone());
    let _nursery = nursery(&fleet, &outbox, "legacy", saying);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Modern).await.unwrap();
    result(lease.call(tool("1", &json!({})))).await;
    assert_eq!(log.take(), all());
    fleet.child_gone(1, "it has ended");
    assert_eq!(log.take(), [for_ann(Change::Restarted)]);
    drop(lease);
    assert_eq!(log.take(), [], "it is told once");
}

#[tokio::test]
async fn a_change_of_a_shared_server_is_everyones() {
    let log = Arc::<Log>::default();
    let (fleet, outbox) = watched(&stdio("shared"), log.clone());
    let _nursery = nursery(&fleet, &outbox, "legacy", saying);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Modern).await.unwrap();
    result(lease.call(tool("1", &json!({})))).await;
    assert!(log.take().iter().all(|(principal, _)| principal.is_none()));
}

#[tokio::test]
async fn changes_on_a_modern_subscription_are_told_once_whoever_subscribed() {
    let double = serve(false, Speaks::Modern, |message, line| {
        if message["method"] == "subscriptions/listen" {
            for change in changes(json!({SUBSCRIPTION: message["id"]})) {
                line.say(&change);
            }
        }
    });
    let log = Arc::<Log>::default();
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Modern).await.unwrap();
    let mut listen = lease.call(call("1", "subscriptions/listen", &json!({"notifications": {}})));
    for _ in 0..4 {
        next(&mut listen).await;
    }
    assert_eq!(log.take(), all());
}

/// A server behind HTTP whose streams are kept here.
async fn remote(legacy: bool, streams: &Arc<Mutex<Vec<Stream>>>) -> web::Web {
    let open = Arc::clone(streams);
    web::serve(move |ask| match (ask.verb.as_str(), ask.method()) {
        ("POST", "server/discover") if legacy => Answer::status(400),
        ("POST", "server/discover") => {
            ask.result(&json!({"supportedVersions": ["2026-07-28"], "capabilities": {}, "resultType": "complete"}))
        }
        ("POST", "initialize") => {
            ask.result(&json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "d"}}))
        }
        ("POST", "tools/call" | "subscriptions/listen") => {
            let (answer, stream) = Answer::stream();
            let meta = if legacy { Value::Null } else { json!({SUBSCRIPTION: ask.body["id"]}) };
            for change in changes(meta) {
                stream.say(&change);
            }
            stream.say(&json!({"jsonrpc": "2.0", "id": ask.body["id"], "result": {}}));
            answer
        }
        ("GET", _) => {
            let (answer, stream) = Answer::stream();
            stream.raw(": open\n\n");
            open.lock().push(stream);
            answer
        }
        _ => Answer::status(202),
    })
    .await
}

#[tokio::test]
async fn every_change_said_over_http_is_told_once_on_whatever_stream() {
    for (era, method) in [(Era::Legacy, "tools/call"), (Era::Modern, "subscriptions/listen")] {
        let (log, streams) = (Arc::<Log>::default(), Arc::default());
        let web = remote(era == Era::Legacy, &streams).await;
        let servers = json!([{"name": "s", "kind": "http", "tier": "high", "url": web.url}]);
        let fleet = watched(&servers, log.clone()).0;
        let lease = shared(&fleet, "s", "ann", era).await.unwrap();
        result(lease.call(call("1", method, &json!({"notifications": {}})))).await;
        assert_eq!(log.take(), all(), "{method}");
        if era == Era::Legacy {
            until("the session's stream is open", || !streams.lock().is_empty()).await;
            let mut notes = lease.notes();
            let stream = streams.lock()[0].clone();
            for change in changes(Value::Null) {
                stream.say(&change);
            }
            for _ in 0..4 {
                notes.recv().await;
            }
            assert_eq!(log.take(), all(), "the session's own stream");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_is_told_before_any_client() {
    let double = serve(false, Speaks::Both, |message, line| {
        let meta =
            if message["method"] == "subscriptions/listen" { json!({SUBSCRIPTION: message["id"]}) } else { json!({}) };
        line.say(&note("tools/list_changed", json!({"_meta": meta})));
    });
    for era in [Era::Legacy, Era::Modern] {
        let log = Log::slow();
        let lease = shared(&stranger(&double, &log), "s", "ann", era).await.unwrap();
        let mut notes = lease.notes();
        let method = if era == Era::Modern { "subscriptions/listen" } else { "tools/call" };
        let mut exchange = lease.call(call("1", method, &json!({"notifications": {}})));
        if era == Era::Modern {
            next(&mut exchange).await;
        } else {
            notes.recv().await.unwrap();
        }
        assert_eq!(log.take(), [for_ann(Change::Tools)], "{era:?}");
    }
}

#[tokio::test]
async fn a_worker_says_whose_change_it_is_and_clients_do_not_see_what_it_says_to_the_gateway() {
    let double = serve(true, Speaks::Both, |message, line| {
        line.say(&note("omnimind/changed", json!({})));
        line.say(&json!({"jsonrpc": "2.0", "method": "notifications/omnimind/changed"}));
        let bobs = json!({"omnimind/principal": "bob"});
        line.say(&note("resources/updated", json!({"uri": "a:b", "_meta": bobs})));
        let listened = json!({"omnimind/principal": "ann", SUBSCRIPTION: message["id"]});
        line.say(&note("resources/updated", json!({"uri": "a:a", "_meta": listened})));
        line.say(&note("tools/list_changed", json!({})));
    });
    for era in [Era::Legacy, Era::Modern] {
        let log = Arc::<Log>::default();
        let lease = shared(&worker(&double, &log), "s", "ann", era).await.unwrap();
        assert_eq!(log.take(), [(None, Change::Restarted)], "it has come up with a key");
        let mut notes = lease.notes();
        let mut listen = lease.call(call("7", "subscriptions/listen", &json!({"notifications": {}})));
        let omnimind_gateway::upstream::Event::Note(heard) = next(&mut listen).await else { panic!("a note") };
        assert_eq!(value(&heard.params), json!({"uri": "a:a", "_meta": {SUBSCRIPTION: 7}}));
        assert_eq!(&*notes.recv().await.unwrap().method, "notifications/tools/list_changed", "and nothing before");
        let bob = (Some("bob".to_owned()), updated("a:b"));
        let said = [(None, Change::Data), (None, Change::Data), bob, for_ann(updated("a:a")), (None, Change::Tools)];
        assert_eq!(log.take(), said);
        assert_eq!(lease.waste().unaddressed, 0);
    }
}

#[tokio::test]
async fn what_a_stranger_says_to_the_gateway_is_waste() {
    let double = serve(false, Speaks::Both, |message, line| {
        line.say(&note("omnimind/changed", json!({})));
        let bobs = json!({"omnimind/principal": "bob"});
        line.say(&note("resources/updated", json!({"uri": "a:b", "_meta": bobs})));
        line.answer(&message, &json!({}));
    });
    let log = Arc::<Log>::default();
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Legacy).await.unwrap();
    let mut notes = lease.notes();
    result(lease.call(tool("1", &json!({})))).await;
    assert_eq!(&*notes.recv().await.unwrap().method, "notifications/resources/updated", "and nothing before");
    assert_eq!(log.take(), [for_ann(updated("a:b"))], "nor does a stranger name principals");
    assert_eq!(lease.waste().unaddressed, 1);
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_once_and_one_that_never_opened_is_not() {
    let double = serve(false, Speaks::Legacy, |_, line| line.hang_up());
    let log = Arc::<Log>::default();
    let fleet = stranger(&double, &log);
    // It is asked in the modern era first, and answers with an error.
    let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    assert_eq!(log.take(), []);
    lease.call(tool("1", &json!({}))).finish().await.unwrap_err();
    assert_eq!(log.take(), [for_ann(Change::Lost)], "before the call's end is known");
    drop((lease, fleet));
    sleep(Duration::from_millis(20)).await;
    assert_eq!(log.take(), []);
}

#[tokio::test]
async fn a_server_that_starts_anew_or_is_configured_otherwise_is_told() {
    let (double, log) = (serve(true, Speaks::Both, saying), Arc::<Log>::default());
    let fleet = worker(&double, &log);
    log.take();
    let restarted = |what: &str| {
        let told = log.take();
        assert!(told.contains(&(None, Change::Restarted)), "{what}: {told:?}");
    };
    let is = |state: &str, more: Value| fleet.server_changed(change("s", state, &more));
    let _lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    is("ready", json!({"path": double.path, "key": KEY}));
    is("degraded", json!({"path": double.path, "key": KEY}));
    assert_eq!(log.take(), [], "it goes on as it was");
    is("ready", json!({"path": double.path, "key": "another"}));
    restarted("another key");
    is("starting", json!({}));
    restarted("it starts");
    is("ready", json!({"path": double.path, "key": KEY}));
    log.take();
    is("draining", json!({}));
    restarted("it stops");
    let servers = |timeout: u64| {
        snapshot(&json!([{"name": "s", "kind": "worker", "tier": "high", "sessions": "shared", "first_party": true,
            "timeout_ms": timeout}]))
    };
    fleet.apply(&servers(5_000));
    restarted("another configuration");
    fleet.apply(&servers(5_000));
    assert_eq!(log.take(), [], "the same configuration");
    fleet.apply(&snapshot(&json!([])));
    restarted("it is there no more");
}

#[tokio::test]
async fn a_child_that_is_replaced_is_told_when_it_is_not_when_it_ends() {
    let log = Arc::<Log>::default();
    let (fleet, outbox) = watched(&stdio("principal"), log.clone());
    let nursery = nursery(&fleet, &outbox, "legacy", saying);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Modern).await.unwrap();
    fleet.child_retire(1, Duration::from_secs(5));
    assert_eq!(log.take(), [for_ann(Change::Restarted)]);
    drop(lease);
    until("it is given back", || !nursery.wishes("release_child").is_empty()).await;
    fleet.child_gone(1, "it has ended");
    assert_eq!(log.take(), []);
}
