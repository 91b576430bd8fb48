//! L5: what a session will probably ask next is asked ahead, while nobody else wants the server.
//!
//! The rules: only reading tools, of ours or of the operator's list, for the principal whose calls foretell them;
//! nothing begins while a real call of that server is in flight, and a real call that comes makes way for
//! itself by ending what was asked ahead (unless it is the same: then it waits for it). What has not come back after half
//! a minute is cancelled; what comes back lives a few seconds and is flushed by any write, like everything kept.
//!
//! What is learned from passes through a short queue that is worked off at a bounded pace: under load it is full, and
//! calls are not delayed for the sake of guesses.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    pin::pin,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use omnimind_cache::predict::{Caller, Observed, PredictLimits, PredictStats, Prediction, Predictor, Ticket};
use omnimind_wire::{
    Object,
    json::{as_bool, as_str, find, push_quoted},
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use super::{Memory, Shelf};
use crate::{
    aggregate::UNUSED,
    config::ServerSpec,
    relay::{Client, Source, ask, known_word, only_reads},
};

/// Calls that wait to be learned from; more are not learned from.
const QUEUE: usize = 64;
/// The pause after each, which bounds what learning costs: this, or so many times as long as it took.
const PAUSE: Duration = Duration::from_millis(10);
const REST: u32 = 100;
/// Predictions of one call that are looked at.
const MOST: usize = 2;
/// An answer that was asked ahead is kept this long.
pub(super) const PROBATION_MS: u64 = 5_000;

/// A real call that was answered.
pub(crate) struct Seen {
    pub(crate) client: Client,
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) method: Arc<str>,
    pub(crate) params: Bytes,
    pub(crate) result: Bytes,
    pub(crate) took: Duration,
    pub(crate) cached: bool,
}

/// The level.
pub(super) struct Ahead {
    predictor: Predictor,
    queue: mpsc::Sender<Box<Seen>>,
    principals: Mutex<HashMap<Arc<str>, u64>>,
    flying: Mutex<HashMap<Ticket, Arc<Notify>>>,
}

impl Ahead {
    /// The level, and the calls it learns from.
    pub(super) fn new() -> (Self, mpsc::Receiver<Box<Seen>>) {
        let (queue, seen) = mpsc::channel(QUEUE);
        let predictor = Predictor::new(PredictLimits::default());
        (Self { predictor, queue, principals: Mutex::default(), flying: Mutex::default() }, seen)
    }

    pub(super) fn stats(&self, now_ms: u64) -> PredictStats {
        self.predictor.stats(now_ms)
    }

    fn caller(&self, client: &Client) -> Caller {
        let principal = {
            let mut principals = self.principals.lock();
            let next = principals.len() as u64;
            *principals.entry(client.principal().clone()).or_insert(next)
        };
        let mut session = DefaultHasher::new();
        match &client.session {
            Some(of) => of.key.hash(&mut session),
            None => client.info.hash(&mut session),
        }
        Caller { principal, session: session.finish() }
    }
}

impl Memory {
    /// True if a call that comes now can be learned from.
    pub(super) fn has_time_to_learn(&self) -> bool {
        self.ahead.queue.capacity() > 0
    }

    /// A real call was answered: it may foretell another.
    pub(crate) fn saw(&self, seen: impl FnOnce() -> Seen) {
        if self.settings.load().predict
            && let Ok(place) = self.ahead.queue.try_reserve()
        {
            place.send(Box::new(seen()));
        }
    }

    /// Learns from one call, and asks ahead what it foretells.
    fn learn(self: &Arc<Self>, seen: &Seen) {
        if seen.method.as_ref() != "tools/call" && !only_reads(&seen.method) {
            return;
        }
        let Some(shelf) = self.shelf(&seen.spec.name) else { return };
        let empty = Bytes::from_static(b"{}");
        let (tool, arguments) = match &*seen.method {
            "tools/call" => {
                let Some(tool) = find(&seen.params, &["name"]).ok().flatten().and_then(as_str) else { return };
                let arguments = find(&seen.params, &["arguments"]).ok().flatten();
                (tool.into_owned(), arguments.map_or(empty, |raw| seen.params.slice_ref(raw)))
            }
            method => (method.to_owned(), without_meta(&seen.params)),
        };
        let word = known_word(&seen.client, &seen.spec, &tool);
        let observed = Observed {
            server: shelf.group,
            tool: &tool,
            arguments: &arguments,
            read_only: only_reads(&seen.method) || word.is_some_and(|word| word.read_only && !word.destructive),
            ok: find(&seen.result, &["isError"]).ok().flatten().and_then(as_bool) != Some(true),
            result: Some(&seen.result),
            took_ms: seen.took.as_secs_f32() * 1_000.0,
            cached: seen.cached,
        };
        let caller = self.ahead.caller(&seen.client);
        for overtaken in self.ahead.predictor.arrived(caller, &observed, self.now_ms()).cancel {
            if let Some(flying) = self.ahead.flying.lock().get(&overtaken) {
                flying.notify_one();
            }
        }
        for prediction in self.ahead.predictor.observe(caller, &observed, self.now_ms()).into_iter().take(MOST) {
            self.ask_ahead(caller, &seen.client, prediction);
        }
    }

    fn ask_ahead(self: &Arc<Self>, caller: Caller, client: &Client, prediction: Prediction) {
        let Some(shelf) = self.shelf_of(prediction.server) else { return };
        if !may_be_asked(&shelf, &prediction.tool) || shelf.is_busy() {
            return;
        }
        let Ok(ticket) = self.ahead.predictor.begin(caller, &prediction, self.now_ms()) else { return };
        let overtaken = Arc::new(Notify::new());
        self.ahead.flying.lock().insert(ticket, Arc::clone(&overtaken));
        let (memory, client) = (Arc::clone(self), client.clone());
        tokio::spawn(async move {
            let (method, params) = request(&prediction);
            let source = Source { spec: Arc::clone(&shelf.spec), rename: None };
            let since = Instant::now();
            // From here on a real call is heard of; one that came before shows.
            let mut wanted = pin!(shelf.wanted.notified());
            wanted.as_mut().enable();
            let answered = !shelf.is_busy()
                && tokio::select! {
                    biased;
                    () = overtaken.notified() => false,
                    () = wanted => false,
                    answered = timeout(UNUSED, ask::prefetch(&client, &source, method, &params)) => answered.unwrap_or(false),
                };
            let took_ms = since.elapsed().as_secs_f32() * 1_000.0;
            memory.ahead.flying.lock().remove(&ticket);
            if answered {
                memory.ahead.predictor.finished(caller, ticket, took_ms, memory.now_ms());
            } else {
                memory.ahead.predictor.cancelled(caller, ticket, took_ms, memory.now_ms());
            }
        });
    }
}

/// True for what the operator lets be asked ahead; of ours that is whatever only reads.
fn may_be_asked(shelf: &Shelf, tool: &str) -> bool {
    let listed = shelf.spec.cache.predict.as_ref().map(|tools| tools.iter().any(|listed| listed == tool));
    listed.unwrap_or(shelf.spec.first_party)
}

/// The request that a prediction stands for.
fn request(prediction: &Prediction) -> (&str, Bytes) {
    if only_reads(&prediction.tool) {
        return (&prediction.tool, prediction.arguments.clone());
    }
    let mut params = b"{\"name\":".to_vec();
    push_quoted(&mut params, &prediction.tool);
    params.extend_from_slice(b",\"arguments\":");
    params.extend_from_slice(&prediction.arguments);
    params.push(b'}');
    ("tools/call", params.into())
}

fn without_meta(params: &Bytes) -> Bytes {
    if params.is_empty() || Object::parse(params).is_ok_and(|object| object.get("_meta").is_none()) {
        return params.clone();
    }
    omnimind_wire::Edit::new(params).remove(&["_meta"]).finish().unwrap_or_else(|_| Bytes::from_static(b"{}"))
}

/// Learns from the calls in the queue, at a bounded pace.
pub(super) async fn learn(memory: Weak<Memory>, mut seen: mpsc::Receiver<Box<Seen>>) {
    while let Some(seen) = seen.recv().await {
        let Some(memory) = memory.upgrade() else { return };
        let since = Instant::now();
        memory.learn(&seen);
        drop((memory, seen));
        tokio::time::sleep(PAUSE.max(since.elapsed().saturating_mul(REST))).await;
    }
}
