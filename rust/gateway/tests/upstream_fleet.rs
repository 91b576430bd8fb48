//! Who gets which connection, and what happens when servers come, go and change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::naive_bytecount,
    reason = "a test may"
)]

mod upstream_doubles;

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use omnimind_gateway::upstream::{Event, Owner};
use omnimind_wire::{Era, Reason};
use serde_json::{Value, json};
use tokio::{net::unix::pipe, time::Instant};
use upstream_doubles::{
    EPOCH, KEY, change,
    children::{echo, nursery, pipes, ready, stdio, unblocked},
    fleet, leased,
    lines::{Heard, Speaks, converse, serve},
    next, refusal, result, session, shared, snapshot, soon, tool, until, wish,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_over_one_child_never_cross() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    let mut callers = Vec::new();
    for caller in 0..100u64 {
        let fleet = Arc::clone(&fleet);
        callers.push(tokio::spawn(async move {
            let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
            for n in (0..10u64).map(|n| caller * 10 + n) {
                assert_eq!(
                    result(lease.call(tool("1", &json!({"arguments": {"n": n}})))).await,
                    json!({"child": 1, "n": n})
                );
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(nursery.serial.load(Ordering::Relaxed), 1, "a hundred at once wished for one child");
    assert_eq!(nursery.heard.lock().len(), 1000);
}

#[tokio::test]
async fn a_child_belongs_to_one_principal_unless_it_is_shared() {
    for (sessions, children) in [("principal", 2), ("shared", 1)] {
        let (fleet, outbox) = fleet(&stdio(sessions));
        let nursery = nursery(&fleet, &outbox, "modern", echo);
        ready(&fleet, "c");
        for principal in ["ann", "bob", "ann"] {
            let lease = shared(&fleet, "c", principal, Era::Modern).await.unwrap();
            result(lease.call(tool("1", &json!({})))).await;
        }
        assert_eq!(nursery.serial.load(Ordering::Relaxed), children, "{sessions}");
        let principals: Vec<_> = nursery.wishes("want_child").iter().map(|wish| wish["principal"].clone()).collect();
        assert_eq!(principals.first(), Some(&json!(if children == 1 { "*" } else { "ann" })));
    }
}

#[tokio::test]
async fn a_child_of_one_era_serves_callers_of_both() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    for era in [Era::Modern, Era::Legacy, Era::Modern] {
        let lease = shared(&fleet, "c", "ann", era).await.unwrap();
        assert_eq!(lease.negotiated().era, Era::Legacy);
        assert_eq!(result(lease.call(tool("1", &json!({})))).await["child"], 1);
    }
    let wishes = nursery.wishes("want_child");
    assert_eq!((wishes.len(), &wishes[0]["era"]), (1, &json!("modern")));
}

#[tokio::test]
async fn sessions_of_their_own_have_children_of_their_own_with_their_capabilities() {
    let (fleet, outbox) = fleet(&stdio("own"));
    let nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    let (one, two) = (session(&fleet, "c", "s1").await, session(&fleet, "c", "s2").await);
    assert_eq!(result(one.call(tool("1", &json!({})))).await["child"], 1);
    assert_eq!(result(two.call(tool("1", &json!({})))).await["child"], 2);
    let wishes = nursery.wishes("want_child");
    assert_eq!((&wishes[0]["session"], &wishes[0]["capabilities"]), (&json!("s1"), &json!({"elicitation": {}})));
    assert!(one.exclusive() && two.exclusive());
}

#[tokio::test]
async fn leased_calls_use_the_shared_child_while_it_is_free_and_then_a_few_more() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    for _ in 0..3 {
        assert!(leased(&fleet, "c").await.exclusive());
    }
    assert_eq!(nursery.serial.load(Ordering::Relaxed), 1, "one after the other needs one child");
    let leases =
        [leased(&fleet, "c").await, leased(&fleet, "c").await, leased(&fleet, "c").await, leased(&fleet, "c").await];
    assert!(leases.iter().all(omnimind_gateway::upstream::Lease::exclusive));
    assert!(!leased(&fleet, "c").await.exclusive(), "the fifth shares, and its questions are refused");
    assert_eq!(nursery.serial.load(Ordering::Relaxed), 4);
    let names: std::collections::BTreeSet<String> =
        nursery.wishes("want_child").iter().map(|wish| wish["session"].to_string()).collect();
    assert_eq!(names.len(), 4, "each has its own name with the orchestrator: {names:?}");
}

#[tokio::test]
async fn a_session_attached_to_the_shared_child_keeps_leased_calls_off_it() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let _nursery = nursery(&fleet, &outbox, "legacy", echo);
    ready(&fleet, "c");
    let first = session(&fleet, "c", "s1").await;
    let call = leased(&fleet, "c").await;
    assert!(first.exclusive() && call.exclusive());
    let second = session(&fleet, "c", "s2").await;
    assert!(!first.exclusive() && !second.exclusive(), "two sessions on one child: nobody can be asked");
    drop(second);
    assert!(first.exclusive());
}

#[tokio::test]
async fn a_child_that_is_gone_ends_its_calls_and_is_wished_for_anew() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    let nursery = nursery(&fleet, &outbox, "legacy", |message, line| {
        if message["params"]["name"] != "hold" {
            echo(message, line);
        }
    });
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    let held = lease.call(tool("1", &json!({"name": "hold"})));
    until("the call arrives", || !nursery.heard.lock().is_empty()).await;
    fleet.child_gone(1, "it was killed by signal 9");
    let refused = refusal(held.finish().await);
    assert!(refused.detail.contains("signal 9") && refused.retry_after_ms.is_none(), "{refused}");
    assert!(lease.is_gone());
    let lease = shared(&fleet, "c", "ann", Era::Legacy).await.unwrap();
    assert_eq!(result(lease.call(tool("1", &json!({})))).await["child"], 2);
    assert!(nursery.wishes("release_child").is_empty(), "what has ended is not given back");
}

#[tokio::test]
async fn a_child_nobody_waits_for_any_more_is_given_back() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let (ours, _stdin, _stdout) = pipes();
    let answer = json!({"request": 99, "ok": true, "child": 5, "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
    fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
    assert_eq!(outbox.take(), [r#"{"t":"release_child","child":5}"#]);
}

#[tokio::test]
async fn no_child_means_a_refusal_with_the_reason() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "c", "ann", Era::Modern).await.map(drop) }
    });
    let mut wished = Vec::new();
    until("the wish is sent", || {
        wished.extend(outbox.take());
        !wished.is_empty()
    })
    .await;
    let wished: Value = serde_json::from_str(&wished[0]).unwrap();
    let answer =
        json!({"request": wished["request"], "ok": false, "reason": "exited with 1: no module", "retry_after_ms": 700});
    fleet.child_answer(serde_json::from_value(answer).unwrap(), Vec::new());
    let refused = asking.await.unwrap().unwrap_err();
    assert_eq!((refused.reason, refused.retry_after_ms), (Reason::ServerUnavailable, Some(700)));
    assert!(refused.detail.contains("no module"), "{refused}");
}

#[tokio::test]
async fn the_same_child_given_twice_is_one_connection() {
    let (fleet, outbox) = fleet(&stdio("shared"));
    ready(&fleet, "c");
    let (ours, stdin, stdout) = pipes();
    let copies: Vec<OwnedFd> = ours.iter().map(|fd| fd.try_clone().unwrap()).collect();
    let mut given = vec![copies, ours.into()];
    let leases = [Era::Modern, Era::Legacy].map(|era| {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { shared(&fleet, "c", "ann", era).await.unwrap() })
    });
    until("both wishes are answered", || {
        for wish in outbox.take() {
            let wish: Value = serde_json::from_str(&wish).unwrap();
            assert_eq!(wish["t"], "want_child");
            let answer = json!({"request": wish["request"], "ok": true, "child": 1,
                "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
            fleet.child_answer(serde_json::from_value(answer).unwrap(), given.pop().unwrap());
        }
        given.is_empty()
    })
    .await;
    let [modern, legacy] = leases;
    let (modern, legacy) = (modern.await.unwrap(), legacy.await.unwrap());
    unblocked(&stdin);
    unblocked(&stdout);
    let (reader, writer) =
        (pipe::Receiver::from_owned_fd(stdin).unwrap(), pipe::Sender::from_owned_fd(stdout).unwrap());
    tokio::spawn(converse(reader, writer, None, Speaks::Both, 1, Heard::default(), Arc::new(echo)));
    let calls = (0..200).map(|n| [&modern, &legacy][n % 2].call(tool("1", &json!({"arguments": {"n": n}}))));
    for (n, answer) in futures_util::future::join_all(calls.map(result)).await.iter().enumerate() {
        assert_eq!(answer["n"], n);
    }
}

#[tokio::test]
async fn an_inherited_pipe_begins_with_a_line_break_and_forgets_what_was_before() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { session(&fleet, "c", "s1").await }
    });
    let mut wished = Vec::new();
    until("the wish is sent", || {
        wished.extend(outbox.take());
        !wished.is_empty()
    })
    .await;
    let request = serde_json::from_str::<Value>(&wished[0]).unwrap()["request"].clone();
    let (ours, stdin, stdout) = pipes();
    let (mut stdin, mut stdout) = (File::from(stdin), File::from(stdout));
    let old = u64::from(EPOCH - 1) << 32 | 1;
    // The tail of a line of the earlier gateway's, then its answers, then ours.
    writeln!(
        stdout,
        "\"result\":{{\"whose\":\"torn\"}}}}\n{}",
        json!({"jsonrpc": "2.0", "id": old, "result": {"whose": "old"}})
    )
    .unwrap();
    writeln!(stdout, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}})).unwrap();
    let answer = json!({"request": request, "ok": true, "child": 1, "inherited": true,
        "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
    fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
    let lease = asking.await.unwrap();
    let mut one = lease.call(tool("1", &json!({})));
    let said = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        let mut byte = [0u8];
        while said.iter().filter(|byte| **byte == b'\n').count() < 3 {
            assert_eq!(stdin.read(&mut byte).unwrap(), 1);
            said.push(byte[0]);
        }
        String::from_utf8(said).unwrap()
    })
    .await
    .unwrap();
    let lines: Vec<&str> = said.split('\n').collect();
    assert_eq!(lines[0], "", "the line break comes first");
    let call: Value = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|m: &Value| m["method"] == "tools/call")
        .unwrap();
    assert!(said.contains("restarted"), "an old question is refused: {said}");
    writeln!(stdout, "{}", json!({"jsonrpc": "2.0", "id": call["id"], "result": {"whose": "mine"}})).unwrap();
    let Event::End(Ok(answer)) = next(&mut one).await else { panic!("only the answer is expected") };
    assert_eq!(answer, r#"{"whose":"mine"}"#);
    assert_eq!(lease.waste().late, 1);
}

#[tokio::test]
async fn the_first_line_of_an_inherited_pipe_may_be_the_answer_to_the_first_call() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { session(&fleet, "c", "s1").await }
    });
    let mut wished = Vec::new();
    until("the wish is sent", || {
        wished.extend(outbox.take());
        !wished.is_empty()
    })
    .await;
    let request = serde_json::from_str::<Value>(&wished[0]).unwrap()["request"].clone();
    let (ours, _stdin, stdout) = pipes();
    let mut stdout = File::from(stdout);
    let answer = json!({"request": request, "ok": true, "child": 1, "inherited": true,
        "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
    fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
    let mut one = asking.await.unwrap().call(tool("1", &json!({})));
    let first = u64::from(EPOCH) << 32 | 1;
    writeln!(stdout, "{}", json!({"jsonrpc": "2.0", "id": first, "result": {"whose": "mine"}})).unwrap();
    let Event::End(Ok(answer)) = next(&mut one).await else { panic!("only the answer is expected") };
    assert_eq!(answer, r#"{"whose":"mine"}"#);
}

#[tokio::test]
async fn a_shared_child_of_an_earlier_gateway_tells_nobody_what_names_no_request() {
    let (fleet, outbox) = fleet(&stdio("shared"));
    ready(&fleet, "c");
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "c", "ann", Era::Legacy).await.unwrap() }
    });
    let mut wished = Vec::new();
    until("the wish is sent", || {
        wished.extend(outbox.take());
        !wished.is_empty()
    })
    .await;
    let request = serde_json::from_str::<Value>(&wished[0]).unwrap()["request"].clone();
    let (ours, _stdin, stdout) = pipes();
    let mut stdout = File::from(stdout);
    let answer = json!({"request": request, "ok": true, "child": 1, "inherited": true,
        "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
    fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
    let lease = asking.await.unwrap();
    writeln!(stdout).unwrap();
    writeln!(
        stdout,
        "{}",
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "of bob, from before"}})
    )
    .unwrap();
    until("it is dropped", || lease.waste().unaddressed == 1).await;
}

#[tokio::test]
async fn bytes_read_with_the_greeting_are_not_lost() {
    let (fleet, outbox) = fleet(&stdio("principal"));
    ready(&fleet, "c");
    let asking = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "c", "ann", Era::Legacy).await.unwrap() }
    });
    let mut wished = Vec::new();
    until("the wish is sent", || {
        wished.extend(outbox.take());
        !wished.is_empty()
    })
    .await;
    let request = serde_json::from_str::<Value>(&wished[0]).unwrap()["request"].clone();
    let (ours, _stdin, stdout) = pipes();
    let mut stdout = File::from(stdout);
    // "{"jsonrpc":"2.0","method":"notifications/tools/list_ch, cut in the middle.
    let leftover = "eyJqc29ucnBjIjoiMi4wIiwibWV0aG9kIjoibm90aWZpY2F0aW9ucy90b29scy9saXN0X2No";
    let answer = json!({"request": request, "ok": true, "child": 1, "leftover": leftover,
        "negotiated": {"era": "legacy", "version": "2025-11-25", "result": {}}});
    fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
    let lease = asking.await.unwrap();
    let mut notes = lease.notes();
    writeln!(stdout, "anged\"}}").unwrap();
    let note = tokio::time::timeout(Duration::from_secs(5), notes.recv()).await.unwrap().unwrap();
    assert_eq!(&*note.method, "notifications/tools/list_changed");
}

fn worker_spec() -> Value {
    json!([{"name": "w", "kind": "worker", "tier": "high", "sessions": "shared", "first_party": true}])
}

#[tokio::test]
async fn a_call_waits_for_a_server_that_is_starting() {
    let double = serve(true, Speaks::Both, echo);
    let (fleet, _) = fleet(&worker_spec());
    let mut changes = fleet.changes();
    let waiting = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "w", "ann", Era::Modern).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!waiting.is_finished() && !fleet.server("w").unwrap().is_ready());
    fleet.server_changed(change("w", "ready", &json!({"path": double.path, "key": KEY})));
    waiting.await.unwrap().unwrap();
    changes.recv().await.unwrap();
    assert!(fleet.servers()[0].is_ready());
}

#[tokio::test]
async fn a_server_that_does_not_come_up_is_a_refusal_at_the_callers_deadline() {
    let (fleet, _) = fleet(&worker_spec());
    fleet.server_changed(change("w", "backoff", &json!({"reason": "exit 3", "retry_after_ms": 900})));
    let begun = Instant::now();
    let refused = fleet
        .lease("w", wish("ann", Era::Modern, Owner::Shared), begun + Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!((100..300).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!((refused.retry_after_ms, refused.server.as_deref()), (Some(900), Some("w")));
    assert!(refused.detail.contains("exit 3"), "{refused}");
}

#[tokio::test]
async fn a_parked_server_is_woken_once_and_its_caller_gets_it_if_it_comes() {
    let double = serve(true, Speaks::Both, echo);
    let (fleet, outbox) = fleet(&worker_spec());
    fleet.server_changed(change("w", "parked", &json!({"reason": "3 crashes in 60 s"})));
    let waiting = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "w", "ann", Era::Modern).await }
    });
    let mut said = Vec::new();
    until("the orchestrator is asked", || {
        said.extend(outbox.take());
        !said.is_empty()
    })
    .await;
    assert_eq!(said, [r#"{"t":"wake","server":"w"}"#]);
    fleet.server_changed(change("w", "starting", &json!({})));
    fleet.server_changed(change("w", "ready", &json!({"path": double.path, "key": KEY})));
    waiting.await.unwrap().unwrap();
    assert!(outbox.take().is_empty());
}

#[tokio::test]
async fn a_parked_server_that_stays_parked_is_refused_in_good_time() {
    let (fleet, _) = fleet(&worker_spec());
    fleet.server_changed(change("w", "parked", &json!({"reason": "3 crashes in 60 s"})));
    let begun = Instant::now();
    let refused = fleet.lease("w", wish("ann", Era::Modern, Owner::Shared), soon()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(refused.detail.contains("3 crashes"), "{refused}");
}

#[tokio::test]
async fn an_unknown_server_is_refused_at_once() {
    let (fleet, _) = fleet(&worker_spec());
    let refused = shared(&fleet, "nobody", "ann", Era::Modern).await.unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownServer);
}

#[tokio::test]
async fn a_restarted_worker_is_met_with_its_new_key_and_nobody_is_refused() {
    // The old instance has died; the new one, behind the same socket, closes what opens with the old key.
    let double = serve(true, Speaks::Both, echo);
    let (fleet, outbox) = fleet(&worker_spec());
    let old = KEY.replace('0', "f");
    fleet.server_changed(change("w", "ready", &json!({"path": double.path, "key": old})));
    let waiting = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "w", "ann", Era::Modern).await }
    });
    until("the old key is tried, and again", || double.keys.lock().len() > 1).await;
    fleet.server_changed(change("w", "starting", &json!({})));
    fleet.server_changed(change("w", "ready", &json!({"path": double.path, "key": KEY})));
    let lease = waiting.await.unwrap().unwrap();
    result(lease.call(tool("1", &json!({})))).await;
    let told = outbox.take();
    assert_eq!(told.len(), 1, "the orchestrator is told once: {told:?}");
    assert!(told[0].contains(r#""t":"down""#), "{told:?}");
}

#[tokio::test]
async fn a_worker_that_was_replaced_is_not_used_again() {
    let old = serve(true, Speaks::Both, |message, line| line.answer(&message, &json!("old")));
    let new = serve(true, Speaks::Both, |message, line| line.answer(&message, &json!("new")));
    let (fleet, _) = fleet(&worker_spec());
    fleet.server_changed(change("w", "ready", &json!({"path": old.path, "key": KEY})));
    let before = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    fleet.server_changed(change("w", "starting", &json!({})));
    fleet.server_changed(change("w", "ready", &json!({"path": new.path, "key": KEY})));
    let after = shared(&fleet, "w", "ann", Era::Modern).await.unwrap();
    assert_eq!(result(before.call(tool("1", &json!({})))).await, "old", "what is held goes on");
    assert_eq!(result(after.call(tool("1", &json!({})))).await, "new");
}

#[tokio::test]
async fn a_new_configuration_keeps_the_connections_of_what_did_not_change() {
    let double = serve(false, Speaks::Both, echo);
    let spec = |timeout: u64| json!([{"name": "u", "kind": "unix", "tier": "high", "path": double.path, "timeout_ms": timeout}]);
    let (fleet, _) = fleet(&spec(1000));
    let connections = || double.connections.load(Ordering::Relaxed);
    let _one = shared(&fleet, "u", "ann", Era::Modern).await.unwrap();
    fleet.apply(&snapshot(&spec(1000)));
    let _two = shared(&fleet, "u", "ann", Era::Modern).await.unwrap();
    assert_eq!(connections(), 1);
    fleet.apply(&snapshot(&spec(2000)));
    let _three = shared(&fleet, "u", "ann", Era::Modern).await.unwrap();
    assert_eq!(connections(), 2);
    fleet.apply(&snapshot(&json!([])));
    assert!(fleet.server("u").is_none());
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_stop_the_connection_others_wait_for() {
    let double = serve(false, Speaks::Both, echo);
    let (fleet, _) = fleet(&json!([{"name": "u", "kind": "unix", "tier": "high", "path": double.path}]));
    let first = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { shared(&fleet, "u", "ann", Era::Modern).await.map(drop) }
    });
    tokio::task::yield_now().await;
    first.abort();
    let lease = shared(&fleet, "u", "ann", Era::Modern).await.unwrap();
    result(lease.call(tool("1", &json!({})))).await;
    assert_eq!(double.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_question_on_a_connection_of_two_sessions_is_refused() {
    let owner = Owner::Session { session: "s".into(), capabilities: Bytes::from_static(b"{}") };
    let double = serve(false, Speaks::Legacy, |message, line| {
        if message["method"] == "tools/call" {
            line.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}));
        } else if message["error"].is_object() {
            line.say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": message["error"]["message"]}}));
        }
    });
    let (fleet, _) = fleet(&json!([{"name": "u", "kind": "unix", "tier": "high", "path": double.path}]));
    let one = fleet.lease("u", wish("ann", Era::Legacy, owner.clone()), soon()).await.unwrap();
    let two = fleet.lease("u", wish("ann", Era::Legacy, owner), soon()).await.unwrap();
    assert!(!one.exclusive(), "sessions that cannot be asked share a connection");
    let mut call = two.call(tool("1", &json!({})));
    let Event::Note(note) = next(&mut call).await else { panic!("the refusal comes back as a log line") };
    assert!(std::str::from_utf8(&note.params).unwrap().contains("several clients"));
}
