//! One call in the air: from a resolved request to its end, through all four pairs of eras.
//!
//! A [`Flight`] is a small state machine that is asked for its next message: it waits for the upstream, a
//! client's answers, or the client's own cancellation, and turns what it gets into the client's era and
//! names. It *is* the response stream, so a client that goes away drops it, and with it the exchange, and
//! with it the call upstream. A flight whose upstream asks a modern client something is
//! [parked](super::parked) and takes off again when the client comes back.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode};
use omnimind_wire::{
    Era, Refusal, Request, RpcError,
    error::{METHOD_NOT_FOUND, http_status_of_modern_error},
    message,
};
use tokio::time::Instant;

use super::{
    Client, Route, Source,
    ask::lease,
    dress,
    meta::{self, Sent},
    notes, parked, paused,
    rounds::Round,
    schemas, state,
    tries::{self, Tries, Verdict},
};
use crate::{
    cache::{
        Hit, Raw, Seen,
        errand::Errand,
        report::{How, Wish},
        without_own,
    },
    reply::{Outflow, Outgoing},
    session::{Asked, Ticket},
    upstream::{Call, Event, Exchange, Failure, LOST, Lease, Note, Question},
};

/// A call on its way.
pub(crate) struct Flight {
    pub(crate) client: Client,
    pub(crate) source: Source,
    pub(crate) method: Arc<str>,
    /// The client's id, raw.
    pub(crate) id: Bytes,
    /// The params as the client sent them: what a sealed state is bound to.
    pub(crate) asked: Bytes,
    /// The params as the upstream saw them.
    pub(crate) params: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) lease: Lease,
    pub(crate) exchange: Exchange,
    /// How the exchange ended, if that was seen but not dealt with yet.
    pub(crate) landed: Option<Result<Bytes, Failure>>,
    pub(crate) deadline: Instant,
    /// The client's progress token, raw, if it differs from the one the upstream's notes carry.
    pub(crate) progress: Progress,
    /// Lets the session's client cancel by id.
    pub(crate) ticket: Option<Ticket>,
    /// Questions a legacy client has not answered yet.
    pub(crate) asked_of_client: Vec<Asked>,
    /// Messages that go out before anything else happens.
    pub(crate) ready: VecDeque<Outgoing>,
    /// Questions of a modern upstream that a legacy client is answering.
    pub(crate) round: Option<Round>,
    pub(crate) rounds: u8,
    /// The event id under which a client may come back after a pause.
    pub(crate) place: Option<Arc<str>>,
    /// The client knows that id.
    opened: bool,
    tries: Tries,
    /// The server has asked something in the course of the call: it is not sent anew.
    questioned: bool,
    ended: bool,
    /// What the memory wants of the answer.
    errand: Errand,
    wish: Wish,
}

/// Whose progress token the notes of a flight carry.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// The one of the request that began the call.
    AsSent,
    /// The one of the request that took a parked call up again; none means no progress is wanted.
    Token(Option<Bytes>),
}

/// What a flight does next.
pub(crate) enum Step {
    /// Look again: something was put in line, or nothing happened.
    Again,
    /// Wait for a modern client to come back with answers.
    Park(Vec<Question>),
    /// Wait for a legacy client to come back for the rest.
    Pause,
}

/// Why a call did not begin, and what may stand in for its answer.
pub(crate) struct Grounded {
    pub(crate) failure: Failure,
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
    match prepared(client, &route, request).await {
        Ok(prepared) => {
            if prepared.patience < route.source.spec.longest() {
                errand.hurry();
            }
            Ok(Flight::begin(client, route, request, prepared, errand, wish))
        }
        Err(failure) => {
            let stand_in = errand.failed(client.era, &failure);
            Err(Grounded { failure, stand_in })
        }
    }
}

/// What a call needs to begin.
struct Prepared {
    ticket: Option<Ticket>,
    patience: Duration,
    lease: Lease,
    params: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
}

async fn prepared(client: &Client, route: &Route, request: &Request) -> Result<Prepared, Failure> {
    let ticket = client.session.as_ref().map(|session| session.begin(&request.id.raw())).transpose()?;
    let patience = meta::patience(Sent::of(request), route.source.spec.longest());
    let lease = lease(client, &route.source, &request.method).await?;
    let era = lease.negotiated().era;
    let params = meta::upward(client, era, &route.params, Sent::of(request))
        .map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?;
    let headers = schemas::headers(client, &route.source, &lease, &request.method, &params).await?;
    Ok(Prepared { ticket, patience, lease, params, headers })
}

/// A flight as a response stream.
pub(crate) fn flow(flight: Flight) -> Outflow {
    Box::pin(stream::unfold(Some(Box::new(flight)), |flight| async move { next(flight?).await }))
}

/// The next message, and what is left of the flight after it.
async fn next(mut flight: Box<Flight>) -> Option<(Outgoing, Option<Box<Flight>>)> {
    loop {
        if let Some(message) = flight.ready.pop_front() {
            return Some((message, Some(flight)));
        }
        if flight.ended {
            return None;
        }
        match flight.advance().await {
            Step::Again => {}
            Step::Park(questions) => return Some((parked::park(flight, questions), None)),
            Step::Pause => {
                let plane = flight.client.caller.plane.clone();
                flight = plane.sessions.paused.put(flight)?;
            }
        }
    }
}

impl Flight {
    fn begin(client: &Client, route: Route, request: &Request, prepared: Prepared, errand: Errand, wish: Wish) -> Self {
        let Prepared { ticket, patience, lease, params, headers } = prepared;
        let method: Arc<str> = request.method.as_str().into();
        let deadline = Instant::now() + patience;
        let exchange = lease.call(Call {
            id: request.id_raw.clone(),
            method: method.clone(),
            params: params.clone(),
            headers: headers.clone(),
            operator: client.is_operator(),
            idle: Some(route.source.spec.idle_timeout()),
            deadline: Some(deadline),
        });
        let place = paused::place(client, route.source.spec.kind, &lease);
        Self {
            client: client.clone(),
            source: route.source,
            method,
            id: request.id_raw.clone(),
            asked: request.params.clone().unwrap_or_default(),
            params,
            headers,
            lease,
            exchange,
            landed: None,
            deadline,
            progress: Progress::AsSent,
            ticket,
            asked_of_client: Vec::new(),
            ready: VecDeque::new(),
            round: None,
            rounds: 0,
            place,
            opened: false,
            tries: Tries::default(),
            questioned: false,
            ended: false,
            errand,
            wish,
        }
    }

    /// Sends the call (again).
    pub(crate) fn send(&mut self) {
        self.exchange = self.lease.call(Call {
            id: self.id.clone(),
            method: self.method.clone(),
            params: self.params.clone(),
            headers: self.headers.clone(),
            operator: self.client.is_operator(),
            idle: Some(self.source.spec.idle_timeout()),
            deadline: Some(self.deadline),
        });
    }

    /// Waits for one thing to happen and deals with it.
    async fn advance(&mut self) -> Step {
        if let Some(round) = self.round.take() {
            return self.answered(round).await;
        }
        if let Some(outcome) = self.landed.take() {
            self.land(outcome).await;
            return Step::Again;
        }
        let event = tokio::select! {
            biased;
            () = Ticket::cancelled(self.ticket.as_ref()) => {
                self.ended = true;
                return Step::Again;
            }
            () = tokio::time::sleep(paused::SOON), if self.place.is_some() && !self.opened => {
                self.opened = true;
                self.ready.extend(self.place.as_deref().map(paused::opening));
                return Step::Again;
            }
            event = self.exchange.next() => event,
        };
        self.hold();
        match event {
            Event::Note(note) => self.hear(note),
            Event::Ask(question) => return self.asked(question),
            // Where the client cannot come back, its stream stays open meanwhile.
            Event::Pause { .. } if self.opened => return Step::Pause,
            Event::Pause { .. } => {}
            Event::End(outcome) => self.land(outcome).await,
        }
        Step::Again
    }

    /// Waits for a legacy client's answers to a modern upstream's questions, then asks the upstream again.
    async fn answered(&mut self, round: Round) -> Step {
        let answers = tokio::select! {
            biased;
            () = Ticket::cancelled(self.ticket.as_ref()) => {
                self.ended = true;
                return Step::Again;
            }
            answers = tokio::time::timeout_at(self.deadline, round.answers()) => answers,
        };
        self.asked_of_client.clear();
        match answers {
            Ok(Ok(answers)) => match answers.into_params(&self.params) {
                Ok(params) => {
                    self.params = params;
                    self.send();
                }
                Err(error) => self.end(Err(error)),
            },
            Ok(Err(error)) => self.end(Err(error)),
            Err(_late) => self.end_refused(&Refusal::new(
                omnimind_wire::Reason::Deadline,
                "request",
                "the client did not answer the server's question before the call's deadline",
            )),
        }
        Step::Again
    }

    /// A notification of the upstream for this call.
    fn hear(&mut self, note: Note) {
        let Some(note) = notes::of_call(&self.client, self.lease.negotiated().era, &self.progress, note) else {
            return;
        };
        let note = match &self.source.rename {
            Some(rename) => rename.note(note),
            None => Some(note),
        };
        if let Some(note) = note {
            self.ready.push_back(Outgoing::Message(notes::message(&note)));
        }
    }

    /// A question of a legacy upstream.
    fn asked(&mut self, question: Question) -> Step {
        self.questioned = true;
        self.errand.converses();
        if !self.client.can_answer(&question.method, &question.params) {
            refuse(question);
            return Step::Again;
        }
        let Some(session) = &self.client.session else { return Step::Park(vec![question]) };
        match session.ask(question, &self.lease) {
            Ok((asked, message)) => {
                self.asked_of_client.push(asked);
                self.ready.push_back(Outgoing::Message(message));
                self.hold();
            }
            Err(question) => refuse(question),
        }
        Step::Again
    }

    /// While the client has a question to answer, the upstream's silence is no fault of its own.
    fn hold(&mut self) {
        if !self.asked_of_client.is_empty() {
            self.asked_of_client.retain(Asked::is_open);
            self.exchange.hold(!self.asked_of_client.is_empty());
        }
    }

    /// The upstream's last word.
    async fn land(&mut self, outcome: Result<Bytes, Failure>) {
        let era = self.lease.negotiated().era;
        match outcome {
            Ok(result) if era == Era::Modern && Round::is_due(&self.method, &result) => {
                self.errand.converses();
                let result = without_own(&result);
                match self.client.era {
                    Era::Modern => {
                        let backend = &self.source.spec.name;
                        let sealed = state::wrap(&self.client, backend, &self.method, &self.asked, result);
                        self.end(sealed);
                    }
                    Era::Legacy => Round::begin(self, &result),
                }
            }
            Ok(result) => {
                schemas::learn(&self.client, &self.source.spec, &self.method, &result);
                let raw = self.errand.landed(&self.lease, &result);
                self.client.caller.plane.memory.saw(|| Seen {
                    client: self.client.clone(),
                    spec: Arc::clone(&self.source.spec),
                    method: Arc::clone(&self.method),
                    params: self.params.clone(),
                    result: raw.result.clone(),
                    took: self.errand.took(),
                    cached: false,
                });
                self.end_with(self.errand.how, raw);
            }
            Err(Failure::Refused(refusal)) if self.again(&refusal).await => {}
            Err(failure) => {
                let stand_in = self.errand.failed(era, &failure);
                let (client, source, method) = (&self.client, &self.source, &self.method);
                match (stand_in, dress::failure(client, source, method, &self.params, era, failure)) {
                    (Some(hit), _) => self.end_with(hit.how(), dress::remaining(hit)),
                    (None, Failure::Rpc(error)) => self.end(Err(error)),
                    (None, Failure::Refused(refusal)) => self.end_refused(&refusal),
                }
            }
        }
    }

    /// Ends with a result.
    fn end_with(&mut self, how: How, raw: Raw) {
        let result = dress::result(&self.client, &self.source, &self.method, raw);
        self.end(result.map(|result| how.told_to(self.wish, result)));
    }

    /// Sends a call anew that failed, if it may be; see [`tries`].
    async fn again(&mut self, refusal: &Refusal) -> bool {
        let verdict = self.tries.judge(&self.source.spec, refusal);
        let pause = match verdict {
            Verdict::Again(pause) => pause,
            Verdict::IfRepeatable if !self.questioned => Duration::ZERO,
            Verdict::IfRepeatable | Verdict::No => return false,
        };
        let next = async {
            tokio::time::sleep(pause).await;
            let lease = self.client.lease(&self.source.spec, &self.method).await.ok()?;
            let same_era = lease.negotiated().era == self.lease.negotiated().era;
            let (client, source) = (&self.client, &self.source);
            let may = verdict != Verdict::IfRepeatable
                || tries::is_repeatable(client, source, &lease, &self.method, &self.params).await;
            (same_era && may).then_some(lease)
        };
        let next = tokio::select! {
            () = Ticket::cancelled(self.ticket.as_ref()) => None,
            next = tokio::time::timeout_at(self.deadline, next) => next.ok().flatten(),
        };
        let Some(lease) = next else { return false };
        if verdict == Verdict::IfRepeatable {
            // Progress counts up; that of a second run would begin anew.
            self.progress = Progress::Token(None);
        }
        self.lease = lease;
        self.send();
        true
    }

    /// The answer; nothing follows it.
    pub(crate) fn end(&mut self, outcome: Result<Bytes, RpcError>) {
        self.close();
        self.ready.push_back(end(self.client.era, &self.id, outcome));
    }

    pub(crate) fn end_refused(&mut self, refusal: &Refusal) {
        self.lease.tally().failed();
        self.close();
        self.ready.push_back(refused(&self.id, refusal));
    }

    /// True once the client wants no answer any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_cancelled)
    }

    /// Nothing more is to happen: the id is free again, and so are the questions.
    fn close(&mut self) {
        self.ended = true;
        self.ticket = None;
        self.asked_of_client.clear();
    }
}

/// A question that nobody here can answer, said in words the upstream's author understands.
pub(crate) fn refuse(question: Question) {
    let error = RpcError::new(METHOD_NOT_FOUND, format!("the client does not support {}", question.method));
    let _ = question.answer.send(Err(error));
}

/// The last message of a flow, with the status it has if it is the only one.
pub(crate) fn end(era: Era, id: &[u8], outcome: Result<Bytes, RpcError>) -> Outgoing {
    match outcome {
        Ok(result) => Outgoing::End { status: StatusCode::OK, body: message::result(id, &result) },
        Err(error) => Outgoing::End { status: status(era, &error), body: message::error(id, &error) },
    }
}

/// A refusal as the last message of a flow.
pub(crate) fn refused(id: &[u8], refusal: &Refusal) -> Outgoing {
    let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut error = refusal.rpc_error();
    if refusal.scope == LOST {
        error.message.push_str("; nobody can say whether the call ran");
    }
    Outgoing::End { status, body: message::error(id, &error) }
}

/// The HTTP status of an error: the modern era ties it to the code, the legacy era says 200.
pub(crate) fn status(era: Era, error: &RpcError) -> StatusCode {
    match era {
        Era::Modern => StatusCode::from_u16(http_status_of_modern_error(error.code)).unwrap_or(StatusCode::OK),
        Era::Legacy => StatusCode::OK,
    }
}
