//! Bodies packed by `Accept-Encoding`.

use std::io::Read;

use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::{
    stage::{Answered, Stage},
    upstream_doubles::web::Answer,
};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

fn unpacked(coding: &str, packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // The beginning of a stream ends too early; what can be read of it is in the text.
    let _ = match coding {
        "zstd" => zstd::stream::read::Decoder::new(packed).unwrap().read_to_end(&mut text),
        "br" => brotli::Decompressor::new(packed, 4096).read_to_end(&mut text),
        "gzip" => flate2::read::GzDecoder::new(packed).read_to_end(&mut text),
        _ => {
            text.extend_from_slice(packed);
            Ok(0)
        }
    };
    text
}

/// A result of about so many bytes.
fn result(bytes: usize) -> Value {
    let text = (0..bytes / 24).map(|line| format!("{line}: what is written")).collect::<Vec<_>>().join("\n");
    json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
}

async fn stage(edge: Value, bytes: usize) -> Stage {
    Stage::modern(edge, move |ask| ask.result(&result(bytes))).await
}

async fn asked(stage: &Stage, accepts: &str) -> Answered {
    stage.ask(stage.call("/servers/h/mcp", &[(header::ACCEPT_ENCODING, accepts)])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_packed_as_the_client_likes_it_and_says_the_same() {
    for bytes in [4_000, 400_000] {
        let stage = stage(json!({}), bytes).await;
        let plain = asked(&stage, "identity").await;
        assert_eq!(plain.header(header::CONTENT_ENCODING), "");
        assert_eq!(plain.header(header::VARY), "Accept-Encoding");
        for (accepts, coding) in [
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip, deflate, br", "br"),
            ("gzip, deflate", "gzip"),
            ("zstd;q=0.5, br;q=0.7, gzip", "gzip"),
        ] {
            let packed = asked(&stage, accepts).await;
            assert_eq!(packed.status, StatusCode::OK);
            assert_eq!(packed.header(header::CONTENT_ENCODING), coding, "{accepts}");
            assert_eq!(packed.header(header::VARY), "Accept-Encoding");
            assert_eq!(packed.header(header::CONTENT_TYPE), "application/json");
            assert_eq!(unpacked(coding, &packed.body), plain.body, "{coding} of {bytes}");
            assert!(packed.body.len() * 2 < plain.body.len(), "{coding} of {bytes}: {}", packed.body.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_short_stays_as_it_is_and_so_does_everything_where_that_is_set() {
    let short = stage(json!({}), 600).await;
    let answer = asked(&short, "zstd, gzip").await;
    assert_eq!((answer.header(header::CONTENT_ENCODING), answer.header(header::VARY)), ("", ""));
    let eager = stage(json!({"compress_from_bytes": 100}), 600).await;
    assert_eq!(asked(&eager, "zstd, gzip").await.header(header::CONTENT_ENCODING), "zstd");
    let off = stage(json!({"compression": false}), 8_000).await;
    let answer = asked(&off, "zstd, gzip").await;
    assert_eq!((answer.header(header::CONTENT_ENCODING), answer.header(header::VARY)), ("", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_packed_and_a_head_alone_is_not() {
    let stage = stage(json!({}), 0).await;
    let packed = stage.ask(stage.get("/metrics", "gzip")).await;
    assert_eq!(packed.header(header::CONTENT_ENCODING), "gzip");
    assert!(unpacked("gzip", &packed.body).starts_with(b"# "));
    let mut head = stage.get("/metrics", "gzip");
    *head.method_mut() = http::Method::HEAD;
    assert_eq!(stage.ask(head).await.header(header::CONTENT_ENCODING), "");
    let brief = stage.ask(stage.get("/healthz", "gzip")).await;
    assert_eq!((brief.header(header::CONTENT_ENCODING), &brief.body[..]), ("", &b"ok\n"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_can_be_read_when_it_has_been_sent() {
    for coding in CODINGS {
        let (answer, stream) = Answer::stream();
        let answer = std::sync::Mutex::new(Some(answer));
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
        let heard = asked.clone();
        let stage = Stage::modern(json!({}), move |ask| {
            *heard.lock().unwrap() = ask.body.clone();
            answer.lock().unwrap().take().unwrap()
        })
        .await;
        let say = |line: u32| {
            stream.say(&json!({"jsonrpc": "2.0", "method": "notifications/message",
                "params": {"level": "info", "data": format!("line {line}")}}));
        };
        say(0);
        let request = stage.call("/servers/h/mcp", &[(header::ACCEPT_ENCODING, coding)]);
        let (head, mut body) = stage.begin(request).await.into_parts();
        assert_eq!(head.headers[header::CONTENT_ENCODING], coding);
        assert_eq!(head.headers[header::CONTENT_TYPE], "text/event-stream");
        let mut packed = Vec::new();
        for line in 0..3 {
            // Nothing more is said before this line has come.
            let wanted = format!("line {line}");
            while !String::from_utf8(unpacked(coding, &packed)).unwrap().contains(&wanted) {
                let frame = tokio::time::timeout(std::time::Duration::from_secs(5), body.frame()).await;
                packed.extend_from_slice(&frame.expect("it comes at once").unwrap().unwrap().into_data().unwrap());
            }
            say(line + 1);
        }
        let id = asked.lock().unwrap()["id"].clone();
        stream.say(&json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "resultType": "complete"}}));
        packed.extend_from_slice(&body.collect().await.unwrap().to_bytes());
        let text = String::from_utf8(unpacked(coding, &packed)).unwrap();
        assert!(text.ends_with("\n\n") && text.contains(r#""id":"a-1""#), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_who_reads_no_events_is_packed_too() {
    let stage = stage(json!({}), 4_000).await;
    let only_json = [(header::ACCEPT, "application/json"), (header::ACCEPT_ENCODING, "br")];
    let packed = stage.ask(stage.call("/mcp", &only_json)).await;
    assert_eq!(packed.header(header::CONTENT_ENCODING), "br");
    let text: Value = serde_json::from_slice(&unpacked("br", &packed.body)).unwrap();
    assert_eq!(text["result"], result(4_000));
}
