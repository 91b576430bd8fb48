//! `ConnectionPool`: settings, and requests that are started.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use omnimind_gateway::{
    client::{Ask, Client, Coding, Settings},
    config::{self, Http2},
    pool::{Report, Trust},
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};

use super::inbox::{Fault, Inbox};

/// A larger body is copied while others may use the interpreter.
const LARGE: usize = 64 << 10;

#[pyclass(frozen, module = "omnimind._core")]
pub(super) struct ConnectionPool {
    client: Arc<Client>,
    codings: Vec<Coding>,
}

#[pymethods]
impl ConnectionPool {
    #[new]
    #[pyo3(signature = (
        *, max_connections, compression, http2, verify, max_wait_s, max_response_bytes, max_ratio
    ))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // each is one setting
    fn new(
        py: Python<'_>,
        max_connections: usize,
        compression: Vec<String>,
        http2: &str,
        verify: Option<PathBuf>,
        max_wait_s: f64,
        max_response_bytes: u64,
        max_ratio: f64,
    ) -> PyResult<Self> {
        if !(max_ratio.is_finite() && max_ratio >= 1.0) {
            return Err(PyValueError::new_err(format!("max_ratio must be a number from 1 on, got {max_ratio}")));
        }
        let codings = compression.iter().map(|name| coding(name)).collect::<PyResult<Vec<_>>>()?;
        let wait_ms = u64::try_from(duration("max_wait_s", max_wait_s)?.as_millis()).unwrap_or(u64::MAX);
        let http2 = spoken(http2)?;
        let trust = match verify {
            Some(path) => py.detach(|| Trust::of_file(&path))?,
            None => Trust::default(),
        };
        let settings = Settings {
            pool: config::Pool { max_connections, wait_ms, http2, ..config::Pool::default() },
            trust: Arc::new(trust),
            codings: codings.clone(),
            max_bytes: max_response_bytes,
            max_ratio,
        };
        Ok(Self { client: Arc::new(Client::new(settings)), codings })
    }

    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // what a request consists of
    fn send<'py>(
        &self,
        py: Python<'py>,
        inbox: &Inbox,
        method: &str,
        url: &str,
        headers: Vec<(String, String)>,
        content: &[u8],
        timeout_s: f64,
        whole: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limit = if timeout_s == f64::INFINITY { None } else { Some(duration("timeout_s", timeout_s)?) };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let copy = || Bytes::copy_from_slice(content);
        let content = if content.len() < LARGE { copy() } else { py.detach(copy) };
        let ask = Ask::new(method, url, &headers, content, &self.codings, limit)
            .map_err(|mistake| PyValueError::new_err(mistake.to_string()))?;
        match self.client.start(inbox.inner(), ask, whole) {
            Ok(number) => Ok(number.into_pyobject(py)?.into_any()),
            Err(fault) => Ok(Bound::new(py, Fault::new(fault))?.into_any()),
        }
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyDict>)>> {
        let reports = py.detach(|| self.client.report());
        reports.into_iter().map(|(origin, report)| Ok((origin, told(py, &report)?))).collect()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.client.close());
    }
}

fn coding(name: &str) -> PyResult<Coding> {
    Coding::named(name).ok_or_else(|| PyValueError::new_err(format!("compression {name:?} is none of zstd, br, gzip")))
}

fn spoken(word: &str) -> PyResult<Http2> {
    match word {
        "offered" => Ok(Http2::Offered),
        "known" => Ok(Http2::Known),
        "never" => Ok(Http2::Never),
        other => Err(PyValueError::new_err(format!("http2 is offered, known or never, not {other:?}"))),
    }
}

fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{name} must be a number of seconds, not negative, got {seconds}")))
}

#[allow(clippy::cast_precision_loss, reason = "some milliseconds")]
fn told<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    let closed = PyDict::new(py);
    for (why, count) in &report.closed {
        closed.set_item(why, count)?;
    }
    told.set_item("http", report.http)?;
    told.set_item("open", report.open)?;
    told.set_item("busy", report.busy)?;
    told.set_item("idle", report.idle)?;
    told.set_item("waiting", report.waiting)?;
    told.set_item("opened", report.opened)?;
    told.set_item("reused", report.reused)?;
    told.set_item("closed", closed)?;
    told.set_item("waited", report.waited)?;
    told.set_item("refused", report.refused)?;
    told.set_item("ejected_s", report.ejected_ms as f64 / 1e3)?;
    told.set_item("idle_limit_s", report.idle_limit_ms as f64 / 1e3)?;
    Ok(told)
}
