//! An upstream's answer as one client is to see it: in its era, in the names of its endpoint.

use bytes::Bytes;
use omnimind_wire::{
    Edit, Era, RpcError, bridge,
    json::{as_u64, find_checked},
};

use super::{Client, Source};
use crate::{
    cache::{Hit, Raw},
    upstream::Failure,
};

/// A complete result.
pub(crate) fn result(client: &Client, source: &Source, method: &str, raw: Raw) -> Result<Bytes, RpcError> {
    let result = match (client.era, raw.era) {
        (Era::Modern, Era::Legacy) => to_modern(method, &raw)?,
        (Era::Legacy, Era::Modern) => {
            bridge::result_to_legacy(method, &raw.result).map_err(|malformed| malformed.rpc_error())?
        }
        _ => raw.result,
    };
    Ok(match &source.rename {
        Some(rename) => rename.result(method, result),
        None => result,
    })
}

/// A result from memory: what is left of its time is handed on, not what it had.
pub(crate) fn hit(client: &Client, source: &Source, method: &str, hit: Hit) -> Result<Bytes, RpcError> {
    result(client, source, method, remaining(hit))
}

/// What memory has of a result, with what is left of its time; never more than its server gave it.
pub(crate) fn remaining(hit: Hit) -> Raw {
    // Most answers say nothing of it, and are not searched for it.
    let given_ms = if hit.timed { find_checked(&hit.raw.result, "ttlMs").and_then(as_u64) } else { None };
    if given_ms.is_none_or(|given_ms| given_ms <= hit.left_ms) {
        return hit.raw;
    }
    let left = Edit::new(&hit.raw.result).set(&["ttlMs"], hit.left_ms.to_string().into_bytes()).finish();
    Raw { result: left.unwrap_or_else(|_| hit.raw.result.clone()), ..hit.raw }
}

/// A legacy server's result as a modern client is to see it.
pub(crate) fn to_modern(method: &str, raw: &Raw) -> Result<Bytes, RpcError> {
    let info = (!raw.info.is_empty()).then_some(&raw.info[..]);
    bridge::result_to_modern(method, &raw.result, info).map_err(|malformed| malformed.rpc_error())
}

/// An upstream's error, or a refusal of ours; `era` is the upstream's, `params` are those it saw.
pub(crate) fn failure(
    client: &Client,
    source: &Source,
    method: &str,
    params: &Bytes,
    era: Era,
    failure: Failure,
) -> Failure {
    let Failure::Rpc(error) = failure else { return failure };
    let error = match (client.era, era) {
        (Era::Modern, Era::Legacy) => bridge::error_to_modern(method, Some(params), error),
        (Era::Legacy, Era::Modern) => bridge::error_to_legacy(method, error),
        _ => error,
    };
    Failure::Rpc(match &source.rename {
        Some(rename) => rename.error(error),
        None => error,
    })
}
