//! A plane around one double, and downstream clients of both eras.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use omnimind_gateway::{
    config::{Class, Role, Snapshot, ToolList},
    control::Outbox,
    plane::Plane,
    principal::Principal,
    relay::{self, Caller, Target},
    reply::{Outflow, Outgoing, Reply},
};
use omnimind_wire::{Limits, Message};
use serde_json::{Value, json};

use crate::double::Double;

pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The gateway, without its edge.
pub(crate) struct Host {
    pub(crate) plane: Arc<Plane>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) notes: Vec<Value>,
    pub(crate) end: Value,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        self.end["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {self:?}"))
    }

    pub(crate) fn code(&self) -> i64 {
        self.end["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error in {self:?}"))
    }
}

impl Host {
    pub(crate) fn new(double: &Double) -> Self {
        Self::with(double, 1, &json!({}), &json!({}))
    }

    /// A plane of an epoch, with changes to the edge's limits and to the server's spec.
    pub(crate) fn with(double: &Double, epoch: u32, edge: &Value, spec: &Value) -> Self {
        let mut server = json!({"name": "double", "kind": "unix", "tier": "medium", "path": double.path});
        server.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let snapshot: Snapshot = serde_json::from_value(json!({
            "version": "0.0.1", "state_dir": "/nonexistent", "keys": ["11".repeat(32)],
            "auth": {"required": false, "tokens": []}, "edge": edge, "servers": [server],
        }))
        .expect("a snapshot");
        let outbox = Arc::new(Outbox::new().expect("an outbox"));
        Self { plane: Arc::new(Plane::new(epoch, snapshot, outbox)) }
    }

    pub(crate) fn caller(&self, principal: &str, headers: &[(&str, &str)]) -> Caller {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let principal =
            Principal { name: principal.into(), tenant: principal.into(), class: Class::Normal, role: Role::User };
        let spec = self.plane.snapshot.load().servers[0].clone();
        Caller {
            plane: self.plane.clone(),
            principal: Arc::new(principal),
            target: Target::One(spec),
            tools: ToolList::Whole,
            headers: map,
            body: bytes::Bytes::new(),
            operation: self.plane.metrics.operation(std::time::Instant::now()),
        }
    }

    pub(crate) async fn post(&self, principal: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.post_raw(principal, headers, body.to_string()).await
    }

    pub(crate) async fn post_raw(&self, principal: &str, headers: &[(&str, &str)], body: String) -> Reply {
        let message = Message::parse(Bytes::from(body), &Limits::default()).expect("a message");
        relay::post(self.caller(principal, headers), message).await
    }

    /// A modern request of ann, complete with headers and `_meta`.
    pub(crate) async fn modern(&self, method: &str, params: Value) -> Reply {
        self.modern_as("ann", json!(1), method, params, json!({}), &[]).await
    }

    pub(crate) async fn modern_as(
        &self,
        principal: &str,
        id: Value,
        method: &str,
        mut params: Value,
        capabilities: Value,
        more: &[(&str, &str)],
    ) -> Reply {
        let meta = params.as_object_mut().unwrap().entry("_meta").or_insert_with(|| json!({}));
        meta[VERSION] = json!("2026-07-28");
        meta[CAPABILITIES] = capabilities;
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).unwrap_or("").to_owned();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
            headers.push(("mcp-name", &name));
        }
        headers.extend_from_slice(more);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.post(principal, &headers, &body).await
    }

    /// A modern tool call of ann, to its end.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        collect(self.modern("tools/call", json!({"name": tool, "arguments": arguments})).await).await
    }

    pub(crate) async fn initialize(&self, principal: &str, capabilities: Value) -> Answer {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        collect(self.post(principal, &[], &body).await).await
    }

    /// A legacy session of a principal.
    pub(crate) async fn session(&self, principal: &'static str, capabilities: Value) -> Legacy<'_> {
        let answer = self.initialize(principal, capabilities).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let legacy = Legacy { host: self, principal, id: answer.session.expect("a session id") };
        legacy.say("notifications/initialized", json!({})).await;
        legacy
    }
}

/// A legacy client with its session.
pub(crate) struct Legacy<'h> {
    pub(crate) host: &'h Host,
    pub(crate) principal: &'static str,
    pub(crate) id: String,
}

impl Legacy<'_> {
    pub(crate) fn headers(&self) -> Vec<(&str, &str)> {
        vec![("mcp-session-id", &self.id), ("mcp-protocol-version", "2025-11-25")]
    }

    pub(crate) async fn request(&self, id: Value, method: &str, params: Value) -> Reply {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.host.post(self.principal, &self.headers(), &body).await
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Answer {
        collect(self.request(json!(7), method, params).await).await
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Reply {
        self.request(json!(7), "tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    pub(crate) async fn say(&self, method: &str, params: Value) {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        let reply = self.host.post(self.principal, &self.headers(), &body).await;
        assert!(matches!(reply, Reply::Accepted));
    }

    pub(crate) async fn respond(&self, id: &Value, result: Value) {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        let reply = self.host.post(self.principal, &self.headers(), &body).await;
        assert!(matches!(reply, Reply::Accepted));
    }

    pub(crate) fn get(&self) -> Reply {
        relay::get(self.host.caller(self.principal, &self.headers()))
    }

    pub(crate) async fn delete(&self) -> u16 {
        collect(relay::delete(&self.host.caller(self.principal, &self.headers()))).await.status
    }
}

/// Reads a reply to its end.
pub(crate) async fn collect(reply: Reply) -> Answer {
    match reply {
        Reply::Accepted => Answer { status: 202, session: None, notes: Vec::new(), end: Value::Null },
        Reply::Refused { refusal, id } => Answer {
            status: refusal.http_status(),
            session: None,
            notes: Vec::new(),
            end: parse(&omnimind_wire::message::error(&id, &refusal.rpc_error())),
        },
        Reply::Whole(whole) => {
            let session = whole.headers.iter().find(|(name, _)| name == "mcp-session-id");
            let session = session.map(|(_, value)| value.to_str().unwrap().to_owned());
            let end = if whole.body.is_empty() { Value::Null } else { parse(&whole.body) };
            Answer { status: whole.status.as_u16(), session, notes: Vec::new(), end }
        }
        Reply::Flow { mut flow, .. } => {
            let mut answer = Answer { status: 200, session: None, notes: Vec::new(), end: Value::Null };
            while let Some(item) = soon(flow.next()).await {
                match item {
                    Outgoing::Message(raw) => answer.notes.push(parse(&raw)),
                    Outgoing::Event { data, .. } => answer.notes.push(parse(&data)),
                    Outgoing::Long(_) => panic!("nothing here is so long"),
                    Outgoing::End { status, body, .. } => {
                        answer.status = status.as_u16();
                        answer.end = parse(&body);
                    }
                }
            }
            answer
        }
    }
}

/// A reply that is read step by step.
pub(crate) struct Stream(pub(crate) Outflow);

impl Stream {
    pub(crate) fn of(reply: Reply) -> Self {
        match reply {
            Reply::Flow { flow, .. } => Self(flow),
            Reply::Whole(whole) => panic!("no stream: {} {}", whole.status, String::from_utf8_lossy(&whole.body)),
            Reply::Refused { refusal, .. } => panic!("no stream: {refusal}"),
            Reply::Accepted => panic!("no stream: accepted"),
        }
    }

    /// The next message, the answer included.
    pub(crate) async fn next(&mut self) -> Value {
        match soon(self.0.next()).await {
            Some(Outgoing::Message(raw) | Outgoing::End { body: raw, .. } | Outgoing::Event { data: raw, .. }) => {
                parse(&raw)
            }
            Some(Outgoing::Long(_)) => panic!("nothing here is so long"),
            None => Value::Null,
        }
    }

    /// True if nothing comes for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(60), self.0.next()).await.is_err()
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), future).await.expect("it comes within 5 s")
}

pub(crate) fn parse(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(raw)))
}
