//! A refusal as a value: false, how long to wait, and at which level.

use std::time::Duration;

use omnimind_limits::Cost;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyclass(frozen, eq, hash, module = "omnimind._core")]
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    retry_after: Duration,
    scope: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(retry_after: Duration, scope: Option<&'static str>) -> Self {
        Self { retry_after, scope }
    }
}

#[pymethods]
impl Refusal {
    #[getter]
    fn retry_after_ns(&self) -> u64 {
        u64::try_from(self.retry_after.as_nanos()).unwrap_or(u64::MAX)
    }

    #[getter]
    fn retry_after_s(&self) -> f64 {
        self.retry_after.as_secs_f64()
    }

    #[getter]
    fn scope(&self) -> Option<&'static str> {
        self.scope
    }

    #[allow(clippy::unused_self)] // a slot of the class: a refusal is false, whatever it says
    fn __bool__(&self) -> bool {
        false
    }

    fn __repr__(&self) -> String {
        let scope = self.scope.map(|scope| format!(", scope='{scope}'")).unwrap_or_default();
        format!("Refusal(retry_after_s={:?}{scope})", self.retry_after_s())
    }
}

/// What no full bucket could pay is a mistake of the caller, not a matter of waiting.
pub(super) fn above_burst(cost: Cost, burst: f64) -> PyErr {
    let tokens = cost.tokens();
    PyValueError::new_err(format!("cost {tokens} is above the burst of {burst}: it could never be admitted"))
}
