//! Results that are never held whole.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    stage::Stage,
    upstream_doubles::web::{Answer, Ask},
};

/// Above what is passed on piece by piece.
const LONG: usize = 3 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// The text of a large block.
fn text(bytes: usize) -> String {
    "what is written \u{e9}\\n".repeat(bytes / 20)
}

/// An answer written in pieces of odd lengths; `head` and `tail` stand around the text.
fn answered(kind: &'static str, head: String, bytes: usize, tail: String) -> Answer {
    let (answer, sender) = Answer::pieces(kind);
    tokio::spawn(async move {
        let whole = head + &text(bytes) + &tail;
        let mut rest = whole.as_str();
        while !rest.is_empty() {
            let cut = (1..=rest.len().min(100_003)).rev().find(|at| rest.is_char_boundary(*at)).unwrap();
            let (piece, after) = rest.split_at(cut);
            if sender.send(piece.to_owned()).await.is_err() {
                return;
            }
            rest = after;
        }
    });
    answer
}

/// A result with a link, an embedded resource and a long text, as one message under the call's own id.
fn message(ask: &Ask, more: &str) -> (String, String) {
    let head = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{{more}\"content\":[{{\"uri\":\"file:///a\",\"name\":\"a\",\
         \"type\":\"resource_link\"}},{{\"type\":\"resource\",\"resource\":{{\"uri\":\"file:///b\",\"text\":\"\"}}}},\
         {{\"type\":\"text\",\"text\":\"",
        ask.body["id"]
    );
    (head, "\"}],\"_meta\":{\"a\":1,\"omnimind/depends\":[]}}}".to_owned())
}

fn expected(prefix: &str, more: &[(&str, Value)]) -> Value {
    let written = serde_json::from_str::<Value>(&format!("\"{}\"", text(LONG))).unwrap();
    let mut result = json!({
        "content": [
            {"uri": format!("{prefix}file:///a"), "name": "a", "type": "resource_link"},
            {"type": "resource", "resource": {"uri": format!("{prefix}file:///b"), "text": ""}},
            {"type": "text", "text": written},
        ],
        "_meta": {"a": 1},
    });
    for (key, value) in more {
        result[*key] = value.clone();
    }
    json!({"jsonrpc": "2.0", "id": "a-1", "result": result})
}

/// The whole answer is compared, but not shown.
fn same(body: &[u8], expected: &Value) {
    let value: Value = serde_json::from_slice(body).unwrap();
    assert!(value == *expected, "{:.300}", value.to_string());
}

fn complete() -> (&'static str, Value) {
    ("resultType", json!("complete"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_result_comes_as_it_was_sent_in_the_names_of_its_endpoint() {
    let stage = Stage::modern(json!({}), |ask| {
        let (head, tail) = message(&ask, "\"resultType\":\"complete\",");
        answered("application/json", head, LONG, tail)
    })
    .await;
    for (path, prefix) in [("/servers/h/mcp", ""), ("/mcp", "omnimind+h:")] {
        let answer = stage.ask(stage.call(path, &[])).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
        same(&answer.body, &expected(prefix, &[complete()]));
    }
    let packed = stage.ask(stage.call("/servers/h/mcp", &[(header::ACCEPT_ENCODING, "zstd")])).await;
    assert_eq!(packed.header(header::CONTENT_ENCODING), "zstd");
    same(&zstd::stream::decode_all(&packed.body[..]).unwrap(), &expected("", &[complete()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_event_is_passed_on_as_an_answer_and_as_an_event() {
    let stage = Stage::modern(json!({}), |ask| {
        let (head, tail) = message(&ask, "\"resultType\":\"complete\",");
        let head = format!(": hello\n\nevent: message\nid: 4\ndata: {head}");
        answered("text/event-stream", head, LONG, format!("{}\n\n: bye\n\n", tail.replace("}]", "}\ndata:]")))
    })
    .await;
    let answer = stage.ask(stage.call("/mcp", &[])).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    same(&answer.body, &expected("omnimind+h:", &[complete()]));
    let answer = stage.ask(stage.call("/mcp", &[(header::ACCEPT, "text/event-stream")])).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "text/event-stream");
    let event = std::str::from_utf8(&answer.body).unwrap();
    let data = event.strip_prefix("event: message\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    assert!(!data.contains('\n'));
    same(data.as_bytes(), &expected("omnimind+h:", &[complete()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_result_crosses_the_eras_both_ways() {
    let stage = Stage::legacy(|ask| {
        let (head, tail) = message(&ask, "");
        answered("application/json", head, LONG, tail)
    })
    .await;
    let info = json!({"a": 1, "io.modelcontextprotocol/serverInfo": {"name": "old", "version": "1"}});
    let answer = stage.ask(stage.call("/servers/h/mcp", &[])).await;
    same(&answer.body, &expected("", &[complete(), ("_meta", info)]));

    let stage = Stage::modern(json!({}), |ask| {
        let (head, tail) = message(&ask, "\"resultType\":\"complete\",\"structuredContent\":[1],");
        answered("application/json", head, LONG, tail)
    })
    .await;
    let session = stage.session().await;
    same(&stage.ask(stage.legacy_call(&session)).await.body, &expected("", &[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_may_come_last_and_must_be_the_calls() {
    let stage = |id: fn(&Ask) -> Value| {
        Stage::modern(json!({}), move |ask| {
            let head =
                "{\"jsonrpc\":\"2.0\",\"result\":{\"resultType\":\"complete\",\"content\":[],\"x\":\"".to_owned();
            answered("application/json", head, LONG, format!("\"}},\"id\":{}}}", id(&ask)))
        })
    };
    let right = stage(|ask| ask.body["id"].clone()).await;
    let answer = right.ask(right.call("/servers/h/mcp", &[])).await;
    assert!(serde_json::from_slice::<Value>(&answer.body).unwrap()["result"]["x"].is_string());
    let wrong = stage(|_| json!(1)).await;
    let body = wrong.begin(wrong.call("/servers/h/mcp", &[])).await.into_body();
    assert!(body.collect().await.is_err(), "an answer to another is broken off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_off_or_is_no_json_breaks_the_answer_off() {
    for tail in ["", "\u{1}\"}]}}", "\"}]}}}", "\"}],\"content\":1}}", "\"}],\"resultType\":\"input_required\"}}"] {
        let stage = Stage::modern(json!({}), move |ask| {
            let (head, _) = message(&ask, "");
            answered("application/json", head, LONG, tail.to_owned())
        })
        .await;
        let response = stage.begin(stage.call("/servers/h/mcp", &[])).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.into_body().collect().await.is_err(), "{tail}");
        let after = stage.ask(stage.get("/healthz", "identity")).await;
        assert_eq!(after.status, StatusCode::OK);
    }
}

/// An endless result; counts what was taken of it.
fn endless(ask: &Ask, taken: &Arc<AtomicUsize>) -> Answer {
    let (answer, sender) = Answer::pieces("application/json");
    let (head, _) = message(ask, "\"resultType\":\"complete\",");
    let (piece, taken) = (text(64 << 10), Arc::clone(taken));
    tokio::spawn(async move {
        for next in std::iter::once(&head).chain(std::iter::repeat(&piece)) {
            if sender.send(next.clone()).await.is_err() {
                break;
            }
            taken.fetch_add(next.len(), Relaxed);
        }
        taken.store(usize::MAX, Relaxed);
    });
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_read_no_faster_than_the_client_reads_and_let_go_with_it() {
    let taken = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&taken);
    let stage = Stage::modern(json!({}), move |ask| endless(&ask, &count)).await;
    let mut body = stage.begin(stage.call("/servers/h/mcp", &[])).await.into_body();
    body.frame().await.unwrap().unwrap();
    let rest = || async {
        let mut before = usize::MAX;
        while taken.load(Relaxed) != before {
            before = taken.load(Relaxed);
            sleep(Duration::from_millis(300)).await;
        }
        before
    };
    // What lies between are the buffers of two sockets in the kernel, each of a few megabytes.
    let stood = timeout(PATIENCE, rest()).await.expect("it stands still");
    assert!(stood < 32 << 20, "{stood} bytes were taken for a client that takes none");
    let mut read = 0;
    while read < stood + (4 << 20) {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    drop(body);
    let gone = async {
        while taken.load(Relaxed) != usize::MAX {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the server is let go when its client goes");
}
