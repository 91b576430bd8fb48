//! Limits, as Python sees them: one bucket, and a limiter for a whole server. What they do is in `omnimind_limits`.

mod bucket;
mod limiter;
mod pace;
mod refusal;
mod signs;
mod waits;

use omnimind_limits::{Cost, Quota};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<bucket::TokenBucket>()?;
    module.add_class::<limiter::RateLimiter>()?;
    module.add_class::<waits::PermitId>()?;
    module.add_class::<refusal::Refusal>()
}

fn quota(rate_per_s: f64, burst: f64) -> PyResult<Quota> {
    Quota::new(rate_per_s, burst).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[inline]
fn cost(tokens: f64) -> PyResult<Cost> {
    Cost::new(tokens).map_err(|error| PyValueError::new_err(error.to_string()))
}
