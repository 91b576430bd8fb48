//! The gate: who may proceed, and when to ask again. No I/O; the clock is an argument.
//!
//! A [`TokenBucket`] is one cell: a [`Quota`] (rate and burst) that may be changed while calls run,
//! and one word of state. A refusal is a value: [`Refusal`] says how long to wait, or that waiting will not help.

#![forbid(unsafe_code)]

mod bucket;
pub mod concurrency;
pub mod gate;
mod health;
pub mod limiter;
pub mod queue;
mod quota;
pub mod rate;
mod refusal;
mod slab;
mod sync;

pub use bucket::TokenBucket;
pub use health::{CpuTimes, Health, Pressure, Share};
pub use quota::{Cost, InvalidCost, InvalidQuota, Quota, Rate};
pub use refusal::Refusal;
