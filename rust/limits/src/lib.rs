//! The gate: who may proceed, and when to ask again. No I/O; the clock is an argument.

#![forbid(unsafe_code)]
