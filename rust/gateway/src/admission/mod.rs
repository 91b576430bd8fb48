//! Who may call, when, and who is told to come again.
//!
//! ```text
//! request ─► rates ─► memory ─► gate of the server (queue, permit) ─► connection ─► upstream
//!              │ 42900             │ 42901, 42902
//! ```
//!
//! [`rates`] are asked of every request before the memory is; a [`gate`] stands before each server, and only what goes
//! upstream passes it: answers from memory, and those that wait for another's, hold no [`permit`]. The gateway's own
//! questions pass none, nor do subscriptions. What is learned of a server is learned from the calls that it finished.
//!
//! The decisions are those of `omnimind-limits`, pure machines; here are their clock, their locks and their callers.
//! [`classify`] says how urgent a call is, [`health`] how the machine is, [`refuse`] what a caller is told, [`report`] what
//! an operator sees.

mod classify;
mod gate;
mod health;
mod ledger;
mod permit;
mod rates;
mod refuse;
mod report;
mod spread;
mod state;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use omnimind_limits::{Health, rate::RateRefusal};
use omnimind_probes::limiter_reject;
use omnimind_wire::{Reason, Refusal, Request};
use parking_lot::Mutex;
use tokio::time::Instant;

use self::{
    gate::{Comer, Gate},
    health::Vitals,
    ledger::Lately,
    rates::Rates,
    report::Report,
};
pub(crate) use self::{
    permit::{Permit, Spare, Zombie},
    refuse::{in_words, with_wait},
};
use crate::{
    config::{ServerSpec, Snapshot},
    relay::Client,
};

const STAT: &str = "/proc/stat";
const PRESSURE: &str = "/proc/pressure/cpu";

/// All rates and gates of one plane.
pub(crate) struct Admission {
    origin: Instant,
    rates: Rates,
    servers: ArcSwap<Servers>,
    vitals: Mutex<Vitals>,
}

/// The gates, by server, and the servers in configured order.
struct Servers {
    specs: Vec<Arc<ServerSpec>>,
    gates: HashMap<String, Arc<Gate>>,
}

/// A request on its way to a server, in that server's names.
#[derive(Clone, Copy)]
pub(crate) struct Going<'a> {
    pub(crate) client: &'a Client,
    pub(crate) spec: &'a Arc<ServerSpec>,
    pub(crate) method: &'a str,
    /// Empty means absent.
    pub(crate) params: &'a [u8],
    /// The message it came in, if it did.
    pub(crate) request: Option<&'a Request>,
}

impl Admission {
    /// The rates and gates of a snapshot. Called inside a tokio runtime.
    pub(crate) fn new(snapshot: &Snapshot) -> Arc<Self> {
        let admission = Arc::new(Self {
            origin: Instant::now(),
            rates: Rates::new(snapshot),
            servers: ArcSwap::from_pointee(Servers::of(snapshot, &HashMap::new())),
            vitals: Mutex::new(Vitals::new()),
        });
        tokio::spawn(look_after(Arc::downgrade(&admission)));
        admission
    }

    /// Takes a new snapshot. What is in flight and what waits stays, also at servers that are configured otherwise.
    pub(crate) fn apply(&self, snapshot: &Snapshot) {
        self.rates.apply(snapshot);
        let before = self.servers.load();
        self.servers.store(Arc::new(Servers::of(snapshot, &before.gates)));
    }

    /// True if any request may be refused for its rate: none may be answered without being asked for it then.
    pub(crate) fn has_rates(&self) -> bool {
        self.rates.is_limited()
    }

    /// Asks the rates.
    ///
    /// # Errors
    /// One of them is used up.
    pub(crate) fn admit(&self, going: Going<'_>) -> Result<(), Refusal> {
        if !self.has_rates() {
            return Ok(());
        }
        let tool = going.tool();
        let (tenant, tool) = (&going.client.caller.principal.tenant, tool.as_deref().unwrap_or_default());
        let admitted = self.rates.admit(tenant, &going.spec.name, tool, self.origin.elapsed());
        admitted.map_err(|refused| over_rate(&refused, &going.spec.name, tool))
    }

    /// Asks the rates for a request that is for no server alone.
    ///
    /// # Errors
    /// That of the tenant is used up.
    pub(crate) fn admit_to_all(&self, client: &Client) -> Result<(), Refusal> {
        if !self.has_rates() {
            return Ok(());
        }
        let admitted = self.rates.admit(&client.caller.principal.tenant, "", "", self.origin.elapsed());
        admitted.map_err(|refused| over_rate(&refused, "", ""))
    }

    /// Waits for a permit at the server's gate; none for a server that is not configured any more, whose callers hear of
    /// that where they ask for a connection. Dropped before, it is as if nobody had come.
    ///
    /// # Errors
    /// There is none to be had in time.
    pub(crate) async fn enter(&self, going: Going<'_>, deadline: Instant) -> Result<Option<Permit>, Refusal> {
        let Some((gate, spec)) = self.server(&going.spec.name) else { return Ok(None) };
        let comer = going.comer(&spec, deadline);
        let came = Instant::now();
        gate.enter(&comer).await.map(Some).map_err(|refused| {
            if limiter_reject::is_on() {
                limiter_reject::fire(refused.reason.word());
            }
            let patience = deadline.saturating_duration_since(came);
            refuse::overloaded(refused, gate.server(), patience, came.elapsed(), chance())
        })
    }

    /// A permit that nobody else wants, if there is one.
    pub(crate) fn spare(&self, going: Going<'_>) -> Option<Spare> {
        let (gate, spec) = self.server(&going.spec.name)?;
        let mut comer = going.comer(&spec, Instant::now() + spec.longest());
        comer.class = omnimind_limits::queue::Class::Background;
        gate.spare(&comer)
    }

    /// The answer to an operator's question.
    pub(crate) fn told(&self) -> serde_json::Value {
        self.report().told()
    }

    /// Prometheus text.
    pub(crate) fn render(&self, text: &mut String) {
        self.report().render(text);
    }

    fn server(&self, name: &str) -> Option<(Arc<Gate>, Arc<ServerSpec>)> {
        let servers = self.servers.load();
        let spec = servers.specs.iter().find(|spec| spec.name == name)?;
        Some((Arc::clone(servers.gates.get(name)?), Arc::clone(spec)))
    }

    fn report(&self) -> Report {
        let servers = self.servers.load();
        let views = servers.specs.iter().filter_map(|spec| {
            let gate = servers.gates.get(&spec.name)?;
            Some((Arc::clone(spec), gate.view()))
        });
        Report { servers: views.collect(), rates: self.rates.view(), health: self.vitals.lock().view() }
    }

    /// Reads how the machine is.
    fn look(&self) {
        let [stat, pressure] = [STAT, PRESSURE].map(|path| std::fs::read_to_string(path).ok());
        let now = self.origin.elapsed();
        let (cpu, psi) = self.vitals.lock().read(stat.as_deref(), pressure.as_deref(), now);
        let mut lately = Lately::default();
        for gate in self.servers.load().gates.values() {
            lately.merge(&gate.view().ledger.lately());
        }
        let (p99, error_rate) = health::of_calls(&lately);
        self.heed(Health { cpu, psi, p99, error_rate }, now);
    }

    /// Tells rates and gates how the machine is.
    fn heed(&self, health: Health, now: Duration) {
        self.rates.heed(&health, now);
        let left = self.vitals.lock().heed(health, now);
        if let Some(left) = left {
            let servers = self.servers.load();
            for (spec, gate) in servers.specs.iter().filter_map(|spec| Some((spec, servers.gates.get(&spec.name)?))) {
                gate.brake(health::of_tier(left, &spec.tier));
            }
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Servers {
    /// The gates of a snapshot: the known ones configured anew, and new ones.
    fn of(snapshot: &Snapshot, known: &HashMap<String, Arc<Gate>>) -> Self {
        let gate = |spec: &Arc<ServerSpec>| {
            let gate = known.get(&spec.name).cloned();
            gate.inspect(|gate| gate.configure(&spec.limits)).unwrap_or_else(|| Gate::new(spec))
        };
        let gates = snapshot.servers.iter().map(|spec| (spec.name.clone(), gate(spec))).collect();
        Self { specs: snapshot.servers.clone(), gates }
    }
}

impl<'a> Going<'a> {
    /// The tool it calls, if it calls any.
    pub(crate) fn tool(&self) -> Option<Cow<'a, str>> {
        classify::tool(self.method, self.params, self.request)
    }

    /// The call at the gate of its server, as that is configured now.
    fn comer(&self, spec: &ServerSpec, deadline: Instant) -> Comer {
        let tool = self.tool();
        let meta = self.request.filter(|request| request.has_own_meta()).and_then(|request| request.meta.as_ref());
        let principal = &self.client.caller.principal;
        let hint = classify::hint(&self.client.caller.headers, meta);
        Comer {
            tenant: Arc::clone(&principal.tenant),
            class: classify::class(principal.class, spec, tool.as_deref(), hint),
            kind: classify::kind(self.method, tool.as_deref()),
            deadline,
        }
    }
}

fn over_rate(refused: &RateRefusal, server: &str, tool: &str) -> Refusal {
    if limiter_reject::is_on() {
        limiter_reject::fire(Reason::RateLimited.as_str());
    }
    refuse::rate_limited(refused, server, tool)
}

/// A number from 0 to 1 that nobody foresees.
fn chance() -> f64 {
    let [byte] = crate::relay::state::random::<1>();
    f64::from(byte) / f64::from(u8::MAX)
}

async fn look_after(admission: Weak<Admission>) {
    loop {
        tokio::time::sleep(health::BEAT).await;
        let Some(admission) = admission.upgrade() else { return };
        admission.look();
    }
}
