//! `requestState`, sealed: what a client must bring back unchanged, itself, in time, with the same request.
//!
//! A modern upstream's own state is wrapped, not replaced; a call that waits on a legacy upstream gets a
//! state that names its place in [`super::parked`]. Both are bound to the principal, the server and a digest
//! of the request; a state that does not fit never reaches an upstream.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use omnimind_wire::{
    Edit, RpcError,
    error::INVALID_PARAMS,
    json::{as_str, find, is_null, quote},
    seal::{Claims, Kind, request_digest},
};

use super::Client;

/// How long a client may think before it comes back.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

const UPSTREAM: u8 = b'u';
const PARKED: u8 = b'p';

/// Number of a parked call.
pub(crate) type ParkedId = [u8; 16];

/// What an accepted state holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The server it came from.
    pub(crate) backend: String,
    /// What for.
    pub(crate) what: What,
}

/// What a state is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// The upstream's own state.
    Upstream(String),
    /// A call that waits here.
    Parked(ParkedId),
}

/// Seals a state for a client; `params` are those of its request as it sent them.
pub(crate) fn seal(
    client: &Client,
    backend: &str,
    method: &str,
    params: &[u8],
    what: &What,
    life: Duration,
) -> Result<String, RpcError> {
    let binding = digest(method, params)?;
    let payload = match what {
        What::Upstream(state) => [&[UPSTREAM], state.as_bytes()].concat(),
        What::Parked(id) => [&[PARKED], &id[..]].concat(),
    };
    let claims = Claims {
        principal: client.principal(),
        backend,
        expires_at: now_s() + life.as_secs(),
        binding: &binding,
        payload: &payload,
    };
    Ok(client.caller.plane.keyring.load().seal(Kind::RequestState, &claims, random()))
}

/// Opens the state in a request's params, if it has one. `null` counts as none.
pub(crate) fn open(client: &Client, method: &str, params: &[u8]) -> Result<Option<Held>, RpcError> {
    let Some(raw) = find(params, &["requestState"]).map_err(|malformed| malformed.rpc_error())? else {
        return Ok(None);
    };
    if is_null(raw) {
        return Ok(None);
    }
    let token = as_str(raw).ok_or_else(|| invalid("requestState must be a string"))?;
    let opened = client
        .caller
        .plane
        .keyring
        .load()
        .open(Kind::RequestState, &token, client.principal(), now_s())
        .map_err(|error| invalid(&format!("requestState is not accepted: {error}")))?;
    if opened.binding != digest(method, params)? {
        return Err(invalid(
            "requestState is not accepted: it belongs to a request with another method or other params",
        ));
    }
    let what = match opened.payload.split_first() {
        Some((&UPSTREAM, state)) => String::from_utf8(state.to_vec()).ok().map(What::Upstream),
        Some((&PARKED, id)) => id.try_into().ok().map(What::Parked),
        _ => None,
    };
    let what = what.ok_or_else(|| invalid("requestState is not accepted: it holds nothing known"))?;
    Ok(Some(Held { backend: opened.backend, what }))
}

/// An upstream's input-required result with its state sealed; without a state it passes as it is.
pub(crate) fn wrap(
    client: &Client,
    backend: &str,
    method: &str,
    params: &[u8],
    result: Bytes,
) -> Result<Bytes, RpcError> {
    let state = find(&result, &["requestState"]).ok().flatten().and_then(as_str);
    let Some(state) = state else { return Ok(result) };
    let sealed = seal(client, backend, method, params, &What::Upstream(state.into_owned()), PATIENCE)?;
    Edit::new(&result).set(&["requestState"], quote(&sealed)).finish().map_err(|malformed| malformed.rpc_error())
}

/// Unguessable bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // The call can only be interrupted: the kernel's pool is ready long before this process starts.
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn digest(method: &str, params: &[u8]) -> Result<[u8; 32], RpcError> {
    request_digest(method, (!params.is_empty()).then_some(params)).map_err(|malformed| malformed.rpc_error())
}

fn invalid(message: &str) -> RpcError {
    RpcError::new(INVALID_PARAMS, message)
}
