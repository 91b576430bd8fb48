//! A span as it is exported, and what its attributes are called.
//!
//! Names are those of OpenTelemetry's conventions for MCP where they have one, and words are those of the metrics. In a
//! span is what a request was and how it went; never arguments, results, messages of errors, URIs, sessions or who
//! called.

use std::{borrow::Cow, sync::Arc};

/// What a span is to its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of the gateway's own work.
    Internal,
    /// A client's request.
    Server,
    /// A call to a server.
    Client,
}

impl Kind {
    /// As OpenTelemetry spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
        }
    }
}

/// Name and value.
pub type Attribute = (&'static str, Cow<'static, str>);

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace's id.
    pub trace: u128,
    /// Its own.
    pub span: u64,
    /// The id of the span it is a part of.
    pub parent: Option<u64>,
    /// That one is another program's.
    pub is_remote: bool,
    /// W3C trace flags.
    pub flags: u8,
    /// What other vendors said of the trace, as they sent it.
    pub state: Option<Arc<str>>,
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970.
    pub end_ns: u64,
    /// What is said of it.
    pub attributes: Vec<Attribute>,
    /// It ended in an error.
    pub failed: bool,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    /// One word, or the code.
    pub(crate) kind: Cow<'static, str>,
    /// The error's code by JSON-RPC, where the answer has one.
    pub(crate) code: Option<i64>,
}

impl Fault {
    /// That a tool says its result is an error.
    pub(crate) const TOOL: Self = Self { kind: Cow::Borrowed("tool_error"), code: None };
    /// That nobody waited for the end.
    pub(crate) const CANCELLED: Self = Self { kind: Cow::Borrowed("cancelled"), code: None };

    /// An error by the protocol.
    pub(crate) fn of_code(code: i64) -> Self {
        Self { kind: code.to_string().into(), code: Some(code) }
    }
}

/// What a span is about, whichever side of the gateway it is on.
pub(super) struct About<'a> {
    pub(super) server: Cow<'static, str>,
    pub(super) method: Cow<'static, str>,
    /// Empty where none is called.
    pub(super) tool: &'a str,
    pub(super) version: Option<Cow<'static, str>>,
    pub(super) transport: &'static str,
}

impl About<'_> {
    /// The span's name, and the attributes both sides have.
    pub(super) fn told(self, fault: Option<Fault>) -> (String, Vec<Attribute>) {
        let mut name = self.method.clone().into_owned();
        let mut attributes = Vec::with_capacity(12);
        attributes.push(("mcp.method.name", self.method));
        attributes.push(("omnimind.server", self.server));
        if !self.tool.is_empty() {
            name.push(' ');
            name.push_str(self.tool);
            attributes.push(("gen_ai.operation.name", "execute_tool".into()));
            attributes.push(("gen_ai.tool.name", self.tool.to_owned().into()));
        }
        if let Some(version) = self.version {
            attributes.push(("mcp.protocol.version", version));
        }
        attributes.push(("network.transport", self.transport.into()));
        if let Some(fault) = fault {
            attributes.push(("error.type", fault.kind));
            if let Some(code) = fault.code {
                attributes.push(("rpc.response.status_code", code.to_string().into()));
            }
        }
        (name, attributes)
    }
}
