//! From a resolved request to the beginning of its answer: out of memory, together with others who want the same, or
//! by a flight of its own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue};
use omnimind_wire::{Reason, Refusal, Request, RpcError};

use super::{
    Client, Route, Source, ask, dress,
    flight::{end, flow, refused, said},
    known_word,
    meta::{self, Sent},
    takeoff::{Grounded, take_off},
};
use crate::{
    admission::Going,
    cache::{
        Hit, Seen,
        errand::{Errand, Waited, Waiting},
        path::{self, Asked, Course},
        report::{How, Wish},
    },
    compress::{self, Wanted},
    metrics::Ending,
    reply::{KeptPacked, Outflow, Outgoing, Reply, Shape, answered},
    session::Ticket,
    upstream::Failure,
};

type Headers = Vec<(HeaderName, HeaderValue)>;

/// One request with where it goes and what its client wishes of the memory.
struct Launch {
    client: Client,
    route: Route,
    request: Request,
    wish: Wish,
}

/// Answers a request, out of memory or by the server it was resolved to.
pub(crate) async fn launch(client: &Client, route: Route, request: &Request) -> Reply {
    let (spec, method, params) = (&route.source.spec, request.method.as_str(), &route.params);
    let going = Going { client, spec, method, params, request: Some(request) };
    let operation = &client.caller.operation;
    name(going);
    if let Err(refusal) = client.caller.plane.admission.admit(going) {
        operation.refused(refusal.reason);
        return turned_away(client, request, refusal, Vec::new());
    }
    compress::hear(client, spec, method, params);
    let own = request.meta.as_deref().filter(|_| request.has_own_meta());
    let wish = own.map(Wish::read).unwrap_or_default();
    let asked = Asked {
        client,
        spec: &route.source.spec,
        method: &request.method,
        params: &route.params,
        continues: request.continues(),
        request: Some(request),
        wish,
    };
    match path::begin(asked).await {
        Course::Hit(hit) => {
            if hit.left_ms == 0 {
                refresh(client, &route, request);
            }
            saw(client, &route, request, &hit.raw.result);
            let ending = Ending::of(&hit);
            let reply = match compress::wanted(client, spec, method, params, own) {
                None => remembered(client, &route.source, request, wish, hit),
                Some(wanted) => Box::pin(remembered_shorter(client, &route.source, request, wish, hit, wanted)).await,
            };
            operation.end(ending);
            reply
        }
        Course::Go(errand) => {
            let launch = Launch { client: client.clone(), route, request: request.clone(), wish };
            Box::pin(launch.depart(*errand)).await
        }
        Course::Wait(waiting) => {
            let flow = Launch { client: client.clone(), route, request: request.clone(), wish }.wait(*waiting);
            let flow = Box::pin(stream::once(flow).flatten());
            Reply::Flow { flow, headers: How::Shared.headers_for(wish), shape: Shape::Call }
        }
    }
}

/// A call that goes to this server is counted as such; the name of a tool is believed where the server has said it.
pub(crate) fn name(going: Going<'_>) {
    let Going { client, spec, method, .. } = going;
    let tool = going.tool();
    let tool = tool.as_deref();
    let is_known = || tool.is_some_and(|tool| known_word(client, spec, tool).is_some());
    client.caller.operation.goes_to(&spec.name, method, tool, client.era, is_known);
}

/// The answer to a hit. Where its result is as it is kept, and is kept packed, the client may get it so.
fn remembered(client: &Client, source: &Source, request: &Request, wish: Wish, mut hit: Hit) -> Reply {
    let how = hit.how();
    let packed = hit.frame.take().map(|frame| (frame, hit.raw.result.clone()));
    let result = dress::hit(client, source, &request.method, hit).map(|result| how.told_to(wish, result));
    let is =
        |kept: &Bytes| result.as_ref().is_ok_and(|result| std::ptr::eq(&raw const result[..], &raw const kept[..]));
    let packed = packed.filter(|(_, kept)| is(kept));
    let mut reply = whole(end(client.era, &request.id_raw, result), how.headers_for(wish));
    if let (Some((frame, kept)), Reply::Whole(whole)) = (packed, &mut reply) {
        // A message ends with its result and a brace.
        let end = whole.body.len().saturating_sub(1);
        whole.kept = Some(KeptPacked { frame, part: end.saturating_sub(kept.len())..end });
    }
    reply
}

/// The answer to a hit, in fewer tokens.
async fn remembered_shorter(
    client: &Client,
    source: &Source,
    request: &Request,
    wish: Wish,
    hit: Hit,
    wanted: Wanted,
) -> Reply {
    let how = hit.how();
    let result = match dress::hit(client, source, &request.method, hit) {
        Ok(result) => Ok(how.told_to(wish, compress::shortened(client, wanted, result).await)),
        Err(error) => Err(error),
    };
    whole(end(client.era, &request.id_raw, result), how.headers_for(wish))
}

/// Learns from an answer that nothing was sent for.
fn saw(client: &Client, route: &Route, request: &Request, result: &Bytes) {
    client.caller.plane.memory.saw(|| Seen {
        client: client.clone(),
        spec: Arc::clone(&route.source.spec),
        method: request.method.as_str().into(),
        params: route.params.clone(),
        result: result.clone(),
        took: Duration::ZERO,
        cached: true,
    });
}

/// Fetches an answer anew that is past its time, beside the request it still serves.
fn refresh(client: &Client, route: &Route, request: &Request) {
    let (client, route, method) = (client.clone(), route.clone(), request.method.clone());
    tokio::spawn(async move { ask::refresh(&client, &route.source, &method, &route.params).await });
}

/// The answer to a request that came no further: a refusal, or what a model can read of it.
fn turned_away(client: &Client, request: &Request, refusal: Refusal, headers: Headers) -> Reply {
    match said(client, &request.method, &request.id_raw, &refusal) {
        Some(last) => whole(last, headers),
        None => Reply::Refused { refusal, id: request.id_raw.clone() },
    }
}

/// A last message as a whole answer.
fn whole(last: Outgoing, headers: Headers) -> Reply {
    match last {
        Outgoing::End { status, retry_after, body } => Reply::Whole(answered(status, retry_after, headers, body)),
        Outgoing::Message(_) | Outgoing::Event { .. } | Outgoing::Long(_) => Reply::Accepted,
    }
}

impl Launch {
    /// Carries the request to its server.
    async fn depart(self, errand: Errand) -> Reply {
        let headers = errand.how.headers_for(self.wish);
        match take_off(&self.client, self.route.clone(), &self.request, errand, self.wish).await {
            Ok(flight) => Reply::Flow { flow: flow(flight), headers, shape: Shape::Call },
            Err(Grounded { stand_in: Some(hit), .. }) => self.stand_in(hit).await,
            Err(Grounded { failure: Some(Failure::Refused(refusal)), .. }) => {
                self.client.caller.operation.refused(refusal.reason);
                turned_away(&self.client, &self.request, refusal, headers)
            }
            Err(Grounded { failure: Some(failure), .. }) => whole(self.failed(failure), headers),
            Err(Grounded { failure: None, .. }) => Reply::Accepted,
        }
    }

    /// What the client wants of a tool's result.
    fn wanted(&self) -> Option<Wanted> {
        let own = self.request.meta.as_deref().filter(|_| self.request.has_own_meta());
        compress::wanted(&self.client, &self.route.source.spec, &self.request.method, &self.route.params, own)
    }

    /// An old answer, in place of one that cannot be had.
    async fn stand_in(&self, hit: Hit) -> Reply {
        let (client, source) = (&self.client, &self.route.source);
        let reply = match self.wanted() {
            None => remembered(client, source, &self.request, self.wish, hit),
            Some(wanted) => remembered_shorter(client, source, &self.request, self.wish, hit, wanted).await,
        };
        client.caller.operation.end(Ending::Stale);
        reply
    }

    /// Waits for an answer that is being fetched for another request, or fetches it in its place.
    async fn wait(self, waiting: Waiting) -> Outflow {
        let id = self.request.id.raw();
        let ticket = match self.client.session.as_ref().map(|session| session.begin(&id)).transpose() {
            Ok(ticket) => ticket,
            Err(failure) => return last(self.failed(failure)),
        };
        let patience = meta::patience(Sent::of(&self.request), self.route.source.spec.longest());
        let waited = tokio::select! {
            biased;
            () = Ticket::cancelled(ticket.as_ref()) => return Box::pin(stream::empty()),
            waited = tokio::time::timeout(patience, waiting.landed()) => waited,
        };
        // The flight that may follow has a ticket of its own.
        drop(ticket);
        match waited {
            Ok(Waited::Brought(Ok(raw))) => {
                saw(&self.client, &self.route, &self.request, &raw.result);
                let result = dress::result(&self.client, &self.route.source, &self.request.method, raw);
                let result = match (result, self.wanted()) {
                    (Ok(result), Some(wanted)) => Ok(compress::shortened(&self.client, wanted, result).await),
                    (result, _) => result,
                };
                last(self.end(How::Shared, result))
            }
            Ok(Waited::Brought(Err(lost))) => {
                let (client, source, method) = (&self.client, &self.route.source, &self.request.method);
                last(self.failed(dress::failure(client, source, method, &self.route.params, lost.era, lost.failure)))
            }
            Ok(Waited::Go(errand)) => {
                match take_off(&self.client, self.route.clone(), &self.request, *errand, self.wish).await {
                    Ok(flight) => flow(flight),
                    Err(Grounded { failure: Some(failure), .. }) => last(self.failed(failure)),
                    Err(Grounded { failure: None, .. }) => Box::pin(stream::empty()),
                }
            }
            Err(_late) => {
                let detail = "the same request of another did not finish before the deadline";
                last(self.failed(Refusal::new(Reason::Deadline, "request", detail).into()))
            }
        }
    }

    fn failed(&self, failure: Failure) -> Outgoing {
        match failure {
            Failure::Rpc(error) => {
                self.client.caller.operation.failed(error.code);
                end(self.client.era, &self.request.id_raw, Err(error))
            }
            Failure::Refused(refusal) => {
                self.client.caller.operation.refused(refusal.reason);
                said(&self.client, &self.request.method, &self.request.id_raw, &refusal)
                    .unwrap_or_else(|| refused(&self.request.id_raw, &refusal))
            }
        }
    }

    /// The end of one that got what another fetched.
    fn end(&self, how: How, result: Result<Bytes, RpcError>) -> Outgoing {
        self.client.caller.operation.end(if result.is_ok() { Ending::Shared } else { Ending::Error });
        end(self.client.era, &self.request.id_raw, result.map(|result| how.told_to(self.wish, result)))
    }
}

fn last(message: Outgoing) -> Outflow {
    Box::pin(stream::iter([message]))
}
