//! `count_tokens`, as Python sees it.

use pyo3::prelude::*;

/// Adds the function to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(count_tokens, module)?)
}

#[pyfunction]
fn count_tokens(py: Python<'_>, text: &str) -> usize {
    py.detach(|| omnimind_compress::tokens::count(text))
}
