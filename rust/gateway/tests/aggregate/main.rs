//! Lists of the aggregate: read page by page, no further than they are asked for, and nothing left behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and says JSON where it is needed"
)]

mod cursors;
#[path = "../relay/host.rs"]
#[allow(dead_code, reason = "the relay's own tests use the rest")]
mod host;
mod lazy;
mod library;
#[path = "../upstream_doubles/lines.rs"]
#[allow(dead_code, reason = "the upstream's own tests use the rest")]
mod lines;
mod long_names;
mod profiles;
mod stage;
mod unused;

/// Where the client's side looks for the server it talks to.
mod double {
    pub(crate) use crate::lines::Double;
}

/// An instance key.
pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
