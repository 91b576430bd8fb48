//! The forms for JSON, tables and tool lists: what is read back is what was there, and it costs fewer tokens.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::format_push_string, reason = "a test may")]

mod cut;
mod documents;
mod hard;
mod json;
mod oracle;
mod sizes;
mod tools;
mod values;
