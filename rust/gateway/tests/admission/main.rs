//! Who may call, when, and who is told to come again: through the whole relay, and over the real edge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "a JSON object is written where it is used")]

#[path = "../upstream_doubles/mod.rs"]
mod doubles;

mod ahead;
mod churn;
mod edge;
mod gate;
mod queue;
mod stage;
mod zombies;
