//! `TokenBucket` and its `Refusal`, as Python sees them.
//!
//! The cell is `omnimind_limits::TokenBucket`; here are only conversions, and a clock for callers that bring none:
//! nanoseconds since the bucket was made.

use std::time::{Duration, Instant};

use omnimind_limits::{Cost, Quota, Refusal as Refused};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TokenBucket>()?;
    module.add_class::<Refusal>()
}

#[pyclass(frozen, module = "omnimind._core")]
struct TokenBucket {
    cell: omnimind_limits::TokenBucket,
    origin: Instant,
}

#[pymethods]
impl TokenBucket {
    #[new]
    fn new(rate_per_s: f64, burst: f64) -> PyResult<Self> {
        let cell = omnimind_limits::TokenBucket::new(quota(rate_per_s, burst)?);
        Ok(Self { cell, origin: Instant::now() })
    }

    #[pyo3(signature = (cost=1.0, *, now_ns=None))]
    fn try_take<'py>(&self, py: Python<'py>, cost: f64, now_ns: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        let cost = Cost::new(cost).map_err(|error| PyValueError::new_err(error.to_string()))?;
        match self.cell.try_take(cost, self.now(now_ns)) {
            Ok(()) => Ok(PyBool::new(py, true).to_owned().into_any()),
            Err(Refused::TooSoon { retry_after }) => Ok(Bound::new(py, Refusal { retry_after })?.into_any()),
            Err(Refused::TooLarge { burst }) => Err(PyValueError::new_err(format!(
                "cost {} is above the burst of {burst}: it could never be admitted",
                cost.tokens()
            ))),
        }
    }

    #[pyo3(signature = (rate_per_s, burst=None, *, now_ns=None))]
    fn set_rate(&self, rate_per_s: f64, burst: Option<f64>, now_ns: Option<u64>) -> PyResult<()> {
        let burst = burst.unwrap_or_else(|| self.cell.quota().burst());
        self.cell.set_quota(quota(rate_per_s, burst)?, self.now(now_ns));
        Ok(())
    }

    #[pyo3(signature = (*, now_ns=None))]
    fn available(&self, now_ns: Option<u64>) -> f64 {
        self.cell.available(self.now(now_ns))
    }

    #[getter]
    fn rate_per_s(&self) -> f64 {
        self.cell.quota().per_s()
    }

    #[getter]
    fn burst(&self) -> f64 {
        self.cell.quota().burst()
    }

    fn __repr__(&self) -> String {
        let quota = self.cell.quota();
        format!("TokenBucket(rate_per_s={:?}, burst={:?})", quota.per_s(), quota.burst())
    }
}

impl TokenBucket {
    fn now(&self, now_ns: Option<u64>) -> Duration {
        now_ns.map_or_else(|| self.origin.elapsed(), Duration::from_nanos)
    }
}

fn quota(rate_per_s: f64, burst: f64) -> PyResult<Quota> {
    Quota::new(rate_per_s, burst).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pyclass(frozen, eq, hash, module = "omnimind._core")]
#[derive(PartialEq, Eq, Hash)]
struct Refusal {
    retry_after: Duration,
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

    #[allow(clippy::unused_self)] // a slot of the class: a refusal is false, whatever it says
    fn __bool__(&self) -> bool {
        false
    }

    fn __repr__(&self) -> String {
        format!("Refusal(retry_after_s={:?})", self.retry_after_s())
    }
}
