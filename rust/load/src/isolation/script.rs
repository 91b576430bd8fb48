//! What the run is told: once at its start, and line by line while it goes on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A whole run; `steps` follow on the input.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// `host:port` of the gateway.
    pub authority: String,
    /// Who calls.
    pub slots: Vec<Slot>,
    /// Connections that take turns between callers.
    pub roaming: usize,
    /// The servers, and the vaults that may answer for each.
    pub servers: BTreeMap<String, Vec<String>>,
    /// How the calls are mixed.
    pub knobs: Knobs,
    /// Seeds all choices.
    pub seed: u64,
}

/// A caller: a bearer token, and whom it may stand for at this moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Name and whether it is an operator; more than one while that changes.
    pub who: Vec<(String, bool)>,
    /// Sent as `Authorization: Bearer`.
    pub token: String,
    /// Whether it is let in.
    pub door: Door,
}

/// Whether a token is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// It is.
    #[default]
    Open,
    /// That is changing.
    Moving,
    /// It is not: any answer is one too many.
    Shut,
}

/// How the calls are mixed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knobs {
    /// Writes among ten thousand calls.
    pub writes: u64,
    /// Calls of the few hottest kinds, in a hundred.
    pub hot: u64,
    /// Nobody asks.
    #[serde(default)]
    pub quiet: bool,
}

/// One line of the input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// A caller is another from now on.
    Slot(usize, Slot),
    /// Other vaults may answer for a server from now on.
    Server(String, Vec<String>),
    /// Another mix.
    Knobs(Knobs),
    /// The gateway's memory is a new process's: what is older was kept by an earlier one.
    Restarted,
    /// Is done when so many more answers were judged.
    Answers(u64),
    /// Ends the run.
    Stop,
}

/// What was found until now; the answer to every step.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Requests sent.
    pub(super) sent: u64,
    /// Answers judged.
    pub(super) answers: u64,
    /// Marks looked at.
    pub(super) marks: u64,
    /// Parts of answers that were made for another.
    pub(super) crossings: u64,
    /// Answers older than an acknowledged write.
    pub(super) stale: u64,
    /// Parts of the aggregate's lists that are older: there a server's last list stands in while it is slow or gone.
    pub(super) stood_in: u64,
    /// Writes acknowledged.
    pub(super) writes: u64,
    /// Calls refused because their token opens nothing.
    pub(super) shut_out: u64,
    /// Answers that said what the cache did.
    pub(super) reports: u64,
    /// Those that came from a level, by its name; `shared` for those another call brought.
    pub(super) hits: BTreeMap<String, u64>,
    /// Hits on what an earlier process kept.
    pub(super) survived: u64,
    /// Calls without a judged answer, by kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// The first few faults, in words.
    pub(super) samples: Vec<String>,
}
