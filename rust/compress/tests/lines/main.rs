//! What is made of lines: logs, builds, traces, diffs and search hits, as generated texts with known parts.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a test may")]

mod hostile;
mod log;
mod logs;
mod texts;
mod whole;
