//! What the gateway knows of the configuration: one immutable snapshot, replaced whole.
//!
//! The orchestrator reads and validates the user's file; this is the checked form it sends over the
//! link as JSON. Every number carries its unit in its name. Nothing here is written by a client.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;

mod compress;
mod limits;
mod pool;

pub use self::{
    compress::{Press, ServerCompress, ToolList, ToolLists},
    limits::{ConcurrencyPolicy, Limits, Quota, RatePolicy, ServerLimits, ToolLimits},
    pool::{Http2, Pool},
};

/// Everything configured, as of one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Snapshot {
    /// Version of the distribution, told to both sides as ours.
    pub version: String,
    /// The fleet's state folder.
    pub state_dir: PathBuf,
    /// Keys for sealed tokens as 64 hex characters, newest first.
    pub keys: Vec<String>,
    /// Who may call.
    pub auth: Auth,
    /// Limits of the listening side.
    #[serde(default)]
    pub edge: Edge,
    /// How much may be remembered.
    #[serde(default)]
    pub cache: Cache,
    /// How much may be asked of all servers.
    #[serde(default)]
    pub limits: Limits,
    /// What becomes of the results that a principal asks for, by its name.
    #[serde(default)]
    pub compress: BTreeMap<String, Press>,
    /// How lists of tools are told.
    #[serde(default)]
    pub tool_lists: ToolLists,
    /// All enabled servers in tier order.
    pub servers: Vec<Arc<ServerSpec>>,
}

/// Who may call.
#[derive(Debug, Clone, Deserialize)]
pub struct Auth {
    /// False means `--no-auth`: everyone on loopback is the principal `local`.
    pub required: bool,
    /// Known bearer tokens, by digest.
    #[serde(default)]
    pub tokens: Vec<TokenSpec>,
}

/// One named bearer token; only its digest is known here.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenSpec {
    /// The principal's name.
    pub name: String,
    /// SHA-256 of the token, 64 hex characters.
    pub sha256: String,
    /// Tenant for fairness and limits.
    pub tenant: String,
    /// Priority class.
    #[serde(default)]
    pub class: Class,
    /// What the principal may see besides MCP.
    #[serde(default)]
    pub role: Role,
}

/// Priority class of a principal's calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The fleet's own work.
    System,
    /// A person waits.
    Interactive,
    /// The default.
    #[default]
    Normal,
    /// May wait.
    Background,
}

/// What a principal may see besides MCP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// MCP endpoints only.
    #[default]
    User,
    /// Metrics, events and the dashboard too.
    Operator,
}

/// Limits of the listening side. Every one is told to the client that meets it.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Edge {
    /// Host names allowed beside `localhost`, `127.0.0.1` and `[::1]`.
    pub hosts: Vec<String>,
    /// Origins allowed beside those of loopback.
    pub origins: Vec<String>,
    /// Largest request body.
    pub body_bytes: usize,
    /// Largest request head.
    pub header_bytes: usize,
    /// Most header fields.
    pub header_fields: usize,
    /// Time to send a request head.
    pub header_timeout_ms: u64,
    /// Time to send a request body.
    pub body_timeout_ms: u64,
    /// HTTP/2 streams a connection.
    pub streams_per_connection: u32,
    /// Connections at once.
    pub connections: usize,
    /// A legacy session unused this long ends.
    pub session_idle_ms: u64,
    /// Legacy sessions at once.
    pub sessions: usize,
    /// A comment is sent on a silent stream this often.
    pub keepalive_ms: u64,
    /// Answers are packed for clients that can read them so.
    pub compression: bool,
    /// Answers of at least so many bytes are.
    pub compress_from_bytes: usize,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            body_bytes: 4 << 20,
            header_bytes: 16 << 10,
            header_fields: 100,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            streams_per_connection: 100,
            connections: 4_096,
            session_idle_ms: 1_800_000,
            sessions: 10_000,
            keepalive_ms: 15_000,
            compression: true,
            compress_from_bytes: 1 << 10,
        }
    }
}

/// How much may be remembered; 0 turns a level off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Cache {
    /// False: every call goes upstream.
    pub enabled: bool,
    /// In memory.
    pub max_bytes: u64,
    /// In memory.
    pub max_items: u64,
    /// In memory, packed.
    pub compressed_bytes: u64,
    /// In the state folder.
    pub disk_bytes: u64,
    /// Calls are made ahead.
    pub predict: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 64 << 20,
            max_items: 100_000,
            compressed_bytes: 32 << 20,
            disk_bytes: 0,
            predict: false,
        }
    }
}

/// What is remembered of one server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServerCache {
    /// False: nothing.
    pub enabled: bool,
    /// How long a tool's answer is kept; `None`: a first-party one as long as it holds, others not at all.
    pub ttl_ms: Option<u64>,
    /// So much longer it is served while a fresh one is fetched.
    pub stale_ms: u64,
    /// Single tools.
    pub tools: BTreeMap<String, ToolCache>,
    /// Tools that may be called ahead; `None`: all reading ones of a first-party server.
    pub predict: Option<Vec<String>>,
}

impl Default for ServerCache {
    fn default() -> Self {
        Self { enabled: true, ttl_ms: None, stale_ms: 0, tools: BTreeMap::new(), predict: None }
    }
}

/// What is remembered of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ToolCache {
    /// False: nothing.
    pub enabled: bool,
    /// How long; `None`: as its server's.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
    /// The one free-text argument whose wording may differ.
    #[serde(default)]
    pub semantic: Option<String>,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// First-party worker behind a Unix socket opened with the instance key.
    Worker,
    /// Third-party child process; its pipes come from the orchestrator.
    Stdio,
    /// Remote server over http or https.
    Http,
    /// Third-party server behind a Unix socket, newline JSON-RPC.
    Unix,
}

/// Who shares a connection or child of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// All principals.
    Shared,
    /// One connection or child a principal.
    #[default]
    Principal,
    /// One a legacy session.
    Own,
}

/// One configured server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ServerSpec {
    /// Name in URLs and prefixes.
    pub name: String,
    /// Other names it answers to in URLs.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How it is reached.
    pub kind: Kind,
    /// `critical`, `high` or `medium`.
    pub tier: String,
    /// Who shares an upstream connection.
    #[serde(default)]
    pub sessions: Sharing,
    /// Ours: gets the trusted `_meta` keys.
    #[serde(default)]
    pub first_party: bool,
    /// Kind `http`: where.
    #[serde(default)]
    pub url: Option<String>,
    /// Kind `http`: headers sent with every request (credentials of the gateway's own).
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Kind `unix`: the socket.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// A call silent this long has timed out; progress renews it.
    #[serde(default = "idle_default")]
    pub timeout_ms: u64,
    /// A call ends after this whatever it says.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
    /// A connection that owes answers and is silent for three of these is pinged; 0 means never.
    #[serde(default = "heartbeat_default")]
    pub heartbeat_ms: u64,
    /// What the operator trusts: `annotations`, `public`.
    #[serde(default)]
    pub trust: Vec<String>,
    /// What is remembered of its answers.
    #[serde(default)]
    pub cache: ServerCache,
    /// How much may be asked of it.
    #[serde(default)]
    pub limits: ServerLimits,
    /// What is told of its results and tools.
    #[serde(default)]
    pub compress: ServerCompress,
    /// Kind `http`: its connections.
    #[serde(default)]
    pub pool: Pool,
}

impl ServerSpec {
    /// Longest silence of a call.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Longest life of a call.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// Between two looks at a connection that owes answers; none if nobody is to look.
    pub fn heartbeat(&self) -> Option<Duration> {
        (self.heartbeat_ms > 0).then(|| Duration::from_millis(self.heartbeat_ms))
    }

    /// True if the other is the same server, reached the same way, and differs at most in how much may be asked of it and
    /// how its results and tools are told: its connections and what it answered before are good for the other too.
    pub fn is_but_for_limits(&self, other: &Self) -> bool {
        *self == Self { limits: self.limits.clone(), compress: self.compress.clone(), ..other.clone() }
    }

    /// What the server says may be answered to anyone is believed.
    pub fn trusts_public(&self) -> bool {
        self.trust.iter().any(|trusted| trusted == "public")
    }

    /// What the server says of its tools is believed.
    pub fn trusts_annotations(&self) -> bool {
        self.trust.iter().any(|trusted| trusted == "annotations")
    }
}

fn heartbeat_default() -> u64 {
    1_000
}

fn idle_default() -> u64 {
    60_000
}

fn deadline_default() -> u64 {
    600_000
}
