//! A scripted MCP server on a Unix socket, in the eras a test wants, that writes down all it hears.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::{Notify, mpsc, oneshot},
};

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Modern,
    Legacy,
}

/// The server.
pub(crate) struct Double {
    pub(crate) path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    speaks: Speaks,
    heard: Mutex<Vec<Value>>,
    news: Notify,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Calls of a flaky tool that ran.
    runs: AtomicUsize,
}

struct Connection {
    out: mpsc::UnboundedSender<Value>,
    pending: Mutex<HashMap<i64, oneshot::Sender<Value>>>,
    next: AtomicI64,
    subscribed: Mutex<HashSet<String>>,
    listens: Mutex<Vec<(Value, Value)>>,
    close: Notify,
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

impl Double {
    pub(crate) fn start(speaks: Speaks) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("omnimind-relay-{}-{number}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("the socket binds");
        let shared = Arc::new(Shared {
            speaks,
            heard: Mutex::default(),
            news: Notify::new(),
            connections: Mutex::default(),
            runs: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(accepting.clone(), stream));
            }
        });
        Self { path, shared }
    }

    /// Everything heard with this method.
    pub(crate) fn heard(&self, method: &str) -> Vec<Value> {
        self.shared.heard.lock().iter().filter(|message| message["method"] == method).cloned().collect()
    }

    /// The `count`-th message with this method, waited for.
    pub(crate) async fn wait_for(&self, method: &str, count: usize) -> Value {
        let waiting = async {
            loop {
                let news = self.shared.news.notified();
                if let Some(message) = self.heard(method).get(count - 1) {
                    return message.clone();
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .unwrap_or_else(|_| panic!("{method} was not heard {count} times: {:?}", self.shared.heard.lock()))
    }

    /// Says something nobody asked for, on all connections.
    pub(crate) fn tell(&self, method: &str, params: &Value) {
        for connection in self.shared.connections.lock().iter() {
            connection.tell(method, params);
        }
    }

    /// Asks something outside of any call, on the connection that was opened last.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let connection = self.shared.connections.lock().last().cloned().expect("a connection");
        connection.ask(method, params).await
    }

    /// Breaks all connections.
    pub(crate) fn hang_up(&self) {
        self.shared.hang_up();
    }

    /// How often a flaky tool or resource ran.
    pub(crate) fn runs(&self) -> usize {
        self.shared.runs.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn hang_up(&self) {
        for connection in self.connections.lock().drain(..) {
            connection.close.notify_one();
        }
    }

    /// Runs; the first time nobody hears the answer.
    fn flaky(&self) -> Option<usize> {
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if runs == 1 {
            self.hang_up();
            return None;
        }
        Some(runs)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(shared: Arc<Shared>, stream: UnixStream) {
    let (reader, writer) = stream.into_split();
    let (out, outgoing) = mpsc::unbounded_channel();
    let connection = Arc::new(Connection {
        out,
        pending: Mutex::default(),
        next: AtomicI64::new(1),
        subscribed: Mutex::default(),
        listens: Mutex::default(),
        close: Notify::new(),
    });
    shared.connections.lock().push(connection.clone());
    tokio::spawn(write(outgoing, writer));
    let mut lines = BufReader::new(reader).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line,
            () = connection.close.notified() => break,
        };
        let Ok(Some(line)) = line else { break };
        let message: Value = serde_json::from_str(&line).expect("a server hears JSON");
        if message.get("method").is_none() {
            let id = message["id"].as_i64().unwrap_or(0);
            if let Some(pending) = connection.pending.lock().remove(&id) {
                let _ = pending.send(message);
            }
            continue;
        }
        shared.heard.lock().push(message.clone());
        shared.news.notify_waiters();
        if message.get("id").is_some() {
            tokio::spawn(answer(shared.clone(), connection.clone(), message));
        }
    }
}

async fn write(mut outgoing: mpsc::UnboundedReceiver<Value>, mut writer: OwnedWriteHalf) {
    while let Some(message) = outgoing.recv().await {
        if writer.write_all(format!("{message}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Connection {
    fn tell(&self, method: &str, params: &Value) {
        let _ = self.out.send(json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.pending.lock().insert(id, answer);
        let _ = self.out.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        answered.await.unwrap_or(Value::Null)
    }

    fn listening(&self, kind: &str, method: &str) {
        for (id, filter) in self.listens.lock().iter() {
            if filter[kind] == true {
                self.tell(method, &json!({"_meta": {"io.modelcontextprotocol/subscriptionId": id}}));
            }
        }
    }
}

async fn answer(shared: Arc<Shared>, connection: Arc<Connection>, request: Value) {
    let (id, method) = (request["id"].clone(), request["method"].as_str().unwrap_or("").to_owned());
    let outcome = match (shared.speaks, method.as_str()) {
        (Speaks::Modern, "server/discover") => Ok(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
            "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true}, "logging": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "double", "version": "1"}},
        })),
        (Speaks::Legacy, "initialize") => Ok(json!({
            "protocolVersion": "2025-11-25", "serverInfo": {"name": "double", "version": "1"},
            "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true}, "logging": {}},
            "instructions": "be gentle",
        })),
        (Speaks::Legacy, "resources/subscribe") => {
            connection.subscribed.lock().insert(request["params"]["uri"].as_str().unwrap_or("").to_owned());
            Ok(json!({}))
        }
        (Speaks::Legacy, "resources/unsubscribe") => {
            connection.subscribed.lock().remove(request["params"]["uri"].as_str().unwrap_or(""));
            Ok(json!({}))
        }
        (Speaks::Legacy, "logging/setLevel") => Ok(json!({})),
        (Speaks::Modern, "subscriptions/listen") => {
            let filter = request["params"]["notifications"].clone();
            connection.tell(
                "notifications/subscriptions/acknowledged",
                &json!({"notifications": filter, "_meta": {"io.modelcontextprotocol/subscriptionId": id}}),
            );
            connection.listens.lock().push((id, filter));
            return;
        }
        (_, "tools/list") => {
            Ok(json!({"tools": tools(), "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}))
        }
        (_, "resources/read") if request["params"]["uri"] == "flaky:1" => match shared.flaky() {
            Some(runs) => Ok(
                json!({"contents": [{"uri": "flaky:1", "text": format!("run {runs}")}], "ttlMs": 0, "cacheScope": "private"}),
            ),
            None => return,
        },
        (_, "resources/read") => {
            let uri = request["params"]["uri"].clone();
            let code = if shared.speaks == Speaks::Modern { -32602 } else { -32002 };
            Err(json!({"code": code, "message": "Resource not found", "data": {"uri": uri}}))
        }
        (_, "tools/call") => match call(&shared, &connection, &request).await {
            Some(outcome) => outcome,
            None => return,
        },
        _ => Err(json!({"code": -32601, "message": "Method not found"})),
    };
    let mut response = json!({"jsonrpc": "2.0", "id": id});
    match outcome {
        Ok(mut result) => {
            if shared.speaks == Speaks::Modern && result.get("resultType").is_none() {
                result["resultType"] = json!("complete");
            }
            response["result"] = result;
        }
        Err(error) => response["error"] = error,
    }
    let _ = connection.out.send(response);
}

fn tools() -> Value {
    json!([
        {"name": "echo", "inputSchema": {"type": "object"}},
        {"name": "flaky_read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
        {"name": "flaky_repeat", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": true, "readOnlyHint": false}},
        {"name": "flaky_write", "inputSchema": {"type": "object"}},
        {"name": "flaky_liar", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": "true"}},
        {"name": "regional", "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}},
    ])
}

fn text(text: impl Into<String>) -> Value {
    json!({"content": [{"type": "text", "text": text.into()}]})
}

/// The tools; `None` means no answer, ever.
async fn call(shared: &Shared, connection: &Connection, request: &Value) -> Option<Result<Value, Value>> {
    let params = &request["params"];
    let argument = |name: &str| params["arguments"][name].as_str().unwrap_or("").to_owned();
    let token = &params["_meta"]["progressToken"];
    Some(Ok(match params["name"].as_str().unwrap_or("") {
        "echo" | "regional" => text(argument("text")),
        "number" => json!({"content": [], "structuredContent": 7}),
        "progress" => {
            for step in 1..=3 {
                connection
                    .tell("notifications/progress", &json!({"progressToken": token, "progress": step, "total": 3}));
            }
            text("done")
        }
        "log" => {
            for level in ["debug", "warning"] {
                connection.tell("notifications/message", &json!({"level": level, "data": level}));
            }
            text("logged")
        }
        "silent" => return None,
        "flaky_read" | "flaky_repeat" | "flaky_write" | "flaky_liar" => {
            if !token.is_null() {
                connection.tell("notifications/progress", &json!({"progressToken": token, "progress": 1}));
            }
            text(format!("run {}", shared.flaky()?))
        }
        "fails" => {
            return Some(Err(
                json!({"code": -32021, "message": "no sampling", "data": {"requiredCapabilities": {"sampling": {}}}}),
            ));
        }
        "change" => {
            connection.tell_change(shared.speaks);
            text("changed")
        }
        "ask" if shared.speaks == Speaks::Legacy => {
            let answer = connection
                .ask("elicitation/create", json!({"message": argument("text"), "requestedSchema": {"type": "object"}}))
                .await;
            if !token.is_null() {
                connection.tell("notifications/progress", &json!({"progressToken": token, "progress": 1}));
            }
            match answer.get("error") {
                Some(error) => text(format!("refused: {}", error["code"])),
                None => text(answer["result"]["content"]["name"].as_str().unwrap_or("nobody")),
            }
        }
        "ask_two" if shared.speaks == Speaks::Legacy => {
            let one =
                connection.ask("elicitation/create", json!({"message": "one", "requestedSchema": {"type": "object"}}));
            let two = connection.ask("sampling/createMessage", json!({"messages": [], "maxTokens": 1}));
            let (one, two) = tokio::join!(one, two);
            text(format!(
                "{} and {}",
                one["result"]["content"]["name"].as_str().unwrap_or("?"),
                two["result"]["model"].as_str().unwrap_or("?")
            ))
        }
        "ask" => match params["inputResponses"]["who"]["content"]["name"].as_str() {
            Some(name) if params["requestState"] == "round 1" => text(name),
            _ => json!({"resultType": "input_required", "requestState": "round 1", "inputRequests": {
                "who": {"method": "elicitation/create", "params": {"message": argument("text"), "requestedSchema": {"type": "object"}}}}}),
        },
        "twice" => {
            let round = params["requestState"].as_str().and_then(|state| state.parse::<u32>().ok()).unwrap_or(0);
            if round >= 2 {
                text(format!("{round} rounds"))
            } else {
                json!({"resultType": "input_required", "requestState": (round + 1).to_string(), "inputRequests": {
                    "say": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": round}}}})
            }
        }
        "insatiable" => json!({"resultType": "input_required", "requestState": "more"}),
        "stateless" => match params["inputResponses"]["who"].as_object() {
            Some(_) => text("answered"),
            None => json!({"resultType": "input_required", "inputRequests": {
                "who": {"method": "elicitation/create", "params": {"message": "who", "requestedSchema": {"type": "object"}}}}}),
        },
        other => return Some(Err(json!({"code": -32602, "message": format!("Unknown tool: {other}")}))),
    }))
}

impl Connection {
    fn tell_change(&self, speaks: Speaks) {
        match speaks {
            Speaks::Legacy => self.tell("notifications/tools/list_changed", &json!({})),
            Speaks::Modern => {
                self.listening("toolsListChanged", "notifications/tools/list_changed");
                self.listening("promptsListChanged", "notifications/prompts/list_changed");
            }
        }
    }
}
