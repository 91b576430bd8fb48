//! A session with a legacy server over HTTP.
//!
//! Every downstream session has one of its own, as its capabilities are the client's; calls that nobody can
//! be asked about share one a principal. A server that forgets the session (404) is greeted again, once a
//! call. A stream that ends before its answer goes on by GET with the id of its last event. Dropping
//! a call tells the server so; dropping the session deletes it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_stream::stream;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use omnimind_wire::{
    Id, Message, Request, RpcError,
    error::{INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND},
    json,
};
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::AbortHandle,
};

use super::{
    CALL, Remote, STREAM, VERSION, WORD, listen,
    modern::{answers, outcome, own_note},
    negotiate::{self, Opened},
    replies::{Replies, Step, failure},
};
use crate::upstream::{
    Call, Event, Failure, Long, Negotiated, Question, attach::Circle, exchange::Events, rewrite, watch::Unasked,
};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// Pause before a broken stream is asked for again, unless the server names one.
pub(super) const RETRY_MS: u64 = 1_000;
/// Attempts in a row to go on with a stream.
const RESUMES: u32 = 5;
/// A farewell may take this long.
const FAREWELL: Duration = Duration::from_secs(2);

/// A session with a legacy server. Dropping it deletes it.
#[derive(Debug)]
pub(in crate::upstream) struct Session {
    core: Arc<Core>,
    listener: AbortHandle,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) remote: Arc<Remote>,
    pub(super) circle: Arc<Circle>,
    capabilities: Bytes,
    opened: RwLock<Arc<Opened>>,
    reopening: tokio::sync::Mutex<()>,
    questions: Mutex<HashMap<Bytes, AbortHandle>>,
    /// The server has begun a new session: it has forgotten who listens, and to what.
    pub(super) again: Notify,
    /// Where questions of no call go while one leased call holds the session.
    pub(super) leased: Mutex<Option<mpsc::Sender<Question>>>,
}

impl Session {
    /// Greets the server.
    pub(super) async fn open(
        remote: Arc<Remote>,
        circle: Arc<Circle>,
        capabilities: Bytes,
    ) -> Result<(Self, Negotiated), Failure> {
        let opened = negotiate::initialize(&remote, &capabilities).await?;
        let negotiated = opened.negotiated.clone();
        let core = Arc::new(Core {
            remote,
            circle,
            capabilities,
            opened: RwLock::new(Arc::new(opened)),
            reopening: tokio::sync::Mutex::new(()),
            questions: Mutex::default(),
            again: Notify::new(),
            leased: Mutex::new(None),
        });
        core.circle.unasked().send_replace(Unasked::NotYet);
        let listener = tokio::spawn(listen::listen(Arc::clone(&core))).abort_handle();
        Ok((Self { core, listener }, negotiated))
    }

    /// The events of one call; it begins when they are first polled. What the server asks about no call goes to a
    /// leased one.
    pub(in crate::upstream) fn call(&self, call: Call, leased: bool) -> Events {
        Arc::clone(&self.core).call(call, leased)
    }

    /// Sends a notification and does not wait for it.
    pub(in crate::upstream) fn notify(&self, method: &str, params: &[u8]) {
        self.core.say(method, params);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.listener.abort();
        let core = Arc::clone(&self.core);
        let opened = core.opened();
        if let (Some(_), Ok(runtime)) = (&opened.session, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let mut request = core.remote.request(Method::DELETE, Bytes::new());
                opened.mark(request.headers_mut());
                let _ = tokio::time::timeout(FAREWELL, core.remote.send(request, WORD)).await;
            });
        }
    }
}

impl Opened {
    /// Puts session and version on a request.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(VERSION, self.version.clone());
        if let Some(session) = &self.session {
            headers.insert(SESSION, session.clone());
        }
    }
}

impl Core {
    /// The session as it is now.
    pub(super) fn opened(&self) -> Arc<Opened> {
        Arc::clone(&self.opened.read())
    }

    /// Greets the server again, unless someone else has done so since `old`.
    async fn reopen(&self, old: &Arc<Opened>) -> Result<Arc<Opened>, Failure> {
        let _one = self.reopening.lock().await;
        let now = self.opened();
        if !Arc::ptr_eq(&now, old) {
            return Ok(now);
        }
        let fresh = Arc::new(negotiate::initialize(&self.remote, &self.capabilities).await?);
        *self.opened.write() = Arc::clone(&fresh);
        self.again.notify_one();
        Ok(fresh)
    }

    fn call(self: Arc<Self>, call: Call, leased: bool) -> Events {
        Box::pin(stream! {
            let mut body = Vec::with_capacity(call.params.len() + 128);
            let number = self.remote.number();
            let token = match rewrite::push_request(&mut body, number, &call, None) {
                Ok(token) => token,
                Err(malformed) => {
                    yield Event::End(Err(Failure::Rpc(RpcError::new(INVALID_PARAMS, malformed.to_string()))));
                    return;
                }
            };
            let mut asked = leased.then(|| self.lend());
            let mut cancel = Cancel { core: Arc::clone(&self), number, armed: true };
            let mut replies = match self.begin(Bytes::from(body)).await {
                Ok(replies) => replies.pass_on(&call.method),
                Err(failure) => {
                    cancel.armed = false;
                    yield Event::End(Err(failure));
                    return;
                }
            };
            loop {
                let step = tokio::select! {
                    step = replies.next() => step,
                    Some(question) = next_question(asked.as_mut()) => {
                        yield Event::Ask(question);
                        continue;
                    }
                };
                match step {
                    Step::Long(pieces) => {
                        cancel.armed = false;
                        yield Event::Long(Long { number, pieces });
                        return;
                    }
                    Step::Message(Message::Response(response)) if answers(response.id.as_ref(), number) => {
                        cancel.armed = false;
                        replies.done();
                        yield Event::End(outcome(response.outcome, &call));
                        return;
                    }
                    Step::Message(Message::Response(_)) => {}
                    Step::Message(Message::Notification(notification)) => {
                        let params = notification.params.unwrap_or_default();
                        if !self.circle.hear(&notification.method, &params) {
                            continue;
                        }
                        self.withdraw(&notification.method, &params);
                        if let Some(note) = own_note(notification.method, params, number, token.as_ref(), &call) {
                            yield Event::Note(note);
                        }
                    }
                    Step::Message(Message::Request(request)) => {
                        if let Some(question) = self.question(request) {
                            yield Event::Ask(question);
                        }
                    }
                    Step::Over | Step::Broken(_) if replies.is_stream() && replies.last_id.is_some() => {
                        yield Event::Pause { retry_ms: replies.retry_ms };
                        match self.resume(&replies).await {
                            Ok(next) => replies = next.pass_on(&call.method),
                            Err(failure) => {
                                yield Event::End(Err(failure));
                                return;
                            }
                        }
                    }
                    Step::Over => return,
                    Step::Broken(why) => {
                        yield Event::End(Err(self.remote.broken(&why)));
                        return;
                    }
                }
            }
        })
    }

    /// Sends the request; a session the server has forgotten is opened again once.
    async fn begin(&self, body: Bytes) -> Result<Replies, Failure> {
        let mut opened = self.opened();
        let mut again = opened.session.is_some();
        loop {
            let mut request = self.remote.request(Method::POST, body.clone());
            opened.mark(request.headers_mut());
            let response = self.remote.send(request, CALL).await?;
            if response.status().is_success() {
                return Ok(Replies::new(response));
            }
            if response.status() != StatusCode::NOT_FOUND || !std::mem::take(&mut again) {
                return Err(failure(&self.remote.server, response).await);
            }
            drop(response);
            opened = self.reopen(&opened).await?;
        }
    }

    /// Goes on with a stream that ended early, after the pause its server asked for.
    async fn resume(&self, ended: &Replies) -> Result<Replies, Failure> {
        let pause = Duration::from_millis(ended.retry_ms.unwrap_or(RETRY_MS));
        let mut last = self.remote.broken("it ended before the answer and cannot be resumed");
        for _ in 0..RESUMES {
            tokio::time::sleep(pause).await;
            match self.stream(ended.last_id.as_deref()).await {
                Ok(mut replies) if replies.is_stream() => {
                    replies.last_id.clone_from(&ended.last_id);
                    replies.retry_ms = ended.retry_ms;
                    return Ok(replies);
                }
                Ok(_) => return Err(last),
                Err(failure @ Failure::Refused(_)) => last = failure,
                Err(failure @ Failure::Rpc(_)) => return Err(failure),
            }
        }
        Err(last)
    }

    /// Opens a stream by GET.
    pub(super) async fn stream(&self, after: Option<&str>) -> Result<Replies, Failure> {
        let mut request = self.remote.request(Method::GET, Bytes::new());
        let headers = request.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.opened().mark(headers);
        if let Some(value) = after.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(LAST_EVENT, value);
        }
        let response = self.remote.send(request, STREAM).await?;
        if response.status().is_success() {
            Ok(Replies::new(response))
        } else {
            Err(failure(&self.remote.server, response).await)
        }
    }

    /// Makes this call the one that unscoped questions go to.
    fn lend(&self) -> mpsc::Receiver<Question> {
        let (sender, receiver) = mpsc::channel(4);
        *self.leased.lock() = Some(sender);
        receiver
    }

    /// A question for someone to answer; what is no question is answered here.
    pub(super) fn question(self: &Arc<Self>, request: Request) -> Option<Question> {
        let id = request.id.raw();
        match &*request.method {
            "sampling/createMessage" | "elicitation/create" | "roots/list" => {}
            "ping" => {
                self.post(omnimind_wire::message::result(&id, b"{}"));
                return None;
            }
            other => {
                let error = RpcError::new(METHOD_NOT_FOUND, format!("{other} is not a question a client answers"));
                self.post(omnimind_wire::message::error(&id, &error));
                return None;
            }
        }
        let (answer, answered) = oneshot::channel::<Result<Bytes, RpcError>>();
        let (core, key) = (Arc::clone(self), id.clone());
        // Held while the task is made, so that it cannot take itself out before it is in.
        let mut open = self.questions.lock();
        let waiting = tokio::spawn(async move {
            let silent = |_| Err(RpcError::new(INTERNAL_ERROR, "the client did not answer"));
            let outcome = answered.await.unwrap_or_else(silent);
            core.questions.lock().remove(&key);
            core.post(match &outcome {
                Ok(result) => omnimind_wire::message::result(&key, result),
                Err(error) => omnimind_wire::message::error(&key, error),
            });
        });
        open.insert(id, waiting.abort_handle());
        drop(open);
        Some(Question { method: request.method.into(), params: request.params.unwrap_or_default(), answer })
    }

    /// The server takes a question back.
    pub(super) fn withdraw(&self, method: &str, params: &[u8]) {
        if method != "notifications/cancelled" {
            return;
        }
        let id = json::find(params, &["requestId"]).ok().flatten().and_then(Id::from_raw);
        if let Some(question) = id.and_then(|id| self.questions.lock().remove(&id.raw())) {
            question.abort();
        }
    }

    /// Refuses a question that can be put to nobody.
    pub(super) fn refuse(self: &Arc<Self>, request: &Request, why: &str) {
        let error = RpcError::new(INTERNAL_ERROR, format!("the question cannot be put to a client: {why}"));
        self.post(omnimind_wire::message::error(&request.id.raw(), &error));
    }

    fn say(self: &Arc<Self>, method: &str, params: &[u8]) {
        let mut body = Vec::with_capacity(params.len() + 64);
        rewrite::push_notification(&mut body, method, params);
        self.post(body.into());
    }

    /// Sends a message that gets no answer, and does not wait.
    fn post(self: &Arc<Self>, body: Bytes) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let core = Arc::clone(self);
        runtime.spawn(async move {
            let mut request = core.remote.request(Method::POST, body);
            core.opened().mark(request.headers_mut());
            core.remote.send(request, WORD).await.map(drop)
        });
    }
}

async fn next_question(asked: Option<&mut mpsc::Receiver<Question>>) -> Option<Question> {
    match asked {
        Some(asked) => asked.recv().await,
        None => None,
    }
}

/// Tells the server when a call is given up.
struct Cancel {
    core: Arc<Core>,
    number: u64,
    armed: bool,
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if self.armed {
            self.core.say("notifications/cancelled", &rewrite::cancelled_params(self.number, "the client went away"));
        }
    }
}
