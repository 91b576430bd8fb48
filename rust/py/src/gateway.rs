//! `omnimind._core.Gateway`: the data plane as one handle.

use std::{
    os::fd::{FromRawFd, OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
};

use omnimind_gateway::{Gateway as Plane, StartError, traces::Buffer};

use crate::spans::{self, Span};

/// A running data plane. Its threads start with it and end with `drain`.
#[pyclass(frozen, module = "omnimind._core")]
pub(crate) struct Gateway {
    plane: Mutex<Option<Plane>>,
    /// Beside the plane: whoever waits for spans keeps nobody from it, and takes the last ones when it is gone.
    spans: Option<Arc<Buffer>>,
    /// The process that started the threads; they do not exist in a fork of it.
    pid: u32,
}

#[pymethods]
impl Gateway {
    #[new]
    fn new(py: Python<'_>, start: &[u8], listeners: Vec<RawFd>) -> PyResult<Self> {
        let listeners = own(listeners)?;
        let plane = py.detach(|| Plane::start(start, listeners)).map_err(|error| refused(&error))?;
        let spans = plane.spans();
        Ok(Self { plane: Mutex::new(Some(plane)), spans, pid: std::process::id() })
    }

    fn tell(&self, py: Python<'_>, message: &[u8], descriptors: Vec<RawFd>) -> PyResult<()> {
        let descriptors = own(descriptors)?;
        self.with(|plane| py.detach(|| plane.tell(message, descriptors)).map_err(|error| refused(&error)))
    }

    fn events_fd(&self) -> PyResult<RawFd> {
        self.with(|plane| Ok(std::os::fd::AsRawFd::as_raw_fd(plane.outbox().signal())))
    }

    fn events(&self) -> PyResult<Vec<String>> {
        self.with(|plane| Ok(plane.outbox().take()))
    }

    fn drain(&self, py: Python<'_>, timeout_ms: u64) -> PyResult<()> {
        self.check_process()?;
        if let Some(plane) = self.plane.lock().take() {
            py.detach(|| plane.drain(Duration::from_millis(timeout_ms)));
        }
        if let Some(spans) = &self.spans {
            spans.close();
        }
        Ok(())
    }

    fn spans(&self, py: Python<'_>, timeout_ms: u64) -> PyResult<Option<Vec<Span>>> {
        self.check_process()?;
        match &self.spans {
            Some(spans) => spans::take(py, spans, Duration::from_millis(timeout_ms)),
            None => Ok(None),
        }
    }

    fn spans_exported(&self, exported: u64, failed: u64) {
        if let Some(spans) = &self.spans {
            spans.exported(exported, failed);
        }
    }
}

impl Gateway {
    fn with<T>(&self, act: impl FnOnce(&Plane) -> PyResult<T>) -> PyResult<T> {
        self.check_process()?;
        match self.plane.lock().as_ref() {
            Some(plane) => act(plane),
            None => Err(PyRuntimeError::new_err("the gateway has been drained")),
        }
    }

    fn check_process(&self) -> PyResult<()> {
        let here = std::process::id();
        if here == self.pid {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!(
            "a gateway cannot be used across forks: it was started in process {}, this is {here}",
            self.pid
        )))
    }
}

fn refused(error: &StartError) -> PyErr {
    match error {
        StartError::Message(_) => PyValueError::new_err(error.to_string()),
        StartError::System(_) => PyOSError::new_err(error.to_string()),
    }
}

/// Takes descriptors over from Python, which forgets them.
fn own(numbers: Vec<RawFd>) -> PyResult<Vec<OwnedFd>> {
    if numbers.iter().any(|&number| number < 3) {
        return Err(PyValueError::new_err("a descriptor handed over must be open and above 2"));
    }
    // SAFETY: the caller received each of these numbers with a message, owns it alone and forgets it with
    // this call; that is the contract of the stub file, and the one thing a number cannot prove.
    #[allow(unsafe_code)]
    Ok(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}
