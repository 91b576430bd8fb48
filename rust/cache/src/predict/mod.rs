//! L5, the predictive level: what a session will ask next, so that it can be asked ahead. No I/O, no clock, no chance.
//!
//! Rules kept:
//! - **Nothing of one principal shapes what is predicted for another.** Counts, rules, constants, sessions and budgets
//!   all stand in the principal's own [`mind`](Mind); there is no table that two principals share.
//! - Only a tool whose last call of this principal was read-only is predicted, and only calls that the session has not
//!   had answered since its last write.
//! - A prediction is given out only if `probability × saved_ms > caution × cost_ms`, and issued only within the budget
//!   (`budget.rs`): at most a tenth of the tool time wasted, at most two calls in flight a session.
//!
//! How: which tool comes next says an order-2 PPM (`ppm.rs`); what its call says, rules learned from how earlier
//! arguments came out of earlier results (`arguments.rs`, `rule.rs`, `view.rs`). A list's `nextCursor` needs no
//! learning. The order of calls is the owner's: [`arrived`](Predictor::arrived) when a call comes in,
//! [`observe`](Predictor::observe) when it was answered, then [`begin`](Predictor::begin) for each prediction that it
//! issues and [`finished`](Predictor::finished) or [`cancelled`](Predictor::cancelled) when that ended.
//!
//! Memory: at most `principals × (bytes_per_principal + contexts × 224 + 112 KiB)`: with the defaults 0.9 MiB a
//! principal in the worst case. Work: three contexts, two links, 1,536 scalars looked through for each argument.

mod arguments;
mod budget;
mod lines;
mod lru;
mod mind;
mod ppm;
mod rule;
mod session;
mod value;
mod view;

#[cfg(test)]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
mod replay;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

pub use budget::{Arrival, PredictStats, Ticket};
use lru::Lru;
use mind::{Mind, Read};

/// What prediction may use and cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictLimits {
    /// Principals that are remembered; the one unseen for longest is forgotten.
    pub principals: usize,
    /// Contexts of tools a principal, at most 4,096.
    pub contexts: usize,
    /// Sessions and learned rules of one principal.
    pub bytes_per_principal: usize,
    /// How much more a prediction must be expected to save than this share of its cost.
    pub caution: f64,
    /// What may be issued.
    pub budget: BudgetLimits,
}

impl Default for PredictLimits {
    fn default() -> Self {
        Self {
            principals: 64,
            contexts: 1_024,
            bytes_per_principal: 512 * 1024,
            caution: 0.5,
            budget: BudgetLimits::default(),
        }
    }
}

/// What predicted calls of one principal may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetLimits {
    /// The share of tool time that may be wasted. The default stays below the tenth that is promised, because what a
    /// call will cost is an estimate.
    pub wasted_share: f64,
    /// Calls in flight a session.
    pub in_flight: usize,
    /// How far back the share looks.
    pub window_ms: u64,
    /// How long an answer may wait for its call.
    pub probation_ms: u64,
}

impl Default for BudgetLimits {
    fn default() -> Self {
        Self { wasted_share: 0.08, in_flight: 2, window_ms: 300_000, probation_ms: 5_000 }
    }
}

/// Who calls. Both are numbers that their owner gave out one by one: equal numbers are one principal, one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The verified principal.
    pub principal: u64,
    /// One of its sessions.
    pub session: u64,
}

/// A call; before it was answered (see [`Predictor::arrived`]) only the first four fields matter.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Its server, or whatever a write makes stale together.
    pub server: u32,
    /// The tool, or the protocol's method.
    pub tool: &'a str,
    /// The arguments, a JSON object.
    pub arguments: &'a [u8],
    /// Whether the call changes nothing.
    pub read_only: bool,
    /// Whether it was answered without an error.
    pub ok: bool,
    /// The result, as JSON.
    pub result: Option<&'a [u8]>,
    /// What it took, in milliseconds.
    pub took_ms: f32,
    /// Whether the answer came from a cache, ahead of time or not.
    pub cached: bool,
}

/// Why a call is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The last answer has a next page.
    NextPage,
    /// The last answers hold a list that is gone through.
    Listed,
    /// It has followed before.
    Sequence,
}

/// A call that is expected next.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The server it goes to.
    pub server: u32,
    /// The tool it calls.
    pub tool: Arc<str>,
    /// Its arguments, a JSON object.
    pub arguments: Bytes,
    /// How likely it is to come next.
    pub probability: f32,
    /// Why it is expected.
    pub reason: Reason,
    /// What asking ahead would save the caller.
    pub saved_ms: f64,
    /// What it would cost.
    pub cost_ms: f64,
    fingerprint: u64,
    tool_symbol: u64,
}

/// Why a prediction may not be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// As many as may be are in flight for the session.
    InFlight,
    /// Too much of the tool time was, or could be, wasted.
    OverBudget,
}

/// The minds of all principals. Shared by reference; calls of different principals do not wait for each other.
#[derive(Debug)]
pub struct Predictor {
    limits: PredictLimits,
    minds: Mutex<Lru<Arc<Mutex<Mind>>>>,
    tickets: AtomicU64,
}

impl Predictor {
    /// A predictor that knows nobody.
    pub fn new(limits: PredictLimits) -> Self {
        let contexts = limits.contexts.min(4_096);
        let limits = PredictLimits { principals: limits.principals.max(1), contexts, ..limits };
        Self { limits, minds: Mutex::new(Lru::new()), tickets: AtomicU64::new(1) }
    }

    /// A real call came in: which prediction it is, and which ones it overtakes. A write makes all that was predicted
    /// of its server worthless.
    pub fn arrived(&self, caller: Caller, call: &Observed<'_>, now_ms: u64) -> Arrival {
        self.mind(caller).lock().arrived(caller.session, call, now_ms)
    }

    /// A real call was answered: learns from it, and says what is worth asking ahead, the likeliest first.
    pub fn observe(&self, caller: Caller, call: &Observed<'_>, now_ms: u64) -> Vec<Prediction> {
        let read = Read::of(call);
        self.mind(caller).lock().observe(caller.session, call, read, now_ms)
    }

    /// Asks to issue a prediction now.
    ///
    /// # Errors
    /// It may not be issued; it may be asked again later.
    pub fn begin(&self, caller: Caller, prediction: &Prediction, now_ms: u64) -> Result<Ticket, Refused> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        self.mind(caller).lock().begin(caller.session, prediction, ticket, now_ms)?;
        Ok(ticket)
    }

    /// An issued call was answered well. Until when its answer may be kept for the caller's principal; none: it was given
    /// up meanwhile, its answer is not to be kept.
    pub fn finished(&self, caller: Caller, ticket: Ticket, took_ms: f32, now_ms: u64) -> Option<u64> {
        self.mind(caller).lock().budget.finished(ticket, f64::from(took_ms), now_ms)
    }

    /// An issued call was cancelled, or failed, after so much time.
    pub fn cancelled(&self, caller: Caller, ticket: Ticket, spent_ms: f32, now_ms: u64) {
        self.mind(caller).lock().budget.cancelled(ticket, f64::from(spent_ms), now_ms);
    }

    /// Forgets a principal.
    pub fn forget(&self, principal: u64) {
        self.minds.lock().remove(principal);
    }

    /// What became of the predictions for this principal.
    pub fn stats_of(&self, principal: u64, now_ms: u64) -> PredictStats {
        let Some(mind) = self.minds.lock().peek(principal).cloned() else { return PredictStats::default() };
        let mut mind = mind.lock();
        mind.budget.turn(now_ms);
        mind.budget.stats
    }

    /// What became of all predictions, for the principals that are remembered.
    pub fn stats(&self, now_ms: u64) -> PredictStats {
        let minds: Vec<_> = self.minds.lock().values().cloned().collect();
        minds.into_iter().fold(PredictStats::default(), |sum, mind| {
            let mut mind = mind.lock();
            mind.budget.turn(now_ms);
            sum.plus(&mind.budget.stats)
        })
    }

    /// What it keeps, in bytes, by the sizes of what it keeps.
    pub fn bytes(&self) -> usize {
        let minds: Vec<_> = self.minds.lock().values().cloned().collect();
        minds.into_iter().map(|mind| mind.lock().bytes()).sum()
    }

    fn mind(&self, caller: Caller) -> Arc<Mutex<Mind>> {
        let mut minds = self.minds.lock();
        if let Some(mind) = minds.touch(caller.principal) {
            return Arc::clone(mind);
        }
        if minds.len() >= self.limits.principals {
            minds.remove_oldest();
        }
        let mind = Arc::new(Mutex::new(Mind::new(self.limits)));
        minds.insert(caller.principal, Arc::clone(&mind));
        mind
    }
}
