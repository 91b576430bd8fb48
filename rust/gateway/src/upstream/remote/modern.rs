//! A call to a modern server: one POST, and its response is the whole life of the call.

use std::sync::Arc;

use async_stream::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::Full;
use omnimind_wire::{Id, MODERN_VERSION, Message, RpcError, error::INVALID_PARAMS, headers, json};

use super::{
    CALL, Remote, STREAM, VERSION, WORD,
    replies::{Replies, Step, failure},
};
use crate::pool::Errand;
use crate::upstream::{
    Call, Event, Failure, Long, Note,
    attach::Circle,
    exchange::Events,
    rewrite::{self, About},
};

const METHOD: HeaderName = HeaderName::from_static(headers::METHOD);
const NAME: HeaderName = HeaderName::from_static(headers::NAME);

impl Remote {
    /// The events of one call; it begins when they are first polled.
    pub(in crate::upstream) fn call(self: Arc<Self>, call: Call, circle: Arc<Circle>) -> Events {
        Box::pin(stream! {
            let mut body = Vec::with_capacity(call.params.len() + 128);
            let number = self.number();
            let token = match rewrite::push_request(&mut body, number, &call, None) {
                Ok(token) => token,
                Err(malformed) => {
                    yield Event::End(Err(Failure::Rpc(RpcError::new(INVALID_PARAMS, malformed.to_string()))));
                    return;
                }
            };
            // A subscription has no end of its own.
            let lasts = call.deadline.is_none() && call.idle.is_none();
            let mut request = self.post(body);
            let named = call.headers.iter().any(|(name, _)| *name == NAME);
            envelope(request.headers_mut(), &call.method, if named { b"{}" } else { &call.params });
            request.headers_mut().extend(call.headers.iter().cloned());
            let mut replies = match self.begin(request, if lasts { STREAM } else { CALL }).await {
                Ok(replies) => replies.pass_on(&call.method),
                Err(failure) => {
                    yield Event::End(Err(failure));
                    return;
                }
            };
            loop {
                match replies.next().await {
                    Step::Long(pieces) => {
                        yield Event::Long(Long { number, pieces });
                        return;
                    }
                    Step::Message(Message::Response(response)) if answers(response.id.as_ref(), number) => {
                        replies.done();
                        yield Event::End(outcome(response.outcome, &call));
                        return;
                    }
                    Step::Message(Message::Notification(notification)) => {
                        let params = notification.params.unwrap_or_default();
                        if !circle.hear(&notification.method, &params) {
                            continue;
                        }
                        if let Some(note) = own_note(notification.method, params, number, token.as_ref(), &call) {
                            yield Event::Note(note);
                        }
                    }
                    // A modern server asks nothing, and answers nobody else here.
                    Step::Message(_) => {}
                    Step::Over => return,
                    Step::Broken(why) => {
                        yield Event::End(Err(self.broken(&why)));
                        return;
                    }
                }
            }
        })
    }

    /// Sends a request and begins to read a successful response.
    pub(super) async fn begin(&self, request: Request<Full<bytes::Bytes>>, errand: Errand) -> Result<Replies, Failure> {
        let response = self.send(request, errand).await?;
        if response.status().is_success() {
            Ok(Replies::new(response))
        } else {
            Err(failure(&self.server, response).await)
        }
    }

    /// Sends a notification and does not wait for it.
    pub(in crate::upstream) fn notify(self: &Arc<Self>, method: &str, params: &[u8]) {
        let mut body = Vec::with_capacity(params.len() + 64);
        rewrite::push_notification(&mut body, method, params);
        let mut request = self.post(body);
        envelope(request.headers_mut(), method, params);
        let remote = Arc::clone(self);
        tokio::spawn(async move { remote.send(request, WORD).await.map(drop) });
    }
}

/// The headers that repeat what the body says.
pub(super) fn envelope(headers: &mut HeaderMap, method: &str, params: &[u8]) {
    headers.insert(VERSION, HeaderValue::from_static(MODERN_VERSION));
    if let Ok(value) = HeaderValue::from_str(method) {
        headers.insert(METHOD, value);
    }
    let name =
        headers::name_key(method).and_then(|key| json::find(params, &[key]).ok().flatten()).and_then(json::as_str);
    if let Some(value) = name.and_then(|name| HeaderValue::from_str(&headers::encode(&name)).ok()) {
        headers.insert(NAME, value);
    }
}

/// True for the id of this request, and for an error about a message whose id could not be read.
pub(super) fn answers(id: Option<&Id>, number: u64) -> bool {
    match id {
        Some(Id::Int(id)) => u64::try_from(*id) == Ok(number),
        Some(Id::Str(_)) => false,
        None => true,
    }
}

pub(super) fn outcome(outcome: Result<bytes::Bytes, RpcError>, call: &Call) -> Result<bytes::Bytes, Failure> {
    match outcome {
        Ok(result) if &*call.method == rewrite::LISTEN => Ok(rewrite::with_subscription(&result, &call.id)),
        Ok(result) => Ok(result),
        Err(error) => Err(Failure::Rpc(error)),
    }
}

/// A notification on the call's own stream, with the client's values put back; none if it is about another.
pub(super) fn own_note(
    method: String,
    params: bytes::Bytes,
    number: u64,
    token: Option<&bytes::Bytes>,
    call: &Call,
) -> Option<Note> {
    let params = match rewrite::about(&method, &params) {
        About::Progress(about) if about == number => rewrite::with_token(&params, token?),
        About::Subscription(about) if about == number => rewrite::with_subscription(&params, &call.id),
        About::Cancelled(Some(about)) if about == number => rewrite::with_request(&params, &call.id),
        About::Nobody => params,
        _ => return None,
    };
    Some(Note { method: method.into(), params })
}
