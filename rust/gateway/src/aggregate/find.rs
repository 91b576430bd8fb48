//! Whose a name is: by table. A list that is longer than the table is asked of its server.

use std::sync::Arc;

use futures_util::future::join_all;
use omnimind_wire::{Reason, Refusal, names};

use super::{
    list::List,
    parts::{PATIENCE, part, present},
    shelves::MOST_NAMES,
};
use crate::{config::ServerSpec, relay::Client, upstream::ServerView};

/// The server and its own name for what the aggregate calls `name`; none if no server has it.
///
/// # Errors
/// Its name says whose it may be, and that server has not been heard yet and cannot be reached now.
pub(super) async fn find(client: &Client, list: List, name: &str) -> Result<Option<(String, String)>, Refusal> {
    let shelves = &client.caller.plane.shelves;
    if let Some(found) = shelves.known(client, list, name) {
        return Ok(Some(found));
    }
    if let Some(view) = unheard(client, list, name) {
        // As long as a call of its own would wait for it.
        client.lease(&view.spec, "").await?;
        let asking = shelves.asking(client, list, &view.spec.name);
        let heard = async {
            let _turn = asking.lock().await;
            if unheard(client, list, name).is_some() {
                part(client.clone(), list, view.clone(), MOST_NAMES).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, heard).await;
    }
    if let Some(view) = unheard(client, list, name) {
        let detail = format!("{} has not said yet what it has", view.spec.name);
        return Err(Refusal::new(Reason::ServerUnavailable, "server", detail)
            .about(&*view.spec.name)
            .retry_after(1_000));
    }
    // One asks; whoever comes meanwhile waits for what it hears.
    let turn = shelves.search(client, list);
    let _turn = turn.lock().await;
    if let Some(found) = shelves.known(client, list, name).or_else(|| of_a_long_list(client, list, name)) {
        return Ok(Some(found));
    }
    if !shelves.was_searched(client, list) {
        let parts = present(client).into_iter().map(|view| part(client.clone(), list, view, MOST_NAMES));
        join_all(parts).await;
        shelves.searched(client, list);
    }
    Ok(shelves.known(client, list, name))
}

/// The server that `name` may be of, by its first part, if it has not said what it has since this gateway began.
fn unheard(client: &Client, list: List, name: &str) -> Option<ServerView> {
    let shelves = &client.caller.plane.shelves;
    let may_have_it = |spec: &ServerSpec| name.strip_prefix(&*spec.name).is_some_and(|rest| rest.starts_with("__"));
    let is_unheard = |spec: &ServerSpec| shelves.last(client, list, &spec.name).0.is_none();
    let mut views = client.caller.plane.fleet.servers().into_iter();
    views.find(|view| may_have_it(&view.spec) && is_unheard(&view.spec))
}

/// A name that only one server can have given, because nothing else is joined to it, and which may be one of those that
/// are not remembered: that server knows.
fn of_a_long_list(client: &Client, list: List, name: &str) -> Option<(String, String)> {
    let servers = client.caller.plane.fleet.servers();
    let mut own = servers.iter().filter_map(|view| {
        let spec: &Arc<ServerSpec> = &view.spec;
        let inner = name.strip_prefix(&*spec.name)?.strip_prefix("__")?;
        (names::join(&spec.name, inner) == name).then(|| (spec.name.clone(), inner.to_owned()))
    });
    own.next().filter(|(server, _)| client.caller.plane.shelves.has_more(client, list, server))
}
