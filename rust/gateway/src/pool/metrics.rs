//! Pools for Prometheus.

use std::fmt::Write as _;

use super::Report;
use crate::metrics::head;

type Number = fn(&Report) -> f64;

/// Name, kind, help, and where the number is.
#[allow(clippy::cast_precision_loss, reason = "scrapers read floats")]
const LINES: [(&str, &str, &str, Number); 9] = [
    ("omnimind_pool_busy", "gauge", "Connections to the server in use.", |report| report.busy as f64),
    ("omnimind_pool_idle", "gauge", "Connections that rest.", |report| report.idle as f64),
    ("omnimind_pool_waiting", "gauge", "Calls that wait for a connection.", |report| report.waiting as f64),
    ("omnimind_pool_idle_limit_seconds", "gauge", "A connection that has rested so long is closed.", |report| {
        report.idle_limit_ms as f64 / 1000.0
    }),
    ("omnimind_pool_ejected_seconds", "gauge", "Calls are refused for so long; 0 if they are not.", |report| {
        report.ejected_ms as f64 / 1000.0
    }),
    ("omnimind_pool_opened_total", "counter", "Connections opened.", |report| report.opened as f64),
    ("omnimind_pool_reused_total", "counter", "Requests over a connection that was open.", |report| {
        report.reused as f64
    }),
    ("omnimind_pool_waited_total", "counter", "Calls that had to wait for a connection.", |report| {
        report.waited as f64
    }),
    (
        "omnimind_pool_refused_total",
        "counter",
        "Calls refused: none became free, or the server was ejected.",
        |report| report.refused as f64,
    ),
];

/// Appends the pools of servers, by name.
pub(crate) fn render(text: &mut String, pools: &[(String, Report)]) {
    if pools.is_empty() {
        return;
    }
    for (name, kind, help, number) in LINES {
        head(text, name, kind, help);
        for (server, report) in pools {
            let _ = writeln!(text, "{name}{{server=\"{server}\"}} {}", number(report));
        }
    }
    head(text, "omnimind_pool_closed_total", "counter", "Connections closed, by reason.");
    for (server, report) in pools {
        for (reason, count) in &report.closed {
            let _ = writeln!(text, "omnimind_pool_closed_total{{server=\"{server}\",reason=\"{reason}\"}} {count}");
        }
    }
}
