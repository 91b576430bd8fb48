//! Three buckets asked in one decision: the tenant's, the tenant's at this server, and this tool's. All or nothing.
//!
//! All three are asked before anything is taken, so that a call refused at one level never burdens another, and the
//! refusal names the level that takes longest: the wait it tells is the one after which the call passes all three. Then
//! each is taken by one swap. If another caller came between, what was taken is given back and all are asked again.
//!
//! Cost: a level without a rate is not looked at. Three levels, the digests of three names and three look-ups
//! included, take less than 100 ns (`make bench`, `levels/three`).

use std::fmt;
use std::time::Duration;

use super::key::{Key, Keys};
use super::keyed::{Keyed, Offer};
use super::pace::{Bend, Pace};
use crate::bucket::since_origin_ns;
use crate::health::Share;
use crate::quota::{Cost, Quota, Rate};
use crate::refusal::Refusal;

const LEVELS: usize = 3;

type Offers<'a> = [Option<Offer<'a>>; LEVELS];

/// Who calls what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// Who asks.
    pub tenant: &'a str,
    /// The server asked.
    pub server: &'a str,
    /// The tool called on it.
    pub tool: &'a str,
}

/// What a call must stay under; a level with `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quotas {
    /// For all a tenant calls.
    pub tenant: Option<Quota>,
    /// For what a tenant calls at one server.
    pub tenant_server: Option<Quota>,
    /// For one tool of one server, whoever calls it.
    pub server_tool: Option<Quota>,
}

/// The level that refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The tenant's own rate.
    Tenant,
    /// The tenant's rate at this server.
    TenantServer,
    /// The rate of this tool.
    ServerTool,
}

/// A call that may not proceed: where, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRefusal {
    /// The level that takes longest.
    pub scope: Scope,
    /// What it said.
    pub refusal: Refusal,
}

/// The rate half of the gate. Shared by reference; every method may be called from any thread.
///
/// Instants are durations since an origin the caller chose, the same for all calls.
#[derive(Debug)]
pub struct Admission {
    keys: Keys,
    levels: [Keyed; LEVELS],
    pace: Pace,
}

impl Admission {
    /// No key known yet, and room for `keys` of them at each level (see [`Keyed`] for what happens to more).
    /// Takes 48 bytes for each, now.
    pub fn new(keys: usize) -> Self {
        Self { keys: Keys::new(), levels: std::array::from_fn(|_| Keyed::new(keys)), pace: Pace::new() }
    }

    /// Takes `cost` tokens at every level that has a quota, or nothing at any.
    ///
    /// # Errors
    /// The level that takes longest, and how long that is. Nothing was taken then.
    #[inline]
    pub fn admit(&self, call: Call<'_>, quotas: &Quotas, cost: Cost, now: Duration) -> Result<(), RateRefusal> {
        let asked = self.asked(call, quotas);
        let now_ns = since_origin_ns(now);
        while !accept_all(&self.ask_all(&asked, cost, now_ns)?) {}
        Ok(())
    }

    /// From the instant `now` every bucket fills at `rate / normal` times its quota, and of that the part that the
    /// brake leaves. One store; bursts and debts stay.
    pub fn set_pace(&self, rate: Rate, normal: Rate, left: Share, now: Duration) {
        self.pace.set(rate.per_s() / normal.per_s() * left.get(), now);
    }

    /// The keys and quotas of the levels that have one. Only names that count are digested.
    #[inline]
    fn asked<'q>(&self, call: Call<'_>, quotas: &'q Quotas) -> [Option<(Key, &'q Quota)>; LEVELS] {
        let Quotas { tenant, tenant_server, server_tool } = quotas;
        let digest = |wanted: bool, name| if wanted { self.keys.of(name) } else { Key::NONE };
        let tenant_key = digest(tenant.is_some() || tenant_server.is_some(), call.tenant);
        let server_key = digest(tenant_server.is_some() || server_tool.is_some(), call.server);
        let tool_key = digest(server_tool.is_some(), call.tool);
        [
            tenant.as_ref().map(|quota| (tenant_key, quota)),
            tenant_server.as_ref().map(|quota| (tenant_key.and(server_key), quota)),
            server_tool.as_ref().map(|quota| (server_key.and(tool_key), quota)),
        ]
    }

    /// What every level offers, or the refusal that takes longest.
    #[inline]
    fn ask_all(
        &self,
        asked: &[Option<(Key, &Quota)>; LEVELS],
        cost: Cost,
        now_ns: u64,
    ) -> Result<Offers<'_>, RateRefusal> {
        let bend = self.pace.bend();
        let shown_ns = bend.shown_ns(now_ns);
        let mut offers = [const { None }; LEVELS];
        let mut refused: Option<(Scope, Refusal)> = None;
        for (at, level) in asked.iter().enumerate() {
            let Some((key, quota)) = level else { continue };
            match self.levels[at].ask(*key, quota, cost, shown_ns) {
                Ok(offer) => offers[at] = Some(offer),
                Err(refusal) => refused = Some(later(refused, (Scope::ALL[at], refusal))),
            }
        }
        match refused {
            None => Ok(offers),
            Some((scope, refusal)) => Err(RateRefusal { scope, refusal: in_real_time(refusal, bend) }),
        }
    }
}

impl Quotas {
    /// What calls must stay under at one level.
    pub fn of(&self, scope: Scope) -> Option<Quota> {
        match scope {
            Scope::Tenant => self.tenant,
            Scope::TenantServer => self.tenant_server,
            Scope::ServerTool => self.server_tool,
        }
    }
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; LEVELS] = [Self::Tenant, Self::TenantServer, Self::ServerTool];

    /// Its name in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::TenantServer => "tenant_server",
            Self::ServerTool => "server_tool",
        }
    }
}

impl fmt::Display for RateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (rate of {})", self.refusal, self.scope.as_str())
    }
}

/// Takes each offer in turn; `false`, and nothing taken, if one no longer stands.
#[inline]
fn accept_all(offers: &Offers<'_>) -> bool {
    for (at, offer) in offers.iter().enumerate() {
        if offer.as_ref().is_some_and(|offer| !offer.accept()) {
            offers[..at].iter().flatten().for_each(Offer::give_back);
            return false;
        }
    }
    true
}

/// The one of two refusals that takes longer. Never takes longest.
fn later(one: Option<(Scope, Refusal)>, other: (Scope, Refusal)) -> (Scope, Refusal) {
    let wait = |refusal: &Refusal| refusal.retry_after().unwrap_or(Duration::MAX);
    one.filter(|(_, refusal)| wait(refusal) >= wait(&other.1)).unwrap_or(other)
}

/// A wait on the buckets' clock, told in the caller's time.
fn in_real_time(refusal: Refusal, bend: Bend) -> Refusal {
    match refusal {
        Refusal::TooSoon { retry_after } => Refusal::TooSoon { retry_after: bend.wait(retry_after) },
        too_large @ Refusal::TooLarge { .. } => too_large,
    }
}
