//! Cursors of the aggregate: where in which server's list a page begins.
//!
//! A cursor holds the server's own cursor and how much of its page the client has, so nothing need be remembered for
//! it: it is good for a day, across restarts, and is taken up by asking the server again. It is sealed, and with
//! that bound to the principal, to this endpoint and to the list it was made for.

use std::time::Duration;

use omnimind_wire::{
    RpcError, error, json,
    seal::{Claims, Kind},
};

use super::{list::List, page::Spot};
use crate::{
    relay::{Client, state},
    upstream::Failure,
};

/// A cursor may be used this long.
const CURSOR_LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) server: String,
    pub(super) spot: Spot,
}

impl Place {
    /// Reads the cursor of a list request; none means the beginning.
    ///
    /// # Errors
    /// The cursor was not made here, not for this list, not for this principal, or too long ago.
    pub(super) fn open(client: &Client, list: List, params: &[u8]) -> Result<Option<Self>, Failure> {
        let cursor = json::find(params, &["cursor"]).ok().flatten().filter(|raw| !json::is_null(raw));
        let Some(cursor) = cursor else { return Ok(None) };
        let token = json::as_str(cursor).ok_or_else(|| refused("it is not a string"))?;
        let keyring = client.caller.plane.keyring.load();
        let opened = keyring
            .open(Kind::Cursor, &token, client.principal(), state::now_s())
            .map_err(|error| refused(&error.to_string()))?;
        if opened.backend != client.caller.target.backend() || opened.binding != list.method().as_bytes() {
            return Err(refused("it belongs to another list"));
        }
        Self::parse(&opened.payload).map(Some).ok_or_else(|| refused("it is of another version of this gateway"))
    }

    /// The cursor that leads here.
    pub(super) fn seal(&self, client: &Client, list: List) -> String {
        let Spot { cursor, had } = &self.spot;
        let payload = match cursor {
            Some(cursor) => format!("{had}\n{}\n{cursor}", self.server),
            None => format!("{had}\n{}", self.server),
        };
        let claims = Claims {
            principal: client.principal(),
            backend: client.caller.target.backend(),
            expires_at: state::now_s().saturating_add(CURSOR_LIFE.as_secs()),
            binding: list.method().as_bytes(),
            payload: payload.as_bytes(),
        };
        client.caller.plane.keyring.load().seal(Kind::Cursor, &claims, state::random())
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(payload).ok()?.splitn(3, '\n');
        let had = parts.next()?.parse().ok()?;
        let server = parts.next()?.to_owned();
        let cursor = parts.next().map(Into::into);
        Some(Self { server, spot: Spot { cursor, had } })
    }
}

/// A cursor that is good no more, and why.
pub(super) fn refused(why: &str) -> Failure {
    let message = format!("that cursor is not valid: {why}; list from the beginning");
    Failure::Rpc(RpcError::new(error::INVALID_PARAMS, message))
}
