//! Parked calls: a legacy upstream has asked something in the middle of a call of a modern client.
//!
//! The modern era has no requests from servers. So the call is set aside with its questions open, the client
//! gets `input_required` with the questions and a sealed state that names the call, and its next request
//! brings the answers; the flight then goes on in that request's response. A call waits until its own
//! deadline, at most [`state::PATIENCE`]; a gateway that restarts has lost it, and says so. It can be taken up
//! once, by its own principal, with the same request.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use omnimind_wire::{
    Object, Reason, Refusal, Request, RpcError,
    error::INVALID_PARAMS,
    json::{find, is_object, push_quoted, quote},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Client,
    flight::{self, Flight, Progress},
    launch,
    state::{self, ParkedId, What},
};
use crate::{
    admission::Going,
    metrics::Ending,
    reply::{Outgoing, Reply, Shape},
    upstream::{Event, Question},
};

/// Parked calls at once, of all principals and of one.
const MOST: usize = 1_024;
const MOST_PER_PRINCIPAL: usize = 64;

/// All parked calls.
#[derive(Default)]
pub(crate) struct Parking {
    table: Mutex<HashMap<ParkedId, Parked>>,
}

struct Parked {
    principal: Arc<str>,
    until: Instant,
    flight: Box<Flight>,
    questions: Vec<(String, Question)>,
}

impl Parking {
    fn put(&self, id: ParkedId, parked: Parked) -> Result<(), Box<Parked>> {
        let mut table = self.table.lock();
        let own = table.values().filter(|other| other.principal == parked.principal).count();
        if table.len() >= MOST || own >= MOST_PER_PRINCIPAL {
            return Err(Box::new(parked));
        }
        table.insert(id, parked);
        Ok(())
    }

    fn take(&self, id: &ParkedId, principal: &str) -> Option<Parked> {
        let mut table = self.table.lock();
        if table.get(id)?.principal.as_ref() != principal {
            return None;
        }
        table.remove(id)
    }

    /// Ends the calls whose time is over.
    pub(crate) fn sweep(&self, now: Instant) {
        let over: Vec<Parked> = {
            let mut table = self.table.lock();
            table
                .extract_if(|_, parked| {
                    parked.until <= now || parked.questions.iter().all(|(_, q)| q.answer.is_closed())
                })
                .map(|(_, parked)| parked)
                .collect()
        };
        drop(over);
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        self.table.lock().len()
    }
}

/// Sets a flight aside and says what its client is to answer.
pub(crate) fn park(mut flight: Box<Flight>, mut questions: Vec<Question>) -> Outgoing {
    gather(&mut flight, &mut questions);
    let questions = questions.into_iter().enumerate().map(|(n, question)| (format!("q{}", n + 1), question)).collect();
    set_aside(flight, questions, state::random())
}

/// Questions that are already there go into the same answer. What else is there waits for its turn.
fn gather(flight: &mut Flight, questions: &mut Vec<Question>) {
    flight.exchange.hold(true);
    while let Some(event) = flight.exchange.next().now_or_never() {
        match event {
            Event::Ask(question) if flight.client.can_answer(&question.method, &question.params) => {
                questions.push(question);
            }
            Event::Ask(question) => flight::refuse(question),
            Event::Note(_) | Event::Pause { .. } => {}
            long @ Event::Long(_) => return flight.exchange.put_back(long),
            Event::End(outcome) => {
                flight.landed = Some(outcome);
                return;
            }
        }
    }
}

fn set_aside(flight: Box<Flight>, questions: Vec<(String, Question)>, id: ParkedId) -> Outgoing {
    let client = flight.client.clone();
    let answer_to = flight.id.clone();
    let until = flight.deadline.min(Instant::now() + state::PATIENCE);
    let life = until.saturating_duration_since(Instant::now());
    let sealed = state::seal(&client, &flight.source.spec.name, &flight.method, &flight.asked, &What::Parked(id), life);
    let outcome = sealed.map(|sealed| input_required(&questions, &sealed));
    if outcome.is_ok() {
        let parked = Parked { principal: client.principal().clone(), until, flight, questions };
        if let Err(parked) = client.caller.plane.sessions.parking.put(id, parked) {
            let mut flight = parked.flight;
            flight.end_refused(&Refusal::new(
                Reason::Overloaded,
                "tenant",
                format!(
                    "too many calls wait for answers of their clients ({MOST_PER_PRINCIPAL} for each, {MOST} in all)"
                ),
            ));
            return flight
                .ready
                .pop_back()
                .unwrap_or_else(|| flight::end(client.era, &answer_to, Ok(Bytes::from_static(b"{}"))));
        }
    }
    client.caller.operation.end(if outcome.is_ok() { Ending::Ok } else { Ending::Error });
    flight::end(client.era, &answer_to, outcome)
}

/// The result that asks for input.
fn input_required(questions: &[(String, Question)], sealed: &str) -> Bytes {
    let mut out = br#"{"resultType":"input_required","inputRequests":{"#.to_vec();
    for (n, (key, question)) in questions.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        push_quoted(&mut out, key);
        out.extend_from_slice(br#":{"method":"#);
        push_quoted(&mut out, &question.method);
        if !question.params.is_empty() {
            out.extend_from_slice(br#","params":"#);
            out.extend_from_slice(&question.params);
        }
        out.push(b'}');
    }
    out.extend_from_slice(br#"},"requestState":"#);
    out.extend_from_slice(&quote(sealed));
    out.push(b'}');
    out.into()
}

/// Takes a parked call up again with the answers a request brings.
pub(crate) fn resume(client: &Client, request: &Request, backend: &str, id: ParkedId) -> Reply {
    match answer(client, request, backend, id) {
        Ok(Resumed::Flies(flight)) => {
            Reply::Flow { flow: flight::flow(*flight), headers: Vec::new(), shape: Shape::Call }
        }
        Ok(Resumed::Waits(Outgoing::End { status, body, .. })) => super::answer(status, body),
        Ok(Resumed::Waits(_)) => Reply::Accepted,
        Err(error) => super::whole(client.era, &request.id.raw(), Err(error)),
    }
}

enum Resumed {
    Flies(Box<Flight>),
    Waits(Outgoing),
}

fn answer(client: &Client, request: &Request, backend: &str, id: ParkedId) -> Result<Resumed, RpcError> {
    let invalid = |message: &str| RpcError::new(INVALID_PARAMS, message);
    let responses = match request.param("inputResponses") {
        Some(raw) => Object::parse(raw)
            .map_err(|_| invalid("inputResponses must be an object with an object for each question"))?,
        None => return Err(invalid("this requestState belongs to a call that waits for inputResponses")),
    };
    if responses.iter().any(|member| !is_object(member.value)) {
        return Err(invalid("inputResponses must be an object with an object for each question"));
    }
    let parking = &client.caller.plane.sessions.parking;
    let parked = parking.take(&id, client.principal()).filter(|parked| *parked.flight.source.spec.name == *backend);
    let Some(Parked { mut flight, questions, .. }) = parked else {
        return Err(invalid(
            "the call this requestState belongs to no longer waits: it was answered, ran out of time or was lost in a restart; call again without inputResponses and requestState",
        ));
    };
    let mut open = Vec::new();
    for (key, question) in questions {
        match responses.get(&key) {
            Some(response) => {
                // The upstream may have taken its question back; its call then says how it ended.
                let _ = question.answer.send(Ok(Bytes::copy_from_slice(response)));
            }
            None => open.push((key, question)),
        }
    }
    flight.exchange.hold(false);
    flight.id = request.id.raw();
    flight.asked = request.params.clone().unwrap_or_default();
    flight.client = client.clone();
    let Flight { source, method, params, .. } = &*flight;
    launch::name(Going { client, spec: &source.spec, method, params, request: None });
    let token = request
        .meta
        .as_ref()
        .and_then(|meta| find(meta, &["progressToken"]).ok().flatten().map(|raw| meta.slice_ref(raw)));
    flight.progress = Progress::Token(token);
    if open.is_empty() { Ok(Resumed::Flies(flight)) } else { Ok(Resumed::Waits(set_aside(flight, open, id))) }
}
