//! One server's list of tools for its own endpoint, told otherwise than the server does. Its names stay.

use std::sync::Arc;

use bytes::Bytes;
use omnimind_wire::{error, json, names};

use super::{
    list::List,
    page::Page,
    parts::{fetch, read_on},
    shelves::MOST_NAMES,
    told::Form,
};
use crate::{config::ServerSpec, relay::Client, upstream::Failure};

/// The page that the params ask for, pruned, in the modern form.
///
/// # Errors
/// The server has no such page, or could not be asked.
pub(crate) async fn pruned(client: &Client, spec: &Arc<ServerSpec>, params: &[u8]) -> Result<Bytes, Failure> {
    let cursor = json::find(params, &["cursor"]).ok().flatten().filter(|raw| !json::is_null(raw));
    let cursor: Option<Arc<str>> = match cursor.map(json::as_str) {
        None => None,
        Some(Some(cursor)) => Some(cursor.into()),
        Some(None) => return Err(super::rpc(error::INVALID_PARAMS, "params.cursor must be a string".to_owned())),
    };
    let page = fetch(client, List::Tools, spec, cursor).await?;
    let shelves = &client.caller.plane.shelves;
    let same = shelves.again(client, List::Tools, &spec.name, &page).or_else(|| {
        // A list of one page is worth keeping.
        let is_all = page.is_first() && page.is_last();
        is_all.then(|| shelves.remember(client, List::Tools, &spec.name, vec![page.clone()]).first().cloned())?
    });
    let told: Vec<&[u8]> = same.as_ref().unwrap_or(&page).told(Form::Pruned, 0).map(|(_, told)| told).collect();
    page.with(List::Tools, &told).map_err(|malformed| Failure::Rpc(malformed.rpc_error()))
}

/// Its tools in a form, and whether there are more.
///
/// # Errors
/// The server could not be asked.
pub(super) async fn all(client: &Client, spec: &Arc<ServerSpec>, form: Form) -> Result<(Vec<Bytes>, bool), Failure> {
    let pages = read(client, spec).await?;
    let told = pages.iter().flat_map(|page| page.told(form, 0)).take(MOST_NAMES);
    let told = told.map(|(_, told)| Bytes::copy_from_slice(told)).collect();
    Ok((told, pages.last().is_some_and(|page| !page.is_last())))
}

/// Whether the server has a tool of this name. It is asked for its tools, if it has not said yet what it has.
///
/// # Errors
/// It could not be asked.
pub(crate) async fn has(client: &Client, spec: &Arc<ServerSpec>, name: &str) -> Result<bool, Failure> {
    let shelves = &client.caller.plane.shelves;
    if shelves.last(client, List::Tools, &spec.name).0.is_none() {
        read(client, spec).await?;
    }
    let known = shelves.known(client, List::Tools, &names::join(&spec.name, name));
    Ok(known.is_some_and(|(server, inner)| server == spec.name && inner == name))
}

async fn read(client: &Client, spec: &Arc<ServerSpec>) -> Result<Arc<[Page]>, Failure> {
    let mut pages = Vec::new();
    read_on(client, List::Tools, spec, MOST_NAMES, &mut pages).await?;
    Ok(client.caller.plane.shelves.remember(client, List::Tools, &spec.name, pages))
}
