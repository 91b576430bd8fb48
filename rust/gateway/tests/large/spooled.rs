//! Large results over a stream that many calls share.

use std::{fs, path::Path, time::Duration};

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    stage::{Answered, Stage},
    upstream_doubles::lines::{Double, Line, Speaks, folder, serve},
};

const LONG: usize = 3 << 20;
const SOON: Duration = Duration::from_secs(5);

fn text(bytes: usize) -> String {
    "what is written \u{e9}\n".repeat(bytes / 18)
}

/// A server whose first call of a tool is answered so, and every other at once with a short text.
fn server(first: impl Fn(&Value, &Line) + Send + Sync + 'static) -> Double {
    let begun = std::sync::atomic::AtomicBool::new(false);
    serve(false, Speaks::Modern, move |message, line| match message["method"].as_str() {
        Some("tools/list") => {
            let tools = json!([{"name": "make", "inputSchema": {"type": "object"}, "description": text(LONG)}]);
            line.answer(
                &message,
                &json!({"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}),
            );
        }
        Some("tools/call") if !begun.swap(true, std::sync::atomic::Ordering::Relaxed) => first(&message, &line),
        Some("tools/call") => line.answer(&message, &result("short")),
        _ => {}
    })
}

fn result(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
}

fn said(answer: &Answered) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn files(state: &Path) -> usize {
    fs::read_dir(state.join("spool")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_result_comes_as_it_was_sent_wherever_its_id_stands() {
    for id_first in [true, false] {
        let state = folder(1);
        let server = server(move |message, line| {
            let (id, result) = (&message["id"], result(&text(LONG)));
            line.raw(&if id_first {
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n")
            } else {
                format!("{{\"result\":{result},\"jsonrpc\":\"2.0\",\"id\":{id} }}\n")
            });
        });
        let stage = Stage::unix(server, &state);
        let answer = stage.ask(stage.call("/mcp", &[])).await;
        assert_eq!(answer.status, StatusCode::OK);
        let expected = json!({"jsonrpc": "2.0", "id": "a-1", "result": result(&text(LONG))});
        assert!(said(&answer) == expected, "{:.200}", said(&answer).to_string());
        assert_eq!(files(&state), 0, "a file has a name");
        // A list is as long, and is read by the gateway itself.
        let again = stage.ask(stage.call("/mcp", &[])).await;
        assert_eq!(said(&again)["result"], result("short"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_nobody_else_up() {
    let state = folder(1);
    let stage = Stage::unix(server(|message, line| line.answer(message, &result(&text(12 << 20)))), &state);
    let mut slow = stage.begin(stage.call("/servers/h/mcp", &[])).await.into_body();
    slow.frame().await.unwrap().unwrap();
    for _ in 0..20 {
        let answer = timeout(SOON, stage.ask(stage.call("/servers/h/mcp", &[]))).await.expect("it is answered");
        assert_eq!(said(&answer)["result"], result("short"));
    }
    let rest = slow.collect().await.unwrap().to_bytes();
    assert!(rest.len() > 11 << 20, "{}", rest.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_cannot_be_kept_fails_alone() {
    let server = server(|message, line| line.answer(message, &result(&text(LONG))));
    let stage = Stage::unix(server, Path::new("/nonexistent"));
    let answer = stage.ask(stage.call("/servers/h/mcp", &[])).await;
    let why = said(&answer)["error"]["message"].to_string();
    assert!(why.contains("the answer of h cannot be kept for its client"), "{why}");
    let next = stage.ask(stage.call("/servers/h/mcp", &[])).await;
    assert_eq!(said(&next)["result"], result("short"));
}
