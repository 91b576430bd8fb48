//! Tests of the wire crate through its public face. `PROPTEST_CASES=100000` makes the properties dig deeper.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]

mod bridge;
mod common;
mod corpus;
mod edit;
mod headers;
mod json_hostile;
mod json_property;
mod message;
mod names;
mod refusals;
mod seal;
mod sse;
