//! The atomics, locks and the index of this crate's shared parts, behind one door.
//!
//! `tests/memory` compiles those parts a second time with the scheduler-controlled twins of these types behind this
//! same name, so that what is explored there is the source that ships.

pub(crate) use papaya::{Guard, HashMap as Index, LocalGuard};
pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::thread::yield_now;
