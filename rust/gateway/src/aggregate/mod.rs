//! The aggregate: all ready servers as one, at `/mcp`.
//!
//! Tools and prompts are named `server__name`, resources carry the prefix `omnimind+server:`. Lists are
//! merged in the order of the configuration, so that the same servers give the same list, and read from the
//! servers only as far as the page goes that is asked for; names resolve by table, never by splitting. A slow,
//! parked or broken server is left out of a list (or shown as last seen); it never delays or fails the others.
//!
//! Rooms: [`walk`] makes a page, [`parts`] asks the servers for it, [`place`] seals where it ends, [`rests`] keeps
//! what is left of a server's longer page, [`shelves`] what servers said last, [`find`] finds whose a name is,
//! [`rename`] maps what comes back. [`told`] makes tools shorter, also for the endpoint of [`one`] server.

mod find;
mod list;
mod one;
mod page;
mod parts;
mod place;
mod rename;
mod rests;
mod shelves;
mod told;
mod walk;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use omnimind_wire::{Edit, Era, RpcError, error, headers::META_SERVER_INFO, json, names};

use list::List;
use told::Form;

pub(crate) use one::{has as has_tool, pruned};
pub(crate) use rests::UNUSED;
pub(crate) use shelves::Shelves;

use crate::{
    config::ServerSpec,
    relay::{Client, Route, Source, Target, endpoint::Resolved, listen::Filter},
    upstream::Failure,
};

/// Finds where a request goes, or answers it here.
///
/// # Errors
/// The method, the name or the cursor is not one of ours.
pub async fn resolve(client: &Client, method: &str, params: Bytes) -> Result<Resolved, Failure> {
    if let Some(list) = List::of(method) {
        let from = place::Place::open(client, list, &params)?;
        let (items, next) = walk::page(client, list, from, Form::of(client, list), list.room()).await?;
        return Ok(Resolved::Answer(listed(client, list, &items, next.as_ref())));
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

/// All tools in the names of this endpoint, pruned or as a line each, and whether there are more.
///
/// # Errors
/// The only server of the endpoint could not be asked.
pub(crate) async fn tools(client: &Client, lines: bool) -> Result<(Vec<Bytes>, bool), Failure> {
    let form = if lines { Form::Line } else { Form::Pruned };
    match &client.caller.target {
        Target::One(spec) => one::all(client, spec, form).await,
        Target::All => {
            let (items, next) = walk::page(client, List::Tools, None, form, shelves::MOST_NAMES).await?;
            Ok((items, next.is_some()))
        }
    }
}

/// The result that lists these tools and no others.
pub(crate) fn these_tools(client: &Client, tools: &[Bytes]) -> Bytes {
    listed(client, List::Tools, tools, None)
}

/// A page of a list as a result in the modern form.
fn listed(client: &Client, list: List, items: &[Bytes], next: Option<&place::Place>) -> Bytes {
    let mut text = Vec::with_capacity(items.iter().map(|item| item.len().saturating_add(1)).sum::<usize>() + 512);
    text.extend_from_slice(b"{\"resultType\":\"complete\",\"");
    text.extend_from_slice(list.member().as_bytes());
    text.extend_from_slice(b"\":[");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(item);
    }
    text.push(b']');
    if let Some(next) = next {
        text.extend_from_slice(b",\"nextCursor\":");
        json::push_quoted(&mut text, &next.seal(client, list));
    }
    let meta = serde_json::json!({META_SERVER_INFO: server_info(client)}).to_string();
    text.extend_from_slice(b",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":");
    text.extend_from_slice(meta.as_bytes());
    text.push(b'}');
    text.into()
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
        let like = client.caller.plane.shelves.like(client, list, &name);
        let hint = if like.is_empty() { String::new() } else { format!("; did you mean {}?", like.join(", ")) };
        return Err(rpc(error::INVALID_PARAMS, format!("Unknown {}: {name}{hint}", list.noun())));
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
