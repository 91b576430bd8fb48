//! What a run is to do: the target, the loop, the mix of calls, who calls, and when to stop.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The protocol era a run speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: no session, `_meta` in every request.
    Modern,
    /// 2025-11-25: `initialize` first.
    Legacy,
}

/// Where the calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// MCP over HTTP/1.1, keep-alive.
    Http {
        /// `host:port` to connect to, also sent as Host.
        authority: String,
        /// The path, with its leading slash.
        path: String,
    },
    /// Newline-delimited JSON-RPC over a Unix socket.
    Unix {
        /// The socket.
        path: PathBuf,
        /// A line sent before the first message.
        hello: Option<String>,
    },
}

/// When a call is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// As soon as one of `in_flight` places is free.
    Closed,
    /// By the clock, whether or not earlier calls were answered.
    Open {
        /// Calls a second.
        rate_per_s: f64,
        /// How the gaps are spread.
        arrivals: Arrivals,
    },
}

/// The gaps between calls of an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Exponential gaps: independent callers.
    Poisson,
    /// Equal gaps.
    Uniform,
}

/// One kind of call in the mix.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name at the target.
    pub tool: String,
    /// The arguments as JSON text; `$CANARY`, `$NUMBER` and `$PAD` are replaced in every call.
    #[serde(default = "ToolCall::echo_arguments")]
    pub arguments: String,
    /// Bytes of padding that `$PAD` stands for.
    #[serde(default)]
    pub size_bytes: usize,
    /// How often, relative to the others.
    #[serde(default = "ToolCall::one")]
    pub weight: u32,
    /// The answer is wanted so many milliseconds after the call was due, from the least to the most; the target is told
    /// what is left of them. What comes later is late.
    #[serde(default)]
    pub deadline_ms: Option<[u64; 2]>,
    /// What the call says of its urgency (`omnimind/class`).
    #[serde(default)]
    pub class: Option<String>,
}

impl ToolCall {
    /// A call of a tool that returns its `text`, with no deadline.
    pub fn new(tool: impl Into<String>) -> Self {
        let arguments = Self::echo_arguments();
        Self { tool: tool.into(), arguments, size_bytes: 0, weight: Self::one(), deadline_ms: None, class: None }
    }

    /// Arguments for a tool that returns its `text`.
    pub fn echo_arguments() -> String {
        r#"{"text":"$CANARY$PAD"}"#.to_owned()
    }

    fn one() -> u32 {
        1
    }

    /// Whether the answer must carry the canary: it was in the question.
    pub fn has_canary(&self) -> bool {
        self.arguments.contains("$CANARY")
    }
}

/// Who calls: a name, which is its canary, and its bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// Sent as `Authorization: Bearer`, over HTTP only.
    pub token: Option<String>,
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Principal").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to.
    pub target: Target,
    /// In which era.
    pub era: Era,
    /// Closed or open.
    pub pacing: Loop,
    /// Calls in flight at most, over all threads.
    pub in_flight: usize,
    /// Connections of a Unix target, over all threads. Over HTTP each call in flight has its own.
    pub connections: usize,
    /// Threads that send; each has its own connections.
    pub threads: usize,
    /// Legacy HTTP sessions per principal and thread.
    pub sessions: usize,
    /// The mix; not empty.
    pub mix: Vec<ToolCall>,
    /// Who calls, in turn; not empty.
    pub principals: Vec<Principal>,
    /// The run ends after this long,
    pub duration: Duration,
    /// or after this many calls, whichever comes first.
    pub count: Option<u64>,
    /// Calls sent before this are checked but not measured.
    pub warm_up: Duration,
    /// A call unanswered for this long is an error.
    pub timeout: Duration,
    /// An open loop whose p99 of lateness is above this calls itself saturated.
    pub lag_limit: Duration,
    /// Seeds arrivals and choices.
    pub seed: u64,
    /// Every call that ended, a line each, is written here.
    pub trail: Option<PathBuf>,
}

impl Plan {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// One sentence for the person who asked.
    pub fn check(&self) -> Result<(), String> {
        if self.in_flight == 0 || self.threads == 0 || self.connections == 0 || self.sessions == 0 {
            return Err("in-flight, threads, connections and sessions must be at least 1".into());
        }
        if self.threads > self.in_flight || self.threads > 64 {
            return Err("more threads than calls in flight, or more than 64, cannot be used".into());
        }
        if self.mix.iter().all(|call| call.weight == 0) {
            return Err("the mix is empty: give at least one call with a weight".into());
        }
        for principal in &self.principals {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if principal.name.is_empty() || !principal.name.chars().all(plain) {
                return Err(format!("principal {:?}: use letters, digits, - and _", principal.name));
            }
        }
        if self.principals.is_empty() {
            return Err("at least one principal is needed".into());
        }
        match self.pacing {
            Loop::Open { rate_per_s, .. } if !(rate_per_s > 0.0 && rate_per_s <= 1e7) => {
                Err("rate must be above 0 and at most 1e7 calls a second".into())
            }
            _ => Ok(()),
        }
    }
}
