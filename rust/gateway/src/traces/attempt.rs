//! One call to a server in the course of a traced request: what the server is told of it, and its span.

use std::{sync::Arc, time::Instant};

use super::{
    Kind, Parent, Trace,
    parent::LENGTH,
    span::{About, Fault, Span},
};
use crate::{
    config::{self, ServerSpec},
    metrics::OTHER,
};

/// What a server is told of the trace its call is a part of.
#[derive(Debug, Clone)]
pub struct Context {
    /// `_meta.traceparent`.
    pub traceparent: [u8; LENGTH],
    /// `_meta.tracestate`.
    pub tracestate: Tracestate,
}

/// What becomes of the `_meta.tracestate` of a call.
#[derive(Debug, Clone)]
pub enum Tracestate {
    /// It stays as the client sent it.
    AsSent,
    /// This, or none: what stands there belongs to another trace.
    Is(Option<Arc<str>>),
}

/// A call as its span tells of it.
pub(crate) struct Called {
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) method: &'static str,
    /// Empty where none is called.
    pub(crate) tool: Box<str>,
    /// The tool counts under its name; else a result that is no error shows that there is one.
    pub(crate) is_known: bool,
    /// The protocol's version it is made in.
    pub(crate) version: Arc<str>,
}

/// A call that has not ended. Dropped, it was given up.
pub(crate) struct Attempt {
    trace: Arc<Trace>,
    span: u64,
    called: Called,
    since: Instant,
    is_over: bool,
}

impl Attempt {
    /// A call begins.
    pub(crate) fn new(trace: &Arc<Trace>, called: Called, since: Instant) -> Self {
        let span = trace.tracer.ids.next().1;
        Self { trace: Arc::clone(trace), span, called, since, is_over: false }
    }

    /// What its server is told.
    pub(crate) fn context(&self) -> Context {
        let Trace { own, state, stands, .. } = &*self.trace;
        let tracestate = if *stands { Tracestate::AsSent } else { Tracestate::Is(state.clone()) };
        Context { traceparent: Parent { span: self.span, ..*own }.write(), tracestate }
    }

    /// A tool is called.
    pub(crate) fn is_of_tool(&self) -> bool {
        !self.called.tool.is_empty()
    }

    /// It has ended.
    pub(crate) fn end(&mut self, fault: Option<Fault>, at: Instant) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let Called { spec, method, tool, is_known, version } = &self.called;
        let failed = fault.is_some();
        let tool = if failed && !is_known { OTHER } else { tool };
        let about = About {
            server: spec.name.clone().into(),
            method: (*method).into(),
            tool,
            version: Some(version.to_string().into()),
            transport: match spec.kind {
                config::Kind::Stdio => "pipe",
                config::Kind::Worker | config::Kind::Unix => "unix",
                config::Kind::Http => "tcp",
            },
        };
        let (name, attributes) = about.told(fault);
        let rest = self.trace.span(Kind::Client, self.span, (self.since, at));
        self.trace.tracer.buffer.push(Span { name, attributes, failed, ..rest });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end(Some(Fault::CANCELLED), Instant::now());
    }
}
