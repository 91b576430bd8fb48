//! The rate half of the limiter: what its parts promise, by example and by law.
#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod health;
mod keyed;
mod policies;

/// How many histories each law is tried on: more with `OMNIMIND_FULL=1`.
fn histories() -> proptest::test_runner::Config {
    let full = std::env::var_os("OMNIMIND_FULL").is_some();
    proptest::test_runner::Config::with_cases(if full { 5_000 } else { 100 })
}
