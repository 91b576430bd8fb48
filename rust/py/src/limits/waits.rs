//! The waiting half of the limiter: `omnimind_limits::gate::Gate` behind a lock that no Python code runs under.
//!
//! Whoever waits is a task of Python's, known here by a number. Each step answers with what became of which number; to
//! wake the tasks is the face's.

use std::time::Duration;

use omnimind_limits::concurrency::{self, Bounds, Gradient, Outcome, Policy};
use omnimind_limits::gate::{Answer, Arrived, Ask, Gate, Place, Rates, Ticket, Word};
use omnimind_limits::limiter::{Live, PermitId as Id};
use omnimind_limits::queue::Class;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::refusal::above_burst;

/// The right to be one of the calls in flight, by its name.
#[pyclass(frozen, module = "omnimind._core")]
pub(super) struct PermitId(Id);

/// Permit, reason, scope, and the seconds to wait.
pub(super) type Told = (Option<PermitId>, Option<&'static str>, Option<&'static str>, f64);
/// What became of others, by number.
pub(super) type Words = Vec<(u64, Told)>;

pub(super) struct Waits(Mutex<Gate>);

impl Waits {
    /// As many at once as `policy` decides, up to `max_concurrent`; any number, without one.
    pub(super) fn new(policy: &str, max_concurrent: Option<u32>, max_waiting: usize) -> PyResult<Self> {
        let policy = max_concurrent.map(|max| named(policy, max)).transpose()?;
        Ok(Self(Mutex::new(Gate::new(policy, max_waiting))))
    }

    /// The number of a call that waits, or what became of it.
    pub(super) fn arrive(
        &self,
        rates: Rates<'_>,
        ask: Ask,
        now_ns: u64,
    ) -> PyResult<(Option<u64>, Option<Told>, Words)> {
        let (mut words, cost) = (Vec::new(), ask.cost);
        let arrived = self.0.lock().arrive(rates, ask, now_ns, &mut words);
        match arrived {
            Arrived::Waits(Ticket(number)) => Ok((Some(number), None, all(words))),
            Arrived::Answered(answer) => Ok((None, Some(told(answer)), all(words))),
            Arrived::TooLarge { burst } => Err(above_burst(cost, burst)),
        }
    }

    pub(super) fn left(&self, number: u64) -> bool {
        self.0.lock().left(Ticket(number))
    }

    pub(super) fn ended(&self, permit: &PermitId, outcome: &str, now_ns: u64) -> PyResult<Words> {
        let outcome = match outcome {
            "ok" => Some(Outcome::Ok),
            "dropped" => Some(Outcome::Dropped),
            "cancelled" => None,
            other => return Err(PyValueError::new_err(format!("there is no outcome {other:?}"))),
        };
        let mut words = Vec::new();
        self.0.lock().ended(permit.0, outcome, now_ns, &mut words);
        Ok(all(words))
    }

    pub(super) fn tick(&self, rates: Rates<'_>, now_ns: u64) -> Words {
        let mut words = Vec::new();
        self.0.lock().tick(rates, now_ns, &mut words);
        all(words)
    }

    /// Seconds until there is something to do.
    pub(super) fn next_wake_s(&self, now_ns: u64) -> Option<f64> {
        let wake_ns = self.0.lock().next_wake()?;
        Some(Duration::from_nanos(wake_ns.saturating_sub(now_ns)).as_secs_f64())
    }

    /// How many wait for a rate, and the permits.
    pub(super) fn live(&self) -> ([usize; 4], Option<Live>) {
        let gate = self.0.lock();
        (gate.waiting(), gate.permits())
    }
}

pub(super) fn class(word: &str) -> PyResult<Class> {
    match word {
        "system" => Ok(Class::System),
        "interactive" => Ok(Class::Interactive),
        "normal" => Ok(Class::Normal),
        "background" => Ok(Class::Background),
        other => Err(PyValueError::new_err(format!("there is no priority {other:?}"))),
    }
}

fn named(policy: &str, max: u32) -> PyResult<Box<dyn Policy>> {
    let usual = Bounds::default();
    let bounds = Bounds { start: usual.start.min(max), min: usual.min.min(max), max };
    match policy {
        "fixed" => Ok(Box::new(concurrency::Fixed::new(max))),
        "aimd" => Ok(Box::new(concurrency::Aimd::new(bounds))),
        "gradient" => Ok(Box::new(Gradient::new(bounds))),
        other => Err(PyValueError::new_err(format!("there is no policy {other:?} of concurrency"))),
    }
}

fn all(words: Vec<Word>) -> Words {
    words.into_iter().map(|Word { ticket: Ticket(number), answer }| (number, told(answer))).collect()
}

fn told(answer: Answer) -> Told {
    match answer {
        Answer::Go(permit) => (permit.map(PermitId), None, None, 0.0),
        Answer::No(place, refused) => {
            let scope = match place {
                Place::Rate(scope) => scope.as_str(),
                Place::Concurrency => "concurrency",
            };
            (None, Some(refused.reason.word()), Some(scope), refused.retry_after.as_secs_f64())
        }
    }
}
