//! A plain call: one question, one answer, and nothing on the way.
//!
//! For whoever merges several answers, or needs one for itself. It counts, is sent again where that does no
//! harm, and is answered from memory, like any call; only what changes nothing is asked this way.

use bytes::Bytes;
use omnimind_wire::{Era, Refusal, bridge, json::find};
use tokio::time::Instant;

use super::{
    Client, Source, dress,
    meta::{self, Sent},
    schemas,
    tries::{self, Tries, Verdict},
};
use crate::{
    cache::{
        Raw,
        errand::{Errand, Waited},
        path::{self, Asked, Course},
        report::Wish,
    },
    upstream::{Call, Failure, Lease},
};

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
    let brought = match path::begin(asked(client, source, method, &params)).await {
        Course::Hit(hit) => Ok(dress::remaining(hit)),
        Course::Go(errand) => fetch(client, source, method, &params, *errand).await,
        Course::Wait(waiting) => match waiting.landed().await {
            Waited::Brought(brought) => brought.map_err(|lost| (lost.era, lost.failure)),
            Waited::Go(errand) => fetch(client, source, method, &params, *errand).await,
        },
    };
    match brought {
        Ok(raw) if raw.era == Era::Modern => Ok(raw.result),
        Ok(raw) => dress::to_modern(method, &raw).map_err(Failure::Rpc),
        Err((Era::Legacy, Failure::Rpc(error))) => {
            Err(Failure::Rpc(bridge::error_to_modern(method, Some(&params), error)))
        }
        Err((_, failure)) => Err(failure),
    }
}

/// Fetches an answer for the memory alone, unless somebody is just fetching it.
pub(crate) async fn refresh(client: &Client, source: &Source, method: &str, params: &Bytes) {
    if let Some(errand) = path::ahead(asked(client, source, method, params), false).await {
        // Whether it succeeds shows when somebody wants it.
        let _ = fetch(client, source, method, params, errand).await;
    }
}

/// Fetches an answer that is only guessed to be wanted; true if it came.
pub(crate) async fn prefetch(client: &Client, source: &Source, method: &str, params: &Bytes) -> bool {
    match path::ahead(asked(client, source, method, params), true).await {
        Some(errand) => fetch(client, source, method, params, errand).await.is_ok(),
        None => false,
    }
}

fn asked<'a>(client: &'a Client, source: &'a Source, method: &'a str, params: &'a Bytes) -> Asked<'a> {
    Asked { client, spec: &source.spec, method, params, continues: false, request: None, wish: Wish::default() }
}

/// Asks the server itself; a failure comes with the era it speaks in.
async fn fetch(
    client: &Client,
    source: &Source,
    method: &str,
    params: &Bytes,
    mut errand: Errand,
) -> Result<Raw, (Era, Failure)> {
    let mut era = client.era;
    let outcome = fetched(client, source, method, params, &mut era).await;
    match outcome {
        Ok((on, result)) => {
            schemas::learn(client, &source.spec, method, &result);
            Ok(errand.landed(&on, &result))
        }
        Err(failure) => match errand.failed(era, &failure) {
            Some(hit) => Ok(dress::remaining(hit)),
            None => Err((era, failure)),
        },
    }
}

async fn fetched(
    client: &Client,
    source: &Source,
    method: &str,
    params: &Bytes,
    era: &mut Era,
) -> Result<(Lease, Bytes), Failure> {
    let mut on = lease(client, source, "").await?;
    let mut tries = Tries::default();
    loop {
        *era = on.negotiated().era;
        let refusal = match ask_on(&on, client, source, method, params).await {
            Ok(result) => return Ok((on, result)),
            Err(Failure::Refused(refusal)) => refusal,
            Err(failure) => return Err(failure),
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
        params,
        headers: Vec::new(),
        operator: client.is_operator(),
        idle: Some(source.spec.idle_timeout()),
        deadline: Some(Instant::now() + source.spec.longest()),
    };
    on.call(call).finish().await
}
