//! A plain call: one question, one answer, and nothing on the way.
//!
//! For whoever merges several answers, or needs one for itself. It counts, and is sent again where that does no
//! harm, like any call; only what changes nothing is asked this way.

use bytes::Bytes;
use omnimind_wire::{Era, Refusal, RpcError, bridge, json::find};
use tokio::time::Instant;

use super::{
    Client, Source,
    meta::{self, Sent},
    schemas,
    tries::{self, Tries, Verdict},
};
use crate::upstream::{Call, Failure, Lease};

/// A connection for a call, which counts from here.
pub(super) async fn lease(client: &Client, source: &Source, method: &str) -> Result<Lease, Refusal> {
    let leased = client.lease(&source.spec, method).await;
    match &leased {
        Ok(lease) => lease.tally().called(),
        Err(_) => client.caller.plane.fleet.unmet(&source.spec.name),
    }
    leased
}

/// A plain call for whoever needs a result and nothing on the way: notes are dropped, questions refused.
/// The result is in the modern form and in the server's own names.
pub async fn ask(client: &Client, source: &Source, method: &str, params: Bytes) -> Result<Bytes, Failure> {
    let mut on = lease(client, source, "").await?;
    let mut tries = Tries::default();
    loop {
        let refusal = match ask_on(&on, client, source, method, &params).await {
            Err(Failure::Refused(refusal)) => refusal,
            answered => {
                if let Ok(result) = &answered {
                    schemas::learn(client, &source.spec, method, result);
                }
                return answered;
            }
        };
        match tries.judge(&source.spec, &refusal) {
            Verdict::Again(pause) => tokio::time::sleep(pause).await,
            Verdict::IfRepeatable if tries::only_reads(method) => {}
            Verdict::IfRepeatable | Verdict::No => {
                on.tally().failed();
                return Err(refusal.into());
            }
        }
        on = client.lease(&source.spec, "").await?;
    }
}

async fn ask_on(on: &Lease, client: &Client, source: &Source, method: &str, params: &Bytes) -> Result<Bytes, Failure> {
    let sent = find(if params.is_empty() { b"{}" } else { params }, &["_meta"]).ok().flatten();
    let params = meta::upward(client, on.negotiated().era, params, Sent::read(sent))
        .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?;
    let call = Call {
        id: Bytes::from_static(b"0"),
        method: method.into(),
        params: params.clone(),
        headers: Vec::new(),
        operator: client.is_operator(),
        idle: Some(source.spec.idle_timeout()),
        deadline: Some(Instant::now() + source.spec.longest()),
    };
    let outcome = on.call(call).finish().await;
    if on.negotiated().era == Era::Modern {
        return outcome;
    }
    match outcome {
        Ok(result) => to_modern(method, on, &result).map_err(Failure::Rpc),
        Err(Failure::Rpc(error)) => Err(Failure::Rpc(bridge::error_to_modern(method, Some(&params), error))),
        Err(refused) => Err(refused),
    }
}

/// A legacy server's result as a modern client is to see it.
pub(super) fn to_modern(method: &str, lease: &Lease, result: &[u8]) -> Result<Bytes, RpcError> {
    let info = find(&lease.negotiated().result, &["serverInfo"]).ok().flatten();
    bridge::result_to_modern(method, result, info).map_err(|malformed| malformed.rpc_error())
}
