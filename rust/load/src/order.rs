//! A plan as it comes from another program: one JSON object over HTTP targets, every key of it checked.

use std::time::Duration;

use serde::Deserialize;

use crate::plan::{Arrivals, Eras, Loop, Phase, Plan, Principal, Target, ToolCall};
use crate::report::LAG_LIMIT;

/// Times in seconds, rates in calls a second.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    url: String,
    eras: Eras,
    /// Without it the loop is closed.
    rate_per_s: Option<f64>,
    #[serde(default)]
    arrivals: Arrivals,
    in_flight: usize,
    threads: usize,
    sessions: usize,
    calls: Vec<ToolCall>,
    principals: Vec<Principal>,
    phases: Vec<Phase>,
    count: Option<u64>,
    warm_up_s: f64,
    timeout_s: f64,
    seed: u64,
    no_store: bool,
}

/// Reads a plan.
///
/// # Errors
/// One sentence for the person who asked.
pub fn read(json: &[u8]) -> Result<Plan, String> {
    let order: Order = serde_json::from_slice(json).map_err(|why| why.to_string())?;
    let seconds = |name: &str, value: f64| {
        Duration::try_from_secs_f64(value).map_err(|_| format!("{name}: {value} is no length of time"))
    };
    let plan = Plan {
        target: Target::http(&order.url)?,
        eras: order.eras,
        pacing: match order.rate_per_s {
            Some(rate_per_s) => Loop::Open { rate_per_s, arrivals: order.arrivals },
            None => Loop::Closed,
        },
        in_flight: order.in_flight,
        connections: 1,
        threads: order.threads,
        sessions: order.sessions,
        mix: order.calls,
        principals: order.principals,
        duration: Duration::ZERO,
        phases: order.phases,
        count: order.count,
        warm_up: seconds("warm_up_s", order.warm_up_s)?,
        timeout: seconds("timeout_s", order.timeout_s)?,
        lag_limit: LAG_LIMIT,
        seed: order.seed,
        no_store: order.no_store,
        trail: None,
    };
    if plan.phases.is_empty() {
        return Err("at least one phase is needed".into());
    }
    plan.check()?;
    Ok(plan)
}
