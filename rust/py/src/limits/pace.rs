//! A rate that follows the health of the machine, without a thread: whoever asks for a decision when a second has
//! passed since the last look, looks.
//!
//! The rules: one caller looks, the others go on; a `health` function of the user's runs while nothing is locked; what it
//! raises is reported and taken for not knowing, since a limiter must not fail for want of a reading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use omnimind_limits::rate::{Admission, Aimd, AimdRules, CpuStep, RatePolicy};
use omnimind_limits::{Health, Rate, Share};
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::signs::Signs;

const STEP_NS: u64 = 1_000_000_000;
/// The least that `aimd` leaves of the rate, what it adds a second, and what a cut leaves.
const FLOOR: f64 = 0.1;
const ADD: f64 = 0.05;
const KEEP: f64 = 0.5;

/// A policy, and when it takes its next step.
pub(super) struct Pace {
    due_ns: AtomicU64,
    policy: Mutex<Box<dyn RatePolicy>>,
    source: Source,
    /// The bits of a floating-point number.
    per_s: AtomicU64,
    normal: Rate,
}

enum Source {
    Machine(Mutex<Signs>),
    Asked(Py<PyAny>),
}

impl Pace {
    /// The policy of that name around `max_rps`; none for `fixed`.
    pub(super) fn of(
        policy: &str,
        max_rps: f64,
        overload: Option<&Bound<'_, PyAny>>,
        health: Option<Py<PyAny>>,
    ) -> PyResult<Option<Self>> {
        let rate = |per_s| Rate::new(per_s).map_err(|error| PyValueError::new_err(error.to_string()));
        let normal = rate(max_rps)?;
        let policy: Box<dyn RatePolicy> = match policy {
            "fixed" => return Ok(None),
            "cpu-step" => Box::new(CpuStep::around(normal)),
            "aimd" => Box::new(Aimd::new(AimdRules {
                normal,
                floor: rate(max_rps * FLOOR)?,
                ceiling: normal,
                add: rate(max_rps * ADD)?,
                keep: share(KEEP)?,
                window: Duration::from_nanos(STEP_NS),
                overload: overload.map_or(Ok(Health::default()), told)?,
            })),
            other => return Err(PyValueError::new_err(format!("there is no policy {other:?}"))),
        };
        Ok(Some(Self {
            due_ns: AtomicU64::new(0),
            policy: Mutex::new(policy),
            source: health.map_or_else(|| Source::Machine(Mutex::default()), Source::Asked),
            per_s: AtomicU64::new(max_rps.to_bits()),
            normal,
        }))
    }

    /// Looks, if it is time to.
    #[inline]
    pub(super) fn follow(&self, py: Python<'_>, buckets: &Admission, now: Duration, now_ns: u64) {
        if now_ns >= self.due_ns.load(Ordering::Relaxed) {
            self.look(py, buckets, now, now_ns);
        }
    }

    #[cold]
    fn look(&self, py: Python<'_>, buckets: &Admission, now: Duration, now_ns: u64) {
        let due_ns = self.due_ns.load(Ordering::Relaxed);
        let next_ns = now_ns.saturating_add(STEP_NS);
        let taken = self.due_ns.compare_exchange(due_ns, next_ns, Ordering::AcqRel, Ordering::Relaxed);
        if now_ns < due_ns || taken.is_err() {
            return;
        }
        let health = match &self.source {
            Source::Machine(signs) => signs.lock().read(now),
            Source::Asked(health) => ask(health.bind(py)),
        };
        let rate = self.policy.lock().step(&health, now);
        self.per_s.store(rate.per_s().to_bits(), Ordering::Relaxed);
        if let Some(all) = Share::new(1.0) {
            buckets.set_pace(rate, self.normal, all, now);
        }
    }

    pub(super) fn per_s(&self) -> f64 {
        f64::from_bits(self.per_s.load(Ordering::Relaxed))
    }

    /// The rate as a part of the normal one.
    pub(super) fn part(&self) -> f64 {
        self.per_s() / self.normal.per_s()
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.source {
            Source::Machine(_) => Ok(()),
            Source::Asked(health) => visit.call(health),
        }
    }
}

fn ask(health: &Bound<'_, PyAny>) -> Health {
    health.call0().and_then(|answer| told(&answer)).unwrap_or_else(|error| {
        error.write_unraisable(health.py(), Some(health));
        Health::default()
    })
}

/// A `Health` of Python's.
fn told(health: &Bound<'_, PyAny>) -> PyResult<Health> {
    let part = |name| health.getattr(name)?.extract::<Option<f64>>();
    let p99 = part("p99_s")?.map(|seconds| {
        Duration::try_from_secs_f64(seconds).map_err(|_| PyValueError::new_err(format!("no time: {seconds}")))
    });
    Ok(Health {
        cpu: part("cpu")?.map(share).transpose()?,
        psi: part("psi")?.map(share).transpose()?,
        p99: p99.transpose()?,
        error_rate: part("error_rate")?.map(share).transpose()?,
    })
}

fn share(part: f64) -> PyResult<Share> {
    Share::new(part).ok_or_else(|| PyValueError::new_err(format!("not between 0 and 1: {part}")))
}
