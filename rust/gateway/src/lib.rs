//! The road: tokio and hyper between agents and servers. Only this crate touches request bytes.

#![forbid(unsafe_code)]
