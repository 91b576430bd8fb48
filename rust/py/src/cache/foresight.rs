//! `Predictor`, as Python sees it: which call is likely to come next, and what asking ahead may cost.
//!
//! Conversions only, and a clock; the rules are in `omnimind_cache::predict`. There is one principal: the program.

use omnimind_cache::predict::{self, Caller, Observed, PredictLimits, PredictStats, Reason};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::clock::steady_ms;

/// Adds the classes to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Predictor>()?;
    module.add_class::<Prediction>()?;
    module.add_class::<Ticket>()
}

#[pyclass(frozen, module = "omnimind._core")]
struct Predictor {
    mind: predict::Predictor,
}

#[pyclass(frozen, module = "omnimind._core")]
struct Prediction {
    call: predict::Prediction,
}

#[pyclass(frozen, module = "omnimind._core")]
struct Ticket {
    caller: Caller,
    ticket: predict::Ticket,
}

#[pymethods]
impl Predictor {
    #[new]
    fn new() -> Self {
        Self { mind: predict::Predictor::new(PredictLimits::default()) }
    }

    /// A call comes in; true if it was asked ahead.
    fn arrived(&self, session: u64, name: &str, arguments: &[u8]) -> bool {
        let call = call(name, arguments, None, 0.0, false, true);
        self.mind.arrived(caller(session), &call, steady_ms()).used.is_some()
    }

    /// A call was answered: what is worth asking ahead now, the likeliest first.
    #[pyo3(signature = (session, name, arguments, result, *, took_ms, cached, ok=true))]
    #[allow(clippy::too_many_arguments)] // each is one fact of the call
    fn observe(
        &self,
        py: Python<'_>,
        session: u64,
        name: &str,
        arguments: &[u8],
        result: Option<&[u8]>,
        took_ms: f32,
        cached: bool,
        ok: bool,
    ) -> Vec<Prediction> {
        let call = call(name, arguments, result, took_ms, cached, ok);
        let expected = py.detach(|| self.mind.observe(caller(session), &call, steady_ms()));
        expected.into_iter().map(|call| Prediction { call }).collect()
    }

    /// Asks to issue a prediction; None: it would cost too much now.
    fn begin(&self, session: u64, prediction: &Prediction) -> Option<Ticket> {
        let caller = caller(session);
        let ticket = self.mind.begin(caller, &prediction.call, steady_ms()).ok()?;
        Some(Ticket { caller, ticket })
    }

    /// An issued call was answered: for how many seconds its answer may be kept; None: not at all.
    #[allow(clippy::cast_precision_loss)] // a few seconds
    fn finished(&self, ticket: &Ticket, took_ms: f32) -> Option<f64> {
        let now_ms = steady_ms();
        let until_ms = self.mind.finished(ticket.caller, ticket.ticket, took_ms, now_ms)?;
        Some(until_ms.saturating_sub(now_ms) as f64 / 1_000.0)
    }

    /// An issued call failed, or was not made.
    fn cancelled(&self, ticket: &Ticket, spent_ms: f32) {
        self.mind.cancelled(ticket.caller, ticket.ticket, spent_ms, steady_ms());
    }

    /// What became of the predictions, by name.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.mind.stats(steady_ms());
        let PredictStats { observed, issued, used, wasted, cancelled, over_budget, in_flight, .. } = stats;
        let counts = PyDict::new(py);
        for (name, count) in [
            ("observed", observed),
            ("issued", issued),
            ("used", used),
            ("wasted", wasted),
            ("cancelled", cancelled),
            ("refused", over_budget + in_flight),
        ] {
            counts.set_item(name, count)?;
        }
        Ok(counts)
    }
}

#[pymethods]
impl Prediction {
    #[getter]
    fn name(&self) -> &str {
        &self.call.tool
    }

    /// A JSON object.
    #[getter]
    fn arguments<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.call.arguments)
    }

    #[getter]
    fn probability(&self) -> f32 {
        self.call.probability
    }

    #[getter]
    fn reason(&self) -> &'static str {
        match self.call.reason {
            Reason::NextPage => "next page",
            Reason::Listed => "listed",
            Reason::Sequence => "sequence",
        }
    }
}

fn caller(session: u64) -> Caller {
    Caller { principal: 0, session }
}

fn call<'a>(
    tool: &'a str,
    arguments: &'a [u8],
    result: Option<&'a [u8]>,
    took_ms: f32,
    cached: bool,
    ok: bool,
) -> Observed<'a> {
    Observed { server: 0, tool, arguments, read_only: true, ok, result, took_ms, cached }
}
