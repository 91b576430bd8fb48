//! Modern clients: every request stands alone, is checked, resolved and carried.

use bytes::Bytes;
use http::StatusCode;
use omnimind_wire::{
    Edit, Era, Message, Request, RpcError, UnsupportedVersion,
    error::{INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND},
    headers::{check_modern, unsupported_version},
    json::quote,
};

use super::{
    Caller, Client, client,
    endpoint::{self, Resolved},
    launch, listen, parked,
    state::{self, Held, What},
};
use crate::{reply::Reply, upstream::Failure};

/// What the modern era has done away with; no upstream is asked for it.
const GONE: [&str; 5] = ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

/// Answers a modern POST.
pub(super) async fn post(caller: Caller, message: Message) -> Reply {
    match message {
        Message::Request(request) => answer(caller, &request).await,
        // The revision defines no notification from client to server over HTTP: closing the stream cancels. An
        // id alone could not cancel anything safely, since two clients of one principal may use the same.
        Message::Notification(_) => Reply::Accepted,
        Message::Response(_) => {
            let error = RpcError::new(INVALID_REQUEST, "clients of this protocol version send no responses");
            super::fault(StatusCode::BAD_REQUEST, b"null", &error)
        }
    }
}

/// Answers a message in a version nobody here speaks.
pub(super) fn unsupported(version: &UnsupportedVersion, message: &Message) -> Reply {
    let id = match message {
        Message::Request(request) => request.id_raw.clone(),
        _ => Bytes::from_static(b"null"),
    };
    super::whole(Era::Modern, &id, Err(unsupported_version(&version.requested)))
}

async fn answer(caller: Caller, request: &Request) -> Reply {
    let id = request.id_raw.clone();
    if let Err(error) = check_modern(&|name| client::values(&caller.headers, name), request) {
        return super::whole(Era::Modern, &id, Err(error));
    }
    if GONE.contains(&request.method.as_str()) {
        let message = format!("{} is not part of this protocol version", request.method);
        return super::whole(Era::Modern, &id, Err(RpcError::new(METHOD_NOT_FOUND, message)));
    }
    let client = Client::modern(caller, request);
    match request.method.as_str() {
        "server/discover" => finished(&id, Box::pin(endpoint::discover(&client, request)).await),
        "subscriptions/listen" => Box::pin(listen::open(&client, request)).await,
        _ => match carry(&client, request).await {
            Ok(reply) => reply,
            Err(failure) => finished(&id, Err(failure)),
        },
    }
}

/// Resolves a request and sends it on its way, or takes up the call it continues.
async fn carry(client: &Client, request: &Request) -> Result<Reply, Failure> {
    let held = held(client, request).map_err(Failure::Rpc)?;
    if let Some(Held { backend, what: What::Parked(id) }) = &held {
        return Ok(parked::resume(client, request, backend, *id));
    }
    match endpoint::resolve(client, request).await? {
        Resolved::Answer(result) => Ok(finished(&request.id_raw, Ok(result))),
        Resolved::Forward(mut route) => {
            if let Some(Held { backend, what: What::Upstream(own) }) = held {
                if backend != route.source.spec.name {
                    let message = "requestState is not accepted: it belongs to another server";
                    return Err(Failure::Rpc(RpcError::new(INVALID_PARAMS, message)));
                }
                let params = Edit::new(&route.params).set(&["requestState"], quote(&own)).finish();
                route.params = params.map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?;
            }
            Ok(launch::launch(client, route, request).await)
        }
    }
}

/// The state a request brings, opened.
fn held(client: &Client, request: &Request) -> Result<Option<Held>, RpcError> {
    match &request.params {
        Some(params) if request.has_state => state::open(client, &request.method, params),
        _ => Ok(None),
    }
}

fn finished(id: &Bytes, outcome: Result<Bytes, Failure>) -> Reply {
    match outcome {
        Ok(result) => super::whole(Era::Modern, id, Ok(result)),
        Err(Failure::Rpc(error)) => super::whole(Era::Modern, id, Err(error)),
        Err(Failure::Refused(refusal)) => Reply::Refused { refusal, id: id.clone() },
    }
}
