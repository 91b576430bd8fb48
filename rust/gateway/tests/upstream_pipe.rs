//! Calls over a byte stream: a worker's Unix socket and everything that can go wrong on it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::naive_bytecount,
    reason = "a test may"
)]

mod upstream_doubles;

use std::{sync::Arc, time::Duration};

use omnimind_gateway::upstream::{Event, Failure, Fleet};
use omnimind_wire::{Era, Reason};
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream_doubles::{
    EPOCH, KEY, call, change, fleet, leased,
    lines::{Double, Line, Speaks, folder, serve, serve_in},
    next, refusal, result, session, shared, tool, until, value,
};

/// A fleet with one worker behind this double.
fn worker(double: &Double) -> Arc<Fleet> {
    let servers = json!([{"name": "w", "kind": "worker", "tier": "high", "sessions": "shared", "first_party": true}]);
    let (fleet, _) = fleet(&servers);
    fleet.server_changed(change("w", "ready", &json!({"path": double.path, "key": KEY})));
    fleet
}

/// A fleet with one third-party server on this double's socket.
fn stranger(double: &Double) -> Arc<Fleet> {
    fleet(&json!([{"name": "w", "kind": "unix", "tier": "high", "path": double.path}])).0
}

fn echo(message: Value, line: Line) {
    if message["id"].is_number() {
        line.answer(&message, &message["params"]["arguments"]);
    }
}

#[tokio::test]
async fn a_worker_gets_the_key_first_and_is_told_principal_and_deadline() {
    let double = serve(true, Speaks::Both, echo);
    let fleet = worker(&double);
    let lease = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    assert_eq!(lease.negotiated().era, Era::Modern);
    let answer = result(lease.call(tool("1", &json!({"name": "t", "arguments": {"a": 1}})))).await;
    assert_eq!(answer, json!({"a": 1}));
    assert_eq!(*double.keys.lock(), [KEY]);
    let heard = double.heard.lock();
    let meta = &heard[0]["params"]["_meta"];
    assert_eq!(meta["omnimind/principal"], "ann");
    let left = meta["omnimind/deadlineMs"].as_u64().unwrap();
    assert!((15_000..=20_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_third_party_is_told_nothing_of_ours() {
    let double = serve(false, Speaks::Both, echo);
    let lease = shared(&stranger(&double), "w", "ann", Era::Modern).await.unwrap();
    result(lease.call(tool("1", &json!({"name": "t", "arguments": {}})))).await;
    let text = format!("{:?}", double.heard.lock());
    assert!(!text.contains("omnimind/") && !text.contains("ann"), "{text}");
}

#[tokio::test]
async fn both_eras_are_greeted_in_their_own_way() {
    let double = serve(true, Speaks::Both, echo);
    let fleet = worker(&double);
    let modern = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    let legacy = shared(&fleet, "w", "bob", Era::Legacy).await.unwrap();
    assert_eq!((modern.negotiated().era, legacy.negotiated().era), (Era::Modern, Era::Legacy));
    assert_eq!(&*legacy.negotiated().version, "2025-11-25");
    let again = shared(&fleet, "w", "cyd", Era::Legacy).await.unwrap();
    result(again.call(tool("1", &json!({"arguments": {}})))).await;
    assert_eq!(double.keys.lock().len(), 2, "one connection an era serves all principals");
}

#[tokio::test]
async fn a_stranger_of_one_era_is_bridged_to_by_whoever_asks() {
    for (speaks, wished, got) in
        [(Speaks::Legacy, Era::Modern, Era::Legacy), (Speaks::Modern, Era::Legacy, Era::Modern)]
    {
        let double = serve(false, speaks, echo);
        let fleet = stranger(&double);
        for _ in 0..2 {
            let lease = shared(&fleet, "w", "ann", wished).await.unwrap();
            assert_eq!(lease.negotiated().era, got);
            result(lease.call(tool("1", &json!({"arguments": {}})))).await;
        }
        let connections = double.connections.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(connections, 2, "one probe that failed, one connection for all");
    }
}

#[tokio::test]
async fn a_socket_path_longer_than_an_address_is_reached() {
    let double = serve_in(folder(180), true, Speaks::Both, echo);
    assert!(double.path.as_os_str().len() > 180);
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    assert_eq!(result(lease.call(tool("1", &json!({"arguments": {"b": 2}})))).await, json!({"b": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_a_hundred_in_flight_never_cross() {
    let double = serve(true, Speaks::Both, |message, line| {
        // Answers come out of order.
        tokio::spawn(async move {
            let n = message["params"]["arguments"]["n"].as_u64().unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(n * 7 % 5)).await;
            echo(message, line);
        });
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let mut callers = Vec::new();
    for caller in 0..100u64 {
        let lease = lease.clone();
        callers.push(tokio::spawn(async move {
            for n in 0..10u64 {
                let n = caller * 10 + n;
                let answer = result(lease.call(tool("1", &json!({"arguments": {"n": n}})))).await;
                assert_eq!(answer, json!({"n": n}));
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let ids: std::collections::BTreeSet<u64> = double.heard.lock().iter().filter_map(|m| m["id"].as_u64()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id >> 32 == u64::from(EPOCH)), "every id carries the epoch");
    assert_eq!(lease.waste(), omnimind_gateway::upstream::Waste::default());
}

#[tokio::test]
async fn dropping_a_call_tells_the_server_within_a_tenth_of_a_second() {
    let double = serve(true, Speaks::Both, |_, _| {});
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let exchange = lease.call(tool("\"mine\"", &json!({"arguments": {}})));
    until("the call arrives", || !double.heard.lock().is_empty()).await;
    let dropped = Instant::now();
    drop(exchange);
    until("the cancel arrives", || double.heard.lock().len() == 2).await;
    assert!(dropped.elapsed() < Duration::from_millis(100), "{:?}", dropped.elapsed());
    let heard = double.heard.lock();
    assert_eq!(heard[1]["method"], "notifications/cancelled");
    assert_eq!(heard[1]["params"]["requestId"], heard[0]["id"]);
}

#[tokio::test]
async fn a_finished_call_is_not_cancelled() {
    let double = serve(true, Speaks::Both, echo);
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    result(lease.call(tool("1", &json!({"arguments": {}})))).await;
    result(lease.call(tool("2", &json!({"arguments": {}})))).await;
    assert!(double.heard.lock().iter().all(|message| message["method"] == "tools/call"));
}

#[tokio::test]
async fn progress_comes_back_under_the_clients_own_token() {
    let double = serve(true, Speaks::Both, |message, line| {
        let token = &message["params"]["_meta"]["progressToken"];
        assert_eq!(token, &message["id"], "the token is the call's number");
        line.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}));
        line.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 42, "progress": 2}}));
        line.answer(&message, &json!({}));
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let mut one = lease.call(tool("1", &json!({"_meta": {"progressToken": "t-é"}, "arguments": {}})));
    let Event::Note(note) = next(&mut one).await else { panic!("progress comes first") };
    assert_eq!(value(&note.params), json!({"progressToken": "t-é", "progress": 1}));
    assert!(matches!(next(&mut one).await, Event::End(Ok(_))));
    assert_eq!(lease.waste().late, 1, "progress for nobody is counted");
}

#[tokio::test]
async fn a_subscription_keeps_the_clients_id() {
    let key = "io.modelcontextprotocol/subscriptionId";
    let double = serve(true, Speaks::Both, move |message, line| {
        if message["method"] != "subscriptions/listen" {
            return;
        }
        let params = json!({"_meta": {key: message["id"]}});
        line.say(&json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}));
        line.say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": params}));
        line.answer(&message, &json!({"_meta": {key: message["id"]}, "resultType": "complete"}));
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let mut listen =
        lease.call(call("\"sub-1\"", "subscriptions/listen", &json!({"notifications": {"toolsListChanged": true}})));
    for method in ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"] {
        let Event::Note(note) = next(&mut listen).await else { panic!("{method} is expected") };
        assert_eq!((&*note.method, value(&note.params)), (method, json!({"_meta": {key: "sub-1"}})));
    }
    let Event::End(Ok(answer)) = next(&mut listen).await else { panic!("the end is expected") };
    assert_eq!(value(&answer)["_meta"][key], "sub-1");
}

#[tokio::test]
async fn a_subscription_that_the_server_cancels_ends() {
    let double = serve(true, Speaks::Both, |message, line| {
        line.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": message["id"], "reason": "bye"}}));
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let mut listen = lease.call(call("5", "subscriptions/listen", &json!({})));
    let Event::Note(note) = next(&mut listen).await else { panic!("the news is expected") };
    assert_eq!(value(&note.params), json!({"requestId": 5, "reason": "bye"}));
    let Event::End(outcome) = next(&mut listen).await else { panic!("the end is expected") };
    assert_eq!(refusal(outcome).reason, Reason::ServerUnavailable);
}

#[tokio::test]
async fn garbage_and_answers_of_another_epoch_are_counted_and_harm_nobody() {
    let double = serve(true, Speaks::Both, |message, line| {
        line.raw("Traceback (most recent call last):\n\n[1,2]\n{\"jsonrpc\":\"1.0\"}\n\u{feff}{}\n");
        let number = message["id"].as_u64().unwrap();
        for id in [number - (1 << 32), number + (1 << 32), number & 0xffff_ffff] {
            line.say(&json!({"jsonrpc": "2.0", "id": id, "result": {"whose": "another"}}));
        }
        line.say(&json!({"jsonrpc": "2.0", "id": number.to_string(), "result": {"whose": "a string"}}));
        line.answer(&message, &json!({"whose": "mine"}));
        line.answer(&message, &json!({"whose": "twice"}));
        line.say(&json!({"jsonrpc": "2.0", "method": "ping", "id": "p"}));
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    assert_eq!(result(lease.call(tool("1", &json!({"arguments": {}})))).await, json!({"whose": "mine"}));
    until("the ping is answered", || double.heard.lock().iter().any(|m| m["id"] == "p" && m["result"] == json!({})))
        .await;
    assert_eq!((lease.waste().garbage, lease.waste().late), (4, 5));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_ends_its_call_and_no_other() {
    let double = serve(true, Speaks::Both, |message, line| match message["params"]["name"].as_str() {
        Some("nan") => {
            line.raw(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"x\":NaN}}}}\n", message["id"]));
        }
        Some("huge") => {
            let text = "x".repeat(16 << 20);
            line.raw(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"x\":\"{text}\"}}}}\n", message["id"]));
        }
        Some("large") => line.answer(&message, &json!({"x": "x".repeat(8 << 20)})),
        _ => echo(message, line),
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    for name in ["nan", "huge"] {
        match lease.call(tool("1", &json!({"name": name}))).finish().await {
            Err(Failure::Rpc(error)) => assert_eq!(error.code, -32603, "{}", error.message),
            other => panic!("{other:?}"),
        }
    }
    let large = result(lease.call(tool("1", &json!({"name": "large"})))).await;
    assert_eq!(large["x"].as_str().map(str::len), Some(8 << 20));
    assert_eq!(result(lease.call(tool("1", &json!({"arguments": {"n": 1}})))).await, json!({"n": 1}));
}

#[tokio::test]
async fn line_breaks_between_tokens_do_not_break_the_frame() {
    let double = serve(true, Speaks::Both, echo);
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let mut pretty = tool("1", &json!({}));
    pretty.params = "{\n  \"name\": \"t\",\r\n  \"arguments\": {\n \"a\": \"line\\nbreak\" }\n}".into();
    assert_eq!(result(lease.call(pretty)).await, json!({"a": "line\nbreak"}));
}

#[tokio::test]
async fn a_connection_that_ends_ends_every_call_on_it() {
    let double = serve(true, Speaks::Both, |message, line| {
        if message["params"]["name"] == "die" {
            line.hang_up();
        }
    });
    let fleet = worker(&double);
    let lease = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    let waiting: Vec<_> = (0..10).map(|_| lease.call(tool("1", &json!({"name": "wait"})))).collect();
    until("the calls arrive", || double.heard.lock().len() == 10).await;
    let dying = lease.call(tool("2", &json!({"name": "die"})));
    for exchange in waiting.into_iter().chain([dying]) {
        let refusal = refusal(exchange.finish().await);
        assert_eq!(
            (refusal.reason, refusal.retry_after_ms),
            (Reason::ServerUnavailable, None),
            "a call that was sent may have run"
        );
    }
    lease.gone().await;
    let refused = refusal(lease.call(tool("3", &json!({}))).finish().await);
    assert!(refused.retry_after_ms.is_some(), "a call that was never sent may come again");
    let fresh = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    assert!(!fresh.is_gone(), "the next lease is on a new connection");
}

#[tokio::test]
async fn a_silent_call_times_out_and_progress_renews_its_time() {
    let double = serve(true, Speaks::Both, |message, line| {
        let token = message["params"]["_meta"]["progressToken"].clone();
        tokio::spawn(async move {
            for n in 0..6 {
                tokio::time::sleep(Duration::from_millis(60)).await;
                line.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": n}}));
            }
        });
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let with_idle = |meta: Value| {
        let mut call = tool("1", &json!({"_meta": meta}));
        call.idle = Some(Duration::from_millis(150));
        call
    };
    let begun = Instant::now();
    let refused = refusal(lease.call(with_idle(json!({}))).finish().await);
    assert_eq!(refused.reason, Reason::UpstreamTimeout);
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    let begun = Instant::now();
    refusal(lease.call(with_idle(json!({"progressToken": 1}))).finish().await);
    assert!(begun.elapsed() > Duration::from_millis(450), "progress renewed it: {:?}", begun.elapsed());
    let mut bounded = with_idle(json!({"progressToken": 2}));
    bounded.deadline = Some(Instant::now() + Duration::from_millis(200));
    let begun = Instant::now();
    refusal(lease.call(bounded).finish().await);
    assert!(begun.elapsed() < Duration::from_millis(350), "the deadline holds whatever comes: {:?}", begun.elapsed());
    until("all three are cancelled", || {
        double.heard.lock().iter().filter(|m| m["method"] == "notifications/cancelled").count() == 3
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_is_ended_when_too_much_waits() {
    let double = serve(true, Speaks::Both, |message, line| {
        if message["params"]["name"] == "flood" {
            let token = &message["params"]["_meta"]["progressToken"];
            let text = "x".repeat(1 << 16);
            for n in 0..100 {
                line.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": n, "message": text}}));
            }
        } else {
            echo(message, line);
        }
    });
    let lease = shared(&worker(&double), "w", "ann", Era::Modern).await.unwrap();
    let mut flooded = lease.call(tool("1", &json!({"name": "flood", "_meta": {"progressToken": 1}})));
    assert_eq!(result(lease.call(tool("2", &json!({"arguments": {"n": 2}})))).await, json!({"n": 2}));
    until("the flooding call is cancelled", || {
        double.heard.lock().iter().any(|m| m["method"] == "notifications/cancelled")
    })
    .await;
    let mut notes = 0;
    let outcome = loop {
        match next(&mut flooded).await {
            Event::Note(_) => notes += 1,
            Event::End(outcome) => break outcome,
            other => panic!("{other:?}"),
        }
    };
    assert!((40..70).contains(&notes), "{notes}");
    assert_eq!(refusal(outcome).reason, Reason::Overloaded);
}

#[tokio::test]
async fn a_server_that_stops_reading_holds_its_callers_not_our_memory() {
    let folder = folder(1);
    let path = folder.join("s.sock");
    let bound = tokio::net::UnixListener::bind(&path).unwrap();
    let (fleet, _) =
        fleet(&json!([{"name": "w", "kind": "worker", "tier": "high", "sessions": "shared", "first_party": true}]));
    fleet.server_changed(change("w", "ready", &json!({"path": path, "key": KEY})));
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
        let (stream, _) = bound.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        lines.next_line().await.unwrap();
        let greeting: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let answer = json!({"jsonrpc": "2.0", "id": greeting["id"], "result": {"supportedVersions": ["2026-07-28"]}});
        writer.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        // Reads nothing from here on, but stays.
        (lines, writer)
    });
    let lease = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    let _still = serving.await.unwrap();
    let big = json!({"arguments": {"text": "x".repeat(1 << 19)}});
    let mut calls: Vec<_> = (0..12)
        .map(|_| {
            let mut call = tool("1", &big);
            call.idle = Some(Duration::from_millis(300));
            lease.call(call)
        })
        .collect();
    let mut last = calls.pop().unwrap();
    let Event::End(outcome) = next(&mut last).await else { panic!("nothing can come but the end") };
    assert_eq!(refusal(outcome).reason, Reason::UpstreamTimeout);
    drop(calls);
}

#[tokio::test]
async fn a_log_line_goes_to_the_only_call_and_else_to_those_who_listen() {
    let double = serve(false, Speaks::Legacy, |message, line| {
        let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": message["params"]["name"]}});
        if let Some("hold") = message["params"]["name"].as_str() {
        } else {
            line.say(&log);
            line.answer(&message, &json!({}));
        }
    });
    let lease = shared(&stranger(&double), "w", "ann", Era::Legacy).await.unwrap();
    let mut notes = lease.notes();
    let mut alone = lease.call(tool("1", &json!({"name": "alone"})));
    assert!(matches!(next(&mut alone).await, Event::Note(note) if &*note.method == "notifications/message"));
    assert!(matches!(next(&mut alone).await, Event::End(Ok(_))));
    let held = lease.call(tool("2", &json!({"name": "hold"})));
    let mut beside = lease.call(tool("3", &json!({"name": "beside"})));
    assert!(matches!(next(&mut beside).await, Event::End(Ok(_))), "it could be of either");
    assert_eq!(value(&notes.recv().await.unwrap().params)["data"], "beside");
    drop(held);
}

#[tokio::test]
async fn what_names_no_request_never_crosses_principals() {
    let double = serve(true, Speaks::Both, |message, line| {
        let note =
            |method: &str, params: Value| line.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
        note("notifications/message", json!({"level": "info", "data": "secret of ann"}));
        note("notifications/resources/updated", json!({"uri": "a:secret"}));
        note("notifications/resources/updated", json!({"uri": "a:ann", "_meta": {"omnimind/principal": "ann"}}));
        note("notifications/tools/list_changed", json!({"_meta": {"x": "secret"}}));
        line.answer(&message, &json!({}));
    });
    let fleet = worker(&double);
    let ann = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    let bob = shared(&fleet, "w", "bob", Era::Modern).await.unwrap();
    let (mut for_ann, mut for_bob) = (ann.notes(), bob.notes());
    let outcome = ann.call(tool("1", &json!({}))).finish().await;
    assert!(outcome.is_ok());
    let note = for_ann.recv().await.unwrap();
    assert_eq!((&*note.method, value(&note.params)), ("notifications/resources/updated", json!({"uri": "a:ann"})));
    for notes in [&mut for_ann, &mut for_bob] {
        let note = notes.recv().await.unwrap();
        assert_eq!((&*note.method, note.params.len()), ("notifications/tools/list_changed", 0));
    }
    assert_eq!(bob.waste().unaddressed, 2);
}

fn asking(message: Value, line: Line) {
    if message["method"] == "tools/call" {
        let question = json!({"jsonrpc": "2.0", "id": format!("q{}", message["id"]), "method": "elicitation/create", "params": {"message": "?"}});
        line.say(&question);
    } else if message["id"].is_string() {
        // An answer to the question: the call ends with it.
        let id: u64 = message["id"].as_str().unwrap()[1..].parse().unwrap();
        let said = if message["error"].is_object() { &message["error"] } else { &message["result"] };
        line.say(&json!({"jsonrpc": "2.0", "id": id, "result": {"said": said}}));
    }
}

#[tokio::test]
async fn a_question_reaches_the_one_session_and_its_answer_the_server() {
    let double = serve(false, Speaks::Legacy, asking);
    let fleet = stranger(&double);
    let lease = session(&fleet, "w", "s1").await;
    assert!(lease.exclusive());
    let mut one = lease.call(tool("1", &json!({})));
    let Event::Ask(question) = next(&mut one).await else { panic!("a question is expected") };
    assert_eq!((&*question.method, value(&question.params)), ("elicitation/create", json!({"message": "?"})));
    question.answer.send(Ok(r#"{"action":"accept"}"#.into())).unwrap();
    assert_eq!(result(one).await, json!({"said": {"action": "accept"}}));
    let other = session(&fleet, "w", "s2").await;
    assert!(other.exclusive() && lease.exclusive(), "each session has a connection of its own");
}

#[tokio::test]
async fn a_question_nobody_can_be_asked_is_refused_and_the_call_goes_on() {
    let double = serve(false, Speaks::Legacy, asking);
    let lease = shared(&stranger(&double), "w", "ann", Era::Legacy).await.unwrap();
    let answer = result(lease.call(tool("1", &json!({})))).await;
    let said = answer["said"]["message"].as_str().unwrap();
    assert!(said.contains("nobody on this connection"), "{said}");
}

#[tokio::test]
async fn a_question_that_is_dropped_is_refused() {
    let double = serve(false, Speaks::Legacy, asking);
    let lease = leased(&stranger(&double), "w").await;
    assert!(lease.exclusive());
    let mut one = lease.call(tool("1", &json!({})));
    let Event::Ask(question) = next(&mut one).await else { panic!("a question is expected") };
    drop(question);
    assert!(result(one).await["said"]["message"].as_str().unwrap().contains("did not answer"));
}

#[tokio::test]
async fn leased_calls_are_alone_and_their_connections_are_used_again() {
    let double = serve(false, Speaks::Legacy, asking);
    let fleet = stranger(&double);
    let leases = futures_util::future::join_all((0..8).map(|_| leased(&fleet, "w"))).await;
    assert!(leases.iter().all(omnimind_gateway::upstream::Lease::exclusive));
    let ninth = leased(&fleet, "w").await;
    assert!(!ninth.exclusive(), "beyond eight it shares, and cannot be asked");
    drop((leases, ninth));
    let connections = || double.connections.load(std::sync::atomic::Ordering::Relaxed);
    let before = connections();
    for _ in 0..20 {
        assert!(leased(&fleet, "w").await.exclusive());
    }
    assert_eq!(connections(), before);
}

#[tokio::test]
async fn a_question_between_calls_goes_to_the_sessions_own_ear_and_can_be_taken_back() {
    let double = serve(false, Speaks::Legacy, |message, line| {
        if message["method"] == "tools/call" {
            line.answer(&message, &json!({}));
            line.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}));
        } else if message["method"] == "notifications/roots/list_changed" {
            line.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}));
        }
    });
    let lease = session(&stranger(&double), "w", "s1").await;
    let mut questions = lease.questions().expect("the first taker gets it");
    assert!(lease.questions().is_none());
    result(lease.call(tool("1", &json!({})))).await;
    let mut question = tokio::time::timeout(Duration::from_secs(5), questions.recv()).await.unwrap().unwrap();
    assert_eq!(&*question.method, "roots/list");
    lease.notify("notifications/roots/list_changed", b"");
    tokio::time::timeout(Duration::from_secs(5), question.answer.closed()).await.expect("the server took it back");
}
