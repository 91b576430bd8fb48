//! The memory level as a whole, seen from outside: what it finds, what it holds, and what threads do to it.
#![allow(clippy::cast_precision_loss, clippy::panic, clippy::unwrap_used)]

mod flights;
mod hit_ratio;
mod rules;
mod shuttled;
mod threads;
mod traces;

use omnimind_cache::{Freshness, Life};
use shuttled::sync;

const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };
