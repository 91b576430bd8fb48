//! A plane with one or more servers, and a clock that a test turns.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use omnimind_gateway::{
    cache::Clock,
    config::{Class, Role, Snapshot, ToolList},
    control::{FromOrchestrator, Outbox},
    plane::Plane,
    principal::Principal,
    relay::{self, Caller, Said, Target, Trail},
    reply::{Reply, Whole},
};
use omnimind_wire::{Era, Limits, Message};
use serde_json::{Value, json};

use crate::{
    KEY,
    host::{Answer, CAPABILITIES, Host, VERSION, collect},
    server::Server,
};

/// A day on which all tests begin.
const DAWN_MS: u64 = 1_800_000_000_000;
/// Both eras.
pub(crate) const ERAS: [Era; 2] = [Era::Modern, Era::Legacy];

/// The gateway with its servers.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) servers: Vec<Server>,
    clock: Arc<AtomicU64>,
    settings: Value,
    specs: Vec<Value>,
}

impl Stage {
    /// A server of somebody else, with more to its spec.
    pub(crate) fn theirs(era: Era, promises: &'static str, spec: &Value) -> Self {
        Self::with(vec![Server::start(false, era, promises)], &[("s", "unix", spec)], &json!({}))
    }

    /// One whose hints are believed and whose answers live for a minute.
    pub(crate) fn trusted(era: Era, promises: &'static str) -> Self {
        let spec = json!({"sessions": "shared", "trust": ["annotations"], "cache": {"ttl_ms": 60_000}});
        Self::theirs(era, promises, &spec)
    }

    /// A server of ours.
    pub(crate) fn ours(promises: &'static str, settings: &Value) -> Self {
        let spec = json!({"sessions": "shared", "first_party": true, "trust": ["annotations", "public"]});
        Self::with(vec![Server::start(true, Era::Modern, promises)], &[("s", "worker", &spec)], settings)
    }

    /// Any servers: name, kind and the rest of each; `settings` are of the gateway's cache.
    pub(crate) fn with(servers: Vec<Server>, specs: &[(&str, &str, &Value)], settings: &Value) -> Self {
        let specs = servers.iter().zip(specs).map(|(server, (name, kind, more))| {
            let mut spec = json!({"name": name, "kind": kind, "tier": "medium", "path": server.double.path});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        });
        let specs: Vec<_> = specs.collect();
        let clock = Arc::new(AtomicU64::new(DAWN_MS));
        let reading = Arc::clone(&clock);
        let snapshot: Snapshot = serde_json::from_value(snapshot(&specs, settings)).unwrap();
        let outbox = Arc::new(Outbox::new().unwrap());
        let none = Err("no encoder was named".to_owned());
        let plane = Plane::with(1, snapshot, outbox, none, Clock::new(move || reading.load(Relaxed)));
        let stage = Self { host: Host { plane: Arc::new(plane) }, servers, clock, settings: settings.clone(), specs };
        stage.ready();
        stage
    }

    /// Says of every worker that it is ready.
    fn ready(&self) {
        for spec in self.specs.iter().filter(|spec| spec["kind"] == "worker") {
            self.tell(json!({"t": "server", "name": spec["name"], "state": "ready", "path": spec["path"], "key": KEY}));
        }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.servers[0]
    }

    /// Time passes, for the memory.
    pub(crate) fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Relaxed);
    }

    /// A message of the orchestrator.
    pub(crate) fn tell(&self, message: Value) {
        let message = FromOrchestrator::parse(message.to_string().as_bytes()).unwrap();
        self.host.plane.hear(message, Vec::new()).unwrap();
    }

    /// Another configuration: the servers' specs and the gateway's, changed by this.
    pub(crate) fn reload(&self, change: impl FnOnce(&mut Vec<Value>, &mut Value)) {
        let (mut specs, mut settings) = (self.specs.clone(), self.settings.clone());
        change(&mut specs, &mut settings);
        self.tell(json!({"t": "apply", "snapshot": snapshot(&specs, &settings)}));
        self.ready();
    }

    /// Asks about the cache as an operator.
    pub(crate) async fn cache(&self, mut ask: Value) -> Value {
        ask["t"] = json!("cache");
        ask["request"] = json!(77);
        self.tell(ask);
        for _ in 0..2_500 {
            for said in self.host.plane.outbox.take() {
                let said: Value = serde_json::from_str(&said).unwrap();
                if said["t"] == "cache" && said["request"] == 77 {
                    return said["answer"].clone();
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!("no answer");
    }

    pub(crate) fn request(&self, method: &str, params: Value) -> Request<'_> {
        Request {
            stage: self,
            method: method.into(),
            params,
            principal: "ann",
            role: Role::User,
            all: false,
            id: json!(1),
            server: 0,
            headers: Vec::new(),
        }
    }

    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Request<'_> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Reads the resource whose result has these members besides.
    pub(crate) fn read(&self, extra: &Value) -> Request<'_> {
        self.request("resources/read", json!({"uri": format!("x:{extra}")}))
    }
}

fn snapshot(specs: &[Value], settings: &Value) -> Value {
    let mut settings = settings.clone();
    let state = settings.as_object_mut().unwrap().remove("state_dir").unwrap_or(json!("/nonexistent"));
    let tokens: Vec<Value> =
        ["ann", "bob"].iter().map(|name| json!({"name": name, "tenant": name, "sha256": "22".repeat(32)})).collect();
    json!({"version": "0.0.1", "state_dir": state, "keys": ["11".repeat(32)],
        "auth": {"required": false, "tokens": tokens}, "edge": {}, "cache": settings, "servers": specs})
}

/// All clients here leave one trail, so that it often leads to a request of another.
static TRAIL: LazyLock<Trail> = LazyLock::new(Trail::default);

/// As the edge does it.
fn repeated(caller: &Caller) -> Option<Reply> {
    let said = Said::of(&caller.headers)?;
    let kept = relay::repeated(&caller.plane, &caller.principal, &caller.target, said, &caller.body, &TRAIL)?;
    let message = omnimind_wire::message::result(kept.id, &kept.result);
    Some(Reply::Whole(Whole::plain(StatusCode::OK, Vec::new(), message)))
}

/// A modern request about to be sent.
#[derive(Clone)]
pub(crate) struct Request<'s> {
    stage: &'s Stage,
    method: String,
    params: Value,
    principal: &'s str,
    role: Role,
    all: bool,
    id: Value,
    server: usize,
    headers: Vec<(&'static str, String)>,
}

impl<'s> Request<'s> {
    pub(crate) fn by(self, principal: &'s str) -> Self {
        Self { principal, ..self }
    }

    pub(crate) fn operator(self) -> Self {
        Self { role: Role::Operator, ..self }
    }

    /// At the aggregate.
    pub(crate) fn at_all(self) -> Self {
        Self { all: true, ..self }
    }

    /// At another server's endpoint.
    pub(crate) fn at(self, server: usize) -> Self {
        Self { server, ..self }
    }

    pub(crate) fn id(self, id: Value) -> Self {
        Self { id, ..self }
    }

    /// A member of `_meta`.
    pub(crate) fn meta(mut self, key: &str, value: Value) -> Self {
        self.params["_meta"][key] = value;
        self
    }

    /// A member of the params.
    pub(crate) fn param(mut self, key: &str, value: Value) -> Self {
        self.params[key] = value;
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let body = self.body();
        self.send_text(body).await
    }

    /// The message, its id last.
    fn body(&self) -> String {
        let mut params = self.params.clone();
        params["_meta"][VERSION] = json!("2026-07-28");
        if params["_meta"].get(CAPABILITIES).is_none() {
            params["_meta"][CAPABILITIES] = json!({});
        }
        format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params},"id":{}}}"#, json!(self.method), self.id)
    }

    /// True if it would be answered from memory without being read.
    pub(crate) fn is_repeated(&self) -> bool {
        repeated(&self.caller(self.body())).is_some()
    }

    /// Sends a body as it stands; headers are made of the request.
    pub(crate) async fn send_text(self, body: String) -> Reply {
        let caller = self.caller(body);
        if let Some(reply) = repeated(&caller) {
            return reply;
        }
        let message = Message::parse(caller.body.clone(), &Limits::default()).expect("a message");
        relay::post(caller, message).await
    }

    /// A further header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn caller(&self, body: String) -> Caller {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: &str| {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        };
        add("mcp-protocol-version", "2026-07-28");
        add("mcp-method", &self.method);
        if let Some(name) = self.params.get("name").or_else(|| self.params.get("uri")).and_then(Value::as_str) {
            add("mcp-name", name);
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        let plane = &self.stage.host.plane;
        let target =
            if self.all { Target::All } else { Target::One(plane.snapshot.load().servers[self.server].clone()) };
        let principal = Principal {
            name: self.principal.into(),
            tenant: self.principal.into(),
            class: Class::Normal,
            role: self.role,
        };
        let operation = plane.metrics.operation(std::time::Instant::now());
        Caller {
            plane: plane.clone(),
            principal: Arc::new(principal),
            target,
            tools: ToolList::Whole,
            headers,
            body: body.into(),
            operation,
        }
    }

    /// The answer, to its end.
    pub(crate) async fn answer(self) -> Answer {
        collect(self.send().await).await
    }

    /// The number of the answer.
    pub(crate) async fn number(self) -> String {
        number(&self.answer().await)
    }
}

/// Which run of the server an answer shows.
pub(crate) fn number(answer: &Answer) -> String {
    let result = &answer.end["result"];
    let places = [
        "/contents/0/text",
        "/content/0/text",
        "/number",
        "/prompts/0/name",
        "/resources/0/name",
        "/resourceTemplates/0/uriTemplate",
    ];
    let found = places.iter().find_map(|place| result.pointer(place)).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no number in {answer:?}")).to_owned()
}

/// What the report says of an answer.
pub(crate) fn told(answer: &Answer) -> &Value {
    &answer.end["result"]["_meta"]["omnimind/cache"]
}

/// The value of a header of a reply.
pub(crate) fn header(reply: &Reply, name: &str) -> Option<String> {
    let headers = match reply {
        Reply::Whole(whole) => &whole.headers,
        Reply::Flow { headers, .. } => headers,
        Reply::Refused { .. } | Reply::Accepted => return None,
    };
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_str().unwrap().to_owned())
}
