//! The relay between clients of both eras and servers of both eras, over a real connection to a scripted server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod again;
mod bridges;
mod double;
mod host;
mod legacy;
mod modern;
mod reload;
mod sessions;
mod state;
