//! What became of requests, as Python objects.

use std::{
    os::fd::{AsRawFd, RawFd},
    sync::Arc,
};

use bytes::Bytes;
use omnimind_gateway::client::{self, Head, Limit, Outcome};
use pyo3::{
    exceptions::PyOSError,
    prelude::*,
    types::{PyBytes, PyList, PyString},
};

#[pyclass(frozen, module = "omnimind._core")]
pub(super) struct Inbox(Arc<client::Inbox>);

/// What is left of an answer.
#[pyclass(frozen, module = "omnimind._core")]
pub(super) struct Body(client::Body);

/// Why there is no answer, or not the whole of one.
#[pyclass(frozen, module = "omnimind._core")]
pub(super) struct Fault(client::Fault);

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> PyResult<Self> {
        client::Inbox::new().map(Self).map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn fileno(&self) -> RawFd {
        self.0.signal().as_raw_fd()
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, Bound<'py, PyAny>)>> {
        self.0.take().into_iter().map(|(number, outcome)| Ok((number, object(py, outcome)?))).collect()
    }

    fn forget(&self, py: Python<'_>, number: u64) {
        py.detach(|| self.0.forget(number));
    }
}

impl Inbox {
    pub(super) fn inner(&self) -> &Arc<client::Inbox> {
        &self.0
    }
}

#[pymethods]
impl Body {
    fn read<'py>(&self, py: Python<'py>, inbox: &Inbox) -> PyResult<Bound<'py, PyAny>> {
        match self.0.read(&inbox.0) {
            Ok(number) => Ok(number.into_pyobject(py)?.into_any()),
            Err(fault) => Ok(Bound::new(py, Fault(fault))?.into_any()),
        }
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl Fault {
    pub(super) fn new(fault: client::Fault) -> Self {
        Self(fault)
    }
}

#[pymethods]
impl Fault {
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0 {
            client::Fault::Crowded { .. } => "crowded",
            client::Fault::Unreachable { .. } => "unreachable",
            client::Fault::Lost(_) => "lost",
            client::Fault::Late(_) => "late",
            client::Fault::Unreadable(_) => "unreadable",
            client::Fault::TooLarge { .. } => "too_large",
            client::Fault::Closed => "closed",
            client::Fault::System(_) => "system",
        }
    }

    #[getter]
    fn why(&self) -> &str {
        match &self.0 {
            client::Fault::Crowded { why, .. }
            | client::Fault::Unreachable { why, .. }
            | client::Fault::Lost(why)
            | client::Fault::Unreadable(why)
            | client::Fault::System(why) => why,
            client::Fault::Late(_) | client::Fault::TooLarge { .. } | client::Fault::Closed => "",
        }
    }

    #[getter]
    fn retry_after_s(&self) -> Option<f64> {
        match &self.0 {
            client::Fault::Crowded { retry_after, .. } => Some(retry_after.as_secs_f64()),
            client::Fault::Unreachable { retry_after, .. } => retry_after.map(|wait| wait.as_secs_f64()),
            _ => None,
        }
    }

    #[getter]
    fn received_bytes(&self) -> u64 {
        if let client::Fault::TooLarge { received, .. } = self.0 { received } else { 0 }
    }

    #[getter]
    fn unpacked_bytes(&self) -> u64 {
        if let client::Fault::TooLarge { unpacked, .. } = self.0 { unpacked } else { 0 }
    }

    /// The ratio that was passed; none where it was the number of bytes.
    #[getter]
    fn max_ratio(&self) -> Option<f64> {
        match self.0 {
            client::Fault::TooLarge { limit: Limit::Ratio(ratio), .. } => Some(ratio),
            _ => None,
        }
    }
}

fn object(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Outcome::Head(head, body) => answer(py, &head, Bound::new(py, Body(body))?.into_any()),
        Outcome::Whole(head, pieces) => answer(py, &head, joined(py, &pieces)?.into_any()),
        Outcome::Pieces(pieces) => Ok(joined(py, &pieces)?.into_any()),
        Outcome::Failed(fault) => Ok(Bound::new(py, Fault(fault))?.into_any()),
    }
}

/// Status, HTTP, headers, and what comes with them.
fn answer<'py>(py: Python<'py>, head: &Head, with: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let headers = PyList::empty(py);
    for (name, value) in &head.headers {
        // Bytes beyond ASCII are Latin-1, as HTTP once said.
        let value: String = value.as_bytes().iter().copied().map(char::from).collect();
        headers.append((PyString::new(py, name.as_str()), value))?;
    }
    Ok((head.status.as_u16(), head.http, headers, with).into_pyobject(py)?.into_any())
}

fn joined<'py>(py: Python<'py>, pieces: &[Bytes]) -> PyResult<Bound<'py, PyBytes>> {
    let size = pieces.iter().map(Bytes::len).sum();
    PyBytes::new_with(py, size, |mut space| {
        for piece in pieces {
            if let Some((here, rest)) = std::mem::take(&mut space).split_at_mut_checked(piece.len()) {
                here.copy_from_slice(piece);
                space = rest;
            }
        }
        Ok(())
    })
}
