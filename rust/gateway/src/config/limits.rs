//! What the configuration says of limits: how many calls a second, how many at once.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Class;

/// Limits of all servers together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// What one tenant may send to all servers together; `None`: as much as it likes.
    pub tenant: Option<Quota>,
    /// What one tenant may send to one server.
    pub tenant_server: Option<Quota>,
    /// What these rates follow.
    pub policy: RatePolicy,
    /// A tool call that is refused is answered with a result that a model can read.
    pub refusals_as_text: bool,
}

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Quota {
    /// Calls a second, for ever.
    pub per_s: f64,
    /// Calls at once, after a rest.
    pub burst: u32,
}

/// What a rate follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatePolicy {
    /// Nothing.
    #[default]
    Fixed,
    /// Signs of overload.
    Aimd,
    /// The CPU, in three steps.
    CpuStep,
}

/// Limits of one server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServerLimits {
    /// What decides how many calls are in flight.
    pub policy: ConcurrencyPolicy,
    /// So many before anything is known; `fixed`: for ever.
    pub start: u32,
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// So many calls may wait.
    pub queue: usize,
    /// What one tenant may send here; `None`: what the limits of all servers say.
    pub tenant: Option<Quota>,
    /// Single tools.
    pub tools: BTreeMap<String, ToolLimits>,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            policy: ConcurrencyPolicy::default(),
            start: 128,
            min: 4,
            max: 1_000,
            queue: 10_000,
            tenant: None,
            tools: BTreeMap::new(),
        }
    }
}

/// What decides how many calls are in flight at a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConcurrencyPolicy {
    /// How much slower calls are than on the server at ease.
    #[default]
    Gradient,
    /// Calls that are dropped.
    Aimd,
    /// Nothing.
    Fixed,
}

/// Limits of one tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ToolLimits {
    /// What all tenants together may send.
    pub quota: Option<Quota>,
    /// What one call counts.
    pub cost: u32,
    /// Its calls' class, in place of what the server's tier says.
    pub class: Option<Class>,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self { quota: None, cost: 1, class: None }
    }
}
