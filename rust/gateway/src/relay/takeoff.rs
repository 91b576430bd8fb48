//! The beginning of a call: its turn at the server's gate, a connection, the params and headers the server is to see.
//!
//! Each of them may make it wait, none beyond its deadline, and what it has got so far it gives back if it comes no
//! further.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use omnimind_wire::Request;
use tokio::time::Instant;

use super::{
    Client, Route,
    flight::Flight,
    meta::{self, Sent},
    schemas,
    turn::Turn,
};
use crate::{
    admission::{Going, Permit},
    cache::{Hit, errand::Errand, report::Wish},
    session::Ticket,
    upstream::{Failure, Lease},
};

/// Why a call did not begin, and what may stand in for its answer.
pub(crate) struct Grounded {
    /// None: its client took it back.
    pub(crate) failure: Option<Failure>,
    pub(crate) stand_in: Option<Hit>,
}

/// Begins a call.
pub(crate) async fn take_off(
    client: &Client,
    route: Route,
    request: &Request,
    mut errand: Errand,
    wish: Wish,
) -> Result<Flight, Grounded> {
    let patience = meta::patience(Sent::of(request), route.source.spec.longest());
    if patience < route.source.spec.longest() {
        errand.hurry();
    }
    match prepared(client, &route, request, patience).await {
        Ok(Some(prepared)) => Ok(Flight::begin(client, route, request, prepared, errand, wish)),
        Ok(None) => Err(Grounded { failure: None, stand_in: None }),
        Err(failure) => {
            let stand_in = errand.failed(client.era, &failure);
            Err(Grounded { failure: Some(failure), stand_in })
        }
    }
}

/// What a call needs to begin.
pub(super) struct Prepared {
    pub(super) ticket: Option<Ticket>,
    pub(super) permit: Option<Permit>,
    pub(super) deadline: Instant,
    pub(super) lease: Lease,
    pub(super) params: Bytes,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Gets a call what it needs; nothing if its client takes it back while it waits for its turn.
async fn prepared(
    client: &Client,
    route: &Route,
    request: &Request,
    patience: Duration,
) -> Result<Option<Prepared>, Failure> {
    let ticket = client.session.as_ref().map(|session| session.begin(&request.id.raw())).transpose()?;
    let deadline = Instant::now() + patience;
    let (spec, method, params) = (&route.source.spec, request.method.as_str(), &route.params);
    let going = Going { client, spec, method, params, request: Some(request) };
    let mut turn = tokio::select! {
        biased;
        turn = Turn::take(going, deadline) => turn?,
        () = Ticket::cancelled(ticket.as_ref()) => return Ok(None),
    };
    let lease = turn.first_lease(method).await?;
    let era = lease.negotiated().era;
    let params = meta::upward(client, era, &route.params, Sent::of(request))
        .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?;
    let headers = schemas::headers(client, &route.source, &lease, &request.method, &params).await?;
    Ok(Some(Prepared { ticket, permit: turn.permit, deadline, lease, params, headers }))
}
