//! One legacy session: what its client has open.
//!
//! Everything is made when it is first needed; a session that only said hello holds its id, what its client
//! said of itself, and one lease. All lists have caps. What a session holds ends with it: calls are
//! cancelled, questions refused, subscriptions taken back.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use omnimind_wire::{Reason, Refusal, RpcError, error::INVALID_REQUEST, json::find, message};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    handles::{Asked, Streaming, Ticket},
    id::Ticketed,
    interests::{Loudness, Subscription},
    signal::Signal,
};
use crate::{
    config::ServerSpec,
    relay::{Client, level::Level},
    upstream::{Failure, Lease, Owner, Question},
};

/// Calls of one session at once.
const MOST_CALLS: usize = 256;
/// Questions to one session's client at once.
const MOST_QUESTIONS: usize = 64;
/// A legacy client's session.
pub struct Session {
    /// The id on the wire: sealed.
    pub id: Arc<str>,
    /// The short form that upstreams are told.
    pub key: Arc<str>,
    /// Whose it is.
    pub principal: Arc<str>,
    /// The endpoint it belongs to.
    pub backend: Arc<str>,
    /// The version agreed on.
    pub version: &'static str,
    /// The client's capabilities, a raw object.
    pub capabilities: Bytes,
    /// The client's name and version, raw; may be empty.
    pub info: Bytes,
    /// Made by an earlier process.
    pub(super) inherited: bool,
    pub(super) ended: Signal,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) used: Instant,
    pub(super) level: Option<Level>,
    pub(super) held: Vec<Held>,
    pub(super) calls: Vec<(Bytes, Arc<Signal>)>,
    pub(super) open: Vec<Open>,
    pub(super) next_question: i64,
    pub(super) subscribed: Vec<Subscribed>,
    pub(super) changes: Option<watch::Sender<u64>>,
    pub(super) streaming: bool,
}

/// A server this session has met.
pub(super) struct Held {
    pub(super) server: Arc<str>,
    pub(super) lease: Lease,
    pub(super) questions: Option<mpsc::Receiver<Question>>,
    pub(super) loudness: Option<Loudness>,
}

/// A question the client has not answered.
pub(super) struct Open {
    pub(super) id: i64,
    pub(super) token: Option<Bytes>,
    pub(super) lease: Lease,
    pub(super) answer: oneshot::Sender<Result<Bytes, RpcError>>,
}

/// A resource this session wants to hear of. A modern upstream has nothing to hold for it.
pub(super) struct Subscribed {
    pub(super) server: Arc<str>,
    pub(super) uri: Arc<str>,
    pub(super) upstream: Option<Subscription>,
}

impl Session {
    pub(super) fn new(
        id: Arc<str>,
        key: Arc<str>,
        principal: Arc<str>,
        backend: &str,
        said: Ticketed,
        epoch: u32,
    ) -> Self {
        let state = State {
            used: Instant::now(),
            level: None,
            held: Vec::new(),
            calls: Vec::new(),
            open: Vec::new(),
            next_question: (i64::from(epoch) << 32) + 1,
            subscribed: Vec::new(),
            changes: None,
            streaming: false,
        };
        Self {
            id,
            key,
            principal,
            backend: backend.into(),
            version: said.version,
            capabilities: said.capabilities,
            info: said.info,
            inherited: said.epoch != epoch,
            ended: Signal::default(),
            state: Mutex::new(state),
        }
    }

    /// Marks the session as used now.
    pub(crate) fn touch(&self) {
        self.state.lock().used = Instant::now();
    }

    /// Since when nothing happens; none while a call or a stream is open.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (state.calls.is_empty() && !state.streaming).then_some(state.used)
    }

    /// Ends everything that hangs on the session.
    pub(super) fn end(&self) {
        self.ended.fire();
        let (held, calls, open, subscribed) = {
            let mut state = self.state.lock();
            state.changes = None;
            (
                std::mem::take(&mut state.held),
                std::mem::take(&mut state.calls),
                std::mem::take(&mut state.open),
                std::mem::take(&mut state.subscribed),
            )
        };
        for (_, signal) in calls {
            signal.fire();
        }
        drop((open, subscribed, held));
    }

    /// Waits for the session's end.
    pub(crate) async fn has_ended(&self) {
        self.ended.fired().await;
    }

    /// The log level its client set.
    pub(crate) fn level(&self) -> Option<Level> {
        self.state.lock().level
    }

    // === Servers ===

    /// The session's own place at a server; asked for when first needed, and again when its connection is gone
    /// or replaced.
    pub async fn lease(&self, client: &Client, spec: &Arc<ServerSpec>) -> Result<Lease, Refusal> {
        if let Some(lease) = self.held(&spec.name) {
            return Ok(lease);
        }
        let owner = Owner::Session { session: self.key.clone(), capabilities: self.capabilities.clone() };
        let lease = client.lease_as(spec, owner).await?;
        let (lease, came_back) = self.hold(&spec.name, lease);
        if came_back {
            self.restore(client, spec, &lease);
        }
        Ok(lease)
    }

    /// The living lease of a server, if there is one.
    pub(crate) fn held(&self, server: &str) -> Option<Lease> {
        let state = self.state.lock();
        let held = state.held.iter().find(|held| &*held.server == server)?;
        (!held.lease.is_stale()).then(|| held.lease.clone())
    }

    /// Keeps a new lease; says whether it takes the place of an earlier one. Of two made at once the first stays.
    fn hold(&self, server: &str, lease: Lease) -> (Lease, bool) {
        let mut state = self.state.lock();
        let at = state.held.iter().position(|held| &*held.server == server);
        if let Some(held) = at.and_then(|at| state.held.get(at)).filter(|held| !held.lease.is_stale()) {
            return (held.lease.clone(), false);
        }
        let new = Held { server: server.into(), questions: lease.questions(), lease: lease.clone(), loudness: None };
        let old = at.map(|at| state.held.swap_remove(at));
        state.held.push(new);
        state.change();
        drop(state);
        (lease, old.is_some())
    }

    /// Takes the receiver of questions that come outside of calls; to be given back.
    pub(crate) fn take_questions(&self, server: &str) -> Option<mpsc::Receiver<Question>> {
        let mut state = self.state.lock();
        state.held.iter_mut().find(|held| &*held.server == server)?.questions.take()
    }

    /// Gives the receiver back.
    pub(crate) fn return_questions(&self, server: &str, questions: mpsc::Receiver<Question>) {
        let mut state = self.state.lock();
        if let Some(held) = state.held.iter_mut().find(|held| &*held.server == server) {
            held.questions.get_or_insert(questions);
        }
    }

    /// Follows changes of leases and subscriptions.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.state.lock().changes.get_or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    // === Calls ===

    /// Notes a call, so that its client can cancel it by id.
    pub(crate) fn begin(self: &Arc<Self>, id: &Bytes) -> Result<Ticket, Failure> {
        let mut state = self.state.lock();
        state.used = Instant::now();
        if self.ended.has_fired() {
            return Err(Failure::Rpc(RpcError::new(INVALID_REQUEST, "the session has ended")));
        }
        if state.calls.iter().any(|(other, _)| other == id) {
            let message = "a request with this id is still in flight on this session";
            return Err(Failure::Rpc(RpcError::new(INVALID_REQUEST, message)));
        }
        if state.calls.len() >= MOST_CALLS {
            let detail = format!("this session has {MOST_CALLS} calls in flight; wait for some of them");
            return Err(Failure::Refused(Refusal::new(Reason::Overloaded, "session", detail).retry_after(1_000)));
        }
        let signal = Arc::new(Signal::default());
        state.calls.push((id.clone(), signal.clone()));
        Ok(Ticket { session: Arc::downgrade(self), id: id.clone(), signal })
    }

    /// Cancels a call of this session.
    pub(crate) fn cancel(&self, id: &[u8]) {
        let state = self.state.lock();
        if let Some((_, signal)) = state.calls.iter().find(|(other, _)| &other[..] == id) {
            signal.fire();
        }
    }

    pub(super) fn finish(&self, id: &Bytes) {
        let mut state = self.state.lock();
        state.used = Instant::now();
        state.calls.retain(|(other, _)| other != id);
    }

    // === Questions ===

    /// Puts a question to the client: the message to send, and a handle that takes the question back.
    pub(crate) fn ask(self: &Arc<Self>, question: Question, lease: &Lease) -> Result<(Asked, Bytes), Question> {
        let mut state = self.state.lock();
        if state.open.len() >= MOST_QUESTIONS || self.ended.has_fired() {
            return Err(question);
        }
        let id = state.next_question;
        state.next_question += 1;
        let token = find(or_empty(&question.params), &["_meta", "progressToken"]).ok().flatten();
        let token = token.map(|raw| question.params.slice_ref(raw));
        let params = (!question.params.is_empty()).then_some(&question.params[..]);
        let message = message::request(id.to_string().as_bytes(), &question.method, params);
        state.open.push(Open { id, token, lease: lease.clone(), answer: question.answer });
        Ok((Asked { session: Arc::downgrade(self), id }, message))
    }

    /// True while a question has no answer and somebody waits for one.
    pub(super) fn is_open(&self, id: i64) -> bool {
        self.state.lock().open.iter().any(|open| open.id == id && !open.answer.is_closed())
    }

    /// Takes a question back.
    pub(super) fn withdraw(&self, id: i64) {
        let open = self.take_open(id);
        drop(open);
    }

    fn take_open(&self, id: i64) -> Option<Open> {
        let mut state = self.state.lock();
        state.open.iter().position(|open| open.id == id).map(|at| state.open.swap_remove(at))
    }

    /// The client answered; answers to nothing are ignored, they may be late.
    pub(crate) fn answer(&self, id: i64, outcome: Result<Bytes, RpcError>) {
        self.touch();
        if let Some(open) = self.take_open(id) {
            let _ = open.answer.send(outcome);
        }
    }

    /// The client makes progress with a question; only for a token that an open question gave it.
    pub(crate) fn progress(&self, params: &[u8]) {
        let Ok(Some(token)) = find(params, &["progressToken"]) else { return };
        let lease = {
            let state = self.state.lock();
            state.open.iter().find(|open| open.token.as_deref() == Some(token)).map(|open| open.lease.clone())
        };
        if let Some(lease) = lease {
            lease.notify("notifications/progress", params);
        }
    }

    // === The session's own stream ===

    /// Claims the session's stream; there is one at a time.
    pub(crate) fn open_stream(self: &Arc<Self>) -> Option<Streaming> {
        let mut state = self.state.lock();
        if state.streaming || self.ended.has_fired() {
            return None;
        }
        state.streaming = true;
        Some(Streaming { session: self.clone() })
    }

    pub(super) fn close_stream(&self) {
        let mut state = self.state.lock();
        state.streaming = false;
        state.used = Instant::now();
    }
}

impl State {
    pub(super) fn change(&mut self) {
        if let Some(changes) = &self.changes {
            changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("key", &self.key).field("backend", &self.backend).finish_non_exhaustive()
    }
}

fn or_empty(params: &[u8]) -> &[u8] {
    if params.is_empty() { b"{}" } else { params }
}
