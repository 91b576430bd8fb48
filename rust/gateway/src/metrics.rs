//! What the gateway counts, and how it tells: Prometheus text for scrapers, numbers for `status`.
//!
//! Counting costs a relaxed atomic add; nothing here locks, and labels come from the configuration or from
//! fixed sets, never from a client.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use http::Response;

use crate::{
    control::{ServerCount, State, ToOrchestrator},
    plane::Plane,
};

/// Latency buckets: 2⁶ µs to 2²³ µs (64 µs to 8.4 s), then everything slower.
const BUCKETS: usize = 18;
const FIRST_BUCKET: u32 = 6;
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
    head_buckets: [AtomicU64; BUCKETS],
    head_sum_us: AtomicU64,
}

/// Calls of one server.
#[derive(Debug, Default)]
pub struct Tally {
    calls: AtomicU64,
    failed: AtomicU64,
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
    since: Instant,
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
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()).saturating_sub(FIRST_BUCKET) as usize;
        if let Some(counter) = self.counters.head_buckets.get(bucket.min(BUCKETS - 1)) {
            counter.fetch_add(1, Relaxed);
        }
        self.counters.head_sum_us.fetch_add(micros, Relaxed);
    }
}

impl Metrics {
    pub(crate) fn connection(&self) -> Connection {
        self.counters.connections.fetch_add(1, Relaxed);
        Connection(self.counters.clone())
    }

    pub(crate) fn request(&self) -> Measured<'_> {
        self.counters.in_flight.fetch_add(1, Relaxed);
        Measured { counters: &self.counters, since: Instant::now() }
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
        self.render_latency(&mut text);
        head(&mut text, "omnimind_server_ready", "gauge", "1 while the server answers.");
        for server in plane.fleet.servers() {
            let ready = u8::from(matches!(server.state, State::Ready | State::Degraded));
            let _ = writeln!(text, "omnimind_server_ready{{server=\"{}\"}} {ready}", server.spec.name);
        }
        plane.memory.render(&mut text);
        plane.admission.render(&mut text);
        plane.compress.render(&mut text);
        crate::pool::render(&mut text, &plane.fleet.pools());
        let counts = plane.fleet.counts();
        head(&mut text, "omnimind_server_calls_total", "counter", "Calls by server.");
        for count in &counts {
            let _ = writeln!(text, "omnimind_server_calls_total{{server=\"{}\"}} {}", count.name, count.calls);
        }
        head(&mut text, "omnimind_server_calls_failed_total", "counter", "Calls that ended without an answer.");
        for count in &counts {
            let _ = writeln!(text, "omnimind_server_calls_failed_total{{server=\"{}\"}} {}", count.name, count.failed);
        }
        text
    }

    fn render_latency(&self, text: &mut String) {
        const NAME: &str = "omnimind_response_head_seconds";
        head(text, NAME, "histogram", "Time from a request's head to its response's head.");
        let mut seen = 0;
        for (index, counter) in self.counters.head_buckets.iter().enumerate() {
            seen += counter.load(Relaxed);
            if index + 1 < BUCKETS {
                let micros = 1u64 << (FIRST_BUCKET as usize + index);
                let _ =
                    writeln!(text, "{NAME}_bucket{{le=\"{}.{:06}\"}} {seen}", micros / 1_000_000, micros % 1_000_000);
            }
        }
        let sum = self.counters.head_sum_us.load(Relaxed);
        let _ = writeln!(text, "{NAME}_bucket{{le=\"+Inf\"}} {seen}");
        let _ = writeln!(text, "{NAME}_sum {}.{:06}\n{NAME}_count {seen}", sum / 1_000_000, sum % 1_000_000);
    }
}

pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    head(text, name, "gauge", help);
    let _ = writeln!(text, "{name} {value}");
}
