//! Where a request is to go: the door it came through and its path decide, nothing else does.
//!
//! Authorization looks at the [`Place`] this returns, never at the URL again.

use std::sync::Arc;

use omnimind_wire::{Reason, Refusal};

use crate::{
    config::{ServerSpec, Snapshot, ToolList},
    relay::Target,
};

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// The gateway's own port: all endpoints.
    Gateway,
    /// A server's own port: its pass-through at `/mcp`.
    Server(String),
}

/// What a path names.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An MCP endpoint.
    Mcp(Target),
    /// `/healthz`: this process answers.
    Alive,
    /// `/readyz`: at least one server answers.
    Ready,
    /// `/metrics`, for operators.
    Metrics,
    /// An endpoint of a server nobody configured.
    UnknownServer(String),
    /// Nothing here.
    Nowhere,
}

/// Finds the place.
pub(crate) fn find(snapshot: &Snapshot, door: &Door, path: &str) -> Place {
    match (door, path) {
        (_, "/healthz") => Place::Alive,
        (_, "/readyz") => Place::Ready,
        // At every door, since a server that is served alone has no other.
        (_, "/metrics") => Place::Metrics,
        (Door::Gateway, "/mcp") => Place::Mcp(Target::All),
        (Door::Server(name), "/mcp") => one(snapshot, name),
        (Door::Gateway, _) => match path.strip_prefix("/servers/").and_then(|rest| rest.strip_suffix("/mcp")) {
            Some(name) if !name.is_empty() && !name.contains('/') => one(snapshot, name),
            _ => Place::Nowhere,
        },
        _ => Place::Nowhere,
    }
}

/// How an address wants tools to be told: `?tools=search`. None says nothing of it.
///
/// # Errors
/// It names a form that there is not.
pub(crate) fn tool_list(query: Option<&str>) -> Result<Option<ToolList>, Refusal> {
    let mut pairs = query.unwrap_or_default().split('&');
    let Some(wanted) = pairs.find_map(|pair| pair.strip_prefix("tools=")) else { return Ok(None) };
    let found = ToolList::ALL.into_iter().find(|(name, _)| *name == wanted);
    found.map(|(_, list)| Some(list)).ok_or_else(|| {
        let detail = "`?tools=` in the address is one of whole, pruned, signatures and search";
        Refusal::new(Reason::BadRequest, "request", detail)
    })
}

fn one(snapshot: &Snapshot, name: &str) -> Place {
    let known = |spec: &&Arc<ServerSpec>| spec.name == name || spec.aliases.iter().any(|alias| alias == name);
    match snapshot.servers.iter().find(known) {
        Some(spec) => Place::Mcp(Target::One(spec.clone())),
        None => Place::UnknownServer(name.to_owned()),
    }
}
