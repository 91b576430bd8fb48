//! What operators learn of the limits: one answer for `omnimind`, and lines for a scraper.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use omnimind_limits::{Health, queue::Reason, rate::Scope};
use serde_json::{Map, Value, json};

use super::{ledger::Ledger, state::View};
use crate::{
    config::{ConcurrencyPolicy, RatePolicy, ServerSpec},
    metrics::{Times, head},
};

const CLASSES: [&str; 4] = ["system", "interactive", "normal", "background"];

/// All there is to see at one moment.
pub(super) struct Report {
    pub(super) servers: Vec<(Arc<ServerSpec>, View)>,
    pub(super) rates: (RatePolicy, f64, [(Scope, u64); Scope::ALL.len()]),
    pub(super) health: (Health, f64),
}

impl Report {
    /// The answer to an operator's question.
    pub(super) fn told(&self) -> Value {
        let (policy, pace, refused) = &self.rates;
        let refused: Map<_, _> =
            refused.iter().map(|(scope, count)| (scope.as_str().to_owned(), json!(count))).collect();
        let (health, brake) = &self.health;
        json!({
            "servers": self.servers.iter().map(|(spec, view)| server(spec, view)).collect::<Vec<_>>(),
            "rates": {"policy": rate_word(*policy), "pace": pace, "refused": refused},
            "health": {
                "cpu": health.cpu.map(omnimind_limits::Share::get),
                "psi": health.psi.map(omnimind_limits::Share::get),
                "p99_ms": health.p99.map(ms),
                "error_rate": health.error_rate.map(omnimind_limits::Share::get),
                "brake": brake,
            },
        })
    }

    /// Prometheus text.
    pub(super) fn render(&self, text: &mut String) {
        self.gauge(text, "omnimind_server_limit", "Calls that may be in flight.", |view| view.live.limit);
        self.gauge(text, "omnimind_server_usable", "What brake and zombies leave of it.", |view| view.live.usable);
        self.gauge(text, "omnimind_server_in_flight", "Calls in flight.", |view| view.live.in_flight);
        self.gauge(text, "omnimind_server_zombies", "Calls that were given up and run on.", |view| view.live.zombies);
        head(text, "omnimind_server_waiting", "gauge", "Calls that wait, by class.");
        self.each(text, |text, name, view| {
            for (class, count) in CLASSES.iter().zip(view.live.waiting) {
                let _ = writeln!(text, "omnimind_server_waiting{{server=\"{name}\",class=\"{class}\"}} {count}");
            }
        });
        head(text, "omnimind_server_stretch", "gauge", "How many times as long as at ease the last calls took.");
        self.each(text, |text, name, view| {
            if let Some(stretch) = view.live.stretch {
                let _ = writeln!(text, "omnimind_server_stretch{{server=\"{name}\"}} {stretch:.3}");
            }
        });
        head(text, "omnimind_server_refused_total", "counter", "Calls that were not started, by reason.");
        self.each(text, |text, name, view| {
            for (reason, count) in Reason::ALL.iter().zip(view.ledger.refused) {
                let reason = reason.word();
                let _ =
                    writeln!(text, "omnimind_server_refused_total{{server=\"{name}\",reason=\"{reason}\"}} {count}");
            }
        });
        self.times(
            text,
            "omnimind_queue_wait_seconds",
            "Time calls waited before they were started, of all that have left.",
            |ledger| &ledger.waits,
        );
        self.times(text, "omnimind_service_seconds", "Time calls were in flight.", |ledger| &ledger.services);
        let (_, pace, refused) = &self.rates;
        head(text, "omnimind_rate_refused_total", "counter", "Calls over a rate, by whose rate it was.");
        for (scope, count) in refused {
            let _ = writeln!(text, "omnimind_rate_refused_total{{scope=\"{}\"}} {count}", scope.as_str());
        }
        head(text, "omnimind_rate_pace", "gauge", "How fast rates are; 1 is as configured.");
        let _ = writeln!(text, "omnimind_rate_pace {pace:.3}");
        head(text, "omnimind_brake", "gauge", "What the brake leaves of all limits; 1 is all.");
        let _ = writeln!(text, "omnimind_brake {:.3}", self.health.1);
    }

    fn each(&self, text: &mut String, mut line: impl FnMut(&mut String, &str, &View)) {
        for (spec, view) in &self.servers {
            line(text, &spec.name, view);
        }
    }

    fn gauge(&self, text: &mut String, metric: &str, help: &str, value: impl Fn(&View) -> u32) {
        head(text, metric, "gauge", help);
        self.each(text, |text, name, view| {
            let _ = writeln!(text, "{metric}{{server=\"{name}\"}} {}", value(view));
        });
    }

    fn times(&self, text: &mut String, metric: &str, help: &str, of: impl Fn(&Ledger) -> &Times) {
        head(text, metric, "histogram", help);
        self.each(text, |text, name, view| of(&view.ledger).render(text, metric, &format!("server=\"{name}\"")));
    }
}

fn server(spec: &ServerSpec, view: &View) -> Value {
    let live = &view.live;
    let waiting: Map<_, _> =
        CLASSES.iter().zip(live.waiting).map(|(class, n)| ((*class).to_owned(), json!(n))).collect();
    let refused: Map<_, _> =
        Reason::ALL.iter().zip(view.ledger.refused).map(|(why, n)| (why.word().to_owned(), json!(n))).collect();
    let waits = view.ledger.lately().waits;
    json!({
        "name": spec.name,
        "tier": spec.tier,
        "policy": policy_word(view.policy),
        "limit": live.limit,
        "usable": live.usable,
        "in_flight": live.in_flight,
        "zombies": live.zombies,
        "waiting": waiting,
        "stretch": live.stretch,
        "service_ms": ms(Duration::from_nanos(live.service_ns)),
        "started": view.ledger.started,
        "refused": refused,
        "queue_ms": {"p50": waits.under(500).map_or(0.0, ms), "p99": waits.under(990).map_or(0.0, ms)},
    })
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

fn policy_word(policy: ConcurrencyPolicy) -> &'static str {
    match policy {
        ConcurrencyPolicy::Gradient => "gradient",
        ConcurrencyPolicy::Aimd => "aimd",
        ConcurrencyPolicy::Fixed => "fixed",
    }
}

fn rate_word(policy: RatePolicy) -> &'static str {
    match policy {
        RatePolicy::Fixed => "fixed",
        RatePolicy::Aimd => "aimd",
        RatePolicy::CpuStep => "cpu-step",
    }
}
