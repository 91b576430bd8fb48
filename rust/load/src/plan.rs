//! What a run is to do: the target, the loop, the mix of calls, who calls, in which phases, and when to stop.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The protocol era a call speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: no session, `_meta` in every request.
    Modern,
    /// 2025-11-25: `initialize` first.
    Legacy,
}

/// The eras a run or an upstream speaks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Eras {
    /// 2026-07-28 only.
    Modern,
    /// 2025-11-25 and older only.
    Legacy,
    /// Both; a run gives each half of its calls.
    Both,
}

impl Eras {
    /// How reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
            Self::Both => "both",
        }
    }
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

impl Target {
    /// The endpoint of an `http://` URL.
    ///
    /// # Errors
    /// One sentence for the person who gave the URL.
    pub fn http(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url:?} is no http:// URL"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if path.chars().any(|c| c.is_whitespace() || c.is_control()) || authority.is_empty() {
            return Err(format!("{url:?} is no http:// URL"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self::Http { authority, path: path.to_owned() })
    }
}

/// When a call is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// As soon as one of `in_flight` places is free.
    Closed,
    /// By the clock, whether or not earlier calls were answered.
    Open {
        /// Calls a second, where the phase does not say otherwise.
        rate_per_s: f64,
        /// How the gaps are spread.
        arrivals: Arrivals,
    },
}

/// The gaps between calls of an open loop.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Exponential gaps: independent callers.
    #[default]
    Poisson,
    /// Equal gaps.
    Uniform,
}

/// A stretch of a run that is reported by itself.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// How the report names it.
    pub name: String,
    /// How long it is.
    pub duration_s: f64,
    /// Times the rate of an open loop.
    #[serde(default = "Phase::as_given")]
    pub pace: f64,
}

impl Phase {
    fn as_given() -> f64 {
        1.0
    }
}

/// One kind of call in the mix.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name at the target.
    pub tool: String,
    /// The server it belongs to, for the report's sums.
    #[serde(default)]
    pub server: String,
    /// The arguments as JSON text; `$CANARY`, `$NUMBER`, `$RUN` and `$PAD` are replaced in every call.
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
        Self {
            tool: tool.into(),
            server: String::new(),
            arguments: Self::echo_arguments(),
            size_bytes: 0,
            weight: Self::one(),
            deadline_ms: None,
            class: None,
        }
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
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// Sent as `Authorization: Bearer`, over HTTP only.
    #[serde(default)]
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
    /// In which eras.
    pub eras: Eras,
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
    /// What the measured stretch is made of; without any it is one phase.
    pub phases: Vec<Phase>,
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
    /// Ask the target to answer nothing from memory.
    pub no_store: bool,
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
        if self.eras == Eras::Both && matches!(self.target, Target::Unix { .. }) {
            return Err("a connection to a Unix socket speaks one era: choose modern or legacy".into());
        }
        for call in &self.mix {
            if call.tool.is_empty() || !call.tool.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("the tool's name {:?} cannot stand in a header", call.tool));
            }
        }
        for principal in &self.principals {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if principal.name.is_empty() || !principal.name.chars().all(plain) {
                return Err(format!("principal {:?}: use letters, digits, - and _", principal.name));
            }
            if principal.token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
                return Err(format!("principal {:?}: its token cannot stand in a header", principal.name));
            }
        }
        if self.principals.is_empty() {
            return Err("at least one principal is needed".into());
        }
        self.check_pace()
    }

    fn check_pace(&self) -> Result<(), String> {
        for phase in &self.phases {
            let usable = |value: f64| value.is_finite() && value >= 0.0;
            if !usable(phase.duration_s) || !usable(phase.pace) {
                return Err(format!("phase {:?}: its length and pace must be numbers from 0", phase.name));
            }
        }
        match self.pacing {
            Loop::Open { rate_per_s, .. } if !(rate_per_s > 0.0 && rate_per_s <= 1e7) => {
                Err("rate must be above 0 and at most 1e7 calls a second".into())
            }
            _ => Ok(()),
        }
    }

    /// Where each phase ends, after the start, with its pace; the warm-up runs at the pace of the first.
    pub(crate) fn steps(&self) -> Vec<(Duration, f64)> {
        let mut end = self.warm_up;
        let steps = self.phases.iter().map(|phase| {
            end += Duration::from_secs_f64(phase.duration_s.min(1e9));
            (end, phase.pace)
        });
        let steps: Vec<_> = steps.collect();
        if steps.is_empty() { vec![(self.warm_up + self.duration, 1.0)] } else { steps }
    }
}
