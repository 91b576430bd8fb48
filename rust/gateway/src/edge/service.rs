//! The life of a request at the edge, one screen, top to bottom.
//!
//! `Host/Origin → head limits → route → method → authenticate → media types → body → envelope → relay →
//! respond`. Every step either goes on or refuses; a refusal is a value and is rendered in one place.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::body::Incoming;
use omnimind_wire::{Limits, Malformed, Message, Reason, Refusal, message};

use super::{
    body,
    listen::Entrance,
    places, refuse,
    respond::{self, Accepts, Body},
    route::{self, Place},
};
use crate::{
    config::{Edge, Role},
    plane::Plane,
    principal::Principal,
    relay::{self, Caller},
    reply::{Reply, Whole},
};

/// Serves one request. A panic in a handler fails this request alone.
pub(crate) async fn handle(
    plane: Arc<Plane>,
    entrance: Arc<Entrance>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let measured = plane.metrics.request();
    let (parts, incoming) = request.into_parts();
    let kept_alive = parts.version <= Version::HTTP_11;
    let mut incoming = Some(incoming);
    let answered = AssertUnwindSafe(answer(&plane, &entrance, parts, &mut incoming)).catch_unwind().await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refuse::render(&refusal, b""),
        Err(_panic) => refuse::render(
            &Refusal::new(Reason::Internal, "request", "the gateway failed on this request; other requests go on"),
            b"",
        ),
    };
    if let Some(unread) = incoming {
        body::drain(unread);
    }
    if kept_alive && entrance.is_closing() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(measured.answered(response))
}

async fn answer(
    plane: &Arc<Plane>,
    entrance: &Entrance,
    parts: Parts,
    incoming: &mut Option<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let snapshot = plane.snapshot.load_full();
    places::check(&snapshot.edge, &parts.uri, &parts.headers)?;
    check_head(&snapshot.edge, &parts)?;
    let target = match route::find(&snapshot, &entrance.door, parts.uri.path()) {
        Place::Mcp(target) => target,
        other => return other_places(plane, other, &parts),
    };
    let principal = plane.tokens.load().authenticate(&parts.headers)?;
    let caller = |headers: HeaderMap| Caller { plane: plane.clone(), principal: principal.clone(), target, headers };
    let accepts = Accepts::of(&parts.headers);
    let reply = match parts.method {
        Method::POST => {
            check_media(&parts.headers, accepts)?;
            let raw = match incoming.take() {
                Some(incoming) => body::read(&snapshot.edge, incoming).await?,
                None => Bytes::new(),
            };
            match Message::parse(raw, &Limits::default()) {
                Ok(message) => relay::post(caller(parts.headers), message).await,
                Err(malformed) => malformed_reply(&malformed),
            }
        }
        Method::GET if accepts.stream => relay::get(caller(parts.headers)),
        Method::GET => return Err(not_acceptable("GET opens an event stream; send `Accept: text/event-stream`")),
        Method::DELETE => relay::delete(&caller(parts.headers)),
        _ => return Err(Refusal::new(Reason::MethodNotAllowed, "request", "this endpoint takes POST, GET and DELETE")),
    };
    Ok(respond::render(reply, accepts, || respond::Pace::of(entrance, &snapshot.edge)).await)
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
            Ok(respond::text(StatusCode::OK, plane.metrics.render(plane)))
        }
        Place::Mcp(_) | Place::Nowhere => {
            Err(Refusal::new(Reason::NotFound, "request", "MCP is at /mcp and /servers/NAME/mcp"))
        }
    }
}

/// Limits on a request's head: every one has a number and a message.
fn check_head(edge: &Edge, parts: &Parts) -> Result<(), Refusal> {
    let fields = parts.headers.len();
    let bytes: usize = parts.uri.path_and_query().map_or(0, |path| path.as_str().len())
        + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
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
