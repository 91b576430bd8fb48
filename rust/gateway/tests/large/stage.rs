//! A gateway, a server behind it, and a client that reads what comes over the wire.

use std::{
    any::Any,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use omnimind_gateway::Gateway;
use serde_json::{Value, json};

use crate::upstream_doubles::{
    lines::Double,
    web::{Answer, Ask, Web, serve},
};

/// A gateway on a free port; it ends with the test.
pub(crate) struct Stage {
    gateway: Option<Gateway>,
    pub(crate) address: SocketAddr,
    _server: Box<dyn Any + Send>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            std::thread::spawn(move || gateway.drain(Duration::ZERO)).join().unwrap();
        }
    }
}

/// One answer as it came.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    /// A field of the head, or nothing.
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stage {
    /// A gateway whose only server `h` speaks the legacy protocol and answers calls so.
    pub(crate) async fn legacy(handle: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Self {
        let web = serve(move |ask| match (ask.verb.as_str(), ask.method()) {
            ("POST", "server/discover") => Answer::status(400),
            ("POST", "initialize") => {
                let info = json!({"name": "old", "version": "1"});
                ask.result(&json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}))
            }
            ("POST", "notifications/initialized" | "notifications/cancelled") => Answer::status(202),
            ("POST", "tools/list") => {
                ask.result(&json!({"tools": [{"name": "make", "inputSchema": {"type": "object"}}]}))
            }
            ("POST", _) => handle(ask),
            _ => Answer::status(405),
        })
        .await;
        Self::before(web, &json!({}))
    }

    /// A gateway whose only server `h` speaks the modern protocol and answers calls so.
    pub(crate) async fn modern(edge: Value, handle: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Self {
        let web = serve(move |ask| match (ask.verb.as_str(), ask.method()) {
            ("POST", "server/discover") => ask.result(
                &json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete"}),
            ),
            ("POST", "tools/list") => ask.result(&json!({
                "tools": [{"name": "make", "inputSchema": {"type": "object"}}],
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            })),
            ("POST", _) => handle(ask),
            _ => Answer::status(405),
        })
        .await;
        Self::before(web, &edge)
    }

    /// A gateway before a server on a Unix socket, with this folder for its state.
    pub(crate) fn unix(server: Double, state: &Path) -> Self {
        let spec = json!({"name": "h", "kind": "unix", "tier": "high", "sessions": "shared", "path": server.path});
        Self::start(Box::new(server), &spec, state, &json!({}))
    }

    fn before(web: Web, edge: &Value) -> Self {
        let spec = json!({"name": "h", "kind": "http", "tier": "high", "url": web.url});
        Self::start(Box::new(web), &spec, Path::new("/nonexistent"), edge)
    }

    fn start(server: Box<dyn Any + Send>, spec: &Value, state: &Path, edge: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let start = json!({
            "epoch": 1,
            "listeners": [{"name": "gateway", "address": address.to_string()}],
            "snapshot": {
                "version": "0.0.0",
                "state_dir": state,
                "keys": ["0".repeat(64)],
                "auth": {"required": false},
                "edge": edge,
                "servers": [spec],
            },
        });
        let gateway = Gateway::start(start.to_string().as_bytes(), vec![listener.into()]).unwrap();
        Self { gateway: Some(gateway), address, _server: server }
    }

    /// A session of a legacy client.
    pub(crate) async fn session(&self) -> String {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let answer = self.ask(self.post().body(Full::from(body.to_string())).unwrap()).await;
        let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let heard = self.post().header("mcp-session-id", &session);
        self.ask(heard.body(Full::from(body.to_string())).unwrap()).await;
        session
    }

    /// A legacy client's call.
    pub(crate) fn legacy_call(&self, session: &str) -> Request<Full<Bytes>> {
        let body = json!({"jsonrpc": "2.0", "id": "a-1", "method": "tools/call",
            "params": {"name": "make", "arguments": {}}});
        let request = self.post().header("mcp-session-id", session);
        request.header("mcp-protocol-version", "2025-06-18").body(Full::from(body.to_string())).unwrap()
    }

    fn post(&self) -> http::request::Builder {
        Request::builder()
            .method(Method::POST)
            .uri("/servers/h/mcp")
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
    }

    /// Sends a request and gives the answer as it begins.
    pub(crate) async fn begin(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Answered {
        let (head, body) = self.begin(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answered { status: head.status, headers: head.headers, body }
    }

    /// A modern client's call of the tool `make` at this path.
    pub(crate) fn call(&self, path: &str, accepts: &[(header::HeaderName, &str)]) -> Request<Full<Bytes>> {
        let name = if path == "/mcp" { "h__make" } else { "make" };
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        });
        let params = json!({"name": name, "arguments": {}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": "a-1", "method": "tools/call", "params": params});
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name);
        if !accepts.iter().any(|(name, _)| *name == header::ACCEPT) {
            request = request.header(header::ACCEPT, "application/json, text/event-stream");
        }
        for (name, value) in accepts {
            request = request.header(name, *value);
        }
        request.body(Full::from(body.to_string())).unwrap()
    }

    /// A GET of one of the gateway's own pages.
    pub(crate) fn get(&self, path: &str, accepts: &str) -> Request<Full<Bytes>> {
        let request = Request::builder().uri(path).header(header::HOST, self.address.to_string());
        request.header(header::ACCEPT_ENCODING, accepts).body(Full::default()).unwrap()
    }
}
