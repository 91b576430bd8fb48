//! One call in the air: from a resolved request to its end, through all four pairs of eras.
//!
//! A [`Flight`] is a small state machine that is asked for its next message: it waits for the upstream, a
//! client's answers, or the client's own cancellation, and turns what it gets into the client's era and
//! names. It *is* the response stream, so a client that goes away drops it, and with it the exchange, and
//! with it the call upstream. A flight whose upstream asks a modern client something is
//! [parked](super::parked) and takes off again when the client comes back.

mod landing;
mod long;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue};
pub(crate) use landing::{end, refused, said, says_error};
use omnimind_wire::{Reason, Refusal, Request, RpcError, error::METHOD_NOT_FOUND};
use tokio::time::Instant;

use super::{Client, Route, Source, notes, parked, paused, rounds::Round, takeoff::Prepared, tries::Tries};
use crate::{
    admission::{Going, Permit},
    cache::{errand::Errand, report::Wish},
    reply::{Outflow, Outgoing},
    session::{Asked, Ticket},
    traces::Attempt,
    upstream::{Call, Event, Exchange, Failure, Lease, Note, Question},
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
    /// How long it waited for its turn.
    waited: Duration,
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
    pub(super) fn begin(
        client: &Client,
        route: Route,
        request: &Request,
        prepared: Prepared,
        errand: Errand,
        wish: Wish,
    ) -> Self {
        let Prepared { ticket, permit, deadline, lease, params, headers } = prepared;
        let method: Arc<str> = request.method.as_str().into();
        let waited = permit.as_ref().map_or(Duration::ZERO, Permit::waited);
        let attempt = client.caller.operation.attempt(&route.source.spec, &lease, &method, waited);
        let mut exchange = lease.call(Call {
            id: request.id_raw.clone(),
            method: method.clone(),
            params: params.clone(),
            headers: headers.clone(),
            operator: client.is_operator(),
            idle: Some(route.source.spec.idle_timeout()),
            deadline: Some(deadline),
            trace: attempt.as_deref().map(Attempt::context).map(Box::new),
        });
        exchange.carry(permit);
        exchange.trace(attempt);
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
            waited,
            errand,
            wish,
        }
    }

    /// Sends the call again, under this permit, for which it waited so long.
    fn send(&mut self, permit: Option<Permit>, waited: Duration) {
        let attempt = self.client.caller.operation.attempt(&self.source.spec, &self.lease, &self.method, waited);
        self.exchange = self.lease.call(Call {
            id: self.id.clone(),
            method: self.method.clone(),
            params: self.params.clone(),
            headers: self.headers.clone(),
            operator: self.client.is_operator(),
            idle: Some(self.source.spec.idle_timeout()),
            deadline: Some(self.deadline),
            trace: attempt.as_deref().map(Attempt::context).map(Box::new),
        });
        self.exchange.carry(permit);
        self.exchange.trace(attempt);
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
            // Where the client cannot come back, its stream stays open meanwhile; the server rests in any case.
            Event::Pause { .. } => {
                drop(self.exchange.permit());
                if self.opened {
                    return Step::Pause;
                }
            }
            Event::Long(long) if self.wanted().is_some() => self.gather(long).await,
            Event::Long(long) => self.pass_on(long),
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
                    self.next_round().await;
                }
                Err(error) => self.end(Err(error)),
            },
            Ok(Err(error)) => self.end(Err(error)),
            Err(_late) => self.end_refused(&Refusal::new(
                Reason::Deadline,
                "request",
                "the client did not answer the server's question before the call's deadline",
            )),
        }
        Step::Again
    }

    /// Sends the call again with its client's answers, when it is its turn again: while it waited for them, it held
    /// nobody else up.
    async fn next_round(&mut self) {
        let (client, spec, method) = (&self.client, &self.source.spec, &*self.method);
        let going = Going { client, spec, method, params: &self.params, request: None };
        let entered = tokio::select! {
            entered = client.caller.plane.admission.enter(going, self.deadline) => entered,
            () = Ticket::cancelled(self.ticket.as_ref()) => {
                self.ended = true;
                return;
            }
        };
        match entered {
            Ok(permit) => {
                let waited = permit.as_ref().map_or(Duration::ZERO, Permit::waited);
                self.send(permit, waited);
            }
            Err(refusal) => self.end_refused(&refusal),
        }
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
        // Who waits for its client is not what the server is busy with.
        drop(self.exchange.permit());
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
