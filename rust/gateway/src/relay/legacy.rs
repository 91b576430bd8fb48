//! Legacy clients: a session, requests on it, answers to what servers ask, a stream of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use omnimind_wire::{
    Era, Id, LEGACY_LATEST, LEGACY_VERSIONS, Message, Notification, Request, Response, RpcError, bridge,
    error::{INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND},
    headers::check_legacy,
    json::{as_bool, as_str, find, is_object},
    message,
};

use super::{
    Caller, Client, Route, Target, client,
    endpoint::{self, Resolved},
    launch,
    level::Level,
    paused, state, tries,
};
use crate::{
    reply::{Reply, Shape, Whole},
    session::{Session, Sessions, id, stream},
    upstream::Failure,
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// What only the modern era has; no upstream is asked for it on a legacy client's behalf.
const NOT_YET: [&str; 2] = ["server/discover", "subscriptions/listen"];

/// Answers a legacy POST.
pub(super) async fn post(caller: Caller, message: Message) -> Reply {
    if let Message::Request(request) = &message {
        if let Err(error) = check_legacy(&|name| client::values(&caller.headers, name), request) {
            return super::whole(Era::Modern, &request.id.raw(), Err(error));
        }
        if request.method == "initialize" {
            return greet(caller, request).await;
        }
    }
    let id = match &message {
        Message::Request(request) => request.id.raw(),
        _ => Bytes::new(),
    };
    let session = match session(&caller, &id) {
        Ok(session) => session,
        Err(reply) => return *reply,
    };
    session.touch();
    match message {
        Message::Request(request) => answer(&Client::legacy(caller, session), &request).await,
        Message::Notification(notification) => {
            hear(&Client::legacy(caller, session), &notification);
            Reply::Accepted
        }
        Message::Response(response) => {
            take(&session, response);
            Reply::Accepted
        }
    }
}

/// Answers a GET: the session's own stream, or the rest of a paused one.
pub(super) fn get(caller: Caller) -> Reply {
    if let Some(reply) = modern_only(&caller, "GET") {
        return reply;
    }
    let session = match session(&caller, b"") {
        Ok(session) => session,
        Err(reply) => return *reply,
    };
    if let Some(place) = caller.headers.get(paused::LAST_EVENT).and_then(|value| value.to_str().ok()) {
        return paused::take_up(&caller, &session, place);
    }
    let Some(claimed) = session.open_stream() else {
        let error = RpcError::new(INVALID_REQUEST, "this session already has a stream; there is one at a time");
        return super::fault(StatusCode::CONFLICT, b"null", &error);
    };
    let flow = stream::open(Client::legacy(caller, session), claimed);
    Reply::Flow { flow, headers: Vec::new(), shape: Shape::Endless }
}

/// Answers a DELETE: the session's end.
pub(super) fn delete(caller: &Caller) -> Reply {
    if let Some(reply) = modern_only(caller, "DELETE") {
        return reply;
    }
    match session(caller, b"") {
        Ok(session) => {
            caller.plane.sessions.end(&session);
            super::answer(StatusCode::OK, Bytes::new())
        }
        Err(reply) => *reply,
    }
}

/// The modern era knows neither GET nor DELETE.
fn modern_only(caller: &Caller, method: &str) -> Option<Reply> {
    let version = client::version_header(&caller.headers);
    let legacy = version.is_none_or(|version| Era::of_version(version) == Some(Era::Legacy));
    (!legacy).then(|| {
        let message = format!("{method} belongs to sessions, which this protocol version does not have");
        super::fault(StatusCode::METHOD_NOT_ALLOWED, b"null", &RpcError::new(INVALID_REQUEST, message))
    })
}

/// The session a request names, or why there is none.
fn session(caller: &Caller, id: &[u8]) -> Result<Arc<Session>, Box<Reply>> {
    let id = if id.is_empty() { b"null" } else { id };
    let mut values = caller.headers.get_all(&SESSION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        let message = "send the Mcp-Session-Id header, once, with the value that initialize answered with";
        return Err(Box::new(super::fault(StatusCode::BAD_REQUEST, id, &RpcError::new(INVALID_REQUEST, message))));
    };
    let found = value.to_str().ok().map_or(Ok(None), |value| caller.plane.sessions.find(caller, value));
    match found {
        Ok(Some(session)) => Ok(session),
        Ok(None) => {
            let message = "there is no such session: it ended, or was never yours; begin with initialize";
            Err(Box::new(super::fault(StatusCode::NOT_FOUND, id, &RpcError::new(INVALID_REQUEST, message))))
        }
        Err(refusal) => Err(Box::new(Reply::Refused { refusal, id: Bytes::copy_from_slice(id) })),
    }
}

/// Answers `initialize` with a new session.
async fn greet(caller: Caller, request: &Request) -> Reply {
    let id = request.id.raw();
    let Some(asked) = request.param("protocolVersion").and_then(as_str) else {
        let error = RpcError::new(INVALID_PARAMS, "initialize: params.protocolVersion must be a string");
        return super::whole(Era::Legacy, &id, Err(error));
    };
    let said = id::Ticketed {
        epoch: caller.plane.epoch,
        key: state::random(),
        version: LEGACY_VERSIONS.into_iter().find(|version| *version == asked).unwrap_or(LEGACY_LATEST),
        capabilities: id::fitting_capabilities(request.param("capabilities").filter(|raw| is_object(raw))),
        info: id::fitting_info(request.param("clientInfo")),
    };
    let plane = caller.plane.clone();
    let session = Sessions::make(&caller, said);
    let client = Client::legacy(caller, session.clone());
    let greeted = match endpoint::initialize(&client).await {
        Ok(result) => {
            plane.sessions.admit(session.clone(), &plane.snapshot.load().edge).map(|_| result).map_err(Failure::Refused)
        }
        Err(failure) => Err(failure),
    };
    match (greeted, HeaderValue::from_str(&session.id)) {
        (Ok(result), Ok(value)) => {
            Reply::Whole(Whole::plain(StatusCode::OK, vec![(SESSION, value)], message::result(&id, &result)))
        }
        (Ok(result), Err(_)) => super::whole(Era::Legacy, &id, Ok(result)),
        (Err(failure), _) => finished(&id, Err(failure)),
    }
}

/// Answers a request on a session.
async fn answer(client: &Client, request: &Request) -> Reply {
    let id = request.id.raw();
    let empty = || Ok(Bytes::from_static(b"{}"));
    match request.method.as_str() {
        "ping" => super::whole(Era::Legacy, &id, empty()),
        "logging/setLevel" => {
            let told = set_level(client, request).await;
            finished(&id, if tries::is_passing(&told) { set_level(client, request).await } else { told })
        }
        "resources/subscribe" => {
            let subscribed = subscribe(client, request, true).await;
            let again = tries::is_passing(&subscribed);
            finished(&id, if again { subscribe(client, request, true).await } else { subscribed })
        }
        "resources/unsubscribe" => finished(&id, subscribe(client, request, false).await),
        method if NOT_YET.contains(&method) => {
            let message = format!("{method} is not part of this session's protocol version");
            super::whole(Era::Legacy, &id, Err(RpcError::new(METHOD_NOT_FOUND, message)))
        }
        _ => match endpoint::resolve(client, request).await {
            Ok(Resolved::Forward(route)) => launch::launch(client, route, request).await,
            Ok(Resolved::Answer(result)) => {
                let result =
                    bridge::result_to_legacy(&request.method, &result).map_err(|malformed| malformed.rpc_error());
                super::whole(Era::Legacy, &id, result)
            }
            Err(failure) => finished(&id, Err(failure)),
        },
    }
}

/// Keeps the level and tells it to the legacy servers this session has met; modern ones hear it with every call.
async fn set_level(client: &Client, request: &Request) -> Result<Bytes, Failure> {
    let words = || Level::ALL.map(Level::as_str).join(", ");
    let level = request.param("level").and_then(Level::from_raw).ok_or_else(|| {
        Failure::Rpc(RpcError::new(
            INVALID_PARAMS,
            format!("logging/setLevel: params.level must be one of {}", words()),
        ))
    })?;
    let Some(session) = &client.session else { return Ok(Bytes::from_static(b"{}")) };
    session.set_level(level);
    let one = matches!(client.caller.target, Target::One(_));
    for source in endpoint::sources(client) {
        let lease =
            if one { Some(session.lease(client, &source.spec).await?) } else { session.held(&source.spec.name) };
        let Some(lease) = lease.filter(|lease| lease.negotiated().era == Era::Legacy) else { continue };
        let told = session.tell_level(client, &source.spec, &lease, level).await;
        // Of many servers some know no levels; the only one may say so.
        if one {
            told?;
        }
    }
    Ok(Bytes::from_static(b"{}"))
}

/// Subscribes to a resource, or takes that back.
async fn subscribe(client: &Client, request: &Request, wanted: bool) -> Result<Bytes, Failure> {
    let Resolved::Forward(Route { source, params }) = endpoint::resolve(client, request).await? else {
        return Ok(Bytes::from_static(b"{}"));
    };
    let uri = find(&params, &["uri"]).ok().flatten().and_then(as_str).ok_or_else(|| {
        Failure::Rpc(RpcError::new(INVALID_PARAMS, format!("{}: params.uri must be a string", request.method)))
    })?;
    let Some(session) = &client.session else { return Ok(Bytes::from_static(b"{}")) };
    if wanted {
        let lease = session.lease(client, &source.spec).await?;
        let offered = find(&lease.negotiated().result, &["capabilities", "resources", "subscribe"]).ok().flatten();
        if lease.negotiated().era == Era::Modern && offered.and_then(as_bool) != Some(true) {
            let message = "the server does not offer subscriptions to resources";
            return Err(Failure::Rpc(RpcError::new(METHOD_NOT_FOUND, message)));
        }
        session.subscribe(client, &source.spec, &lease, &uri).await?;
    } else {
        session.forget_subscription(&source.spec.name, &uri);
    }
    Ok(Bytes::from_static(b"{}"))
}

/// A notification of the client.
fn hear(client: &Client, notification: &Notification) {
    let Some(session) = &client.session else { return };
    let params = notification.params.as_deref().unwrap_or(b"{}");
    match notification.method.as_str() {
        "notifications/cancelled" => {
            if let Some(id) = notification.param("requestId").and_then(Id::from_raw) {
                session.cancel(&id.raw());
            }
        }
        "notifications/progress" => session.progress(params),
        // The handshake with each server was done when its connection opened; what else a client may say is news
        // to servers that have only this client to ask.
        "notifications/roots/list_changed" => {
            for source in endpoint::sources(client) {
                if let Some(lease) = session.held(&source.spec.name).filter(crate::upstream::Lease::exclusive) {
                    lease.notify("notifications/roots/list_changed", b"");
                }
            }
        }
        _ => {}
    }
}

/// An answer of the client to a server's question.
fn take(session: &Session, response: Response) {
    if let Some(Id::Int(id)) = response.id {
        session.answer(id, response.outcome);
    }
}

fn finished(id: &Bytes, outcome: Result<Bytes, Failure>) -> Reply {
    match outcome {
        Ok(result) => super::whole(Era::Legacy, id, Ok(result)),
        Err(Failure::Rpc(error)) => super::whole(Era::Legacy, id, Err(error)),
        Err(Failure::Refused(refusal)) => Reply::Refused { refusal, id: id.clone() },
    }
}
