//! A whole gateway on a real socket, without any server: HTTP/2 with prior knowledge, limits, drain.

#![allow(clippy::unwrap_used, reason = "a test may say what it expects in the shortest way")]

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use omnimind_gateway::Gateway;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A gateway on a free port.
fn gateway() -> (Gateway, SocketAddr) {
    opened_as("gateway", "{}")
}

/// A gateway on a free port that is the door of this name, with these limits.
fn opened_as(door: &str, edge: &str) -> (Gateway, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = format!(
        r#"{{"epoch":1,"listeners":[{{"name":"{door}","address":"{address}"}}],"snapshot":{{"version":"0.0.0",
            "state_dir":"/nonexistent","keys":["{}"],"auth":{{"required":false}},"edge":{edge},"servers":[]}}}}"#,
        "0".repeat(64)
    );
    (Gateway::start(start.as_bytes(), vec![listener.into()]).unwrap(), address)
}

fn request(address: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    Request::builder().uri(format!("http://{address}{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_many_streams_at_a_time() {
    let (gateway, address) = gateway();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let calls = (0..200).map(|_| {
        let mut sender = sender.clone();
        async move {
            let response = sender.send_request(request(address, "/healthz")).await.unwrap();
            (response.status(), response.into_body().collect().await.unwrap().to_bytes())
        }
    });
    for (status, body) in futures_util::future::join_all(calls).await {
        assert_eq!((status, &body[..]), (StatusCode::OK, &b"ok\n"[..]));
    }
    drop(sender);
    tokio::task::spawn_blocking(move || gateway.drain(Duration::from_secs(5))).await.unwrap();
    assert!(driver.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_connection_may_rest_for_longer_than_a_head_may_take() {
    let (gateway, address) = opened_as("gateway", r#"{"header_timeout_ms":200}"#);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let asked = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut answer = [0; 1024];
    for _ in 0..2 {
        stream.write_all(asked.as_bytes()).await.unwrap();
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stream.write_all(b"GET /healthz HT").await.unwrap();
    let begun = Instant::now();
    while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    tokio::task::spawn_blocking(move || drop(gateway)).await.unwrap();
}

/// A server that is served alone has no port but its own.
#[tokio::test]
async fn a_servers_own_door_has_the_figures_too() {
    let (gateway, address) = opened_as("thinking", "{}");
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request(address, "/metrics")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.windows(20).any(|window| window == b"omnimind_cache_bytes"), "{text:?}");
    tokio::task::spawn_blocking(move || gateway.drain(Duration::from_secs(5))).await.unwrap();
}

#[tokio::test]
async fn a_foreign_authority_is_misdirected_over_http2_too() {
    let (gateway, address) = gateway();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let foreign = Request::builder().uri("http://evil.example/healthz").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(sender.send_request(foreign).await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(
        sender.send_request(request(address, "/readyz")).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    tokio::task::spawn_blocking(move || gateway.drain(Duration::from_secs(5))).await.unwrap();
}

#[test]
fn a_drain_without_connections_takes_no_time_and_leaves_the_socket_to_its_holder() {
    let (gateway, address) = gateway();
    let began = Instant::now();
    gateway.drain(Duration::from_secs(10));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_start_message_that_says_too_little_is_refused() {
    let error = Gateway::start(br#"{"epoch":1}"#, Vec::new()).err().unwrap();
    assert!(error.to_string().contains("snapshot"), "{error}");
}
