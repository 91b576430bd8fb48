//! Spans of the gateway's traces, on their way to whoever exports them.

use std::{sync::Arc, time::Duration};

use omnimind_gateway::traces::{self, Buffer};
use pyo3::{prelude::*, types::PyDict};

/// A span that has ended.
#[allow(clippy::struct_field_names, reason = "names are those of OpenTelemetry")]
#[pyclass(frozen, get_all, module = "omnimind._core")]
pub(crate) struct Span {
    trace_id: u128,
    span_id: u64,
    parent_id: Option<u64>,
    parent_is_remote: bool,
    flags: u8,
    state: Option<String>,
    kind: &'static str,
    name: String,
    start_ns: u64,
    end_ns: u64,
    attributes: Py<PyDict>,
    failed: bool,
}

impl Span {
    fn new(py: Python<'_>, span: traces::Span) -> PyResult<Self> {
        let attributes = PyDict::new(py);
        for (name, value) in span.attributes {
            attributes.set_item(name, value)?;
        }
        Ok(Self {
            trace_id: span.trace,
            span_id: span.span,
            parent_id: span.parent,
            parent_is_remote: span.is_remote,
            flags: span.flags,
            state: span.state.map(|state| state.to_string()),
            kind: span.kind.as_str(),
            name: span.name,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            attributes: attributes.unbind(),
            failed: span.failed,
        })
    }
}

/// Waits for spans without the interpreter.
pub(crate) fn take(py: Python<'_>, buffer: &Arc<Buffer>, patience: Duration) -> PyResult<Option<Vec<Span>>> {
    let taken = py.detach(|| buffer.take(patience));
    taken.map(|spans| spans.into_iter().map(|span| Span::new(py, span)).collect()).transpose()
}
