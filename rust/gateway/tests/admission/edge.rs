//! Refusals as a client sees them over HTTP: the status, the header and the body, whatever way they came.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use omnimind_gateway::Gateway;
use serde_json::{Value, json};

use crate::{
    doubles::lines::{self, Double, Speaks},
    stage::{Held, result, until},
};

/// A gateway on a real port before a server that holds what it is asked.
struct Served {
    gateway: Option<Gateway>,
    address: SocketAddr,
    held: Held,
    _double: Double,
}

fn serve(limits: Value, of_all: Value) -> Served {
    let held = Held::default();
    let holding = std::sync::Arc::clone(&held);
    let double = lines::serve(false, Speaks::Both, move |message, line| match message["params"]["name"].as_str() {
        Some("hold") => holding.lock().push((message, line)),
        _ => line.answer(&message, &result("done")),
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = json!({"name": "double", "kind": "unix", "tier": "high", "path": double.path, "limits": limits});
    let start = json!({
        "epoch": 1, "listeners": [{"name": "double", "address": address.to_string()}],
        "snapshot": {"version": "0", "state_dir": "/nonexistent", "keys": ["11".repeat(32)], "limits": of_all,
                     "auth": {"required": false}, "servers": [server]},
    });
    let gateway = Gateway::start(start.to_string().as_bytes(), vec![listener.into()]).unwrap();
    Served { gateway: Some(gateway), address, held, _double: double }
}

impl Served {
    async fn call(&self, tool: &str, meta: Value) -> (u16, HeaderMap, Value) {
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut all = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        let params = json!({"name": tool, "arguments": {}, "_meta": all});
        let body = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
        let request = Request::post("/mcp")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        driver.abort();
        (status, headers, serde_json::from_slice(&body).unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let gateway = self.gateway.take().unwrap();
        std::thread::spawn(move || gateway.drain(Duration::ZERO));
    }
}

#[track_caller]
fn assert_refused(answer: &(u16, HeaderMap, Value), status: u16, code: i64, reason: &str) {
    let (seen, headers, body) = answer;
    assert_eq!((*seen, &body["error"]["code"]), (status, &json!(code)), "{body}");
    assert_eq!((&body["id"], &body["error"]["data"]["reason"]), (&json!(5), &json!(reason)));
    assert_eq!(headers["content-type"], "application/json", "a refusal at the door is no event");
    let header: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    let ms = body["error"]["data"]["retryAfterMs"].as_u64().unwrap();
    assert_eq!(header, ms.div_ceil(1_000));
}

#[tokio::test]
async fn a_rate_is_429_an_overload_503_and_a_deadline_504_each_with_a_time_to_come_again() {
    let of_all = json!({"tenant": {"per_s": 0.001, "burst": 4}});
    let served = serve(json!({"policy": "fixed", "start": 1, "min": 1, "queue": 1}), of_all);
    let held = served.call("hold", json!({}));
    let others = async {
        until(|| served.held.lock().len() == 1).await;
        let hurried = served.call("hold", json!({"omnimind/timeoutMs": 50})).await;
        assert_refused(&hurried, 504, 42_902, "deadline");
        // One waits, so that another of a lower class finds no room.
        let waits = served.call("done", json!({}));
        let finds_none = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let refused = served.call("done", json!({"omnimind/class": "background"})).await;
            assert_refused(&refused, 503, 42_901, "overloaded");
            assert_refused(&served.call("done", json!({})).await, 429, 42_900, "rate_limited");
            let (message, line) = served.held.lock().remove(0);
            line.answer(&message, &result("held"));
        };
        tokio::join!(waits, finds_none).0
    };
    let (held, waited) = tokio::join!(held, others);
    assert_eq!((held.0, waited.0), (200, 200), "{held:?} {waited:?}");
    assert!(waited.2["result"]["_meta"]["omnimind/queueMs"].as_u64().unwrap() >= 30);
}

#[tokio::test]
async fn in_words_a_refusal_is_a_result_under_200() {
    let served = serve(json!({}), json!({"refusals_as_text": true, "tenant": {"per_s": 0.01, "burst": 1}}));
    assert_eq!(served.call("done", json!({})).await.0, 200);
    let (status, headers, body) = served.call("done", json!({})).await;
    assert_eq!((status, &body["result"]["isError"]), (200, &json!(true)), "{body}");
    assert!(body["result"]["content"][0]["text"].as_str().unwrap().contains("Try again in"));
    assert!(!headers.contains_key("retry-after"));
}
