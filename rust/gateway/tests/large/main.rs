//! How large answers leave the gateway: packed for who can read them so, and no faster than they are read.
//!
//! A whole gateway on a real socket, in front of a server behind HTTP on another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../upstream_doubles/mod.rs"]
#[allow(clippy::needless_pass_by_value, reason = "shared with the tests of upstreams")]
mod upstream_doubles;

mod long;
mod packed;
mod spooled;
mod stage;
