//! The aggregate: all ready servers as one, at `/mcp`.
//!
//! Tools and prompts are named `server__name`, resources carry the prefix `omnimind+server:`. Lists are
//! merged in the order of the configuration, so that the same servers give the same list, and read from the
//! servers only as far as the page goes that is asked for; names resolve by table, never by splitting. A slow,
//! parked or broken server is left out of a list (or shown as last seen); it never delays or fails the others.
//!
//! Rooms: [`walk`] makes a page, [`parts`] asks the servers for it, [`place`] seals where it ends, [`rests`] keeps
//! what is left of a server's longer page, [`shelves`] what servers said last, [`find`] finds whose a name is,
//! [`rename`] maps what comes back.

mod find;
mod list;
mod page;
mod parts;
mod place;
mod rename;
mod rests;
mod shelves;
mod walk;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use omnimind_wire::{Edit, Era, RpcError, error, headers::META_SERVER_INFO, json, names};

use list::List;
pub(crate) use rests::UNUSED;
pub(crate) use shelves::Shelves;

use crate::{
    config::ServerSpec,
    relay::{Client, Route, Source, endpoint::Resolved, listen::Filter},
    upstream::Failure,
};

/// Finds where a request goes, or answers it here.
///
/// # Errors
/// The method, the name or the cursor is not one of ours.
pub async fn resolve(client: &Client, method: &str, params: Bytes) -> Result<Resolved, Failure> {
    if let Some(list) = List::of(method) {
        let from = place::Place::open(client, list, &params)?;
        return walk::page(client, list, from).await.map(Resolved::Answer);
    }
    match method {
        "tools/call" => by_name(client, List::Tools, &params, &["name"]).await,
        "prompts/get" => by_name(client, List::Prompts, &params, &["name"]).await,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => by_uri(client, &params, &["uri"]),
        "completion/complete" => match json::find(&params, &["ref", "type"]).ok().flatten().and_then(json::as_str) {
            Some(kind) if kind == "ref/prompt" => by_name(client, List::Prompts, &params, &["ref", "name"]).await,
            _ => by_uri(client, &params, &["ref", "uri"]),
        },
        _ => Err(rpc(error::METHOD_NOT_FOUND, format!("no such method: {method}"))),
    }
}

/// What this endpoint says of itself, as the result of `server/discover`.
pub fn hello(client: &Client) -> Bytes {
    let plane = &client.caller.plane;
    let snapshot = plane.snapshot.load();
    let servers: Vec<&str> = snapshot.servers.iter().map(|spec| spec.name.as_str()).collect();
    let instructions = format!(
        "Tools and prompts of several servers, each named server__name; resource URIs start with omnimind+server:. Servers: {}.",
        servers.join(", ")
    );
    let mut capabilities = serde_json::json!({
        "completions": {},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "tools": {"listChanged": true},
    });
    if client.era == Era::Legacy {
        // Deprecated in the modern era, where a request says for itself what it wants logged.
        capabilities["logging"] = serde_json::json!({});
    }
    let hello = serde_json::json!({
        "resultType": "complete",
        "supportedVersions": [omnimind_wire::MODERN_VERSION],
        "capabilities": capabilities,
        "instructions": instructions,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {META_SERVER_INFO: server_info(client)},
    });
    hello.to_string().into()
}

/// Who answers here, when no single server does.
fn server_info(client: &Client) -> serde_json::Value {
    serde_json::json!({"name": "omnimind", "version": client.caller.plane.snapshot.load().version})
}

/// The servers whose notifications this endpoint forwards.
pub fn sources(client: &Client) -> Vec<Source> {
    client.caller.plane.snapshot.load().servers.iter().map(source).collect()
}

/// A subscription, per server: lists are everyone's, a resource is its server's.
pub fn split(client: &Client, filter: &Filter) -> Vec<(Source, Filter)> {
    let mut uris: BTreeMap<String, Vec<Arc<str>>> = BTreeMap::new();
    for uri in &filter.uris {
        if let Some((server, inner)) = names::uri::unwrap(uri) {
            uris.entry(server).or_default().push(inner.into());
        }
    }
    sources(client)
        .into_iter()
        .map(|source| {
            let uris = uris.remove(&source.spec.name).unwrap_or_default();
            let part = Filter { uris, ..filter.clone() };
            (source, part)
        })
        .filter(|(_, part)| !part.is_empty())
        .collect()
}

fn source(spec: &Arc<ServerSpec>) -> Source {
    Source { spec: spec.clone(), rename: Some(Arc::new(rename::Prefixed::new(&spec.name))) }
}

async fn by_name(client: &Client, list: List, params: &[u8], path: &[&str]) -> Result<Resolved, Failure> {
    let name = text_at(params, path)?;
    let Some((server, inner)) = find::find(client, list, &name).await.map_err(Failure::Refused)? else {
        return Err(rpc(error::INVALID_PARAMS, format!("Unknown {}: {name}", list.noun())));
    };
    forward(client, &server, params, path, &inner)
}

fn by_uri(client: &Client, params: &[u8], path: &[&str]) -> Result<Resolved, Failure> {
    let uri = text_at(params, path)?;
    match names::uri::unwrap(&uri) {
        Some((server, inner)) => forward(client, &server, params, path, inner),
        None => Err(unknown_uri(&uri)),
    }
}

fn forward(client: &Client, server: &str, params: &[u8], path: &[&str], inner: &str) -> Result<Resolved, Failure> {
    let snapshot = client.caller.plane.snapshot.load();
    let Some(spec) = snapshot.servers.iter().find(|spec| spec.name == server) else {
        return Err(unknown_uri(inner));
    };
    let params = Edit::new(params)
        .set(path, json::quote(inner))
        .finish()
        .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?;
    Ok(Resolved::Forward(Route { source: source(spec), params }))
}

fn text_at(params: &[u8], path: &[&str]) -> Result<String, Failure> {
    json::find(params, path)
        .ok()
        .flatten()
        .and_then(json::as_str)
        .map(Cow::into_owned)
        .ok_or_else(|| rpc(error::INVALID_PARAMS, format!("params.{} must be a string", path.join("."))))
}

fn unknown_uri(uri: &str) -> Failure {
    let mut data = b"{\"uri\":".to_vec();
    json::push_quoted(&mut data, uri);
    data.push(b'}');
    Failure::Rpc(RpcError::new(error::INVALID_PARAMS, format!("Resource not found: {uri}")).with_data(data))
}

fn rpc(code: i64, message: String) -> Failure {
    Failure::Rpc(RpcError::new(code, message))
}
