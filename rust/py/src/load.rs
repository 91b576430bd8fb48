//! `omnimind._core.LoadRun`: the load generator, for `omnimind stress` and `omnimind bench`.

use std::io::{self, ErrorKind};
use std::time::Duration;

use omnimind_load::{Running, read_plan};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// Adds the class to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LoadRun>()
}

#[pyclass(frozen, module = "omnimind._core")]
struct LoadRun(Running);

#[pymethods]
impl LoadRun {
    #[new]
    fn new(plan: &[u8]) -> PyResult<Self> {
        let plan = read_plan(plan).map_err(PyValueError::new_err)?;
        Running::start(plan).map(Self).map_err(|error| failed(&error))
    }

    fn wait(&self, py: Python<'_>, timeout_ms: u64) -> bool {
        py.detach(|| self.0.wait(Duration::from_millis(timeout_ms)))
    }

    fn progress(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.progress_json()).map_err(|error| failed(&error))
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn report(&self, py: Python<'_>) -> PyResult<String> {
        let report = py.detach(|| self.0.report_json()).map_err(|error| failed(&error))?;
        report.ok_or_else(|| PyRuntimeError::new_err("the run goes on: wait for its end first"))
    }
}

fn failed(error: &io::Error) -> PyErr {
    match error.kind() {
        ErrorKind::InvalidInput => PyValueError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    }
}
