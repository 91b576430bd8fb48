//! The load: what measures the road.
//!
//! Two halves. [`run`] drives a server (modern or legacy HTTP, newline JSON over a Unix socket) in closed or open loop
//! and checks every answer. [`upstream`] is a server that costs next to nothing, so that what lies between is seen;
//! [`fixed`] is one that reads nothing, so that an answer without an upstream has something to stand beside.
//!
//! [`isolation`] is a pair of its own: a server whose answers say for whom they were made, and many callers who look.
//!
//! Rules kept: latency counts from the intended instant of sending (a late generator does not flatter the server),
//! every answer must carry the id and the canary of its own call, and a generator that is itself the limit says so.

#![forbid(unsafe_code)]

mod chance;
mod check;
mod clock;
mod coarse;
mod connection;
pub mod fixed;
pub mod http1;
pub mod isolation;
mod ledger;
mod lines;
mod message;
mod order;
mod pace;
pub mod plan;
pub mod report;
mod requests;
mod run;
mod schedule;
mod tally;
mod timeline;
mod trail;
pub mod upstream;
mod watch;

pub use order::read as read_plan;
pub use plan::Plan;
pub use report::Report;
pub use run::run;
pub use watch::{Progress, Running};
