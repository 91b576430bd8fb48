//! A server with as many tools, prompts and resources as a test wants, in pages as long as it wants.

use std::sync::Arc;

use omnimind_wire::Era;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::lines::{Double, Line, Speaks, serve};

const PROMISES: &str = r#"{"tools":{},"prompts":{},"resources":{}}"#;

/// The server.
pub(crate) struct Library {
    pub(crate) double: Double,
    shared: Arc<Shared>,
}

/// What it has, and how it tells.
pub(crate) struct Stock {
    pub(crate) items: usize,
    /// Items of one of its pages.
    pub(crate) page: usize,
    /// A cursor that it does not answer until it is told to; "" is the first page.
    pub(crate) holds: Option<String>,
    /// What it says to a cursor instead of an answer.
    pub(crate) fails: Option<(i64, String)>,
    /// What its lists say beside their items.
    pub(crate) says: Value,
}

impl Default for Stock {
    fn default() -> Self {
        Self { items: 1_000, page: 100, holds: None, fails: None, says: json!({}) }
    }
}

struct Shared {
    stock: Mutex<Stock>,
    gate: Semaphore,
}

impl Library {
    pub(crate) fn with(stock: Stock) -> Self {
        Self::speaking(Era::Modern, stock)
    }

    pub(crate) fn speaking(era: Era, stock: Stock) -> Self {
        let shared = Arc::new(Shared { stock: Mutex::new(stock), gate: Semaphore::new(0) });
        let handling = Arc::clone(&shared);
        let speaks = Speaks::Promises(era, PROMISES);
        let double = serve(false, speaks, move |message, line| {
            tokio::spawn(Arc::clone(&handling).answer(message, line));
        });
        Self { double, shared }
    }

    /// From now on it is otherwise.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Stock)) {
        change(&mut self.shared.stock.lock());
    }

    /// Answers what is held back.
    pub(crate) fn release(&self) {
        self.shared.gate.add_permits(1);
    }

    /// The cursors it was asked with, in order; none is null.
    pub(crate) fn cursors(&self, method: &str) -> Vec<Value> {
        self.heard(method).iter().map(|message| message["params"]["cursor"].clone()).collect()
    }

    pub(crate) fn heard(&self, method: &str) -> Vec<Value> {
        self.double.heard.lock().iter().filter(|message| message["method"] == method).cloned().collect()
    }

    /// Waits until so many messages with a method were heard.
    pub(crate) async fn hears(&self, method: &str, count: usize) {
        for _ in 0..2_500 {
            if self.heard(method).len() >= count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!("{method} was not heard {count} times: {:?}", self.double.heard.lock());
    }
}

impl Shared {
    async fn answer(self: Arc<Self>, message: Value, line: Line) {
        if message.get("id").is_none() {
            return;
        }
        let params = &message["params"];
        let cursor = params["cursor"].as_str().unwrap_or_default();
        let holds = self.stock.lock().holds.as_deref() == Some(cursor);
        if holds && message["method"].as_str().unwrap_or_default().ends_with("/list") {
            self.gate.acquire().await.unwrap().forget();
        }
        let stock = self.stock.lock();
        let result = match message["method"].as_str().unwrap_or_default() {
            "tools/list" => stock.page("tools", cursor, |number| json!({"name": number, "inputSchema": {}})),
            "prompts/list" => stock.page("prompts", cursor, |number| json!({"name": number})),
            "resources/list" => {
                stock.page("resources", cursor, |number| json!({"uri": format!("lib:{number}"), "name": number}))
            }
            "prompts/get" => Ok(json!({"messages": [], "description": params["name"]})),
            _ => Ok(json!({})),
        };
        match result {
            Ok(mut result) => {
                result["resultType"] = json!("complete");
                line.answer(&message, &result);
            }
            Err((code, text)) => {
                line.say(&json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": text}}));
            }
        }
    }
}

impl Stock {
    fn page(&self, member: &str, cursor: &str, item: impl Fn(String) -> Value) -> Result<Value, (i64, String)> {
        if let Some(failure) = self.fails.clone().filter(|_| !cursor.is_empty()) {
            return Err(failure);
        }
        let first = cursor.parse().unwrap_or(0);
        let last = self.items.min(first + self.page);
        let items: Vec<_> = (first..last).map(|number| item(number.to_string())).collect();
        let mut page = json!({member: items});
        if last < self.items {
            page["nextCursor"] = json!(last.to_string());
        }
        page.as_object_mut().unwrap().extend(self.says.as_object().unwrap().clone());
        Ok(page)
    }
}
