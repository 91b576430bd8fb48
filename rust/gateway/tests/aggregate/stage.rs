//! A plane before several libraries, and what its clients ask of it.

use std::{sync::Arc, time::Duration};

use omnimind_gateway::{
    config::Snapshot,
    control::{FromOrchestrator, Outbox},
    plane::Plane,
    relay::{self, Target},
    reply::Reply,
};
use omnimind_wire::{Limits, Message};
use serde_json::{Value, json};

use crate::{
    host::{Answer, CAPABILITIES, Host, Stream, VERSION, collect},
    library::Library,
};

/// The gateway.
pub(crate) struct Stage {
    pub(crate) host: Arc<Host>,
    specs: Vec<Value>,
}

impl Stage {
    pub(crate) fn of(libraries: &[(&str, &Library)]) -> Self {
        Self::with(1, libraries, &json!({}), &json!({}))
    }

    /// A plane of an epoch; more to each server's spec, and the cache's settings.
    pub(crate) fn with(epoch: u32, libraries: &[(&str, &Library)], more: &Value, cache: &Value) -> Self {
        let specs: Vec<Value> = libraries.iter().map(|(name, library)| spec(name, library, more)).collect();
        let snapshot: Snapshot = serde_json::from_value(snapshot(&specs, cache)).unwrap();
        let plane = Plane::new(epoch, snapshot, Arc::new(Outbox::new().unwrap()));
        Self { host: Arc::new(Host { plane: Arc::new(plane) }), specs }
    }

    /// Another configuration: without these servers.
    pub(crate) fn without(&self, names: &[&str]) {
        let specs: Vec<_> = self.specs.iter().filter(|spec| !names.contains(&spec["name"].as_str().unwrap())).collect();
        let message =
            json!({"t": "apply", "snapshot": snapshot(&json!(specs).as_array().unwrap().clone(), &json!({}))});
        let message = FromOrchestrator::parse(message.to_string().as_bytes()).unwrap();
        self.host.plane.hear(message, Vec::new()).unwrap();
    }

    /// A modern request at the aggregate.
    pub(crate) async fn ask(&self, principal: &str, method: &str, params: Value) -> Answer {
        self.ask_at(Target::All, principal, method, params).await
    }

    pub(crate) async fn ask_at(&self, target: Target, principal: &str, method: &str, params: Value) -> Answer {
        collect(self.post(target, principal, method, params).await).await
    }

    /// A subscription at the aggregate to one kind of change, acknowledged.
    pub(crate) async fn listen(&self, principal: &str, what: &str) -> Stream {
        let wanted = json!({"notifications": {what: true}});
        let mut stream = Stream::of(self.post(Target::All, principal, "subscriptions/listen", wanted).await);
        assert_eq!(stream.next().await["method"], "notifications/subscriptions/acknowledged");
        stream
    }

    async fn post(&self, target: Target, principal: &str, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if method == "prompts/get" {
            headers.push(("mcp-name", &name));
        }
        let mut caller = self.host.caller(principal, &headers);
        caller.target = target;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let message = Message::parse(body.to_string().into(), &Limits::default()).unwrap();
        relay::post(caller, message).await
    }

    /// A page of ann's.
    pub(crate) async fn page(&self, method: &str, cursor: Option<&str>) -> Listed {
        self.page_of("ann", method, cursor).await
    }

    pub(crate) async fn page_of(&self, principal: &str, method: &str, cursor: Option<&str>) -> Listed {
        let params = cursor.map_or(json!({}), |cursor| json!({"cursor": cursor}));
        let answer = self.ask(principal, method, params).await;
        assert!(answer.end["result"].is_object(), "{answer:?}");
        Listed::of(&answer.end["result"])
    }

    /// The whole list, page by page.
    pub(crate) async fn walk(&self, principal: &str, method: &str) -> Vec<Listed> {
        let mut pages = vec![self.page_of(principal, method, None).await];
        while let Some(cursor) = pages.last().and_then(|page| page.next.clone()) {
            assert!(pages.len() < 1_000, "the list has no end");
            pages.push(self.page_of(principal, method, Some(&cursor)).await);
        }
        pages
    }

    /// How many rests are kept, and their bytes.
    pub(crate) fn rests(&self) -> (usize, usize) {
        let text = self.host.plane.metrics.render(&self.host.plane);
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        (value("omnimind_list_rests "), value("omnimind_list_rest_bytes "))
    }
}

/// What one page showed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Names or URIs.
    pub(crate) items: Vec<String>,
    pub(crate) next: Option<String>,
}

impl Listed {
    fn of(result: &Value) -> Self {
        let items = ["tools", "prompts", "resources"].iter().find_map(|member| result[*member].as_array()).unwrap();
        let named = |item: &Value| item.get("uri").unwrap_or(&item["name"]).as_str().unwrap().to_owned();
        Self { items: items.iter().map(named).collect(), next: result["nextCursor"].as_str().map(Into::into) }
    }
}

/// The names a library's items have at the aggregate.
pub(crate) fn names(server: &str, method: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    let name = |number: usize| match method {
        "resources/list" => format!("omnimind+{server}:lib:{number}"),
        _ => format!("{server}__{number}"),
    };
    numbers.map(name).collect()
}

pub(crate) fn all(pages: &[Listed]) -> Vec<String> {
    pages.iter().flat_map(|page| page.items.clone()).collect()
}

/// Time passes for the plane, while nothing else does.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
}

fn spec(name: &str, library: &Library, more: &Value) -> Value {
    let mut spec = json!({"name": name, "kind": "unix", "tier": "medium", "path": library.double.path,
        "sessions": "shared", "heartbeat_ms": 0});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn snapshot(specs: &[Value], cache: &Value) -> Value {
    json!({"version": "0.0.1", "state_dir": "/nonexistent", "keys": ["11".repeat(32)], "cache": cache,
        "auth": {"required": false, "tokens": []}, "servers": specs})
}
