//! What would become of a request, for an operator who asks.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::HeaderMap;
use omnimind_wire::{Message, json::Limits};
use serde_json::{Value, json};

use super::{
    Caller, Client, Target,
    endpoint::{self, Resolved},
};
use crate::{plane::Plane, principal::Principal, upstream::Failure};

/// What would become of a modern request of this principal at a server's endpoint, or at the aggregate's.
pub(crate) async fn explain(
    plane: &Arc<Plane>,
    principal: Arc<Principal>,
    server: Option<&str>,
    message: &Value,
) -> Value {
    let target = match server {
        None => Target::All,
        Some(name) => match plane.snapshot.load().servers.iter().find(|spec| spec.name == name) {
            Some(spec) => Target::One(Arc::clone(spec)),
            None => return json!({"error": format!("there is no server {name}")}),
        },
    };
    let request = match Message::parse(message.to_string().into(), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        Ok(_) => return json!({"error": "the message is no request: it needs an id, a method and params"}),
        Err(malformed) => return json!({"error": malformed.rpc_error().message}),
    };
    let tools = target.tool_list(&plane.snapshot.load(), &principal.name);
    let operation = plane.metrics.operation(Instant::now());
    let (plane, headers, body) = (Arc::clone(plane), HeaderMap::new(), Bytes::new());
    let caller = Caller { plane: Arc::clone(&plane), principal, target, tools, headers, body, operation };
    let client = Client::modern(caller, &request);
    match endpoint::resolve(&client, &request).await {
        Ok(Resolved::Forward(route)) => plane.memory.explain(&client, &route, &request).await,
        Ok(Resolved::Answer(_)) => json!({
            "server": null, "method": request.method, "kept": false, "hit": null,
            "why": "the gateway makes this answer itself, from what each server said; ask about one server",
        }),
        Err(Failure::Rpc(error)) => json!({"error": error.message}),
        Err(Failure::Refused(refusal)) => json!({"error": refusal.detail}),
    }
}
