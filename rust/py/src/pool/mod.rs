//! The gateway's HTTP pool, as Python sees it. What it does is in `omnimind_gateway::client`.
//!
//! Nothing here waits: a request is started and has a number, and an inbox, whose descriptor an event loop watches, gives
//! what became of which number. The waiting is `omnimind.pool`'s.

mod connections;
mod inbox;

use pyo3::prelude::*;

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<connections::ConnectionPool>()?;
    module.add_class::<inbox::Body>()?;
    module.add_class::<inbox::Inbox>()?;
    module.add_class::<inbox::Fault>()
}
