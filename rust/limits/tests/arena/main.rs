//! The arena: what each policy and the queue are worth, in virtual time, and what the limiter keeps whatever happens.
//!
//! `cargo run --release -p omnimind-limits --example arena` prints all of it. These tests hold a sample, and with
//! `OMNIMIND_FULL=1` the whole of the bars.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs
)]

mod bars;
mod chance;
mod contest;
mod crowd;
mod entrants;
mod leaks;
mod load;
mod parameters;
mod score;
mod upstream;

/// Whether the whole of the bars is asked for.
fn full() -> bool {
    std::env::var_os("OMNIMIND_FULL").is_some_and(|value| value != "0")
}
