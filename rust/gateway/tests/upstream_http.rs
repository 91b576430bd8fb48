//! Calls over HTTP: both eras, streams that break off and go on, and servers that say no.
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
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use omnimind_gateway::upstream::{Event, Failure, Fleet};
use omnimind_wire::{Era, Reason};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream_doubles::{
    EPOCH, call, fleet, leased, next, refusal, result, session, shared, tool, until, value,
    web::{Answer, Ask, Stream, Web, serve},
};

fn remote(web: &Web) -> Arc<Fleet> {
    let headers = json!({"Authorization": "Bearer ours", "X-Team": "a"});
    fleet(&json!([{"name": "h", "kind": "http", "tier": "high", "url": web.url, "headers": headers}])).0
}

fn discovered(ask: &Ask) -> Answer {
    ask.result(&json!({"supportedVersions": ["2026-07-28"], "capabilities": {}, "resultType": "complete"}))
}

/// A modern server: answers the probe, hands the rest on.
async fn modern(handle: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Web {
    serve(move |ask| match (ask.verb.as_str(), ask.method()) {
        ("POST", "server/discover") => discovered(&ask),
        ("POST", _) => handle(ask),
        _ => Answer::status(405),
    })
    .await
}

/// A legacy server with sessions; `id` is what it gives out.
async fn legacy(get: bool, handle: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Web {
    let sessions = AtomicUsize::new(0);
    serve(move |ask| match (ask.verb.as_str(), ask.method()) {
        ("POST", "server/discover") => Answer::status(400),
        ("POST", "initialize") => {
            let id = format!("s{}", sessions.fetch_add(1, Ordering::Relaxed));
            let info = json!({"name": "double", "version": "1"});
            ask.result(&json!({"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": info}))
                .with("mcp-session-id", &id)
        }
        ("POST", "notifications/initialized" | "notifications/cancelled") => Answer::status(202),
        ("POST", "") if !get => Answer::status(202),
        ("DELETE", _) => Answer::status(200),
        ("GET", _) if !get => Answer::status(405),
        _ => handle(ask),
    })
    .await
}

fn echo(ask: &Ask) -> Answer {
    ask.result(&ask.body["params"]["arguments"])
}

#[tokio::test]
async fn a_modern_call_repeats_its_body_in_its_headers() {
    let web = modern(|ask| echo(&ask)).await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    assert_eq!((lease.negotiated().era, &*lease.negotiated().version), (Era::Modern, "2026-07-28"));
    let mut one = tool("\"c\"", &json!({"name": "größe", "arguments": {"region": "x"}}));
    one.headers.push(("mcp-param-region".parse().unwrap(), "x".parse().unwrap()));
    assert_eq!(result(lease.call(one)).await, json!({"region": "x"}));
    let ask = web.last("tools/call");
    let told =
        ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-region", "authorization", "x-team", "accept"]
            .map(|name| ask.header(name));
    let name = "=?base64?Z3LDtsOfZQ==?=";
    assert_eq!(
        told,
        ["2026-07-28", "tools/call", name, "x", "Bearer ours", "a", "application/json, text/event-stream"]
    );
    assert_eq!(ask.body["id"].as_u64().unwrap() >> 32, u64::from(EPOCH));
    assert_eq!(web.last("server/discover").header("mcp-method"), "server/discover");
    assert!(
        web.last("server/discover").body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_object()
    );
}

#[tokio::test]
async fn a_name_header_that_was_checked_goes_up_once_and_as_it_came() {
    let web = modern(|ask| echo(&ask)).await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    let mut one = tool("1", &json!({"name": "echo", "arguments": {}}));
    let checked = "=?base64?ZWNobw==?=";
    one.headers.push(("mcp-name".parse().unwrap(), checked.parse().unwrap()));
    assert_eq!(result(lease.call(one)).await, json!({}));
    let ask = web.last("tools/call");
    assert_eq!(ask.headers.get_all("mcp-name").iter().collect::<Vec<_>>(), [checked]);
}

#[tokio::test]
async fn a_modern_stream_gives_notes_then_the_answer() {
    let web = modern(|ask| {
        let (answer, stream) = Answer::stream();
        let token = ask.body["params"]["_meta"]["progressToken"].clone();
        stream.raw(": ping\n\nid: 1\nretry: 5\ndata:\n\n");
        stream.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}));
        stream.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "other", "progress": 1}}));
        stream.say(&json!({"jsonrpc": "2.0", "id": ask.body["id"], "result": {"done": true}}));
        answer
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    let mut one = lease.call(tool("1", &json!({"name": "t", "_meta": {"progressToken": "mine"}})));
    let Event::Note(note) = next(&mut one).await else { panic!("progress comes first") };
    assert_eq!(value(&note.params), json!({"progressToken": "mine", "progress": 1}));
    assert_eq!(result(one).await, json!({"done": true}));
}

#[tokio::test]
async fn dropping_a_modern_call_closes_its_stream_within_a_tenth_of_a_second() {
    let closed = Arc::new(Mutex::new(None::<Instant>));
    let seen = Arc::clone(&closed);
    let web = modern(move |_| {
        let (answer, stream) = Answer::stream();
        stream.raw(": here\n\n");
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            stream.closed().await;
            *seen.lock() = Some(Instant::now());
        });
        answer
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    let mut one = lease.call(tool("1", &json!({"name": "t"})));
    let _ = tokio::time::timeout(Duration::from_millis(50), one.next()).await;
    assert_eq!(web.times("tools/call"), 1);
    let dropped = Instant::now();
    drop(one);
    until("the stream is closed", || closed.lock().is_some()).await;
    assert!(closed.lock().unwrap().duration_since(dropped) < Duration::from_millis(100));
    assert_eq!(web.times("notifications/cancelled"), 0);
}

#[tokio::test]
async fn an_answer_under_400_or_404_is_the_servers_own() {
    let web = modern(|ask| match ask.body["params"]["name"].as_str() {
        Some("none") => ask.error(404, -32601, &json!(null)),
        Some("capability") => ask.error(400, -32021, &json!({"requiredCapabilities": {"sampling": {}}})),
        Some("busy") => Answer::status(503).with("retry-after", "3"),
        Some("page") => Answer::status(502).with("content-type", "text/html"),
        _ => Answer::status(401).with("www-authenticate", "Bearer resource_metadata=\"x\""),
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    let outcome = async |name: &str| lease.call(tool("1", &json!({"name": name}))).finish().await;
    for (name, code) in [("none", -32601), ("capability", -32021)] {
        assert!(matches!(outcome(name).await, Err(Failure::Rpc(error)) if error.code == code));
    }
    assert_eq!(refusal(outcome("busy").await).retry_after_ms, Some(3_000));
    let page = refusal(outcome("page").await);
    assert!(page.detail.contains("502") && page.retry_after_ms.is_none(), "{page}");
    assert!(refusal(outcome("oauth").await).detail.contains("\"headers\""));
}

#[tokio::test]
async fn a_server_that_wants_a_token_is_asked_once_and_the_refusal_names_headers() {
    let web = serve(|_| Answer::status(401)).await;
    let refused = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap_err();
    assert!(refused.detail.contains("\"headers\""), "{refused}");
    assert_eq!(web.heard.lock().len(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_said_to_be_so() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (fleet, _) =
        fleet(&json!([{"name": "h", "kind": "http", "tier": "high", "url": format!("http://{closed}/mcp")}]));
    let refused = shared(&fleet, "h", "ann", Era::Modern).await.unwrap_err();
    assert_eq!(refused.reason, Reason::ServerUnavailable);
    assert!(refused.retry_after_ms.is_some(), "nothing was sent");
}

#[tokio::test]
async fn a_probe_that_is_told_other_versions_is_made_again() {
    let first = AtomicBool::new(true);
    let web = serve(move |ask| match ask.method() {
        "server/discover" if first.swap(false, Ordering::Relaxed) => {
            ask.error(400, -32022, &json!({"supported": ["2026-07-28"]}))
        }
        "server/discover" => discovered(&ask),
        "initialize" => panic!("a modern server must not be greeted"),
        _ => echo(&ask),
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    assert_eq!(lease.negotiated().era, Era::Modern);
    assert_eq!(web.times("server/discover"), 2);
}

#[tokio::test]
async fn whatever_a_legacy_server_says_to_the_probe_it_is_greeted_and_remembered() {
    type Say = fn(&Ask) -> Answer;
    let says: [Say; 6] = [
        |_| Answer::status(400),
        |_| Answer::status(404),
        |ask| ask.error(200, -32601, &json!(null)),
        |ask| ask.error(400, -32022, &json!({"supported": ["2025-11-25"]})),
        |ask| ask.result(&json!({})),
        |ask| ask.error(400, -32000, &json!(null)),
    ];
    for say in says {
        let web = serve(move |ask| match (ask.verb.as_str(), ask.method()) {
            ("POST", "server/discover") => say(&ask),
            ("POST", "initialize") => ask.result(&json!({"protocolVersion": "2025-11-25", "capabilities": {}})),
            ("POST", "tools/call") => echo(&ask),
            ("POST", _) => Answer::status(202),
            _ => Answer::status(405),
        })
        .await;
        let fleet = remote(&web);
        for principal in ["ann", "bob"] {
            let lease = shared(&fleet, "h", principal, Era::Modern).await.unwrap();
            assert_eq!((lease.negotiated().era, &*lease.negotiated().version), (Era::Legacy, "2025-11-25"));
            result(lease.call(tool("1", &json!({"arguments": {}})))).await;
        }
        assert_eq!(
            (web.times("server/discover"), web.times("initialize")),
            (1, 2),
            "a session a principal, one probe in all"
        );
    }
}

#[tokio::test]
async fn a_modern_server_serves_legacy_callers_too() {
    let web = serve(|ask| match ask.method() {
        "server/discover" => discovered(&ask),
        "tools/call" => echo(&ask),
        _ => ask.error(404, -32601, &json!(null)),
    })
    .await;
    let fleet = remote(&web);
    for _ in 0..2 {
        assert_eq!(shared(&fleet, "h", "ann", Era::Legacy).await.unwrap().negotiated().era, Era::Modern);
    }
    assert_eq!(web.times("initialize"), 1);
}

#[tokio::test]
async fn a_legacy_session_is_named_on_every_request_and_deleted_at_the_end() {
    let web = legacy(false, |ask| echo(&ask)).await;
    let fleet = remote(&web);
    let lease = session(&fleet, "h", "one").await;
    assert_eq!(web.last("initialize").body["params"]["capabilities"], json!({"elicitation": {}}));
    assert_eq!(web.last("initialize").header("mcp-protocol-version"), "");
    result(lease.call(tool("1", &json!({"arguments": {}})))).await;
    for method in ["notifications/initialized", "tools/call"] {
        let ask = web.last(method);
        assert_eq!(
            (ask.header("mcp-session-id"), ask.header("mcp-protocol-version")),
            ("s0", "2025-06-18"),
            "{method}"
        );
    }
    let other = session(&fleet, "h", "two").await;
    result(other.call(tool("1", &json!({"arguments": {}})))).await;
    assert_eq!(web.last("tools/call").header("mcp-session-id"), "s1", "each session has its own");
    drop((lease, other, fleet));
    until("both are deleted", || web.times("DELETE") == 2).await;
}

#[tokio::test]
async fn dropping_a_legacy_call_tells_the_server_within_a_tenth_of_a_second() {
    let held = Arc::new(Mutex::new(Vec::<Stream>::new()));
    let keep = Arc::clone(&held);
    let web = legacy(false, move |_| {
        let (answer, stream) = Answer::stream();
        stream.raw(": here\n\n");
        keep.lock().push(stream);
        answer
    })
    .await;
    let lease = session(&remote(&web), "h", "one").await;
    let mut one = lease.call(tool("1", &json!({"name": "t"})));
    let _ = tokio::time::timeout(Duration::from_millis(50), one.next()).await;
    let dropped = Instant::now();
    drop(one);
    until("the server is told", || web.times("notifications/cancelled") == 1).await;
    assert!(dropped.elapsed() < Duration::from_millis(100));
    let (told, asked) = (web.last("notifications/cancelled"), web.last("tools/call"));
    assert_eq!(told.body["params"]["requestId"], asked.body["id"]);
    assert_eq!(told.header("mcp-session-id"), "s0");
}

#[tokio::test]
async fn a_forgotten_session_is_opened_again_once() {
    let known = Arc::new(Mutex::new("s0".to_owned()));
    let now = Arc::clone(&known);
    let web = legacy(
        false,
        move |ask| if ask.header("mcp-session-id") == *now.lock() { echo(&ask) } else { Answer::status(404) },
    )
    .await;
    let lease = session(&remote(&web), "h", "one").await;
    result(lease.call(tool("1", &json!({"arguments": {}})))).await;
    "s1".clone_into(&mut known.lock());
    let calls =
        futures_util::future::join_all((0..5).map(|_| result(lease.call(tool("1", &json!({"arguments": {"a": 1}}))))));
    assert!(calls.await.iter().all(|answer| *answer == json!({"a": 1})));
    assert_eq!(web.times("initialize"), 2, "five calls found it gone, one greeted");
    "nobody".clone_into(&mut known.lock());
    let refused = refusal(lease.call(tool("1", &json!({"arguments": {}}))).finish().await);
    assert!(refused.detail.contains("404"), "{refused}");
    assert_eq!(web.times("initialize"), 3);
}

#[tokio::test]
async fn a_stream_that_ends_early_goes_on_by_get_after_the_pause_it_asked_for() {
    let ended = Arc::new(Mutex::new(None::<(Value, Instant)>));
    let seen = Arc::clone(&ended);
    let resumed = Arc::new(Mutex::new(None::<Instant>));
    let again = Arc::clone(&resumed);
    let web = legacy(true, move |ask| {
        if ask.verb == "GET" && ask.header("last-event-id").is_empty() {
            return Answer::status(405);
        }
        let (answer, stream) = Answer::stream();
        if ask.verb == "GET" {
            assert_eq!((ask.header("last-event-id"), ask.header("mcp-session-id")), ("e-1", "s0"));
            *again.lock() = Some(Instant::now());
            let (id, _) = seen.lock().clone().unwrap();
            stream.say(&json!({"jsonrpc": "2.0", "id": id, "result": {"late": true}}));
        } else {
            stream.raw("id: e-1\nretry: 150\ndata:\n\n");
            *seen.lock() = Some((ask.body["id"].clone(), Instant::now()));
        }
        answer
    })
    .await;
    let lease = session(&remote(&web), "h", "one").await;
    let mut one = lease.call(tool("1", &json!({"name": "t"})));
    assert!(matches!(next(&mut one).await, Event::Pause { retry_ms: Some(150) }));
    assert_eq!(result(one).await, json!({"late": true}));
    let pause = resumed.lock().unwrap().duration_since(ended.lock().as_ref().unwrap().1);
    assert!(pause >= Duration::from_millis(150), "{pause:?}");
    assert_eq!(web.times("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_stream_without_event_ids_that_ends_early_is_a_refusal() {
    for stateful in [true, false] {
        let handle = |_: Ask| {
            let (answer, stream) = Answer::stream();
            stream.raw("retry: 1\n\n");
            answer
        };
        let web = if stateful { legacy(false, handle).await } else { modern(handle).await };
        let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
        let refused = refusal(lease.call(tool("1", &json!({}))).finish().await);
        assert!(refused.detail.contains("before it answered") && refused.retry_after_ms.is_none(), "{refused}");
    }
}

#[tokio::test]
async fn a_question_on_a_calls_stream_is_that_calls_and_is_answered_by_post() {
    let web = legacy(true, |ask| match ask.verb.as_str() {
        "GET" => Answer::status(405),
        _ if ask.method() == "tools/call" => {
            let (answer, stream) = Answer::stream();
            stream
                .say(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "?"}}));
            let id = ask.body["id"].clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                stream.say(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
            });
            answer
        }
        _ => Answer::status(202),
    })
    .await;
    let fleet = remote(&web);
    for lease in [session(&fleet, "h", "one").await, leased(&fleet, "h").await] {
        let mut one = lease.call(tool("1", &json!({"name": "t"})));
        let Event::Ask(question) = next(&mut one).await else { panic!("a question is expected") };
        question.answer.send(Ok(r#"{"action":"decline"}"#.into())).unwrap();
        result(one).await;
    }
    let answered = || {
        web.heard.lock().iter().filter(|ask| ask.body["id"] == "q" && ask.body["result"]["action"] == "decline").count()
    };
    until("both questions are answered", || answered() == 2).await;
}

#[tokio::test]
async fn the_sessions_own_stream_brings_notes_and_questions() {
    let streams = Arc::new(Mutex::new(Vec::<Stream>::new()));
    let open = Arc::clone(&streams);
    let web = legacy(true, move |ask| {
        if ask.verb == "GET" {
            let (answer, stream) = Answer::stream();
            stream.raw(": open\n\n");
            open.lock().push(stream);
            return answer;
        }
        Answer::status(202)
    })
    .await;
    let lease = session(&remote(&web), "h", "one").await;
    let (mut notes, mut questions) = (lease.notes(), lease.questions().unwrap());
    until("the stream is open", || !streams.lock().is_empty()).await;
    let stream = streams.lock()[0].clone();
    stream.say(&json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "a:b"}}));
    stream.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    stream.say(&json!({"jsonrpc": "2.0", "id": 2, "method": "roots/list"}));
    assert_eq!(&*notes.recv().await.unwrap().method, "notifications/resources/updated");
    let question = tokio::time::timeout(Duration::from_secs(5), questions.recv()).await.unwrap().unwrap();
    question.answer.send(Ok(r#"{"roots":[]}"#.into())).unwrap();
    until("ping and question are answered", || {
        let heard = web.heard.lock();
        [json!(1), json!(2)]
            .iter()
            .all(|id| heard.iter().any(|ask| ask.body["id"] == *id && ask.body["result"].is_object()))
    })
    .await;
}

#[tokio::test]
async fn a_subscription_over_http_keeps_the_clients_id() {
    let key = "io.modelcontextprotocol/subscriptionId";
    let web = modern(move |ask| {
        let (answer, stream) = Answer::stream();
        let params = json!({"_meta": {key: ask.body["id"]}});
        stream.say(&json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}));
        stream.say(&json!({"jsonrpc": "2.0", "id": ask.body["id"], "result": {"_meta": {key: ask.body["id"]}}}));
        answer
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    let mut listen = lease.call(call("1700000000000", "subscriptions/listen", &json!({"notifications": {}})));
    let Event::Note(note) = next(&mut listen).await else { panic!("the acknowledgement is expected") };
    assert_eq!(value(&note.params)["_meta"][key], 1_700_000_000_000_u64);
    assert_eq!(result(listen).await["_meta"][key], 1_700_000_000_000_u64);
}

#[tokio::test]
async fn a_call_over_http_times_out_and_is_cancelled() {
    let held = Arc::new(Mutex::new(Vec::<Stream>::new()));
    let keep = Arc::clone(&held);
    let web = modern(move |_| {
        let (answer, stream) = Answer::stream();
        keep.lock().push(stream);
        answer
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    let mut silent = tool("1", &json!({}));
    silent.idle = Some(Duration::from_millis(100));
    assert_eq!(refusal(lease.call(silent).finish().await).reason, Reason::UpstreamTimeout);
    let stream = held.lock()[0].clone();
    tokio::time::timeout(Duration::from_millis(100), stream.closed()).await.expect("its stream is closed");
}

#[tokio::test]
async fn a_body_that_is_no_message_or_another_calls_is_a_refusal() {
    let web = modern(|ask| match ask.body["params"]["name"].as_str() {
        Some("other") => Answer::json(200, &json!({"jsonrpc": "2.0", "id": 5, "result": {}})),
        Some("text") => Answer::status(200).with("content-type", "text/plain"),
        _ => Answer::json(200, &json!(["not a message"])),
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    for name in ["other", "text", "array"] {
        let refused = refusal(lease.call(tool("1", &json!({"name": name}))).finish().await);
        assert!(refused.retry_after_ms.is_none(), "{refused}");
    }
}

#[tokio::test]
async fn connections_are_used_again_also_after_streams() {
    let web = modern(|ask| {
        if ask.body["params"]["name"] == "json" {
            return echo(&ask);
        }
        let (answer, stream) = Answer::stream();
        stream.say(&json!({"jsonrpc": "2.0", "id": ask.body["id"], "result": {}}));
        answer
    })
    .await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    for name in ["json", "stream", "json", "stream", "json"] {
        result(lease.call(tool("1", &json!({"name": name, "arguments": {}})))).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(web.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_the_server_has_closed_costs_no_call() {
    let web = modern(|ask| echo(&ask)).await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    for n in 0..20 {
        let calls = (0..4).map(|_| result(lease.call(tool("1", &json!({"arguments": {"n": n}})))));
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(answer, json!({"n": n}));
        }
        web.hang_up();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_hundred_calls_at_once_over_http_never_cross() {
    let web = modern(|ask| echo(&ask)).await;
    let lease = shared(&remote(&web), "h", "ann", Era::Modern).await.unwrap();
    for round in 0..5 {
        let calls = (0..100).map(|n| result(lease.call(tool("1", &json!({"arguments": {"n": [round, n]}})))));
        for (n, answer) in futures_util::future::join_all(calls).await.iter().enumerate() {
            assert_eq!(*answer, json!({"n": [round, n]}));
        }
    }
    let ids: std::collections::BTreeSet<u64> =
        web.heard.lock().iter().filter_map(|ask| ask.body["id"].as_u64()).collect();
    assert_eq!(ids.len(), 501, "every request has a number of its own");
}

#[tokio::test]
async fn a_server_without_tls_behind_https_is_a_refusal() {
    let web = modern(|ask| echo(&ask)).await;
    let url = web.url.replace("http://", "https://");
    let (fleet, _) = fleet(&json!([{"name": "h", "kind": "http", "tier": "high", "url": url}]));
    let refused = shared(&fleet, "h", "ann", Era::Modern).await.unwrap_err();
    assert!(refused.detail.contains("cannot be reached"), "{refused}");
    assert!(web.heard.lock().is_empty());
}

#[tokio::test]
async fn a_question_taken_back_over_http_is_gone() {
    let web = legacy(true, |ask| match ask.verb.as_str() {
        "GET" => Answer::status(405),
        _ if ask.method() == "tools/call" => {
            let (answer, stream) = Answer::stream();
            stream.say(&json!({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {}}));
            stream.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "q"}}));
            stream.say(&json!({"jsonrpc": "2.0", "id": ask.body["id"], "result": {}}));
            answer
        }
        _ => Answer::status(202),
    })
    .await;
    let lease = session(&remote(&web), "h", "one").await;
    let mut one = lease.call(tool("1", &json!({"name": "t"})));
    let Event::Ask(mut question) = next(&mut one).await else { panic!("a question is expected") };
    result(one).await;
    tokio::time::timeout(Duration::from_secs(5), question.answer.closed()).await.expect("it was taken back");
    assert!(web.heard.lock().iter().all(|ask| ask.body["id"] != "q"), "what was taken back is not answered");
}

#[tokio::test]
async fn a_server_that_writes_in_pieces_is_not_slow() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // As a simple server does: head and body apart, and the second waits for the first to be acknowledged.
        stream.set_nodelay(false).unwrap();
        let (mut heard, mut answered) = (vec![0u8; 1 << 16], 0);
        loop {
            let count = stream.read(&mut heard).await.unwrap();
            let text = String::from_utf8_lossy(&heard[..count]).into_owned();
            let Some((_, body)) = text.split_once("\r\n\r\n") else { return };
            let ask: Value = serde_json::from_str(body).unwrap();
            let result = json!({"supportedVersions": ["2026-07-28"]});
            let answer = json!({"jsonrpc": "2.0", "id": ask["id"], "result": result}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            // The head itself may come in two as well.
            let (begins, ends) = head.split_at(if answered % 2 == 0 { 20 } else { 0 });
            answered += 1;
            for piece in [begins, ends, &answer] {
                stream.write_all(piece.as_bytes()).await.unwrap();
            }
        }
    });
    let (fleet, _) = fleet(&json!([{"name": "h", "kind": "http", "tier": "high", "url": url}]));
    let lease = shared(&fleet, "h", "ann", Era::Modern).await.unwrap();
    let begun = Instant::now();
    for _ in 0..50 {
        result(lease.call(tool("1", &json!({})))).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
