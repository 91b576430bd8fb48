//! What differs between one server's pass-through and the aggregate of all; nothing else looks at [`Target`].

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use omnimind_wire::{
    Edit, Era, LEGACY_VERSIONS, MODERN_VERSION, Request, bridge,
    json::{push_quoted, quote},
};
use tokio::sync::broadcast::error::RecvError;

use super::{Client, Route, Source, Target, ask, listen::Filter};
use crate::{
    aggregate,
    compress::{self, Told},
    upstream::{Failure, Note},
};

const LISTS: [&str; 3] =
    ["notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed"];

/// What becomes of a request.
pub enum Resolved {
    /// A server answers it.
    Forward(Route),
    /// The endpoint itself does: a result in the modern form.
    Answer(Bytes),
}

/// Finds who answers a request.
pub async fn resolve(client: &Client, request: &Request) -> Result<Resolved, Failure> {
    if let Some(uri) = compress::is_ours(request) {
        return Box::pin(compress::read(client, &uri)).await.map(Resolved::Answer);
    }
    let params = request.params.clone().unwrap_or_default();
    let params = if compress::tells(client, &request.method) {
        match Box::pin(compress::told(client, &request.method, params)).await? {
            Told::Answer(result) => return Ok(Resolved::Answer(result)),
            Told::Params(params) => params,
        }
    } else {
        params
    };
    match &client.caller.target {
        Target::One(spec) => {
            let source = Source { spec: spec.clone(), rename: None };
            Ok(Resolved::Forward(Route { source, params }))
        }
        Target::All => {
            if request.method.ends_with("/list") {
                client.caller.plane.admission.admit_to_all(client)?;
            }
            Box::pin(aggregate::resolve(client, &request.method, params)).await
        }
    }
}

/// The result of `server/discover`, versions included: those this gateway serves, whatever the upstream speaks.
pub async fn discover(client: &Client, request: &Request) -> Result<Bytes, Failure> {
    let result = match &client.caller.target {
        Target::One(spec) => {
            let source = Source { spec: spec.clone(), rename: None };
            let lease = client.lease(spec, "server/discover").await?;
            match lease.negotiated().era {
                Era::Modern => {
                    let params = request.params.clone().unwrap_or_default();
                    ask::ask(client, &source, "server/discover", params).await?
                }
                Era::Legacy => bridge::discover_from_initialize(&lease.negotiated().result, &[MODERN_VERSION])
                    .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?,
            }
        }
        Target::All => aggregate::hello(client),
    };
    Edit::new(&result)
        .set(&["supportedVersions"], versions())
        .finish()
        .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))
}

/// The result of a legacy client's `initialize`.
pub async fn initialize(client: &Client) -> Result<Bytes, Failure> {
    let result = match &client.caller.target {
        Target::One(spec) => {
            let lease = client.lease(spec, "initialize").await?;
            let agreed = lease.negotiated();
            match agreed.era {
                Era::Modern => bridge::initialize_from_discover(&agreed.result, client.version),
                Era::Legacy => Edit::new(&agreed.result).set(&["protocolVersion"], quote(client.version)).finish(),
            }
        }
        Target::All => bridge::initialize_from_discover(&aggregate::hello(client), client.version),
    };
    result.map_err(|malformed| Failure::Rpc(malformed.rpc_error()))
}

/// The servers whose notifications this endpoint brings.
pub fn sources(client: &Client) -> Vec<Source> {
    match &client.caller.target {
        Target::One(spec) => vec![Source { spec: spec.clone(), rename: None }],
        Target::All => aggregate::sources(client),
    }
}

/// A subscription by server, in the servers' own names.
pub fn split(client: &Client, filter: &Filter) -> Vec<(Source, Filter)> {
    match &client.caller.target {
        Target::One(spec) => vec![(Source { spec: spec.clone(), rename: None }, filter.clone())],
        Target::All => aggregate::split(client, filter),
    }
}

/// What the endpoint has to say of its own accord: the lists of many servers change when one comes or goes.
pub fn own_notes(client: &Client) -> BoxStream<'static, Note> {
    if let Target::One(_) = client.caller.target {
        return stream::pending().boxed();
    }
    let mut changes = client.caller.plane.fleet.changes();
    let mut late = client.caller.plane.shelves.late();
    async_stream::stream! {
        loop {
            // A reader that fell behind hears once what it missed many times.
            let changed = tokio::select! {
                heard = changes.recv() => match heard {
                    Ok(()) | Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => break,
                },
                heard = late.recv() => match heard {
                    Ok(list) => Some(list.changed()),
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => break,
                },
            };
            for method in LISTS.into_iter().filter(|method| changed.is_none_or(|changed| changed == *method)) {
                yield Note { method: method.into(), params: Bytes::new() };
            }
        }
    }
    .boxed()
}

fn versions() -> Vec<u8> {
    let mut out = vec![b'['];
    for version in [MODERN_VERSION].into_iter().chain(LEGACY_VERSIONS.into_iter().rev()) {
        if out.len() > 1 {
            out.push(b',');
        }
        push_quoted(&mut out, version);
    }
    out.push(b']');
    out
}
