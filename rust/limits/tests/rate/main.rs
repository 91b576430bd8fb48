//! The rate half of the limiter: what its parts promise, by example and by law.
#![allow(clippy::unwrap_used, clippy::panic)]

mod health;
mod keyed;
