//! The link to the orchestrator, as typed messages.
//!
//! The gateway starts nothing itself: it asks for children by server, principal and era, never by
//! command, and hears of every change of a server's state. Python carries the messages as JSON and the
//! descriptors as numbers; neither side waits for the other.

use std::{collections::VecDeque, os::fd::OwnedFd};

use parking_lot::Mutex;
use rustix::event::EventfdFlags;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{cache::EncoderFiles, config::Snapshot, traces::TracesSpec};

/// State of a server, as the orchestrator's life cycle names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not running, not wanted.
    Stopped,
    /// Started, not answering yet.
    Starting,
    /// Answers.
    Ready,
    /// Answers, with complaints.
    Degraded,
    /// Waits before its next start.
    Backoff,
    /// Gave up for now; a call or the slow probe starts it again.
    Parked,
    /// Finishes what it has.
    Draining,
}

/// First message: what to serve.
#[derive(Debug, Deserialize)]
pub struct Start {
    /// Number of this gateway process; part of every upstream id.
    pub epoch: u32,
    /// The configuration.
    pub snapshot: Snapshot,
    /// The listening sockets, in the order of their descriptors.
    pub listeners: Vec<ListenerSpec>,
    /// What reads texts for the semantic level.
    #[serde(default)]
    pub encoder: EncoderSpec,
    /// What is wanted of traces; none are unless it is said.
    #[serde(default)]
    pub traces: Option<TracesSpec>,
    /// Another gateway process answers for the same servers until [`FromOrchestrator::Alone`].
    #[serde(default)]
    pub beside: bool,
}

/// The encoder of the semantic level, or why there is none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderSpec {
    /// Its files.
    Files(EncoderFiles),
    /// Why there is none.
    Off(String),
}

impl Default for EncoderSpec {
    fn default() -> Self {
        Self::Off("no encoder was named".to_owned())
    }
}

impl From<EncoderSpec> for Result<EncoderFiles, String> {
    fn from(spec: EncoderSpec) -> Self {
        match spec {
            EncoderSpec::Files(files) => Ok(files),
            EncoderSpec::Off(why) => Err(why),
        }
    }
}

/// One listening socket.
#[derive(Debug, Clone, Deserialize)]
pub struct ListenerSpec {
    /// `gateway`, or the server whose pass-through it is.
    pub name: String,
    /// `host:port`, for messages.
    pub address: String,
}

/// What the orchestrator says after the start.
#[derive(Debug, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum FromOrchestrator {
    /// A server changed.
    Server(ServerChange),
    /// Answer to [`ToOrchestrator::WantChild`].
    Child(ChildAnswer),
    /// A child ended.
    ChildGone {
        /// Which.
        child: u64,
        /// Why, for people.
        reason: String,
    },
    /// A child is replaced: no new call on it, and it is given back when the last one has ended.
    ChildRetire {
        /// Which.
        child: u64,
        /// It is given back after this time at the latest.
        timeout_ms: u64,
    },
    /// A new snapshot.
    Apply {
        /// The whole of it.
        snapshot: Box<Snapshot>,
    },
    /// One more listening socket; its descriptor travels beside the message.
    Listen(ListenerSpec),
    /// No more connections there; those that are open finish.
    Unlisten {
        /// The listeners of this name.
        name: String,
    },
    /// Another process will answer for the same servers: what it changes is not seen here, so nothing is remembered.
    Beside,
    /// No other process answers for the same servers any more.
    Alone,
    /// Another process accepts on the same sockets: finish what is open, then say so.
    Drain {
        /// What is still open after this is given up.
        timeout_ms: u64,
    },
    /// Something about what is remembered.
    Cache {
        /// Echoed in the answer.
        request: u64,
        /// What.
        #[serde(flatten)]
        ask: CacheAsk,
    },
    /// Asks for numbers.
    Stats {
        /// Echoed in the answer.
        request: u64,
    },
}

impl FromOrchestrator {
    /// Reads one message.
    ///
    /// A tagged enum is read through a buffer that cannot hold raw JSON, which a child's answer carries: that kind
    /// is told apart first.
    ///
    /// # Errors
    /// For a message that is none of these.
    pub fn parse(message: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(borrow)]
            t: std::borrow::Cow<'a, str>,
        }
        if serde_json::from_slice::<Kind<'_>>(message)?.t == "child" {
            return serde_json::from_slice(message).map(Self::Child);
        }
        serde_json::from_slice(message)
    }
}

/// What an operator wants of the cache.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum CacheAsk {
    /// How full it is, and what it did.
    Stats,
    /// Not of the cache: what the limits are, and what they do.
    Limits,
    /// Not of the cache: which connections to servers over HTTP there are.
    Pool,
    /// Forget.
    Flush {
        /// What one server answered; all if there is none.
        #[serde(default)]
        server: Option<String>,
    },
    /// Say what would become of a request.
    Explain {
        /// The server whose pass-through it would come to; the aggregate if there is none.
        #[serde(default)]
        server: Option<String>,
        /// Whose request it would be.
        principal: String,
        /// The request, JSON-RPC.
        message: serde_json::Value,
    },
}

/// A server changed its state.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerChange {
    /// Which server.
    pub name: String,
    /// Its state now.
    pub state: State,
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
    /// When to ask again.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// A worker's Unix socket.
    #[serde(default)]
    pub path: Option<String>,
    /// The instance key that opens it, as 64 hex characters.
    #[serde(default)]
    pub key: Option<String>,
}

/// A child, or why there is none. Its descriptors (stdin, stdout) travel beside the message.
#[derive(Debug, Deserialize)]
pub struct ChildAnswer {
    /// The request it answers.
    pub request: u64,
    /// Whether there is a child.
    pub ok: bool,
    /// The child's number.
    #[serde(default)]
    pub child: u64,
    /// An earlier gateway used these pipes.
    #[serde(default)]
    pub inherited: bool,
    /// What was agreed with it.
    #[serde(default)]
    pub negotiated: Option<NegotiatedSpec>,
    /// Bytes read after the negotiation's answer, base64.
    #[serde(default)]
    pub leftover: Option<String>,
    /// Why there is none.
    #[serde(default)]
    pub reason: Option<String>,
    /// When to ask again.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// What the orchestrator agreed with a child.
#[derive(Debug, Deserialize)]
pub struct NegotiatedSpec {
    /// `modern` or `legacy`.
    pub era: String,
    /// The protocol version.
    pub version: String,
    /// The result of `server/discover` or `initialize`.
    pub result: Box<RawValue>,
}

/// What the gateway says.
#[derive(Debug, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ToOrchestrator {
    /// The listeners accept.
    Up {
        /// This process.
        pid: u32,
    },
    /// A child is wanted.
    WantChild {
        /// Echoed in the answer.
        request: u64,
        /// Which server.
        server: String,
        /// For whom; `*` for all.
        principal: String,
        /// `modern`, `legacy` or `any`.
        era: &'static str,
        /// The legacy session it is for alone.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<String>,
        /// That session's client capabilities.
        #[serde(skip_serializing_if = "Option::is_none")]
        capabilities: Option<Box<RawValue>>,
    },
    /// A child is no longer used.
    ReleaseChild {
        /// Which.
        child: u64,
    },
    /// A call met a server that is not up.
    Wake {
        /// Which.
        server: String,
    },
    /// A connection to a server said to be ready failed.
    Down {
        /// Which.
        server: String,
        /// Why.
        reason: String,
    },
    /// Calls are in flight on a child, and it answers nothing, not even a ping.
    Stuck {
        /// Which.
        child: u64,
        /// How that shows.
        reason: String,
    },
    /// What an operator asked of the cache.
    Cache {
        /// As asked.
        request: u64,
        /// The answer.
        answer: serde_json::Value,
    },
    /// Nothing is open any more, or the time of the drain is over. For the process around the plane: it can end.
    Drained,
    /// Numbers, as asked.
    Stats {
        /// As asked.
        request: u64,
        /// Open downstream connections.
        connections: u64,
        /// Legacy sessions.
        sessions: u64,
        /// Requests answered since the start.
        requests: u64,
        /// Requests being worked on.
        in_flight: u64,
        /// Calls by server.
        servers: Vec<ServerCount>,
    },
}

/// Calls of one server since this process began.
#[derive(Debug, Serialize)]
pub struct ServerCount {
    /// Its name.
    pub name: String,
    /// Calls that were for it.
    pub calls: u64,
    /// Those that ended without an answer of its own.
    pub failed: u64,
}

/// Outgoing messages with a descriptor that becomes readable when there are some.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<VecDeque<String>>,
    signal: OwnedFd,
}

impl Outbox {
    /// An empty outbox.
    ///
    /// # Errors
    /// The kernel refused an event descriptor.
    pub fn new() -> std::io::Result<Self> {
        let signal = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { queue: Mutex::new(VecDeque::new()), signal })
    }

    /// Puts a message in line.
    pub fn send(&self, message: &ToOrchestrator) {
        // These types hold nothing that JSON cannot; a failure would be one lost message, not a panic.
        if let Ok(line) = serde_json::to_string(message) {
            self.queue.lock().push_back(line);
            let _ = rustix::io::write(&self.signal, &1u64.to_ne_bytes());
        }
    }

    /// Takes all messages and quiets the descriptor.
    pub fn take(&self) -> Vec<String> {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.signal, &mut count);
        self.queue.lock().drain(..).collect()
    }

    /// The descriptor to watch; stays owned here.
    pub fn signal(&self) -> &OwnedFd {
        &self.signal
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::FromOrchestrator;

    #[test]
    fn a_childs_answer_keeps_what_was_negotiated_byte_for_byte() {
        let message = br#"{"t":"child","request":1,"ok":true,"child":7,"negotiated":
            {"era":"modern","version":"2026-07-28","result":{ "z":1, "a":1e999 }},"leftover":""}"#;
        let FromOrchestrator::Child(answer) = FromOrchestrator::parse(message).unwrap() else { panic!("another kind") };
        assert_eq!(answer.negotiated.unwrap().result.get(), r#"{ "z":1, "a":1e999 }"#);
    }
}
