//! `TokenBucket`, as Python sees it.
//!
//! The cell is `omnimind_limits::TokenBucket`; here are only conversions, and a clock for callers that bring none:
//! nanoseconds since the bucket was made.

use std::time::{Duration, Instant};

use omnimind_limits::Refusal as Refused;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::quota;
use super::refusal::{Refusal, above_burst};

#[pyclass(frozen, module = "omnimind._core")]
pub(super) struct TokenBucket {
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
        let cost = super::cost(cost)?;
        match self.cell.try_take(cost, self.now(now_ns)) {
            Ok(()) => Ok(PyBool::new(py, true).to_owned().into_any()),
            Err(Refused::TooSoon { retry_after }) => Ok(Bound::new(py, Refusal::new(retry_after, None))?.into_any()),
            Err(Refused::TooLarge { burst }) => Err(above_burst(cost, burst)),
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
