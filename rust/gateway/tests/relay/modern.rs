//! Modern clients of a modern server.

use std::time::{Duration, Instant};

use omnimind_gateway::reply::Reply;
use serde_json::{Value, json};

use crate::{
    double::{Double, Speaks},
    host::{CAPABILITIES, Host, Stream, VERSION, collect},
};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

#[tokio::test]
async fn a_call_passes_with_its_own_id_and_meta() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let params = json!({"name": "echo", "arguments": {"text": "hello"}, "_meta": {"traceparent": "00-1-2-01"}});
    let answer = collect(host.modern_as("ann", json!("my id"), "tools/call", params, json!({}), &[]).await).await;
    assert_eq!((answer.status, answer.text(), &answer.end["id"]), (200, "hello", &json!("my id")));
    assert_eq!(answer.end["result"]["resultType"], "complete");
    let heard = double.wait_for("tools/call", 1).await;
    assert_eq!(heard["params"]["_meta"]["traceparent"], "00-1-2-01");
    assert_eq!(heard["params"]["_meta"][VERSION], "2026-07-28");
}

#[tokio::test]
async fn nothing_under_omnimind_reaches_the_server_however_it_is_spelled() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"omnimind/kept":1},"_meta":{
        "omnimind/principal":"root","omnimind\/deadlineMs":1,"omnimin\u0064/query":"x","kept":true,
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    let answer = collect(host.post_raw("ann", &headers, body.to_owned()).await).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let heard = double.wait_for("tools/call", 1).await;
    let meta = heard["params"]["_meta"].as_object().unwrap();
    let mut keys: Vec<&str> = meta.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, [CAPABILITIES, VERSION, "kept"]);
    assert_eq!(heard["params"]["arguments"]["omnimind/kept"], 1);
}

#[tokio::test]
async fn progress_comes_before_the_answer_with_the_clients_token() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let params = json!({"name": "progress", "_meta": {"progressToken": "mine"}});
    let answer = collect(host.modern("tools/call", params).await).await;
    let steps: Vec<&Value> = answer.notes.iter().map(|note| &note["params"]["progress"]).collect();
    assert_eq!(steps, [1, 2, 3]);
    assert!(answer.notes.iter().all(|note| note["params"]["progressToken"] == "mine"));
    assert_eq!(answer.text(), "done");
}

#[tokio::test]
async fn dropping_the_stream_cancels_the_call_upstream_within_100_ms() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let mut stream = Stream::of(host.modern("tools/call", json!({"name": "silent"})).await);
    let heard = tokio::select! {
        heard = double.wait_for("tools/call", 1) => heard,
        message = stream.next() => panic!("{message}"),
    };
    let dropped = Instant::now();
    drop(stream);
    let cancelled = double.wait_for("notifications/cancelled", 1).await;
    assert_eq!(cancelled["params"]["requestId"], heard["id"]);
    assert!(dropped.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn errors_keep_their_code_and_get_the_status_of_the_era() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let missing = collect(host.modern("resources/read", json!({"uri": "test://none"})).await).await;
    assert_eq!((missing.status, missing.code()), (400, -32602));
    assert_eq!(missing.end["error"]["data"]["uri"], "test://none");
    let capability = host.call("fails", json!({})).await;
    assert_eq!((capability.status, capability.code()), (400, -32021));
    let unknown = collect(host.modern("unknown/method", json!({})).await).await;
    assert_eq!((unknown.status, unknown.code()), (404, -32601));
}

#[tokio::test]
async fn what_the_era_has_done_away_with_never_reaches_the_server() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
        let answer = collect(host.modern(method, json!({})).await).await;
        assert_eq!((answer.status, answer.code(), &answer.end["id"]), (404, -32601, &json!(1)), "{method}");
        assert!(double.heard(method).is_empty());
    }
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let meta = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "_meta": meta}});
    let other = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "other")];
    let answer = collect(host.post("ann", &other, &body).await).await;
    assert_eq!((answer.status, answer.code()), (400, -32020));
    let twice = [other[0], other[1], ("mcp-name", "echo"), ("mcp-name", "echo")];
    assert_eq!(collect(host.post("ann", &twice, &body).await).await.code(), -32020);
    let strange = [("mcp-protocol-version", "v999"), other[1], other[2]];
    let answer = collect(host.post("ann", &strange, &body).await).await;
    assert_eq!(
        (answer.status, answer.code(), &answer.end["error"]["data"]["requested"]),
        (400, -32022, &json!("v999"))
    );
    let smuggled = collect(host.post("ann", &[], &body).await).await;
    assert_eq!((smuggled.status, smuggled.code()), (400, -32020));
    assert!(double.heard("tools/call").is_empty());
}

#[tokio::test]
async fn every_version_named_in_a_refusal_is_one_that_discover_names() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let discover = collect(host.modern("server/discover", json!({})).await).await;
    assert_eq!(discover.end["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "double");
    let offered = discover.end["result"]["supportedVersions"].as_array().unwrap().clone();
    assert!(offered.contains(&json!("2026-07-28")));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let refused = collect(host.post("ann", &[("mcp-protocol-version", "2099-01-01")], &body).await).await;
    let supported = refused.end["error"]["data"]["supported"].as_array().unwrap();
    assert!(!supported.is_empty() && supported.iter().all(|version| offered.contains(version)));
}

#[tokio::test]
async fn annotated_arguments_must_equal_their_headers() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let params = || json!({"name": "regional", "arguments": {"region": "eu", "text": "t"}});
    let call =
        |headers: &'static [(&str, &str)]| host.modern_as("ann", json!(1), "tools/call", params(), json!({}), headers);
    let missing = collect(call(&[]).await).await;
    assert_eq!((missing.status, missing.code()), (400, -32020));
    assert_eq!(collect(call(&[("mcp-param-region", "us")]).await).await.code(), -32020);
    assert_eq!(collect(call(&[("mcp-param-region", "=?base64?ZXU?=")]).await).await.code(), -32020);
    assert!(double.heard("tools/call").is_empty());
    assert_eq!(collect(call(&[("mcp-param-region", "eu"), ("mcp-param-else", "x")]).await).await.text(), "t");
    assert_eq!(collect(call(&[("mcp-param-region", "=?base64?ZXU=?=")]).await).await.text(), "t");
    assert_eq!(double.heard("tools/list").len(), 1, "the schema is asked for once");
}

#[tokio::test]
async fn a_subscription_is_acknowledged_first_and_hears_only_what_it_asked_for() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let listen = |id: i64, wanted: Value| {
        host.modern_as("ann", json!(id), "subscriptions/listen", json!({"notifications": wanted}), json!({}), &[])
    };
    let mut tools = Stream::of(listen(1_700_000_000_001, json!({"toolsListChanged": true})).await);
    let mut prompts = Stream::of(listen(1_700_000_000_002, json!({"promptsListChanged": true})).await);
    let first = tools.next().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(first["params"]["_meta"][SUBSCRIPTION], 1_700_000_000_001_i64);
    prompts.next().await;
    host.call("change", json!({})).await;
    let note = tools.next().await;
    assert_eq!(note["method"], "notifications/tools/list_changed");
    assert_eq!(note["params"]["_meta"][SUBSCRIPTION], 1_700_000_000_001_i64);
    assert_eq!(prompts.next().await["method"], "notifications/prompts/list_changed");
    assert!(tools.is_quiet().await && prompts.is_quiet().await);
}

#[tokio::test]
async fn a_subscription_outlives_its_connection_and_reports_the_gap_as_a_change() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let params = json!({"notifications": {"toolsListChanged": true}});
    let mut stream = Stream::of(host.modern("subscriptions/listen", params).await);
    stream.next().await;
    double.hang_up();
    assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    assert_eq!(double.heard("subscriptions/listen").len(), 2);
    host.call("change", json!({})).await;
    assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn closing_a_subscription_ends_it_upstream() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let params = json!({"notifications": {"toolsListChanged": true}});
    let mut stream = Stream::of(host.modern("subscriptions/listen", params).await);
    stream.next().await;
    drop(stream);
    let cancelled = double.wait_for("notifications/cancelled", 1).await;
    assert_eq!(cancelled["params"]["requestId"], double.heard("subscriptions/listen")[0]["id"]);
}

#[tokio::test]
async fn a_malformed_subscription_is_refused() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    for notifications in [json!(null), json!([]), json!({"toolsListChanged": 1}), json!({"resourceSubscriptions": [1]})]
    {
        let answer = collect(host.modern("subscriptions/listen", json!({"notifications": notifications})).await).await;
        assert_eq!((answer.status, answer.code()), (400, -32602));
    }
}

#[tokio::test]
async fn notifications_are_taken_and_responses_are_not() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let headers = [("mcp-protocol-version", "2026-07-28")];
    let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert!(matches!(host.post("ann", &headers, &note).await, Reply::Accepted));
    let response = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    assert_eq!(collect(host.post("ann", &headers, &response).await).await.status, 400);
}

#[tokio::test]
async fn a_call_whose_connection_broke_before_it_left_is_sent_again() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    assert_eq!(host.call("echo", json!({"text": "1"})).await.text(), "1");
    double.hang_up();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(host.call("echo", json!({"text": "2"})).await.text(), "2");
}

#[tokio::test]
async fn a_client_may_shorten_its_deadline() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let params = json!({"name": "silent", "_meta": {"omnimind/timeoutMs": 50}});
    let answer = collect(host.modern("tools/call", params).await).await;
    assert_eq!((answer.status, answer.code()), (504, 50_400));
    double.wait_for("notifications/cancelled", 1).await;
}
