//! The atomics and the lock the cell is built from, behind one door.
//!
//! `tests/shuttle.rs` and `tests/loom.rs` compile `bucket.rs` a second and a third time with the scheduler-controlled
//! twins of these types behind this same name, so that what is explored there is the source that ships.

pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
