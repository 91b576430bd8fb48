//! A plane around one server that answers when it is told to, and clients of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use omnimind_gateway::{
    config::{Class, Role, Snapshot, ToolList},
    control::{CacheAsk, FromOrchestrator, Outbox},
    plane::Plane,
    principal::Principal,
    relay::{self, Caller, Target},
    reply::{Outgoing, Reply},
};
use omnimind_wire::{Limits, Message};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::doubles::lines::{self, Double, Line, Speaks};

/// Calls that wait for their answers, in the order they came.
pub(crate) type Held = Arc<Mutex<Vec<(Value, Line)>>>;

/// The gateway without its edge, before one server on a socket.
pub(crate) struct Stage {
    pub(crate) plane: Arc<Plane>,
    pub(crate) double: Double,
    pub(crate) held: Held,
    outbox: Arc<Outbox>,
}

/// Who calls, and how.
#[derive(Clone)]
pub(crate) struct As {
    pub(crate) tenant: &'static str,
    pub(crate) class: Class,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) meta: Value,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl As {
    pub(crate) fn tenant(tenant: &'static str) -> Self {
        Self { tenant, class: Class::Normal, headers: Vec::new(), meta: json!({}) }
    }

    pub(crate) fn meta(mut self, key: &str, value: Value) -> Self {
        self.meta[key] = value;
        self
    }
}

impl Stage {
    /// A server with these limits, whose tool `hold` answers when it is told to.
    pub(crate) fn new(limits: Value) -> Self {
        Self::with(json!({"limits": limits}), json!({}))
    }

    /// With changes to the server's spec, and the limits of all.
    pub(crate) fn with(spec: Value, of_all: Value) -> Self {
        Self::speaking(Speaks::Both, spec, of_all)
    }

    /// One that speaks so.
    pub(crate) fn speaking(speaks: Speaks, spec: Value, of_all: Value) -> Self {
        let held = Held::default();
        let holding = Arc::clone(&held);
        let double = lines::serve(false, speaks, move |message, line| {
            match (message["method"].as_str().unwrap_or_default(), message["params"]["name"].as_str()) {
                ("tools/call", Some("hold")) => holding.lock().push((message, line)),
                ("tools/call", Some("ask")) => {
                    let params = json!({"message": "who?", "requestedSchema": {"type": "object"}});
                    line.say(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params}));
                    holding.lock().push((message, line));
                }
                ("tools/call", _) => line.answer(&message, &result("done")),
                ("tools/list", _) => line.answer(&message, &tools()),
                _ => {}
            }
        });
        let snapshot = snapshot(&double, spec, of_all);
        let outbox = Arc::new(Outbox::new().unwrap());
        Self { plane: Arc::new(Plane::new(1, snapshot, Arc::clone(&outbox))), double, held, outbox }
    }

    /// Another configuration of the same server.
    pub(crate) fn reload(&self, spec: Value, of_all: Value) {
        let snapshot = Box::new(snapshot(&self.double, spec, of_all));
        self.plane.hear(FromOrchestrator::Apply { snapshot }, Vec::new()).unwrap();
    }

    pub(crate) fn caller(&self, by: &As, headers: &[(&str, &str)]) -> Caller {
        let mut map = HeaderMap::new();
        let own = by.headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in headers.iter().copied().chain(own) {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let (name, tenant) = (by.tenant.into(), by.tenant.into());
        let principal = Arc::new(Principal { name, tenant, class: by.class, role: Role::User });
        let target = Target::One(self.plane.snapshot.load().servers[0].clone());
        let (tools, operation) = (ToolList::Whole, self.plane.metrics.operation(std::time::Instant::now()));
        Caller { plane: Arc::clone(&self.plane), principal, target, tools, headers: map, body: Bytes::new(), operation }
    }

    /// The beginning of a modern request's answer.
    pub(crate) async fn reply(&self, by: &As, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        for (key, value) in by.meta.as_object().unwrap() {
            params["_meta"][key] = value.clone();
        }
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let message = Message::parse(Bytes::from(body), &Limits::default()).unwrap();
        relay::post(self.caller(by, &headers), message).await
    }

    /// Opens the connection, so that no call after it has to wait for that.
    pub(crate) async fn warm(self) -> Self {
        assert_eq!(self.call(&As::tenant("warm"), "plain").await.status, 200);
        self
    }

    /// A modern call to its end.
    pub(crate) async fn call(&self, by: &As, tool: &str) -> Answer {
        ended(self.reply(by, "tools/call", json!({"name": tool, "arguments": {}})).await).await
    }

    /// Begins calls of `hold`, and returns when they are in flight but for `queued`, which wait.
    pub(crate) async fn begin(self: &Arc<Self>, by: &As, count: usize, queued: usize) -> Vec<JoinHandle<Answer>> {
        let before = self.limits();
        let (waited, started) = (waiting(&before), before["started"].as_u64().unwrap());
        let calls = (0..count)
            .map(|_| {
                let (stage, by) = (Arc::clone(self), by.clone());
                tokio::spawn(async move { stage.call(&by, "hold").await })
            })
            .collect();
        let started = started + u64::try_from(count - queued).unwrap();
        self.until(|limits| limits["started"] == started && waiting(limits) == waited + queued).await;
        calls
    }

    /// Answers the oldest held calls.
    pub(crate) async fn answer(&self, count: usize) {
        for _ in 0..count {
            until(|| !self.held.lock().is_empty()).await;
            let (message, line) = self.held.lock().remove(0);
            line.answer(&message, &result("held"));
        }
    }

    /// The limits of the only server, as the operator sees them.
    pub(crate) fn limits(&self) -> Value {
        self.report()["servers"][0].clone()
    }

    /// All that the operator sees.
    pub(crate) fn report(&self) -> Value {
        self.plane.limits()
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Waits until the limits are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Value) -> bool) {
        let mut seen = Value::Null;
        for _ in 0..5_000 {
            seen = self.limits();
            if wanted(&seen) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the limits never came to be as wanted: {seen}");
    }
}

/// Asks the plane as the orchestrator does.
pub(crate) fn asked_for_limits(request: u64) -> FromOrchestrator {
    FromOrchestrator::Cache { request, ask: CacheAsk::Limits }
}

fn snapshot(double: &Double, spec: Value, of_all: Value) -> Snapshot {
    let mut server =
        json!({"name": "double", "kind": "unix", "tier": "high", "path": double.path, "sessions": "shared"});
    server.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "version": "0.0.1", "state_dir": "/nonexistent", "keys": ["11".repeat(32)], "limits": of_all,
        "auth": {"required": false, "tokens": []}, "servers": [server],
    }))
    .unwrap()
}

pub(crate) fn result(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
}

fn tools() -> Value {
    let tool = |name| json!({"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true, "openWorldHint": false}});
    json!({"tools": [tool("hold"), tool("done")], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
}

/// How many wait, of all classes.
pub(crate) fn waiting(limits: &Value) -> usize {
    let counts = limits["waiting"].as_object().unwrap().values();
    counts.map(|count| usize::try_from(count.as_u64().unwrap()).unwrap()).sum()
}

/// Nothing is held by anybody.
pub(crate) fn is_empty(limits: &Value) -> bool {
    limits["in_flight"] == 0 && waiting(limits) == 0
}

/// Reads a reply to its end.
pub(crate) async fn ended(reply: Reply) -> Answer {
    let parsed = |raw: &[u8]| serde_json::from_slice(raw).unwrap();
    match reply {
        Reply::Accepted => Answer { status: 202, retry_after: None, body: Value::Null },
        Reply::Refused { refusal, id } => Answer {
            status: refusal.http_status(),
            retry_after: refusal.retry_after_seconds(),
            body: parsed(&omnimind_wire::message::error(&id, &refusal.rpc_error())),
        },
        Reply::Whole(whole) => Answer { status: whole.status.as_u16(), retry_after: None, body: parsed(&whole.body) },
        Reply::Flow { mut flow, .. } => loop {
            match soon(flow.next()).await {
                Some(Outgoing::End { status, retry_after, body }) => {
                    break Answer { status: status.as_u16(), retry_after, body: parsed(&body) };
                }
                Some(_) => {}
                None => break Answer { status: 202, retry_after: None, body: Value::Null },
            }
        },
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it comes within 10 s")
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came to be so");
}
