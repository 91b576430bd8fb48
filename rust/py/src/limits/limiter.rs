//! `RateLimiter`, as Python sees it: a decision without a lock, and the steps of those who wait.
//!
//! A call that names no server or no tool is not asked at that level. Names with an underscore are for
//! `omnimind.limits`, which adds the waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use omnimind_limits::gate::{Ask, Rates};
use omnimind_limits::rate::{Admission, Call, Quotas, RateRefusal};
use omnimind_limits::{Cost, Quota, Refusal as Refused};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::pace::Pace;
use super::quota;
use super::refusal::{Refusal, above_burst};
use super::waits::{PermitId, Told, Waits, Words, class};

#[pyclass(frozen, subclass, module = "omnimind._core")]
pub(super) struct RateLimiter {
    buckets: Admission,
    /// By what a call names: nothing more, a server, a tool, both.
    quotas: [Quotas; 4],
    pace: Option<Pace>,
    waits: Waits,
    origin: Instant,
}

/// What Python sees of the permits: limit, usable, in flight, waiting by class, stretch, service time in seconds.
type Permits = (u32, u32, u32, [usize; 4], Option<f64>, f64);

#[pymethods]
impl RateLimiter {
    #[new]
    #[pyo3(signature = (*, rates, policy, overload, health, concurrency, max_concurrent, max_waiting, keys))]
    #[allow(clippy::too_many_arguments)] // each is one setting
    fn new(
        rates: [Option<(f64, f64)>; 3],
        policy: &str,
        overload: Option<&Bound<'_, PyAny>>,
        health: Option<Py<PyAny>>,
        concurrency: &str,
        max_concurrent: Option<u32>,
        max_waiting: usize,
        keys: usize,
    ) -> PyResult<Self> {
        if max_concurrent == Some(0) || max_waiting == 0 || keys == 0 {
            return Err(PyValueError::new_err("max_concurrent, max_waiting and keys must be at least 1"));
        }
        let [tenant, tenant_server, server_tool] = rates;
        let level = |rate: Option<(f64, f64)>| rate.map(|(per_s, burst)| quota(per_s, burst)).transpose();
        let (per_s, all) = (
            tenant.map_or(1.0, |(per_s, _)| per_s),
            Quotas { tenant: level(tenant)?, tenant_server: level(tenant_server)?, server_tool: level(server_tool)? },
        );
        let no_tool = Quotas { server_tool: None, ..all };
        let no_server = Quotas { tenant_server: None, ..all };
        Ok(Self {
            buckets: Admission::new(keys),
            quotas: [Quotas { tenant_server: None, ..no_tool }, no_tool, no_server, all],
            pace: Pace::of(policy, per_s, overload, health)?,
            waits: Waits::new(concurrency, max_concurrent, max_waiting)?,
            origin: Instant::now(),
        })
    }

    #[pyo3(signature = (key="", server=None, tool=None, *, cost=1.0, now_ns=None))]
    fn try_acquire(
        &self,
        py: Python<'_>,
        key: &str,
        server: Option<&str>,
        tool: Option<&str>,
        cost: f64,
        now_ns: Option<u64>,
    ) -> PyResult<bool> {
        let cost = super::cost(cost)?;
        match self.admit(py, key, server, tool, cost, now_ns) {
            Ok(()) => Ok(true),
            Err(RateRefusal { refusal: Refused::TooSoon { .. }, .. }) => Ok(false),
            Err(RateRefusal { refusal: Refused::TooLarge { burst }, .. }) => Err(above_burst(cost, burst)),
        }
    }

    #[pyo3(signature = (key="", server=None, tool=None, *, cost=1.0, now_ns=None))]
    fn check<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        server: Option<&str>,
        tool: Option<&str>,
        cost: f64,
        now_ns: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cost = super::cost(cost)?;
        match self.admit(py, key, server, tool, cost, now_ns) {
            Ok(()) => Ok(PyBool::new(py, true).to_owned().into_any()),
            Err(RateRefusal { scope, refusal: Refused::TooSoon { retry_after } }) => {
                Ok(Bound::new(py, Refusal::new(retry_after, Some(scope.as_str())))?.into_any())
            }
            Err(RateRefusal { refusal: Refused::TooLarge { burst }, .. }) => Err(above_burst(cost, burst)),
        }
    }

    #[getter]
    fn rate_per_s(&self) -> Option<f64> {
        let [Quotas { tenant, .. }, ..] = &self.quotas;
        self.pace.as_ref().map(Pace::per_s).or_else(|| tenant.as_ref().map(Quota::per_s))
    }

    #[allow(clippy::too_many_arguments)] // what one call is
    fn _arrive(
        &self,
        py: Python<'_>,
        key: &str,
        server: Option<&str>,
        tool: Option<&str>,
        cost: f64,
        priority: &str,
        wait_s: f64,
    ) -> PyResult<(Option<u64>, Option<Told>, Words)> {
        let cost = super::cost(cost)?;
        let wait = Duration::try_from_secs_f64(wait_s.max(0.0))
            .map_err(|_| PyValueError::new_err(format!("a wait must be a number of seconds, got {wait_s}")))?;
        let (now, now_ns) = self.now(py, None);
        let ask = Ask {
            tenant: Arc::from(key),
            server: Arc::from(server.unwrap_or_default()),
            tool: Arc::from(tool.unwrap_or_default()),
            quotas: *self.quotas(server, tool),
            cost,
            class: class(priority)?,
            deadline_ns: whole_ns(now.saturating_add(wait)),
        };
        self.waits.arrive(self.rates(), ask, now_ns)
    }

    fn _left(&self, number: u64) -> bool {
        self.waits.left(number)
    }

    fn _ended(&self, permit: &PermitId, outcome: &str) -> PyResult<Words> {
        self.waits.ended(permit, outcome, whole_ns(self.origin.elapsed()))
    }

    fn _tick(&self, py: Python<'_>) -> Words {
        let (_, now_ns) = self.now(py, None);
        self.waits.tick(self.rates(), now_ns)
    }

    fn _next_wake_s(&self) -> Option<f64> {
        self.waits.next_wake_s(whole_ns(self.origin.elapsed()))
    }

    /// How many wait for a rate, by class; and the permits, if their number is limited.
    fn _live(&self) -> ([usize; 4], Option<Permits>) {
        let (waiting, permits) = self.waits.live();
        let permits = permits.map(|live| {
            let service_s = Duration::from_nanos(live.service_ns).as_secs_f64();
            (live.limit, live.usable, live.in_flight, live.waiting, live.stretch, service_s)
        });
        (waiting, permits)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.pace.as_ref().map_or(Ok(()), |pace| pace.visit(&visit))
    }
}

impl RateLimiter {
    #[inline]
    fn admit(
        &self,
        py: Python<'_>,
        key: &str,
        server: Option<&str>,
        tool: Option<&str>,
        cost: Cost,
        now_ns: Option<u64>,
    ) -> Result<(), RateRefusal> {
        let (now, _) = self.now(py, now_ns);
        let call = Call { tenant: key, server: server.unwrap_or_default(), tool: tool.unwrap_or_default() };
        self.buckets.admit(call, self.quotas(server, tool), cost, now)
    }

    #[inline]
    fn quotas(&self, server: Option<&str>, tool: Option<&str>) -> &Quotas {
        let [plain, with_server, with_tool, all] = &self.quotas;
        match (server, tool) {
            (None, None) => plain,
            (Some(_), None) => with_server,
            (None, Some(_)) => with_tool,
            (Some(_), Some(_)) => all,
        }
    }

    /// The instant, after what has to be done by then.
    #[inline]
    fn now(&self, py: Python<'_>, now_ns: Option<u64>) -> (Duration, u64) {
        let now = now_ns.map_or_else(|| self.origin.elapsed(), Duration::from_nanos);
        let now_ns = whole_ns(now);
        if let Some(pace) = &self.pace {
            pace.follow(py, &self.buckets, now, now_ns);
        }
        (now, now_ns)
    }

    fn rates(&self) -> Rates<'_> {
        Rates { buckets: &self.buckets, pace: self.pace.as_ref().map_or(1.0, Pace::part) }
    }
}

#[inline]
fn whole_ns(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(span.subsec_nanos()))
}
