//! Which era a remote server speaks, and how a conversation with it begins.
//!
//! The downstream's era is tried first. A modern probe that a server does not understand, in whatever words
//! (400, 404, -32601, an answer without versions), means `initialize`; a `initialize` that is refused means
//! the probe. What was found is remembered by the caller. A server that cannot be reached, or wants a
//! token, is not asked twice.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use omnimind_wire::{
    Era, LEGACY_LATEST, LEGACY_VERSIONS, MODERN_VERSION, Message, Reason, Refusal, RpcError, bridge,
    error::UNSUPPORTED_VERSION, json,
};

use super::{
    GREETING, Remote, WORD, is_era_status,
    legacy::{SESSION, Session},
    modern::{answers, envelope},
    replies::{Replies, Step, failure},
};
use crate::pool::Arriving;
use crate::upstream::{Failure, Negotiated, attach::Circle, link::Transport};

/// What a legacy session begins with.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its id, if the server gave one.
    pub session: Option<HeaderValue>,
    /// The version, for the header.
    pub version: HeaderValue,
    /// What was agreed.
    pub negotiated: Negotiated,
}

/// Why a greeting failed.
enum Unmet {
    /// The server does not understand this era.
    Era(Failure),
    /// Anything else.
    Fault(Failure),
}

/// Begins a conversation in the wished era, or in the other.
pub(in crate::upstream) async fn open(
    remote: &Arc<Remote>,
    circle: &Arc<Circle>,
    era: Era,
    capabilities: Bytes,
) -> Result<(Negotiated, Transport), Refusal> {
    let (first, other) = match era {
        Era::Modern => (Era::Modern, Era::Legacy),
        Era::Legacy => (Era::Legacy, Era::Modern),
    };
    let met = match greet(remote, circle, first, capabilities.clone()).await {
        Err(Unmet::Era(why)) => match greet(remote, circle, other, capabilities).await {
            // The answer to the first greeting says more where the second is not understood either.
            Err(Unmet::Era(then)) => Err(if other == Era::Legacy { then } else { why }),
            Err(Unmet::Fault(fault)) => Err(fault),
            Ok(met) => Ok(met),
        },
        Err(Unmet::Fault(fault)) => Err(fault),
        Ok(met) => Ok(met),
    };
    met.map_err(|failure| match failure {
        Failure::Refused(refusal) => refusal,
        Failure::Rpc(error) => {
            let detail = format!("{} did not accept the connection: {error}", remote.server);
            Refusal::new(Reason::ServerUnavailable, "server", detail).about(&*remote.server)
        }
    })
}

async fn greet(
    remote: &Arc<Remote>,
    circle: &Arc<Circle>,
    era: Era,
    capabilities: Bytes,
) -> Result<(Negotiated, Transport), Unmet> {
    if era == Era::Modern {
        let negotiated = probe(remote).await?;
        return Ok((negotiated, Transport::Modern(Arc::clone(remote))));
    }
    match Session::open(Arc::clone(remote), Arc::clone(circle), capabilities).await {
        Ok((session, negotiated)) => Ok((negotiated, Transport::Legacy(session))),
        Err(failure) => Err(judge(failure)),
    }
}

/// An error of the protocol means the other era; a refusal of ours does not, unless it is about the status.
fn judge(failure: Failure) -> Unmet {
    match failure {
        Failure::Rpc(_) => Unmet::Era(failure),
        Failure::Refused(ref refusal) if refusal.scope == ERA_SCOPE => Unmet::Era(failure),
        Failure::Refused(_) => Unmet::Fault(failure),
    }
}

/// Scope of refusals that may only mean the other era.
const ERA_SCOPE: &str = "era";

/// Asks a server what it is; one that names versions instead is asked once more.
async fn probe(remote: &Remote) -> Result<Negotiated, Unmet> {
    match discover(remote).await {
        Err(Failure::Rpc(error)) if speaks_modern(&error) => discover(remote).await.map_err(judge),
        found => found.map_err(judge),
    }
}

fn speaks_modern(error: &RpcError) -> bool {
    let Some(data) = error.data.as_deref().filter(|_| error.code == UNSUPPORTED_VERSION) else { return false };
    let versions = json::find(data, &["supported"]).ok().flatten().and_then(|raw| json::elements(raw).ok());
    versions
        .is_some_and(|versions| versions.into_iter().any(|raw| json::as_str(raw).as_deref() == Some(MODERN_VERSION)))
}

async fn discover(remote: &Remote) -> Result<Negotiated, Failure> {
    let number = remote.number();
    let meta = bridge::request_meta(MODERN_VERSION, Some(&remote.own_info()), None, None);
    let mut params = b"{\"_meta\":".to_vec();
    params.extend_from_slice(&meta);
    params.push(b'}');
    let method = "server/discover";
    let body = omnimind_wire::message::request(number.to_string().as_bytes(), method, Some(&params));
    let mut request = remote.request(Method::POST, body);
    envelope(request.headers_mut(), method, &params);
    let result = answer(remote, status_checked(remote, remote.send(request, GREETING).await?).await?, number).await?;
    match bridge::common_modern_version(&result) {
        Ok(Some(version)) => Ok(Negotiated { era: Era::Modern, version: Arc::from(version), result }),
        _ => Err(era_refusal(remote, "it names no version of the modern era")),
    }
}

/// Opens a legacy session: `initialize`, then word that it was received.
pub(super) async fn initialize(remote: &Remote, capabilities: &[u8]) -> Result<Opened, Failure> {
    let number = remote.number();
    let mut params = format!("{{\"protocolVersion\":\"{LEGACY_LATEST}\",\"capabilities\":").into_bytes();
    params.extend_from_slice(if capabilities.is_empty() { b"{}" } else { capabilities });
    params.extend_from_slice(b",\"clientInfo\":");
    params.extend_from_slice(&remote.own_info());
    params.push(b'}');
    let body = omnimind_wire::message::request(number.to_string().as_bytes(), "initialize", Some(&params));
    let response = remote.send(remote.request(Method::POST, body), GREETING).await?;
    let session = response.headers().get(SESSION).cloned();
    let result = answer(remote, status_checked(remote, response).await?, number).await?;
    let version = json::find(&result, &["protocolVersion"])
        .ok()
        .flatten()
        .and_then(json::as_str)
        .unwrap_or_default()
        .into_owned();
    let known = LEGACY_VERSIONS.into_iter().find(|known| **known == *version);
    let Some(known) = known else {
        return Err(era_refusal(remote, &format!("it answered with protocol version {version:?}")));
    };
    let negotiated = Negotiated { era: Era::Legacy, version: Arc::from(known), result };
    let opened = Opened { session, version: HeaderValue::from_static(known), negotiated };
    let mut done =
        remote.request(Method::POST, omnimind_wire::message::notification("notifications/initialized", None));
    opened.mark(done.headers_mut());
    remote.send(done, WORD).await?;
    Ok(opened)
}

async fn status_checked(remote: &Remote, response: Response<Arriving>) -> Result<Replies, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(Replies::new(response));
    }
    match failure(&remote.server, response).await {
        Failure::Refused(refusal) if is_era_status(status) && status != StatusCode::UNAUTHORIZED => {
            Err(Failure::Refused(Refusal { scope: ERA_SCOPE.to_owned(), ..refusal }))
        }
        failure => Err(failure),
    }
}

async fn answer(remote: &Remote, mut replies: Replies, number: u64) -> Result<Bytes, Failure> {
    loop {
        match replies.next().await {
            Step::Message(Message::Response(response)) if answers(response.id.as_ref(), number) => {
                replies.done();
                return response.outcome.map_err(Failure::Rpc);
            }
            Step::Message(_) | Step::Long(_) => {}
            Step::Over => return Err(era_refusal(remote, "it did not answer the greeting")),
            Step::Broken(why) => return Err(era_refusal(remote, &why)),
        }
    }
}

fn era_refusal(remote: &Remote, why: &str) -> Failure {
    let detail = format!("{} is not understood: {why}", remote.server);
    Failure::Refused(Refusal::new(Reason::ServerUnavailable, ERA_SCOPE, detail).about(&*remote.server))
}
