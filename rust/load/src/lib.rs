//! The load: what measures the road.

#![forbid(unsafe_code)]
