//! A plain call: one question, one answer, and nothing on the way.
//!
//! For whoever merges several answers, or needs one for itself. It counts, is sent again where that does no
//! harm, and is answered from memory, like any call; only what changes nothing is asked this way.

use std::{mem::take, time::Duration};

use bytes::Bytes;
use omnimind_wire::{Era, bridge, json::find};
use tokio::time::Instant;

use super::{
    Client, Source, dress,
    meta::{self, Sent},
    schemas,
    tries::{self, Tries, Verdict},
    turn::Turn,
};
use crate::{
    admission::{Going, Permit, Spare},
    cache::{
        Raw,
        errand::{Errand, Waited},
        path::{self, Asked, Course},
        report::Wish,
    },
    traces::Attempt,
    upstream::{Call, Failure, Lease},
};

/// A plain call for whoever needs a result and nothing on the way: notes are dropped, questions refused.
/// The result is in the modern form and in the server's own names.
pub async fn ask(client: &Client, source: &Source, method: &str, params: Bytes) -> Result<Bytes, Failure> {
    bring(client, source, method, &params).await.map(|(result, _)| result)
}

/// [`ask`], and whether it was answered without a call of its own.
pub(crate) async fn bring(
    client: &Client,
    source: &Source,
    method: &str,
    params: &Bytes,
) -> Result<(Bytes, bool), Failure> {
    let (brought, cached) = match path::begin(asked(client, source, method, params)).await {
        Course::Hit(hit) => (Ok(dress::remaining(hit)), true),
        Course::Go(errand) => (fetch(client, source, method, params, *errand).await, false),
        Course::Wait(waiting) => match waiting.landed().await {
            Waited::Brought(brought) => (brought.map_err(|lost| (lost.era, lost.failure)), true),
            Waited::Go(errand) => (fetch(client, source, method, params, *errand).await, false),
        },
    };
    let result = match brought {
        Ok(raw) if raw.era == Era::Modern => Ok(raw.result),
        Ok(raw) => dress::to_modern(method, &raw).map_err(Failure::Rpc),
        Err((Era::Legacy, Failure::Rpc(error))) => {
            Err(Failure::Rpc(bridge::error_to_modern(method, Some(params), error)))
        }
        Err((_, failure)) => Err(failure),
    };
    result.map(|result| (result, cached))
}

/// Fetches an answer for the memory alone, unless somebody is just fetching it.
pub(crate) async fn refresh(client: &Client, source: &Source, method: &str, params: &Bytes) {
    // Whether it succeeds shows when somebody wants it.
    ahead(client, source, method, params, false).await;
}

/// Fetches an answer that is only guessed to be wanted; true if it came.
pub(crate) async fn prefetch(client: &Client, source: &Source, method: &str, params: &Bytes) -> bool {
    ahead(client, source, method, params, true).await
}

/// Fetches an answer that nobody waits for, while no call that somebody waits for wants its permit.
async fn ahead(client: &Client, source: &Source, method: &str, params: &Bytes, guessed: bool) -> bool {
    let Some(errand) = path::ahead(asked(client, source, method, params), guessed).await else { return false };
    let going = going(client, source, method, params);
    let Some(Spare { permit, overtaken }) = client.caller.plane.admission.spare(going) else { return false };
    let turn = Turn { going, permit: Some(permit), until: None };
    tokio::select! {
        biased;
        () = overtaken.notified() => false,
        fetched = fetch_in(turn, source, params, errand) => fetched.is_ok(),
    }
}

fn going<'a>(client: &'a Client, source: &'a Source, method: &'a str, params: &'a Bytes) -> Going<'a> {
    Going { client, spec: &source.spec, method, params, request: None }
}

fn asked<'a>(client: &'a Client, source: &'a Source, method: &'a str, params: &'a Bytes) -> Asked<'a> {
    Asked { client, spec: &source.spec, method, params, continues: false, request: None, wish: Wish::default() }
}

/// Asks the server itself, in its turn.
async fn fetch(
    client: &Client,
    source: &Source,
    method: &str,
    params: &Bytes,
    mut errand: Errand,
) -> Result<Raw, (Era, Failure)> {
    let until = Instant::now() + source.spec.longest();
    match Turn::take(going(client, source, method, params), until).await {
        Ok(turn) => fetch_in(turn, source, params, errand).await,
        Err(refusal) => {
            let failure = refusal.into();
            errand.failed(client.era, &failure).map(dress::remaining).ok_or((client.era, failure))
        }
    }
}

/// Asks the server itself; a failure comes with the era it speaks in.
async fn fetch_in(turn: Turn<'_>, source: &Source, params: &Bytes, mut errand: Errand) -> Result<Raw, (Era, Failure)> {
    let (client, method) = (turn.going.client, turn.going.method);
    let mut era = client.era;
    match fetched(turn, source, params, &mut era).await {
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
    mut turn: Turn<'_>,
    source: &Source,
    params: &Bytes,
    era: &mut Era,
) -> Result<(Lease, Bytes), Failure> {
    let method = turn.going.method;
    let mut on = turn.first_lease("").await?;
    let mut tries = Tries::default();
    let mut waited = turn.permit.as_ref().map_or(Duration::ZERO, Permit::waited);
    loop {
        *era = on.negotiated().era;
        let outcome = ask_on(&on, &mut turn, source, params, take(&mut waited)).await;
        let Err(Failure::Refused(refusal)) = &outcome else {
            turn.end(&outcome);
            return outcome.map(|result| (on, result));
        };
        match tries.judge(&source.spec, refusal) {
            Verdict::Again(pause) => tokio::time::sleep(pause).await,
            Verdict::IfRepeatable if tries::only_reads(method) => {}
            Verdict::IfRepeatable | Verdict::No => {
                on.tally().failed();
                turn.end(&outcome);
                return outcome.map(|result| (on, result));
            }
        }
        turn.permit.iter_mut().for_each(Permit::spoil);
        on = turn.lease("").await?;
    }
}

/// One attempt; the turn's permit is lent to it. One that nobody waits for is no part of a trace.
async fn ask_on(
    on: &Lease,
    turn: &mut Turn<'_>,
    source: &Source,
    params: &Bytes,
    waited: Duration,
) -> Result<Bytes, Failure> {
    let (client, method) = (turn.going.client, turn.going.method);
    let sent = find(if params.is_empty() { b"{}" } else { params }, &["_meta"]).ok().flatten();
    let params = meta::upward(client, on.negotiated().era, params, Sent::read(sent))
        .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?;
    let operation = &client.caller.operation;
    let attempt = turn.until.and_then(|_| operation.attempt(&source.spec, on, method, waited));
    let call = Call {
        id: Bytes::from_static(b"0"),
        method: method.into(),
        params,
        headers: Vec::new(),
        operator: client.is_operator(),
        idle: Some(source.spec.idle_timeout()),
        deadline: Some(Instant::now() + source.spec.longest()),
        trace: attempt.as_deref().map(Attempt::context).map(Box::new),
    };
    let mut exchange = on.call(call);
    exchange.carry(turn.permit.take());
    exchange.trace(attempt);
    let outcome = exchange.outcome().await;
    turn.permit = exchange.permit();
    outcome
}
