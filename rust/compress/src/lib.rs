//! The press: the same facts in fewer tokens. Pure: same input and policy, same bytes.

#![forbid(unsafe_code)]

pub mod tokens;
