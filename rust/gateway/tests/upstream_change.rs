//! Servers that are replaced, reconfigured, hang or lie about their state: who notices what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test may"
)]

mod upstream_doubles;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use omnimind_gateway::{control::Outbox, upstream::Fleet};
use omnimind_wire::{Era, Reason};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use upstream_doubles::{
    KEY, change,
    children::{Nursery, echo, nursery, pipes, ready, stdio},
    fleet,
    lines::{Double, Line, Speaks, serve},
    refusal, result, session, shared, snapshot, tool, until,
};

const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn workers() -> Value {
    json!([{"name": "w", "kind": "worker", "tier": "high", "sessions": "shared", "first_party": true}])
}

fn is_at(fleet: &Fleet, worker: &Double, key: &str) {
    fleet.server_changed(change("w", "ready", &json!({"path": worker.path, "key": key})));
}

/// Keeps calls named `hold` until they are let go; answers all others.
#[derive(Clone, Default)]
struct Holding(Arc<Mutex<Vec<(Value, Line)>>>);

impl Holding {
    fn handle(&self) -> impl Fn(Value, Line) + Send + Sync + 'static {
        let held = Arc::clone(&self.0);
        move |message, line| {
            if message["params"]["name"] == "hold" {
                held.lock().push((message, line));
            } else {
                echo(message, line);
            }
        }
    }

    async fn one(&self) {
        until("the call is held", || !self.0.lock().is_empty()).await;
    }

    fn let_go(&self) {
        for (message, line) in self.0.lock().drain(..) {
            echo(message, line);
        }
    }
}

/// All that was said to the orchestrator, as it comes.
async fn said(outbox: &Arc<Outbox>, what: &str) -> Value {
    let mut found = None;
    until(what, || {
        let all = outbox.take();
        found = found.take().or_else(|| {
            all.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()).find(|said| said["t"] == what)
        });
        found.is_some()
    })
    .await;
    found.unwrap()
}

// === Rolled workers ===

#[tokio::test]
async fn a_rolled_worker_gets_the_new_calls_and_the_old_one_finishes_its_own() {
    let (fleet, _outbox) = fleet(&workers());
    let holding = Holding::default();
    let old = serve(true, Speaks::Both, holding.handle());
    is_at(&fleet, &old, KEY);
    let sitting = session(&fleet, "w", "s1").await;
    let held = shared(&fleet, "w", "ann", Era::Legacy).await.unwrap().call(tool("1", &json!({"name": "hold"})));
    holding.one().await;

    let new = serve(true, Speaks::Both, echo);
    is_at(&fleet, &new, KEY);
    assert!(sitting.is_stale() && !sitting.is_gone(), "it is to lease again, nothing is cut off");
    let lease = shared(&fleet, "w", "ann", Era::Legacy).await.unwrap();
    result(lease.call(tool("2", &json!({})))).await;
    assert_eq!((new.heard.lock().len(), old.heard.lock().len()), (1, 1));
    sleep(Duration::from_millis(60)).await;
    assert!(!sitting.is_gone(), "a call is in flight on the old connection");

    holding.let_go();
    assert_eq!(result(held).await["child"], 0);
    until("the old connection closes when it is idle", || sitting.is_gone()).await;
}

#[tokio::test]
async fn a_worker_that_is_ready_as_before_keeps_its_connections() {
    let (fleet, _outbox) = fleet(&workers());
    let worker = serve(true, Speaks::Both, echo);
    is_at(&fleet, &worker, KEY);
    let lease = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    is_at(&fleet, &worker, KEY);
    fleet.server_changed(change("w", "degraded", &json!({"path": worker.path, "key": KEY, "reason": "slow"})));
    assert!(!lease.is_stale());
    shared(&fleet, "w", "bob", Era::Modern).await.unwrap();
    assert_eq!(worker.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_caller_does_not_wait_for_a_worker_that_was_rolled_while_it_connected() {
    let (fleet, _outbox) = fleet(&workers());
    // It accepts and says nothing, as a held socket does that nobody serves any more.
    let deaf = serve(true, Speaks::Both, |_, _| {});
    let path = deaf.path.with_file_name("deaf.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fleet.server_changed(change("w", "ready", &json!({"path": path, "key": KEY})));
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "w", "ann", Era::Modern).await.map(drop) }
    });
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    let new = serve(true, Speaks::Both, echo);
    is_at(&fleet, &new, KEY);
    asking.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "the greeting of the old one would take five");
}

#[tokio::test]
async fn a_worker_that_turns_a_call_away_because_it_stops_has_not_begun_it() {
    let (fleet, _outbox) = fleet(&workers());
    let worker = serve(true, Speaks::Both, |message, line| {
        line.say(&json!({"jsonrpc": "2.0", "id": message["id"], "error":
            {"code": 50300, "message": "stopping", "data": {"reason": "draining", "scope": "server"}}}));
    });
    is_at(&fleet, &worker, KEY);
    let lease = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    let refused = refusal(lease.call(tool("1", &json!({}))).finish().await);
    assert_eq!((refused.reason, refused.retry_after_ms.is_some()), (Reason::ServerUnavailable, true));
    assert!(lease.is_stale(), "nothing more is sent there");
}

#[tokio::test]
async fn a_stranger_may_use_the_same_words_for_what_it_likes() {
    let stranger = serve(false, Speaks::Both, |message, line| {
        line.say(&json!({"jsonrpc": "2.0", "id": message["id"], "error":
            {"code": 50300, "message": "stopping", "data": {"reason": "draining"}}}));
    });
    let (fleet, _outbox) = fleet(&json!([{"name": "u", "kind": "unix", "tier": "high", "path": stranger.path}]));
    let lease = shared(&fleet, "u", "ann", Era::Modern).await.unwrap();
    let failure = lease.call(tool("1", &json!({}))).finish().await.unwrap_err();
    assert!(matches!(failure, omnimind_gateway::upstream::Failure::Rpc(error) if error.code == 50_300));
    assert!(!lease.is_stale());
}

// === Retired children ===

fn released(nursery: &Nursery) -> Vec<u64> {
    nursery.wishes("release_child").iter().filter_map(|said| said["child"].as_u64()).collect()
}

#[tokio::test]
async fn a_retired_child_finishes_what_it_has_and_is_given_back_once() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let holding = Holding::default();
    let nursery = nursery(&fleet, &outbox, "legacy", holding.handle());
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    let held = lease.call(tool("1", &json!({"name": "hold"})));
    holding.one().await;
    fleet.child_retire(1, Duration::from_secs(30));
    assert!(lease.is_stale() && !lease.is_gone());
    let next = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    assert_eq!(result(next.call(tool("2", &json!({})))).await["child"], 2);
    assert_eq!(released(&nursery), Vec::<u64>::new());
    holding.let_go();
    assert_eq!(result(held).await["child"], 1);
    until("it is given back", || released(&nursery) == [1]).await;
    drop(lease);
    sleep(Duration::from_millis(30)).await;
    assert_eq!(released(&nursery), [1]);
}

#[tokio::test]
async fn a_retired_child_that_does_not_finish_is_given_back_when_its_time_is_over() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let holding = Holding::default();
    let nursery = nursery(&fleet, &outbox, "legacy", holding.handle());
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    let held = lease.call(tool("1", &json!({"name": "hold"})));
    holding.one().await;
    fleet.child_retire(1, Duration::from_millis(80));
    let refused = refusal(held.finish().await);
    assert_eq!((refused.scope.as_str(), refused.retry_after_ms), ("connection", None), "it may have run");
    until("it is given back", || released(&nursery) == [1]).await;
}

#[tokio::test]
async fn a_child_that_is_not_in_use_is_given_back_at_once() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    fleet.child_retire(9, Duration::from_secs(30));
    assert_eq!(outbox.take(), [r#"{"t":"release_child","child":9}"#]);
}

#[tokio::test]
async fn a_child_that_is_retired_before_its_pipes_are_used_is_not_used() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "c", "ann", Era::Legacy).await.map(drop) }
    });
    let wish = said(&outbox, "want_child").await;
    let answer = |wish: &Value, child: u64| {
        let (ours, stdin, stdout) = pipes();
        let answer = json!({"request": wish["request"], "ok": true, "child": child,
            "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
        fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
        (stdin, stdout)
    };
    let _first = answer(&wish, 1);
    fleet.child_retire(1, Duration::from_secs(30));
    let again = said(&outbox, "want_child").await;
    let _second = answer(&again, 2);
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_child_that_has_closed_its_pipes_is_not_taken_again_and_its_orchestrator_is_told() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let answer = |wish: &Value, child: u64| {
        let (ours, stdin, stdout) = pipes();
        let answer = json!({"request": wish["request"], "ok": true, "child": child,
            "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
        fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
        (stdin, stdout)
    };
    let ask = || {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { shared(&fleet, "c", "ann", Era::Legacy).await })
    };
    let first = ask();
    let pipes = answer(&said(&outbox, "want_child").await, 1);
    let lease = first.await.unwrap().unwrap();
    drop(pipes);
    lease.gone().await;
    drop(lease);

    let second = ask();
    let told = Instant::now();
    let stuck = loop {
        let mut stuck = None;
        for text in outbox.take() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["t"] == "want_child" {
                drop(answer(&message, 1));
            } else if message["t"] == "stuck" {
                stuck = Some(message);
            }
        }
        if let Some(stuck) = stuck {
            break stuck;
        }
        assert!(told.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(2)).await;
    };
    assert_eq!(stuck["child"], 1);
    let _pipes = answer(&said(&outbox, "want_child").await, 2);
    assert!(!second.await.unwrap().unwrap().is_gone());
}

// === Another configuration ===

fn unix(name: &str, double: &Double, more: &Value) -> Value {
    let mut spec = json!({"name": name, "kind": "unix", "tier": "high", "path": double.path});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

#[tokio::test]
async fn servers_come_go_and_change_and_what_is_in_flight_finishes() {
    let holding = Holding::default();
    let double = serve(false, Speaks::Both, holding.handle());
    let plain = json!({});
    let specs =
        |names: &[&str], more: &Value| -> Value { names.iter().map(|name| unix(name, &double, more)).collect() };
    let (fleet, _outbox) = fleet(&specs(&["stays", "goes", "changes"], &plain));
    let mut changes = fleet.changes();
    let leased = |name| shared(&fleet, name, "ann", Era::Modern);
    let (stays, goes, other) =
        (leased("stays").await.unwrap(), leased("goes").await.unwrap(), leased("changes").await.unwrap());
    let held: Vec<_> =
        [&stays, &goes, &other].into_iter().map(|lease| lease.call(tool("1", &json!({"name": "hold"})))).collect();
    until("the calls are held", || holding.0.lock().len() == 3).await;

    let slower = unix("changes", &double, &json!({"timeout_ms": 5000}));
    let mut now = specs(&["new", "stays"], &plain);
    now.as_array_mut().unwrap().push(slower);
    fleet.apply(&snapshot(&now));
    changes.try_recv().expect("it is announced");
    assert_eq!([stays.is_stale(), goes.is_stale(), other.is_stale()], [false, true, true]);
    assert_eq!(leased("goes").await.unwrap_err().reason, Reason::UnknownServer);
    assert_ne!(leased("changes").await.unwrap().connection(), other.connection());
    assert_eq!(leased("stays").await.unwrap().connection(), stays.connection());
    leased("new").await.unwrap();
    holding.let_go();
    for call in held {
        result(call).await;
    }
    until("what was replaced closes", || goes.is_gone() && other.is_gone()).await;
    assert!(!stays.is_gone());
}

#[tokio::test]
async fn a_caller_that_waits_for_a_removed_server_is_told_at_once() {
    let (fleet, _outbox) = fleet(&workers());
    let waiting = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "w", "ann", Era::Modern).await.map(drop) }
    });
    sleep(Duration::from_millis(20)).await;
    let began = Instant::now();
    fleet.apply(&snapshot(&json!([])));
    assert_eq!(waiting.await.unwrap().unwrap_err().reason, Reason::UnknownServer);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn children_stay_in_use_when_only_their_limits_change() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    let mut other = stdio("principal");
    other[0]["timeout_ms"] = json!(5000);
    fleet.apply(&snapshot(&other));
    let after = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    assert_eq!(after.connection(), lease.connection());
    assert_eq!(nursery.serial.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn counts_go_on_when_a_server_is_configured_anew() {
    let (fleet, _outbox) = fleet(&stdio("principal"));
    fleet.unmet("c");
    let mut other = stdio("principal");
    other[0]["timeout_ms"] = json!(5000);
    fleet.apply(&snapshot(&other));
    let counts = fleet.counts();
    assert_eq!((counts[0].name.as_str(), counts[0].calls, counts[0].failed), ("c", 1, 1));
}

// === Silence, with a clock of our own ===

const SILENT: &str = "stuck";

fn pings(heard: &[Value]) -> usize {
    heard.iter().filter(|message| message["method"] == "ping").count()
}

#[tokio::test(start_paused = true)]
async fn a_child_that_answers_nothing_is_stuck_after_three_beats_and_a_ping() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", |_, _| {});
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    let began = Instant::now();
    let _call = lease.call(tool("1", &json!({})));
    while nursery.wishes(SILENT).is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(8) && took <= Duration::from_millis(9_100), "{took:?}");
    let stuck = &nursery.wishes(SILENT)[0];
    assert_eq!(stuck["child"], 1);
    assert!(stuck["reason"].as_str().unwrap().contains("not even to a ping"), "{stuck}");
    assert_eq!(pings(&nursery.heard.lock()), 1);
    assert!(!lease.is_gone(), "its end is the orchestrator's to bring about");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(nursery.wishes(SILENT).len(), 1, "it is said once");
}

#[tokio::test(start_paused = true)]
async fn a_slow_tool_that_answers_pings_is_left_alone() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", |message, line| {
        if message["method"] == "ping" {
            line.answer(&message, &json!({}));
        }
    });
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    let _call = lease.call(omnimind_gateway::upstream::Call { idle: None, deadline: None, ..tool("1", &json!({})) });
    sleep(Duration::from_secs(60)).await;
    assert!(nursery.wishes(SILENT).is_empty());
    let pings = pings(&nursery.heard.lock());
    assert!((12..=20).contains(&pings), "one for every three silent beats, not {pings}");
    assert_eq!(lease.waste().late, 0, "answers to pings are expected");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_nothing_is_in_flight() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    for _ in 0..5 {
        result(lease.call(tool("1", &json!({})))).await;
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(pings(&nursery.heard.lock()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_owes_no_answer() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "modern", |_, _| {});
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Modern).await.unwrap();
    let mut listen = upstream_doubles::call("1", "subscriptions/listen", &json!({"notifications": {}}));
    (listen.idle, listen.deadline) = (None, None);
    let _listening = lease.call(listen);
    sleep(Duration::from_secs(60)).await;
    assert!(nursery.wishes(SILENT).is_empty());
    assert_eq!(nursery.heard.lock().len(), 1, "the subscription itself");
}

#[tokio::test(start_paused = true)]
async fn the_beat_is_the_servers_own_and_none_means_that_nobody_looks() {
    for (heartbeat_ms, stuck) in [(200, 1), (0, 0)] {
        let mut spec = stdio("principal");
        spec[0]["heartbeat_ms"] = json!(heartbeat_ms);
        let (fleet, outbox) = fleet(&spec);
        let nursery = nursery(&fleet, &outbox, "legacy", |_, _| {});
        ready(&fleet, "c");
        let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
        let _call = lease.call(tool("1", &json!({})));
        sleep(Duration::from_millis(5_900)).await;
        assert_eq!(nursery.wishes(SILENT).len(), stuck);
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_answers_nothing_is_ended_and_reported() {
    let deaf = serve(true, Speaks::Both, |_, _| {});
    let (fleet, outbox) = fleet(&workers());
    is_at(&fleet, &deaf, KEY);
    let lease = shared(&fleet, "w", "ann", Era::Legacy).await.unwrap();
    let refused = refusal(lease.call(tool("1", &json!({}))).finish().await);
    assert!(refused.detail.contains("not even to a ping"), "{refused}");
    assert_eq!(refused.retry_after_ms, None);
    assert_eq!(said(&outbox, "down").await["server"], "w");
    is_at(&fleet, &deaf, OTHER_KEY);
}
