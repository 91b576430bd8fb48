//! One request of a client, from its head to the last word of its answer: under which name it is counted, and how it
//! ended.
//!
//! It is named as soon as it is known who is to answer, and ended by whoever has the last word; the first word of its end
//! counts. What nobody has ended when the last who knows of it lets go was cancelled: its client went away.
//!
//! The name of a tool comes from a client, so it is believed only when the tool is known: it has a cell, its server has
//! spoken of it, or it has just answered. Until then it counts as [`OTHER`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use omnimind_probes::{request_done, request_start};
use omnimind_wire::{
    Era, Reason, Request,
    json::{as_i64, find},
    message,
};
use parking_lot::Mutex;

use super::{
    Counters,
    ending::Ending,
    histogram::whole_ns,
    table::{Cell, CellId, LONGEST, NOBODY, Name, OTHER, era, method},
};
use crate::{
    config::ServerSpec,
    reply::Reply,
    traces::{Attempt, Called, Counted, Fault, Trace},
    upstream::Lease,
};

/// A request while it lasts.
pub struct Operation {
    counters: Arc<Counters>,
    since: Instant,
    trace: Option<Arc<Trace>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cell: Option<CellId>,
    /// The tool it calls, while that counts as any.
    unproven: Option<Box<str>>,
    /// For who watches; its client's, raw.
    id: Bytes,
    /// The code of the error it ends with, where that has been said.
    code: Option<i64>,
    is_started: bool,
    is_over: bool,
}

impl Operation {
    pub(super) fn new(counters: Arc<Counters>, since: Instant, trace: Option<Arc<Trace>>) -> Self {
        Self { counters, since, trace, state: Mutex::default() }
    }

    /// It is for this server, or for all. What it is called later counts.
    pub(crate) fn is_for(&self, server: &str, request: &Request, era_of: Era) {
        let name = Name { server, method: method(&request.method), tool: "", era: era(era_of) };
        let mut state = self.state.lock();
        state.cell = Some(self.counters.operations.find_or_make(name));
        if is_watched() {
            state.id = request.id_raw.clone();
        }
    }

    /// It goes to this server, and calls this tool if it calls any; `is_known` is asked whether the server has spoken of
    /// the tool.
    pub(crate) fn goes_to(
        &self,
        server: &str,
        called: &str,
        tool: Option<&str>,
        era_of: Era,
        is_known: impl Fn() -> bool,
    ) {
        let name = Name { server, method: method(called), tool: tool.unwrap_or_default(), era: era(era_of) };
        let table = &self.counters.operations;
        let mut state = self.state.lock();
        state.unproven = None;
        state.cell = Some(match table.find(name) {
            Some(cell) => cell,
            None if tool.is_none() || is_known() => table.find_or_make(name),
            None => {
                state.unproven = tool.map(Into::into);
                table.find_or_make(Name { tool: OTHER, ..name })
            }
        });
        self.start(&mut state);
    }

    /// It calls a tool of which nobody knows yet whether there is one.
    pub(crate) fn is_unproven(&self) -> bool {
        self.state.lock().unproven.is_some()
    }

    /// Where it is counted, now that it is answered.
    pub(crate) fn proven(&self) -> CellId {
        self.prove(&mut self.state.lock())
    }

    /// It has ended; only the first end counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.ends(ending);
    }

    /// It has ended with an error by the protocol.
    pub(crate) fn failed(&self, code: i64) {
        self.state.lock().code = Some(code);
        self.end(Ending::Error);
    }

    /// One call to a server in its course, which waited so long for its turn; none unless its trace is recorded.
    pub(crate) fn attempt(
        &self,
        spec: &Arc<ServerSpec>,
        lease: &Lease,
        called: &str,
        waited: Duration,
    ) -> Option<Box<Attempt>> {
        let trace = self.trace.as_ref()?;
        let now = Instant::now();
        if !waited.is_zero() {
            trace.waited(&spec.name, waited, now);
        }
        let state = self.state.lock();
        let cell = state.cell.and_then(|cell| self.counters.operations.cell(cell));
        let tool = cell.map(Cell::name).filter(|name| name.method == called).map_or("", |name| name.tool);
        let unproven = state.unproven.as_deref().filter(|name| !tool.is_empty() && name.len() <= LONGEST);
        let called = Called {
            spec: Arc::clone(spec),
            method: method(called),
            tool: unproven.unwrap_or(tool).into(),
            is_known: unproven.is_none(),
            version: Arc::clone(&lease.negotiated().version),
        };
        drop(state);
        Some(Box::new(Attempt::new(trace, called, now)))
    }

    /// True for the first end.
    fn ends(&self, ending: Ending) -> bool {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.is_over, true) {
            return false;
        }
        if ending.is_answer() {
            self.prove(&mut state);
        }
        let cell = state.cell.and_then(|cell| self.counters.operations.cell(cell));
        if let Some(cell) = cell {
            self.account(&mut state, cell, ending);
        }
        true
    }

    fn account(&self, state: &mut State, cell: &Cell, ending: Ending) {
        let ns = whole_ns(self.since.elapsed());
        cell.add(ending, ns);
        self.start(state);
        if let Some(trace) = &self.trace {
            let Name { server, method, tool, .. } = cell.name();
            let counted = Counted { server, method, tool, cache: ending.cache() };
            let fault = (ending.outcome() != Ending::Ok.outcome()).then(|| match state.code {
                Some(code) if ending == Ending::Error => Fault::of_code(code),
                code => Fault { kind: ending.outcome().into(), code },
            });
            trace.end(&counted, fault, self.since + Duration::from_nanos(ns));
        }
        if request_done::is_on() {
            let Name { server, method, tool, .. } = cell.name();
            request_done::fire(server, &state.id, method, tool, ns / 1_000, ending.outcome());
        }
    }

    /// It was refused.
    pub(crate) fn refused(&self, reason: Reason) {
        if self.trace.is_some() {
            self.state.lock().code = Some(reason.code());
        }
        if self.ends(reason.into()) {
            self.counters.refused(reason);
        }
    }

    /// What its reply says, where nobody has ended it before.
    pub(crate) fn replied(&self, reply: &Reply, id: &[u8]) {
        match reply {
            Reply::Refused { refusal, .. } => self.refused(refusal.reason),
            Reply::Whole(whole) if message::is_error(id, &whole.body) => {
                let code = || find(&whole.body, &["error", "code"]).ok().flatten().and_then(as_i64);
                match self.trace.as_ref().and_then(|_| code()) {
                    Some(code) => self.failed(code),
                    None => self.end(Ending::Error),
                }
            }
            Reply::Whole(_) => self.end(Ending::Ok),
            // Its end is still to come; or its client has taken it back.
            Reply::Flow { .. } | Reply::Accepted => {}
        }
    }

    fn prove(&self, state: &mut State) -> CellId {
        let table = &self.counters.operations;
        let name = state.cell.and_then(|cell| table.cell(cell)).map(Cell::name);
        if let (Some(name), Some(tool)) = (name, state.unproven.take()) {
            state.cell = Some(table.find_or_make(Name { tool: &tool, ..name }));
        }
        state.cell.unwrap_or(NOBODY)
    }

    /// Tells who watches, once.
    fn start(&self, state: &mut State) {
        if !std::mem::replace(&mut state.is_started, true) && request_start::is_on() {
            let cell = state.cell.and_then(|cell| self.counters.operations.cell(cell));
            if let Some(Name { server, method, .. }) = cell.map(Cell::name) {
                request_start::fire(server, &state.id, method);
            }
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.end(Ending::Cancelled);
    }
}

/// Somebody watches requests.
pub(super) fn is_watched() -> bool {
    request_start::is_on() | request_done::is_on()
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("since", &self.since).finish_non_exhaustive()
    }
}
