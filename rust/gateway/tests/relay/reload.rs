//! Another configuration while clients listen at the aggregate.

use omnimind_gateway::{
    control::FromOrchestrator,
    relay::{self, Target},
};
use omnimind_wire::{Limits, Message};
use serde_json::{Value, json};

use crate::{
    double::{Double, Speaks},
    host::{CAPABILITIES, Host, Stream, VERSION, collect},
};

fn apply(host: &Host, doubles: &[(&str, &Double)]) {
    let servers: Vec<Value> = doubles
        .iter()
        .map(|(name, double)| json!({"name": name, "kind": "unix", "tier": "medium", "path": double.path}))
        .collect();
    let message = json!({"t": "apply", "snapshot": {"version": "0.0.1", "state_dir": "/nonexistent",
        "keys": ["11".repeat(32)], "auth": {"required": false}, "servers": servers}});
    let message = FromOrchestrator::parse(message.to_string().as_bytes()).unwrap();
    host.plane.hear(message, Vec::new()).unwrap();
}

fn all(host: &Host, method: &str, name: &[(&str, &str)]) -> relay::Caller {
    let headers = [&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)], name].concat();
    let mut caller = host.caller("ann", &headers);
    caller.target = Target::All;
    caller
}

fn message(method: &str, mut params: Value) -> Message {
    params["_meta"] = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    Message::parse(body.to_string().into(), &Limits::default()).unwrap()
}

async fn tools(host: &Host) -> Vec<String> {
    let caller = all(host, "tools/list", &[]);
    let answer = collect(relay::post(caller, message("tools/list", json!({}))).await).await;
    let tools = answer.end["result"]["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).filter(|name| name.ends_with("echo")).collect()
}

#[tokio::test]
async fn who_listens_hears_that_servers_came_and_went_and_what_the_new_ones_say() {
    let (one, two) = (Double::start(Speaks::Legacy), Double::start(Speaks::Legacy));
    let host = Host::new(&one);
    apply(&host, &[("one", &one)]);
    assert_eq!(tools(&host).await, ["one__echo"]);
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let caller = all(&host, "subscriptions/listen", &[]);
    let mut stream = Stream::of(relay::post(caller, message("subscriptions/listen", wanted)).await);
    assert_eq!(stream.next().await["method"], "notifications/subscriptions/acknowledged");

    apply(&host, &[("one", &one), ("two", &two)]);
    assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    assert_eq!(tools(&host).await, ["one__echo", "two__echo"]);

    // Listening has nothing to say to a legacy server but its greeting.
    let mut told = Value::Null;
    for _ in 0..100 {
        two.tell("notifications/tools/list_changed", &json!({}));
        if !stream.is_quiet().await {
            told = json!(true);
            break;
        }
    }
    assert_eq!(told, true, "the new server's own word arrives");

    apply(&host, &[("two", &two)]);
    assert_eq!(tools(&host).await, ["two__echo"]);
    let params = json!({"name": "one__echo", "arguments": {}});
    let caller = all(&host, "tools/call", &[("mcp-name", "one__echo")]);
    let gone = collect(relay::post(caller, message("tools/call", params)).await).await;
    assert_eq!(gone.code(), -32602, "{gone:?}");
    assert!(gone.end["error"]["message"].as_str().unwrap().starts_with("Unknown tool"), "{gone:?}");
}
