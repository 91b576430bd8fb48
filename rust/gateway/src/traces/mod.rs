//! Traces: what became of one request, as spans that OpenTelemetry's collectors understand.
//!
//! ```text
//! client's span ─► SERVER: the request, from its head to its last word
//!                    ├─ INTERNAL `queue`: the wait for a place at the server
//!                    └─ CLIENT: one call to a server; its id is what the server is told in `_meta.traceparent`
//! ```
//!
//! A [`Tracer`] is there only where traces are wanted: without one a request pays a look at an empty place, and its bytes
//! go on untouched, a client's own trace context among them. With one, a request is *drawn* before it is read (its ids,
//! and whether it is recorded if it has no parent) and *begun* when it is; one that is not recorded goes on untouched too.
//!
//! The rules. A trace belongs to one request: who gets an answer that another fetched has a span of its own, which names
//! no other. Nobody waits for an exporter. Ids are a keyed hash of a count, so that who knows its own can guess nobody
//! else's; key and time come from outside.

mod attempt;
mod buffer;
mod parent;
mod sampler;
mod span;

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::HeaderMap;
use memchr::memmem;
use omnimind_wire::{LEGACY_VERSIONS, MODERN_VERSION, Message, Request, json::as_str};
use serde::Deserialize;

use self::span::About;
pub(crate) use self::{
    attempt::{Attempt, Called},
    span::Fault,
};
pub use self::{
    attempt::{Context, Tracestate},
    buffer::Buffer,
    parent::Parent,
    sampler::{Name, SamplerSpec},
    span::{Attribute, Kind, Span},
};
use crate::relay::version_header;

/// The keys of a trace's context, in `_meta` and among headers.
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
/// A client's longer ids are not told.
const LONGEST_ID: usize = 64;

/// What is wanted of traces.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct TracesSpec {
    /// Which requests are recorded.
    pub sampler: SamplerSpec,
    /// Spans that may wait for the exporter.
    pub queue: usize,
    /// Spans that it is woken for.
    pub batch: usize,
}

/// Makes traces.
#[derive(Debug)]
pub struct Tracer {
    sampler: sampler::Sampler,
    ids: Ids,
    buffer: Arc<Buffer>,
}

/// Ids nobody can guess, without a lock.
#[derive(Debug)]
struct Ids {
    key: [u8; 32],
    count: AtomicU64,
}

impl Ids {
    /// Ids for a trace and a span.
    fn next(&self) -> (u128, u64) {
        let count = self.count.fetch_add(1, Relaxed);
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        let mut bytes = blake3::Hasher::new_keyed(&self.key).update(&count.to_le_bytes()).finalize_xof();
        bytes.fill(&mut trace);
        bytes.fill(&mut span);
        // Zero is no id.
        (u128::from_le_bytes(trace).max(1), u64::from_le_bytes(span).max(1))
    }
}

/// What is decided of a request before it is read.
#[derive(Debug)]
pub(crate) struct Draw<'t> {
    tracer: &'t Arc<Tracer>,
    trace: u128,
    span: u64,
    since: Instant,
    since_ns: u64,
}

impl Tracer {
    /// A tracer whose ids come from this key.
    pub fn new(spec: TracesSpec, key: [u8; 32]) -> Self {
        Self {
            sampler: sampler::Sampler::new(spec.sampler),
            ids: Ids { key, count: AtomicU64::new(0) },
            buffer: Arc::new(Buffer::new(spec.queue, spec.batch)),
        }
    }

    /// Where spans wait that have ended.
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// Draws a request whose head came at `since`, which was `since_ns` after 1970.
    pub(crate) fn draw(self: &Arc<Self>, since: Instant, since_ns: u64) -> Draw<'_> {
        let (trace, span) = self.ids.next();
        Draw { tracer: self, trace, span, since, since_ns }
    }
}

impl Draw<'_> {
    /// True for a request that is surely not recorded, as far as that shows without reading it.
    pub(crate) fn passes(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        !self.tracer.sampler.root(self.trace)
            && !headers.contains_key(TRACEPARENT)
            && memmem::find(body, TRACEPARENT.as_bytes()).is_none()
    }

    /// The trace of a request, if it is recorded. A stream that is to stay open is no work to be timed.
    pub(crate) fn begin(&self, message: &Message, headers: &HeaderMap) -> Option<Arc<Trace>> {
        let Message::Request(request) = message else { return None };
        let origin = Origin::of(request, headers);
        let is_recorded = match &origin.parent {
            Some(parent) => self.tracer.sampler.part(parent),
            None => self.tracer.sampler.root(self.trace),
        };
        if !is_recorded || request.method == "subscriptions/listen" {
            return None;
        }
        let trace = origin.parent.map_or(self.trace, |parent| parent.trace);
        let flags = Parent::recorded(origin.parent.map_or(0, |parent| parent.flags));
        let own = version_header(headers);
        Some(Arc::new(Trace {
            tracer: Arc::clone(self.tracer),
            own: Parent { trace, span: self.span, flags },
            parent: origin.parent.map(|parent| parent.span),
            state: origin.state,
            stands: origin.stands,
            version: [MODERN_VERSION].into_iter().chain(LEGACY_VERSIONS).find(|known| Some(*known) == own),
            id: id(&request.id_raw),
            since: self.since,
            since_ns: self.since_ns,
        }))
    }
}

/// What a request says of its caller's trace.
#[derive(Debug, Default, PartialEq, Eq)]
struct Origin {
    parent: Option<Parent>,
    state: Option<Arc<str>>,
    /// The state stands in `_meta` already.
    stands: bool,
}

impl Origin {
    /// `_meta` counts; the headers count where it says nothing. The state of a parent that cannot be read is none.
    fn of(request: &Request, headers: &HeaderMap) -> Self {
        if let Some(told) = request.meta_value(TRACEPARENT) {
            let parent = as_str(told).and_then(|told| Parent::parse(told.as_bytes()));
            let state = parent.and_then(|_| as_str(request.meta_value(TRACESTATE)?));
            return Self { parent, stands: parent.is_some(), state: state.and_then(|told| parent::state(&told)) };
        }
        let mut told = headers.get_all(TRACEPARENT).iter();
        let parent = told.next().filter(|_| told.next().is_none()).and_then(|told| Parent::parse(told.as_bytes()));
        let state = parent.and_then(|_| {
            let parts: Option<Vec<_>> = headers.get_all(TRACESTATE).iter().map(|part| part.to_str().ok()).collect();
            parent::state(&parts?.join(","))
        });
        Self { parent, state, stands: false }
    }
}

/// A client's id, if it is short.
fn id(raw: &[u8]) -> Option<Box<str>> {
    let text = as_str(raw).or_else(|| std::str::from_utf8(raw).ok().map(Cow::Borrowed))?;
    (text.len() <= LONGEST_ID).then(|| text.into())
}

/// The trace of one request that is recorded.
#[derive(Debug)]
pub struct Trace {
    tracer: Arc<Tracer>,
    own: Parent,
    parent: Option<u64>,
    state: Option<Arc<str>>,
    stands: bool,
    version: Option<&'static str>,
    id: Option<Box<str>>,
    since: Instant,
    since_ns: u64,
}

/// The request as it is counted.
pub(crate) struct Counted<'a> {
    pub(crate) server: &'a str,
    pub(crate) method: &'static str,
    /// Empty where none is called.
    pub(crate) tool: &'a str,
    /// Where the answer was from.
    pub(crate) cache: &'static str,
}

impl Trace {
    /// The request has ended.
    pub(crate) fn end(&self, counted: &Counted<'_>, fault: Option<Fault>, at: Instant) {
        let failed = fault.is_some();
        let about = About {
            server: counted.server.to_owned().into(),
            method: counted.method.into(),
            tool: counted.tool,
            version: self.version.map(Into::into),
            transport: "tcp",
        };
        let (name, mut attributes) = about.told(fault);
        attributes.push(("omnimind.cache", counted.cache.into()));
        attributes.push(("network.protocol.name", "http".into()));
        attributes.extend(self.id.as_ref().map(|id| ("jsonrpc.request.id", id.to_string().into())));
        let (parent, is_remote) = (self.parent, self.parent.is_some());
        let rest = self.span(Kind::Server, self.own.span, (self.since, at));
        self.tracer.buffer.push(Span { parent, is_remote, name, attributes, failed, ..rest });
    }

    /// It waited so long for its place at a server, and has it now.
    pub(crate) fn waited(&self, server: &str, waited: Duration, at: Instant) {
        let attributes = vec![("omnimind.server", server.to_owned().into())];
        let since = at.checked_sub(waited).unwrap_or(self.since).max(self.since);
        let rest = self.span(Kind::Internal, self.tracer.ids.next().1, (since, at));
        self.tracer.buffer.push(Span { name: "queue".into(), attributes, ..rest });
    }

    /// A part of this trace.
    fn span(&self, kind: Kind, span: u64, (start, end): (Instant, Instant)) -> Span {
        Span {
            trace: self.own.trace,
            span,
            parent: Some(self.own.span),
            is_remote: false,
            flags: self.own.flags,
            state: self.state.clone(),
            kind,
            name: String::new(),
            start_ns: self.ns(start),
            end_ns: self.ns(end),
            attributes: Vec::new(),
            failed: false,
        }
    }

    fn ns(&self, at: Instant) -> u64 {
        self.since_ns.saturating_add(nanos(at.saturating_duration_since(self.since)))
    }
}

/// Nanoseconds from 1970 to `since`, by what the clock on the wall says now.
pub(crate) fn since_1970(since: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    nanos(now.saturating_sub(since.elapsed()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
