//! What the gateway counts, and how it tells: Prometheus text for scrapers, numbers for `status`.
//!
//! Counting costs a relaxed atomic add; nothing here locks on the way of an answer from memory. Labels come from the
//! configuration or from fixed sets; the one that clients say, a tool's name, is bounded (see [`table`]).

mod ending;
mod histogram;
mod operation;
mod table;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use http::Response;
use omnimind_probes::{request_done, request_start};
use omnimind_wire::Reason;

pub(crate) use self::{
    ending::Ending,
    histogram::Times,
    operation::Operation,
    table::{ALL, CellId, OTHER},
};
use self::{
    histogram::{Histogram, whole_ns},
    table::{Name, Table},
};
use crate::{
    control::{ServerCount, State, ToOrchestrator},
    plane::Plane,
    traces::Trace,
};

/// Status classes 1xx to 5xx.
const CLASSES: usize = 5;

/// Counters of one gateway process.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    in_flight: AtomicU64,
    answered: [AtomicU64; CLASSES],
    heads: Histogram,
    refusals: [AtomicU64; Reason::ALL.len()],
    operations: Table,
}

impl Counters {
    fn refused(&self, reason: Reason) {
        if let Some(count) = self.refusals.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
    }
}

/// Calls of one server.
#[derive(Debug, Default)]
pub struct Tally {
    calls: AtomicU64,
    failed: AtomicU64,
    restarts: AtomicU64,
}

impl Tally {
    /// A call is for this server.
    pub(crate) fn called(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// A call ended without an answer of the server's own.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn count(&self, name: &str) -> ServerCount {
        ServerCount { name: name.to_owned(), calls: self.calls.load(Relaxed), failed: self.failed.load(Relaxed) }
    }

    /// The server has begun anew.
    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }
}

/// One open connection, counted until dropped.
#[derive(Debug)]
pub(crate) struct Connection(Arc<Counters>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// One request, counted in flight until dropped.
#[derive(Debug)]
pub(crate) struct Measured<'m> {
    counters: &'m Counters,
    pub(crate) since: Instant,
    /// Where it is counted, if it was answered as one before it was.
    repeats: Option<CellId>,
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.counters.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Measured<'_> {
    /// The response's head is ready.
    pub(crate) fn answered<B>(self, response: &Response<B>) {
        let class = usize::from(response.status().as_u16() / 100).clamp(1, CLASSES) - 1;
        if let Some(counter) = self.counters.answered.get(class) {
            counter.fetch_add(1, Relaxed);
        }
        let ns = whole_ns(self.since.elapsed());
        match self.repeats.and_then(|cell| self.counters.operations.cell(cell)) {
            Some(cell) => cell.repeat(ns),
            None => self.counters.heads.add(ns),
        }
    }

    /// The request, whose id is this, was answered from memory as the ones in this cell were.
    pub(crate) fn repeats(&mut self, cell: CellId, id: &[u8]) {
        self.repeats = Some(cell);
        if operation::is_watched() {
            self.tell(cell, id);
        }
    }

    /// Both ends of it for who watches.
    #[cold]
    fn tell(&self, cell: CellId, id: &[u8]) {
        let Some(cell) = self.counters.operations.cell(cell) else { return };
        let (Name { server, method, tool, .. }, outcome) = (cell.name(), Ending::Ram.outcome());
        if request_start::is_on() {
            request_start::fire(server, id, method);
        }
        if request_done::is_on() {
            request_done::fire(server, id, method, tool, whole_ns(self.since.elapsed()) / 1_000, outcome);
        }
    }
}

impl Metrics {
    pub(crate) fn connection(&self) -> Connection {
        self.counters.connections.fetch_add(1, Relaxed);
        Connection(self.counters.clone())
    }

    pub(crate) fn request(&self) -> Measured<'_> {
        self.counters.in_flight.fetch_add(1, Relaxed);
        Measured { counters: &self.counters, since: Instant::now(), repeats: None }
    }

    /// A request whose head came then, to be counted by who answers it and how that ends.
    pub fn operation(&self, since: Instant) -> Arc<Operation> {
        self.traced(since, None)
    }

    /// The same for one whose trace is recorded.
    pub(crate) fn traced(&self, since: Instant, trace: Option<Arc<Trace>>) -> Arc<Operation> {
        Arc::new(Operation::new(Arc::clone(&self.counters), since, trace))
    }

    /// A request was refused before it was known whom it is for.
    pub(crate) fn refused(&self, reason: Reason) {
        self.counters.refused(reason);
    }

    pub(crate) fn open_connections(&self) -> u64 {
        self.counters.connections.load(Relaxed)
    }

    pub(crate) fn stats(&self, request: u64, plane: &Plane) -> ToOrchestrator {
        ToOrchestrator::Stats {
            request,
            connections: self.open_connections(),
            sessions: plane.sessions.len() as u64,
            requests: self.counters.answered.iter().map(|counter| counter.load(Relaxed)).sum(),
            in_flight: self.counters.in_flight.load(Relaxed),
            servers: plane.fleet.counts(),
        }
    }

    /// Prometheus text format, version 0.0.4.
    pub fn render(&self, plane: &Plane) -> String {
        const HEADS: &str = "omnimind_response_head_seconds";
        let counters = &self.counters;
        let mut text = String::with_capacity(4096);
        gauge(&mut text, "omnimind_connections", "Open downstream connections.", self.open_connections());
        gauge(
            &mut text,
            "omnimind_requests_in_flight",
            "Requests without a response yet.",
            counters.in_flight.load(Relaxed),
        );
        gauge(&mut text, "omnimind_sessions", "Open legacy sessions.", plane.sessions.len() as u64);
        let (rests, bytes) = plane.shelves.rests.size();
        gauge(&mut text, "omnimind_list_rests", "Rests of servers' list pages kept for who reads on.", rests as u64);
        gauge(&mut text, "omnimind_list_rest_bytes", "Bytes of these.", bytes as u64);
        head(&mut text, "omnimind_responses_total", "counter", "Responses by status class.");
        for (index, counter) in counters.answered.iter().enumerate() {
            let _ = writeln!(text, "omnimind_responses_total{{class=\"{}xx\"}} {}", index + 1, counter.load(Relaxed));
        }
        head(&mut text, "omnimind_refusals_total", "counter", "Requests the gateway refused, by reason.");
        for (reason, count) in Reason::ALL.iter().zip(&counters.refusals) {
            let (reason, count) = (reason.as_str(), count.load(Relaxed));
            let _ = writeln!(text, "omnimind_refusals_total{{reason=\"{reason}\"}} {count}");
        }
        head(&mut text, HEADS, "histogram", "Time from a request's head to its response's head.");
        let mut heads = counters.heads.times();
        heads.merge(&counters.operations.repeats());
        heads.render(&mut text, HEADS, "");
        counters.operations.render(&mut text);
        head(&mut text, "omnimind_server_ready", "gauge", "1 while the server answers.");
        for server in plane.fleet.servers() {
            let ready = u8::from(matches!(server.state, State::Ready | State::Degraded));
            let _ = writeln!(text, "omnimind_server_ready{{server=\"{}\"}} {ready}", server.spec.name);
        }
        plane.memory.render(&mut text);
        plane.admission.render(&mut text);
        plane.compress.render(&mut text);
        crate::pool::render(&mut text, &plane.fleet.pools());
        if let Some(tracer) = &plane.traces {
            tracer.buffer().render(&mut text);
        }
        let counts = plane.fleet.counts();
        head(&mut text, "omnimind_server_calls_total", "counter", "Calls by server.");
        for count in &counts {
            let _ = writeln!(text, "omnimind_server_calls_total{{server=\"{}\"}} {}", count.name, count.calls);
        }
        head(&mut text, "omnimind_server_calls_failed_total", "counter", "Calls that ended without an answer.");
        for count in &counts {
            let _ = writeln!(text, "omnimind_server_calls_failed_total{{server=\"{}\"}} {}", count.name, count.failed);
        }
        head(&mut text, "omnimind_server_restarts_total", "counter", "Times a server began anew.");
        for (name, restarts) in plane.fleet.restarts() {
            let _ = writeln!(text, "omnimind_server_restarts_total{{server=\"{name}\"}} {restarts}");
        }
        text
    }
}

pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    head(text, name, "gauge", help);
    let _ = writeln!(text, "{name} {value}");
}
