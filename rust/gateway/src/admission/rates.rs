//! How many calls a second: of a tenant, of a tenant at one server, of one tool.
//!
//! The rules: what is not configured costs one load; a reload keeps the buckets, so that nobody gains a full one by it; and
//! all rates together follow the policy's pace, moved once a second by one store.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use omnimind_limits::{
    Cost, Health, Quota, Rate, Share,
    rate::{Admission as Buckets, Aimd, AimdRules, Call, CpuStep, Quotas, RatePolicy as Policy, RateRefusal, Scope},
};
use parking_lot::Mutex;

use crate::config::{self, RatePolicy, ServerSpec, Snapshot};

/// Tenants, pairs of tenant and server, and tools that are remembered at once.
const KEYS: usize = 4_096;
/// What one tenant may send a second under `cpu-step`, if nothing else is said.
const USUAL_PER_S: f64 = 500.0;
/// `aimd`: never less than this part of what is configured, and so much more after each second that went well.
const FLOOR: f64 = 0.05;
const ADDED: f64 = 0.05;
/// `aimd`: what a cut leaves.
const KEPT: f64 = 0.8;
/// `aimd`: above any of these the machine is overloaded.
const MOST_CPU: f64 = 0.90;
const MOST_PSI: f64 = 0.40;
const MOST_ERRORS: f64 = 0.10;

/// All rates.
pub(super) struct Rates {
    limited: AtomicBool,
    rules: ArcSwapOption<Rules>,
    pacing: Mutex<Pacing>,
    refused: [AtomicU64; Scope::ALL.len()],
}

/// What is configured.
struct Rules {
    buckets: Arc<Buckets>,
    tenant: Option<Quota>,
    servers: HashMap<String, ServerRules>,
}

#[derive(Default)]
struct ServerRules {
    tenant: Option<Quota>,
    tools: HashMap<String, ToolRules>,
}

#[derive(Clone, Copy)]
struct ToolRules {
    quota: Option<Quota>,
    cost: Cost,
}

struct Pacing {
    kind: RatePolicy,
    normal_per_s: f64,
    /// None where the rates follow nothing.
    policy: Option<Box<dyn Policy>>,
    /// 1 is as configured.
    pace: f64,
}

impl Rates {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let pacing = Pacing { kind: RatePolicy::Fixed, normal_per_s: USUAL_PER_S, policy: None, pace: 1.0 };
        let rates = Self {
            limited: AtomicBool::new(false),
            rules: ArcSwapOption::empty(),
            pacing: Mutex::new(pacing),
            refused: Default::default(),
        };
        rates.apply(snapshot);
        rates
    }

    /// Takes a new configuration.
    pub(super) fn apply(&self, snapshot: &Snapshot) {
        let before = self.rules.load_full();
        let buckets = || before.map_or_else(|| Arc::new(Buckets::new(KEYS)), |rules| Arc::clone(&rules.buckets));
        let rules = Rules::of(snapshot, buckets);
        let kind = snapshot.limits.policy;
        let normal = rules.as_ref().and_then(|rules| rules.tenant).map_or(USUAL_PER_S, |quota| quota.per_s());
        {
            let mut pacing = self.pacing.lock();
            if (pacing.kind, pacing.normal_per_s.to_bits()) != (kind, normal.to_bits()) {
                *pacing = Pacing { kind, normal_per_s: normal, policy: policy(kind, normal), pace: 1.0 };
            }
        }
        self.limited.store(rules.is_some(), Relaxed);
        self.rules.store(rules.map(Arc::new));
    }

    /// True if anything is limited at all.
    pub(super) fn is_limited(&self) -> bool {
        self.limited.load(Relaxed)
    }

    /// Takes a call's tokens; `server` and `tool` are empty where there is none.
    pub(super) fn admit(&self, tenant: &str, server: &str, tool: &str, now: Duration) -> Result<(), RateRefusal> {
        let rules = self.rules.load();
        let Some(rules) = &*rules else { return Ok(()) };
        let of_server = rules.servers.get(server);
        let of_tool = of_server.and_then(|server| server.tools.get(tool));
        let quotas = Quotas {
            tenant: rules.tenant,
            tenant_server: of_server.and_then(|server| server.tenant),
            server_tool: of_tool.and_then(|tool| tool.quota),
        };
        let cost = of_tool.map_or(Cost::ONE, |tool| tool.cost);
        let admitted = rules.buckets.admit(Call { tenant, server, tool }, &quotas, cost, now);
        admitted.inspect_err(|refused| {
            let place = Scope::ALL.iter().position(|scope| *scope == refused.scope);
            if let Some(count) = place.and_then(|place| self.refused.get(place)) {
                count.fetch_add(1, Relaxed);
            }
        })
    }

    /// Lets the rates follow the health of the machine.
    pub(super) fn heed(&self, health: &Health, now: Duration) {
        let mut pacing = self.pacing.lock();
        let normal_per_s = pacing.normal_per_s;
        let per_s = pacing.policy.as_mut().map_or(normal_per_s, |policy| policy.step(health, now).per_s());
        pacing.pace = per_s / normal_per_s;
        drop(pacing);
        if let (Some(rules), Ok(rate), Ok(normal), Some(all)) =
            (&*self.rules.load(), Rate::new(per_s), Rate::new(normal_per_s), Share::new(1.0))
        {
            rules.buckets.set_pace(rate, normal, all, now);
        }
    }

    /// What the rates follow, how fast they are (1 is as configured), and how often each scope refused.
    pub(super) fn view(&self) -> (RatePolicy, f64, [(Scope, u64); Scope::ALL.len()]) {
        let (kind, pace) = {
            let pacing = self.pacing.lock();
            (pacing.kind, pacing.pace)
        };
        let count = |at: usize| self.refused.get(at).map_or(0, |count| count.load(Relaxed));
        (kind, pace, std::array::from_fn(|at| (Scope::ALL[at], count(at))))
    }
}

impl Rules {
    /// What is configured; nothing if that is nothing.
    fn of(snapshot: &Snapshot, buckets: impl FnOnce() -> Arc<Buckets>) -> Option<Self> {
        let limits = &snapshot.limits;
        let usual = || (limits.policy == RatePolicy::CpuStep).then(|| Quota::new(USUAL_PER_S, USUAL_PER_S).ok());
        let tenant = limits.tenant.and_then(quota).or_else(|| usual().flatten());
        let of_all = limits.tenant_server.and_then(quota);
        let servers: HashMap<_, _> = snapshot
            .servers
            .iter()
            .map(|spec| (spec.name.clone(), ServerRules::of(spec, of_all)))
            .filter(|(_, rules)| rules.limits(tenant.is_some()))
            .collect();
        (tenant.is_some() || !servers.is_empty()).then(|| Self { buckets: buckets(), tenant, servers })
    }
}

impl ServerRules {
    fn of(spec: &ServerSpec, of_all: Option<Quota>) -> Self {
        let tools = spec.limits.tools.iter().map(|(name, tool)| {
            let cost = Cost::new(f64::from(tool.cost)).unwrap_or(Cost::ONE);
            (name.clone(), ToolRules { quota: tool.quota.and_then(quota), cost })
        });
        Self { tenant: spec.limits.tenant.and_then(quota).or(of_all), tools: tools.collect() }
    }

    /// True if there is anything to look up: a rate, or a cost that counts against one.
    fn limits(&self, counted: bool) -> bool {
        self.tenant.is_some() || self.tools.values().any(|tool| tool.quota.is_some() || counted)
    }
}

/// A quota as configured; what the orchestrator should not have let through limits nothing.
fn quota(said: config::Quota) -> Option<Quota> {
    Quota::new(said.per_s, f64::from(said.burst)).ok()
}

fn policy(kind: RatePolicy, normal: f64) -> Option<Box<dyn Policy>> {
    let rate = Rate::new(normal).ok()?;
    Some(match kind {
        RatePolicy::Fixed => return None,
        RatePolicy::CpuStep => Box::new(CpuStep::around(rate)),
        RatePolicy::Aimd => Box::new(Aimd::new(AimdRules {
            normal: rate,
            floor: Rate::new(normal * FLOOR).ok()?,
            ceiling: rate,
            add: Rate::new(normal * ADDED).ok()?,
            keep: Share::new(KEPT)?,
            window: Duration::from_secs(1),
            overload: Health {
                cpu: Share::new(MOST_CPU),
                psi: Share::new(MOST_PSI),
                p99: None,
                error_rate: Share::new(MOST_ERRORS),
            },
        })),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use serde_json::json;

    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn rates(limits: &serde_json::Value, server: &serde_json::Value) -> Rates {
        Rates::new(&snapshot(limits, server))
    }

    fn snapshot(limits: &serde_json::Value, server: &serde_json::Value) -> Snapshot {
        serde_json::from_value(json!({
            "version": "0", "state_dir": "/x", "keys": [], "auth": {"required": false}, "limits": limits,
            "servers": [{"name": "s", "kind": "unix", "tier": "high", "limits": server}],
        }))
        .unwrap()
    }

    fn busy(percent: u8) -> Health {
        Health { cpu: Share::percent(percent), ..Health::default() }
    }

    #[test]
    fn nothing_is_limited_that_is_not_configured() {
        let rates = rates(&json!({}), &json!({"tools": {"slow": {"class": "background", "cost": 9}}}));
        assert!(!rates.is_limited());
        assert!((0..10_000).all(|_| rates.admit("t", "s", "slow", ZERO).is_ok()));
    }

    #[test]
    fn each_of_three_levels_refuses_by_itself_and_says_when() {
        let quota = json!({"per_s": 10, "burst": 1});
        for (limits, server, scope) in [
            (json!({"tenant": quota}), json!({}), Scope::Tenant),
            (json!({"tenant_server": quota}), json!({}), Scope::TenantServer),
            (json!({}), json!({"tenant": quota}), Scope::TenantServer),
            (json!({}), json!({"tools": {"slow": {"quota": quota}}}), Scope::ServerTool),
        ] {
            let rates = rates(&limits, &server);
            assert!(rates.is_limited() && rates.admit("t", "s", "slow", ZERO).is_ok());
            let refused = rates.admit("t", "s", "slow", ZERO).unwrap_err();
            assert_eq!((refused.scope, refused.refusal.retry_after()), (scope, Some(Duration::from_millis(100))));
            let counted = rates.view().2.iter().find(|(of, _)| *of == scope).unwrap().1;
            assert_eq!(counted, 1);
        }
    }

    #[test]
    fn a_server_has_its_own_rate_in_place_of_that_of_all() {
        let of_all = json!({"tenant_server": {"per_s": 1, "burst": 1}});
        let rates = rates(&of_all, &json!({"tenant": {"per_s": 1, "burst": 3}}));
        assert_eq!((0..9).filter(|_| rates.admit("t", "s", "", ZERO).is_ok()).count(), 3);
    }

    #[test]
    fn a_dear_tool_counts_for_more_and_one_that_costs_nothing_for_nothing() {
        let tools = json!({"tools": {"dear": {"cost": 5}, "free": {"cost": 0}}});
        let rates = rates(&json!({"tenant": {"per_s": 1, "burst": 11}}), &tools);
        assert!((0..99).all(|_| rates.admit("t", "s", "free", ZERO).is_ok()));
        assert_eq!((0..9).filter(|_| rates.admit("t", "s", "dear", ZERO).is_ok()).count(), 2);
        assert!(rates.admit("t", "s", "plain", ZERO).is_ok());
        assert!(rates.admit("t", "s", "plain", ZERO).is_err());
        assert!(rates.admit("other", "s", "dear", ZERO).is_ok(), "another tenant has a bucket of its own");
    }

    #[test]
    fn the_first_rule_of_500_a_second_is_there_without_a_rate_and_steps_with_the_cpu() {
        let rates = rates(&json!({"policy": "cpu-step"}), &json!({}));
        let in_a_second = |from: u64| {
            let until = Duration::from_secs(from + 1);
            (0..5_000).filter(|_| rates.admit("t", "s", "", until).is_ok()).count()
        };
        assert_eq!(in_a_second(0), 500);
        for (at, percent, expected) in [(1, 81, 250), (2, 50, 250), (3, 29, 500), (4, 80, 500)] {
            rates.heed(&busy(percent), Duration::from_secs(at));
            assert!(in_a_second(at).abs_diff(expected) <= 1, "at {percent} %");
        }
        assert!((rates.view().1 - 2.0).abs() < 1e-9, "twice the rate, as far as the bucket holds it");
    }

    #[test]
    fn aimd_gives_less_while_the_machine_is_overloaded_and_never_more_than_is_configured() {
        let rates = rates(&json!({"policy": "aimd", "tenant": {"per_s": 100, "burst": 10}}), &json!({}));
        (1..=3).for_each(|at| rates.heed(&busy(99), Duration::from_secs(at)));
        assert!((rates.view().1 - 0.512).abs() < 1e-9);
        (4..=90).for_each(|at| rates.heed(&busy(10), Duration::from_secs(at)));
        assert!((rates.view().1 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_reload_fills_no_bucket_and_a_policy_that_is_gone_leaves_no_pace_behind() {
        let quota = json!({"tenant": {"per_s": 1, "burst": 4}, "policy": "cpu-step"});
        let rates = rates(&quota, &json!({}));
        assert_eq!((0..9).filter(|_| rates.admit("t", "s", "", ZERO).is_ok()).count(), 4);
        rates.heed(&busy(99), ZERO);
        let fixed = json!({"tenant": {"per_s": 1, "burst": 4}});
        rates.apply(&snapshot(&fixed, &json!({})));
        assert!(rates.admit("t", "s", "", ZERO).is_err());
        rates.heed(&busy(99), ZERO);
        assert!((rates.view().1 - 1.0).abs() < 1e-9);
        rates.apply(&snapshot(&json!({}), &json!({})));
        assert!(!rates.is_limited() && rates.admit("t", "s", "", ZERO).is_ok());
    }
}
