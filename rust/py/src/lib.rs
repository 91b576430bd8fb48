//! The rim: `omnimind._core`. Conversions only; what it does is in the crates below.
//!
//! Everything crosses as bytes and numbers, once: a start message, control messages, descriptors. No Python
//! object lives in the data plane and no Python runs there, so nothing here waits for the interpreter. The one place
//! that keeps Python objects is `cache`, for Python programs.

mod cache;
mod compress;
mod encoder;
mod gateway;
mod handles;
mod limits;
mod lines;
mod load;
mod pool;
mod spans;
mod tokens;

use pyo3::prelude::*;

/// The Rust parts of `OmniMind`.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<gateway::Gateway>()?;
    module.add_class::<spans::Span>()?;
    cache::register(module)?;
    compress::register(module)?;
    encoder::register(module)?;
    handles::register(module)?;
    lines::register(module)?;
    limits::register(module)?;
    load::register(module)?;
    pool::register(module)?;
    tokens::register(module)
}
