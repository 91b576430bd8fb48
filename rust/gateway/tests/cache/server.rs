//! A server that numbers its answers, so that a test sees which are the same.
//!
//! What else an answer says stands in the request: a tool's `extra` argument, or what follows `x:` in a resource's
//! URI, is merged into the result. `hold` keeps an answer back until it is let go, `ms` for so long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use omnimind_wire::Era;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::lines::{Double, Line, Speaks, serve};

/// It says nothing unasked.
pub(crate) const QUIET: &str = r#"{"tools":{},"prompts":{},"resources":{}}"#;
/// It says what changes.
pub(crate) const TELLS: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true}}"#;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The server.
pub(crate) struct Server {
    pub(crate) double: Double,
    shared: Arc<Shared>,
}

struct Shared {
    runs: AtomicUsize,
    listings: AtomicUsize,
    gate: Semaphore,
    tools: Mutex<Value>,
    lists: Mutex<Value>,
    lines: Mutex<Vec<Line>>,
    listens: Mutex<Vec<(Value, Value, Line)>>,
}

impl Server {
    pub(crate) fn start(keyed: bool, era: Era, promises: &'static str) -> Self {
        let shared = Arc::new(Shared {
            runs: AtomicUsize::new(0),
            listings: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            tools: Mutex::new(tools()),
            lists: Mutex::new(json!({})),
            lines: Mutex::default(),
            listens: Mutex::default(),
        });
        let handling = Arc::clone(&shared);
        // Workers speak both eras.
        let speaks = if keyed { Speaks::Both } else { Speaks::Promises(era, promises) };
        let double = serve(keyed, speaks, move |message, line| handling.hear(message, line));
        Self { double, shared }
    }

    /// Everything heard with this method.
    pub(crate) fn heard(&self, method: &str) -> Vec<Value> {
        self.double.heard.lock().iter().filter(|message| message["method"] == method).cloned().collect()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.heard(method).len()
    }

    /// Calls of this tool, by their arguments.
    pub(crate) fn calls(&self, tool: &str) -> Vec<Value> {
        let calls = self.heard("tools/call").into_iter().filter(|call| call["params"]["name"] == tool);
        calls.map(|call| call["params"]["arguments"].clone()).collect()
    }

    /// Waits until something holds of what was heard.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        for _ in 0..2_500 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("{what}: {:?}", self.double.heard.lock());
    }

    /// Waits until so many messages with a method were heard.
    pub(crate) async fn hears(&self, method: &str, count: usize) {
        self.until(&format!("{method} is heard {count} times"), |server| server.count(method) >= count).await;
    }

    /// Lets go so many answers that are held back.
    pub(crate) fn release(&self, count: usize) {
        self.shared.gate.add_permits(count);
    }

    /// The members that all lists have besides their items.
    pub(crate) fn lists_say(&self, extra: Value) {
        *self.shared.lists.lock() = extra;
    }

    /// Describes a tool otherwise from now on.
    pub(crate) fn describe(&self, tool: &str, description: &str) {
        for listed in self.shared.tools.lock().as_array_mut().unwrap() {
            if listed["name"] == tool {
                listed["description"] = json!(description);
            }
        }
    }

    /// Says something unasked, on every connection and, if it is modern, to whoever listens for it.
    pub(crate) fn tell(&self, method: &str, params: &Value, era: Era) {
        let note = |params: &Value| json!({"jsonrpc": "2.0", "method": method, "params": params});
        if era == Era::Legacy || method.starts_with("notifications/omnimind/") {
            self.shared.lines.lock().iter().for_each(|line| line.say(&note(params)));
            return;
        }
        for (id, filter, line) in self.shared.listens.lock().iter() {
            let wanted = match method {
                "notifications/tools/list_changed" => filter["toolsListChanged"] == true,
                "notifications/prompts/list_changed" => filter["promptsListChanged"] == true,
                "notifications/resources/list_changed" => filter["resourcesListChanged"] == true,
                _ => filter["resourceSubscriptions"].as_array().is_some_and(|uris| uris.contains(&params["uri"])),
            };
            if wanted {
                let mut params = params.clone();
                params["_meta"] = json!({SUBSCRIPTION: id});
                line.say(&note(&params));
            }
        }
    }

    /// Breaks all connections.
    pub(crate) fn hang_up(&self) {
        self.shared.lines.lock().drain(..).for_each(|line| line.hang_up());
    }

    /// Nobody can reach it any more.
    pub(crate) fn vanish(&self) {
        std::fs::remove_file(&self.double.path).unwrap();
        self.hang_up();
    }
}

impl Shared {
    fn hear(self: &Arc<Self>, message: Value, line: Line) {
        let known = self.lines.lock().iter().any(|known| known.connection == line.connection);
        if !known {
            self.lines.lock().push(line.clone());
        }
        if message.get("id").is_none() || message.get("method").is_none() {
            return;
        }
        let (shared, params) = (Arc::clone(self), message["params"].clone());
        tokio::spawn(async move {
            let holds = params["arguments"]["hold"] == true
                || params["uri"].as_str().is_some_and(|uri| uri.contains("hold"))
                || params["cursor"] == "hold";
            if let Some(ms) = params["arguments"]["ms"].as_u64() {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            // Which run it is shows when it began.
            let outcome = shared.answer(&message, &line);
            if holds {
                shared.gate.acquire().await.unwrap().forget();
            }
            match outcome {
                Some(Ok(result)) => line.answer(&message, &result),
                Some(Err(error)) => line.say(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error})),
                None => {}
            }
        });
    }

    fn number(&self) -> String {
        format!("#{}", self.runs.fetch_add(1, Relaxed) + 1)
    }

    /// The gateway may list tools for itself: that is counted apart.
    fn listing(&self) -> String {
        format!("tools #{}", self.listings.fetch_add(1, Relaxed) + 1)
    }

    fn answer(&self, message: &Value, line: &Line) -> Option<Result<Value, Value>> {
        let params = &message["params"];
        Some(Ok(match message["method"].as_str().unwrap_or_default() {
            "subscriptions/listen" => {
                let filter = params["notifications"].clone();
                let meta = json!({SUBSCRIPTION: message["id"]});
                let agreed = json!({"notifications": filter, "_meta": meta});
                self.listens.lock().push((message["id"].clone(), filter, line.clone()));
                line.say(
                    &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": agreed}),
                );
                return None;
            }
            "tools/list" => merged(json!({"tools": *self.tools.lock(), "number": self.listing()}), &self.lists.lock()),
            "prompts/list" => {
                let item = json!({"name": self.number()});
                merged(json!({"prompts": [item]}), &self.lists.lock())
            }
            "resources/list" => match params["cursor"].as_str() {
                Some("bad") => return Some(Err(json!({"code": -32602, "message": "no such cursor"}))),
                None => self.page(Some("")),
                Some("") => self.page(Some("hold")),
                Some(_) => self.page(None),
            },
            "resources/templates/list" => {
                let item = json!({"name": "t", "uriTemplate": self.number()});
                merged(json!({"resourceTemplates": [item]}), &self.lists.lock())
            }
            "resources/read" => {
                let uri = params["uri"].as_str().unwrap_or_default();
                let extra = uri.strip_prefix("x:").and_then(|said| serde_json::from_str(said).ok()).unwrap_or_default();
                if uri == "gone:" {
                    return Some(Err(json!({"code": -32603, "message": self.number()})));
                }
                merged(json!({"contents": [{"uri": uri, "text": self.number()}]}), &extra)
            }
            "tools/call" => {
                let arguments = &params["arguments"];
                if arguments["fail"] == true {
                    return Some(Err(json!({"code": -32603, "message": self.number()})));
                }
                merged(json!({"content": [{"type": "text", "text": self.number()}]}), &arguments["extra"])
            }
            _ => json!({}),
        }))
    }

    fn page(&self, next: Option<&str>) -> Value {
        let mut page = json!({"resources": [{"uri": "a:b", "name": self.number()}]});
        if let Some(next) = next {
            page["nextCursor"] = json!(next);
        }
        merged(page, &self.lists.lock())
    }
}

fn merged(mut result: Value, extra: &Value) -> Value {
    result["resultType"] = json!("complete");
    for (key, value) in extra.as_object().into_iter().flatten() {
        result[key] = value.clone();
    }
    result
}

fn tools() -> Value {
    let tool = |name: &str, annotations: Value| json!({"name": name, "inputSchema": {"type": "object"}, "annotations": annotations});
    json!([
        tool("read", json!({"readOnlyHint": true, "openWorldHint": false})),
        tool("look", json!({"readOnlyHint": true, "openWorldHint": false})),
        tool("unlisted", json!({"readOnlyHint": true, "openWorldHint": false})),
        tool("surf", json!({"readOnlyHint": true})),
        tool("liar", json!({"readOnlyHint": true, "openWorldHint": false, "destructiveHint": true})),
        tool("write", json!({"readOnlyHint": false, "openWorldHint": false})),
        tool("mute", json!({})),
    ])
}
