//! Doubles for the upstream tests: a fleet of given servers, and servers that do as they are told.
#![allow(dead_code, reason = "each test file uses some of them")]

pub(crate) mod children;
pub(crate) mod lines;
pub(crate) mod web;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use omnimind_gateway::{
    config::Snapshot,
    control::{Outbox, ServerChange},
    upstream::{Call, Event, Exchange, Failure, Fleet, Lease, Owner, Watch, Wish},
};
use omnimind_wire::{Era, Refusal};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// Number of the gateway process in these tests.
pub(crate) const EPOCH: u32 = 7;
/// An instance key.
pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A fleet with these servers.
pub(crate) fn fleet(servers: &Value) -> (Arc<Fleet>, Arc<Outbox>) {
    watched(servers, Arc::new(()))
}

/// A fleet with these servers whose changes are watched.
pub(crate) fn watched(servers: &Value, watch: Arc<dyn Watch>) -> (Arc<Fleet>, Arc<Outbox>) {
    let outbox = Arc::new(Outbox::new().unwrap());
    (Fleet::new(EPOCH, &snapshot(servers), outbox.clone(), watch), outbox)
}

/// A configuration with these servers.
pub(crate) fn snapshot(servers: &Value) -> Snapshot {
    let text = json!({
        "version": "0.1.0", "state_dir": env!("CARGO_TARGET_TMPDIR"), "keys": [], "auth": {"required": false}, "servers": servers,
    });
    serde_json::from_value(text).unwrap()
}

/// A change of a server's state.
pub(crate) fn change(name: &str, state: &str, more: &Value) -> ServerChange {
    let mut text = json!({"name": name, "state": state});
    for (key, value) in more.as_object().into_iter().flatten() {
        text[key] = value.clone();
    }
    serde_json::from_value(text).unwrap()
}

/// A wish of a modern caller.
pub(crate) fn wish(principal: &str, era: Era, owner: Owner) -> Wish {
    Wish { principal: principal.into(), era, owner }
}

/// A lease for anyone.
pub(crate) async fn shared(fleet: &Arc<Fleet>, server: &str, principal: &str, era: Era) -> Result<Lease, Refusal> {
    fleet.lease(server, wish(principal, era, Owner::Shared), soon()).await
}

/// A lease for one session.
pub(crate) async fn session(fleet: &Arc<Fleet>, server: &str, key: &str) -> Lease {
    let owner = Owner::Session { session: key.into(), capabilities: Bytes::from_static(br#"{"elicitation":{}}"#) };
    fleet.lease(server, wish("ann", Era::Legacy, owner), soon()).await.unwrap()
}

/// A lease for one call.
pub(crate) async fn leased(fleet: &Arc<Fleet>, server: &str) -> Lease {
    let owner = Owner::Call { capabilities: Bytes::from_static(br#"{"elicitation":{}}"#) };
    fleet.lease(server, wish("ann", Era::Modern, owner), soon()).await.unwrap()
}

/// In five seconds.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// A call of a tool.
pub(crate) fn tool(id: &str, params: &Value) -> Call {
    call(id, "tools/call", params)
}

/// Any call.
pub(crate) fn call(id: &str, method: &str, params: &Value) -> Call {
    Call {
        id: Bytes::copy_from_slice(id.as_bytes()),
        method: method.into(),
        params: Bytes::from(params.to_string()),
        headers: Vec::new(),
        operator: false,
        idle: Some(Duration::from_secs(10)),
        deadline: Some(Instant::now() + Duration::from_secs(20)),
        trace: None,
    }
}

/// The next event, which must come within five seconds.
pub(crate) async fn next(exchange: &mut Exchange) -> Event {
    timeout(Duration::from_secs(5), exchange.next()).await.expect("an event within five seconds")
}

/// The result of a call that succeeds.
pub(crate) async fn result(exchange: Exchange) -> Value {
    let outcome = timeout(Duration::from_secs(10), exchange.finish()).await.expect("an answer within ten seconds");
    serde_json::from_slice(&outcome.expect("a result")).unwrap()
}

/// The refusal of a call that has none.
pub(crate) fn refusal(outcome: Result<Bytes, Failure>) -> Refusal {
    match outcome {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

/// Raw JSON as a value.
pub(crate) fn value(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).unwrap()
}

/// Waits until something holds, at most five seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = soon();
    while !holds() {
        assert!(Instant::now() < give_up, "{what} did not come true in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
