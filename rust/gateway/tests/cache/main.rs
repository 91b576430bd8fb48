//! What the gateway remembers: whole requests through a plane, to scripted servers of both eras, on a clock of ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and says JSON where it is needed"
)]

mod ahead;
#[path = "../relay/host.rs"]
#[allow(dead_code, reason = "the relay's own tests use the rest")]
mod host;
#[path = "../upstream_doubles/lines.rs"]
#[allow(dead_code, reason = "the upstream's own tests use the rest")]
mod lines;
mod operate;
mod private;
mod protocol;
mod repeat;
mod server;
mod settings;
mod stage;
mod stale;
mod together;
mod tools;

/// Where the client's side looks for the server it talks to.
mod double {
    pub(crate) use crate::lines::Double;
}

/// An instance key.
pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
