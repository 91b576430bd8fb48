//! The measured stretch moment by moment, by when calls were due: a stall shows where it was, with all it delayed.

use std::time::Duration;

use serde::Serialize;

use crate::coarse::{Coarse, Spread};

/// No run has more moments; a long one has longer ones.
const MOST: u32 = 600;

/// Moments of equal length.
pub(crate) struct Timeline {
    step: Duration,
    rows: Vec<Row>,
}

#[derive(Clone, Default)]
struct Row {
    right: u64,
    failed: u64,
    latency: Coarse,
}

/// One moment, as it is reported.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// When it began, after the warm-up.
    pub at_s: f64,
    /// How long it was.
    pub length_s: f64,
    /// Calls due in it that were answered right,
    pub right: u64,
    /// and the others that ended.
    pub failed: u64,
    /// Of right answers, from the intended instant of sending.
    pub latency: Spread,
}

impl Timeline {
    /// For a stretch of this length.
    pub(crate) fn new(length: Duration) -> Self {
        Self { step: (length / MOST).max(Duration::from_secs(1)), rows: Vec::new() }
    }

    /// A call that was due so long after the warm-up ended: with this latency, or badly.
    pub(crate) fn book(&mut self, due: Duration, latency_ns: Option<u64>) {
        let at = usize::try_from(due.as_nanos() / self.step.as_nanos().max(1)).unwrap_or(usize::MAX);
        let at = at.min(2 * MOST as usize);
        if at >= self.rows.len() {
            self.rows.resize_with(at + 1, Row::default);
        }
        let Some(row) = self.rows.get_mut(at) else { return };
        match latency_ns {
            Some(ns) => {
                row.right += 1;
                row.latency.record(ns);
            }
            None => row.failed += 1,
        }
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Self) {
        if other.rows.len() > self.rows.len() {
            self.rows.resize_with(other.rows.len(), Row::default);
        }
        for (own, others) in self.rows.iter_mut().zip(&other.rows) {
            own.right += others.right;
            own.failed += others.failed;
            own.latency.add(&others.latency);
        }
    }

    /// As it is reported.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let step = self.step.as_secs_f64();
        let moment = |(at, row): (u32, &Row)| Moment {
            at_s: f64::from(at) * step,
            length_s: step,
            right: row.right,
            failed: row.failed,
            latency: row.latency.spread(),
        };
        (0..).zip(&self.rows).map(moment).collect()
    }
}
