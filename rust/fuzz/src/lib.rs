//! What every input must satisfy, one function a parser.
//!
//! `cargo +nightly fuzz run json` (from `rust/`, with cargo-fuzz) calls them with bytes that libFuzzer invents; the
//! tests of the wire and the compress crate call them with the
//! files in `corpus/`, so that every `cargo test` repeats what was found once. They panic when a promise is broken:
//! save the input as a file there.

#![forbid(unsafe_code)]

pub mod checks;
pub mod expand;
pub mod press;
