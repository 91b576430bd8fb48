//! The life of a request at the edge, one screen, top to bottom.
//!
//! `Host/Origin → head limits → route → method → authenticate → media types → body → envelope → relay →
//! respond`. Every step either goes on or refuses; a refusal is a value and is rendered in one place.

use std::{
    any::Any,
    convert::Infallible,
    future::poll_fn,
    mem::take,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Acquire},
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::body::Incoming;
use omnimind_wire::{Limits, Malformed, Message, Reason, Refusal, message};

use super::{
    Tokens, body,
    encoding::{self, Coding},
    familiar::{self, Familiar, Head, Verdict},
    listen::Entrance,
    places,
    pulse::Pulse,
    refuse,
    respond::{self, Accepts, Body},
    route::{self, Place},
};
use crate::{
    config::{Edge, Role, Snapshot, ToolList},
    metrics::Measured,
    plane::Plane,
    principal::Principal,
    relay::{self, Caller, Said, Target},
    reply::{Reply, Whole},
    traces,
};

/// What the requests of one connection share.
pub(super) struct Connection {
    pub(super) plane: Arc<Plane>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) familiar: Familiar,
    pub(super) pulse: Arc<Pulse>,
}

/// Serves one request. A panic in a handler fails this request alone.
pub(super) async fn handle(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    connection.pulse.has_head();
    let mut measured = connection.plane.metrics.request();
    let (mut parts, incoming) = request.into_parts();
    let kept_alive = parts.version <= Version::HTTP_11;
    let mut incoming = Some(incoming);
    let answered = unless_it_panics(pin!(answer(&connection, &mut parts, &mut incoming, &mut measured))).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refused(&connection, &refusal),
        Err(_panic) => refused(
            &connection,
            &Refusal::new(Reason::Internal, "request", "the gateway failed on this request; other requests go on"),
        ),
    };
    if let Some(unread) = incoming {
        body::drain(unread);
    }
    if kept_alive && connection.entrance.is_closing() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    measured.answered(&response);
    Ok(response)
}

/// A refusal of what nobody else has counted.
fn refused(connection: &Connection, refusal: &Refusal) -> Response<Body> {
    connection.plane.metrics.refused(refusal.reason);
    refuse::render(refusal, b"")
}

/// Polls where it is: a request is answered faster the less often it is moved.
async fn unless_it_panics<F: Future>(mut work: Pin<&mut F>) -> Result<F::Output, Box<dyn Any + Send>> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

async fn answer(
    Connection { plane, entrance, familiar, .. }: &Connection,
    parts: &mut Parts,
    incoming: &mut Option<Incoming>,
    measured: &mut Measured<'_>,
) -> Result<Response<Body>, Refusal> {
    // Read first: what is applied from now on makes what is kept old.
    let applied = plane.applied.load(Acquire);
    let (head, said) = match familiar.recall(parts, applied) {
        Some(known) => known,
        None => match place_of(plane, entrance, parts)? {
            (snapshot, Place::Mcp(target)) => {
                let verdict = checked(target, &snapshot, &plane.tokens.load(), parts)?;
                let head = Head::new(parts, applied, snapshot, verdict);
                familiar.keep(&head);
                (head, Said::of(&parts.headers))
            }
            (_, other) => return other_places(plane, other, parts),
        },
    };
    let Head { snapshot, trail, verdict: Verdict { principal, target, tools, accepts }, .. } = &*head;
    let said = said.filter(|_| *tools == ToolList::Whole);
    let since = measured.since;
    let caller = |headers, body, trace| Caller {
        plane: plane.clone(),
        principal: principal.clone(),
        target: target.clone(),
        tools: *tools,
        headers,
        body,
        operation: plane.metrics.traced(since, trace),
    };
    let reply = match parts.method {
        Method::POST => {
            let raw = match incoming.take() {
                Some(incoming) => body::read(&snapshot.edge, incoming).await?,
                None => Bytes::new(),
            };
            let draw = plane.traces.as_ref().map(|tracer| tracer.draw(since, traces::since_1970(since)));
            let said = said.filter(|_| draw.as_ref().is_none_or(|draw| draw.passes(&parts.headers, &raw)));
            if let Some(kept) = said.and_then(|said| relay::repeated(plane, principal, target, said, &raw, trail)) {
                measured.repeats(kept.cell, kept.id);
                return Ok(respond::kept(kept, *accepts, &snapshot.edge, take(&mut parts.headers)));
            }
            match Message::parse(raw.clone(), &Limits::default()) {
                Ok(message) => {
                    let trace = draw.and_then(|draw| draw.begin(&message, &parts.headers));
                    relay::post(caller(take(&mut parts.headers), raw, trace), message).await
                }
                Err(malformed) => malformed_reply(&malformed),
            }
        }
        Method::GET if accepts.stream => relay::get(caller(take(&mut parts.headers), Bytes::new(), None)),
        Method::GET => return Err(not_acceptable("GET opens an event stream; send `Accept: text/event-stream`")),
        Method::DELETE => relay::delete(&caller(take(&mut parts.headers), Bytes::new(), None)),
        _ => return Err(Refusal::new(Reason::MethodNotAllowed, "request", "this endpoint takes POST, GET and DELETE")),
    };
    let response = respond::render(reply, *accepts, || respond::Pace::of(entrance, &snapshot.edge)).await;
    Ok(encoding::apply(accepts.coding, &snapshot.edge, response))
}

/// Where a request goes, if its head is one we take, under the configuration as of now.
fn place_of(plane: &Plane, entrance: &Entrance, parts: &Parts) -> Result<(Arc<Snapshot>, Place), Refusal> {
    let snapshot = plane.snapshot.load_full();
    places::check(&snapshot.edge, &parts.uri, &parts.headers)?;
    check_head(&snapshot.edge, parts)?;
    let place = route::find(&snapshot, &entrance.door, parts.uri.path());
    Ok((snapshot, place))
}

/// The rest of the checks on the head of a request to an MCP endpoint.
fn checked(target: Target, snapshot: &Snapshot, tokens: &Tokens, parts: &Parts) -> Result<Verdict, Refusal> {
    let principal = tokens.authenticate(&parts.headers)?;
    let tools = route::tool_list(parts.uri.query())?.unwrap_or_else(|| target.tool_list(snapshot, &principal.name));
    let accepts = Accepts::of(&parts.headers);
    if parts.method == Method::POST {
        check_media(&parts.headers, accepts)?;
    }
    Ok(Verdict { principal, target, tools, accepts })
}

/// The endpoints that are not MCP.
fn other_places(plane: &Plane, place: Place, parts: &Parts) -> Result<Response<Body>, Refusal> {
    let reading = matches!(parts.method, Method::GET | Method::HEAD);
    match place {
        Place::UnknownServer(name) => {
            Err(Refusal::new(Reason::UnknownServer, "server", "no server of that name is configured").about(name))
        }
        Place::Alive | Place::Ready | Place::Metrics if !reading => {
            Err(Refusal::new(Reason::MethodNotAllowed, "request", "this endpoint takes GET"))
        }
        Place::Alive => Ok(respond::text(StatusCode::OK, "ok\n")),
        Place::Ready if plane.is_ready() => Ok(respond::text(StatusCode::OK, "ok\n")),
        Place::Ready => Ok(respond::text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
        Place::Metrics => {
            let principal: Arc<Principal> = plane.tokens.load().authenticate(&parts.headers)?;
            if principal.role != Role::Operator {
                return Err(Refusal::new(
                    Reason::Forbidden,
                    "principal",
                    "metrics are for tokens with the role operator",
                ));
            }
            let figures = respond::text(StatusCode::OK, plane.metrics.render(plane));
            let coding = Coding::liked(&parts.headers).filter(|_| parts.method == Method::GET);
            Ok(encoding::apply(coding, &plane.snapshot.load().edge, figures))
        }
        Place::Mcp(_) | Place::Nowhere => {
            Err(Refusal::new(Reason::NotFound, "request", "MCP is at /mcp and /servers/NAME/mcp"))
        }
    }
}

/// Limits on a request's head: every one has a number and a message.
fn check_head(edge: &Edge, parts: &Parts) -> Result<(), Refusal> {
    let fields = parts.headers.len();
    let bytes: usize = familiar::address_bytes(&parts.uri)
        + parts.headers.iter().map(|(name, value)| familiar::field_bytes(name, value)).sum::<usize>();
    if fields > edge.header_fields || bytes > edge.header_bytes {
        return Err(Refusal::new(
            Reason::HeadTooLarge,
            "request",
            format!(
                "the request's head has {fields} fields and {bytes} bytes; {} and {} are allowed",
                edge.header_fields, edge.header_bytes
            ),
        ));
    }
    Ok(())
}

fn check_media(headers: &HeaderMap, accepts: Accepts) -> Result<(), Refusal> {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|value| value == "identity");
    if !json || !plain {
        return Err(Refusal::new(
            Reason::MediaType,
            "request",
            "send one uncompressed JSON message as application/json",
        ));
    }
    if !accepts.json && !accepts.stream {
        return Err(not_acceptable("send `Accept: application/json, text/event-stream`"));
    }
    Ok(())
}

fn not_acceptable(detail: &str) -> Refusal {
    Refusal::new(Reason::NotAcceptable, "request", detail)
}

/// A body that is no message: the protocol's own error under 400.
fn malformed_reply(malformed: &Malformed) -> Reply {
    let body = message::error(b"null", &malformed.rpc_error());
    Reply::Whole(Whole::plain(StatusCode::BAD_REQUEST, Vec::new(), body))
}
