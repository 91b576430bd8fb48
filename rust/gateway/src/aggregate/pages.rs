//! Cutting a merged list into pages.
//!
//! A cursor says how many items of which server the client has; the rest of the list is looked up again, so
//! a page costs no memory between calls. It is sealed: bound to the principal and to the list it was made for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use omnimind_wire::{
    RpcError, error,
    headers::META_SERVER_INFO,
    json,
    seal::{Claims, Kind},
};

use super::lists::{List, Part};
use crate::{relay::Client, upstream::Failure};

/// Tools are sent whole up to this many: models want them all.
const TOOLS_A_PAGE: usize = 1_000;
/// Other lists come in pages of this size.
const ITEMS_A_PAGE: usize = 100;
/// A cursor may be used this long.
const CURSOR_LIFE: Duration = Duration::from_secs(3_600);

/// Where a page begins.
#[derive(Debug, Default)]
pub(super) struct From {
    server: String,
    had: usize,
}

/// Reads the cursor of a list request; none means the beginning.
///
/// # Errors
/// The cursor was not made here, not for this list, not for this principal, or too long ago.
pub(super) fn open(client: &Client, list: List, params: &[u8]) -> Result<From, Failure> {
    let cursor = json::find(params, &["cursor"]).ok().flatten().filter(|raw| !json::is_null(raw));
    let Some(cursor) = cursor else { return Ok(From::default()) };
    let bad =
        || Failure::Rpc(RpcError::new(error::INVALID_PARAMS, "that cursor is not valid; list from the beginning"));
    let token = json::as_str(cursor).ok_or_else(bad)?;
    let keyring = client.caller.plane.keyring.load();
    let opened = keyring.open(Kind::Cursor, &token, &client.caller.principal.name, now_s()).map_err(|_| bad())?;
    if opened.binding != list.method().as_bytes() {
        return Err(bad());
    }
    let text = std::str::from_utf8(&opened.payload).map_err(|_| bad())?;
    let (had, server) = text.split_once(' ').ok_or_else(bad)?;
    Ok(From { server: server.to_owned(), had: had.parse().map_err(|_| bad())? })
}

/// The result for one page, in the modern form.
pub(super) fn cut(client: &Client, list: List, parts: &[Part], from: &From) -> Bytes {
    let room = if list == List::Tools { TOOLS_A_PAGE } else { ITEMS_A_PAGE };
    let mut page = Vec::with_capacity(4_096);
    page.extend_from_slice(b"{\"resultType\":\"complete\",\"");
    page.extend_from_slice(list.member().as_bytes());
    page.extend_from_slice(b"\":[");
    let first = first_part(client, parts, &from.server);
    let mut sent = 0;
    let mut next = None;
    'parts: for (index, part) in parts.iter().enumerate().skip(first) {
        let had = if index == first && part.server.name == from.server { from.had } else { 0 };
        for (position, item) in part.items.iter().enumerate().skip(had) {
            if sent == room {
                next = Some((position, part.server.name.as_str()));
                break 'parts;
            }
            if sent > 0 {
                page.push(b',');
            }
            page.extend_from_slice(&item.raw);
            sent += 1;
        }
    }
    page.push(b']');
    if let Some((had, server)) = next {
        page.extend_from_slice(b",\"nextCursor\":");
        json::push_quoted(&mut page, &mint(client, list, had, server));
    }
    let meta = serde_json::json!({META_SERVER_INFO: super::server_info(client)}).to_string();
    page.extend_from_slice(b",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":");
    page.extend_from_slice(meta.as_bytes());
    page.push(b'}');
    page.into()
}

/// The part a page begins with: the cursor's server or, if it is not up any more, the next one after it.
fn first_part(client: &Client, parts: &[Part], server: &str) -> usize {
    let snapshot = client.caller.plane.snapshot.load();
    let place = |name: &str| snapshot.servers.iter().position(|spec| spec.name == name);
    let Some(wanted) = place(server) else { return 0 };
    parts.iter().position(|part| place(&part.server.name) >= Some(wanted)).unwrap_or(parts.len())
}

fn mint(client: &Client, list: List, had: usize, server: &str) -> String {
    let payload = format!("{had} {server}").into_bytes();
    let claims = Claims {
        principal: &client.caller.principal.name,
        backend: "*",
        expires_at: now_s() + CURSOR_LIFE.as_secs(),
        binding: list.method().as_bytes(),
        payload: &payload,
    };
    client.caller.plane.keyring.load().seal(Kind::Cursor, &claims, crate::relay::state::random())
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
