//! The limit at which calls begin to wait for each other inside the server, found by comparing.
//!
//! Beyond the point where the server is busy, more calls in flight only make each slower. So the policy keeps two
//! times apart for each kind of tool: how long calls take that were started with at most half the limit in flight
//! (*calm*: the baseline), and how much longer the others take (the *stretch*). From window to window
//! `limit ← limit × gradient + √limit`, where `gradient = 1 / stretch`, smoothed: it settles where the calls in flight
//! exceed what the server can do at once by about √limit, which is what keeps it busy between one call and the next.
//!
//! The rules:
//! - **A slower mix is no overload.** Each call is measured by the baseline of its own kind.
//! - **No growth when not used.** Calm calls say nothing about the limit; a window holds busy ones alone.
//! - **No drift.** A baseline that follows what calls take under load follows the limit up (as Gradient2 does with its
//!   long average, over hours). Ours learns from calm calls only, and where load leaves none, a *dip* makes some: the
//!   limit is halved for as long as 25 calls take. However high the limit has got, twice the knee and more shows a
//!   stretch of two against its own half.
//! - **Failures count.** Dropped calls lower the limit by their share; one that was waited for in vain is known to
//!   have taken at least so long.
//!
//! What is taken from Gradient2 (Netflix, `concurrency-limits`): the formula, the gradient held to at least a half.
//! √limit as headroom is from Envoy.

use super::{Bounds, ByTool, Outcome, Policy, Sample, Window, whole};

// What the constants were chosen by: the arena's worst figures. Those of the default are, at 1.2 to 10 times the load
// 0.97, after capacity halved or doubled 0.95, after the mix flipped 0.91.

/// A window never more than halves the limit.
const STEEPEST: f64 = 0.5;
/// How much of the way to what a window asks for is gone. Flat between 0.2 and 1; the middle.
const SMOOTHING: f64 = 0.5;
/// The weight of one calm call in its baseline. 0.005 does as well and takes four times as long to believe that a server
/// has become slower for good; 0.05 is too noisy (0.95, and 0.87 after doubling).
const LEARNING: f64 = 0.02;
/// The weight of one call in what is seen from outside: some twenty calls, so that who is held back, and whose calls are
/// all calm then, is soon seen to be at ease.
const SEEN: f64 = 0.05;
/// A baseline is believed from so many calm calls on; before, any call must do.
const BELIEVED: u32 = 10;
/// Calm calls that a dip waits for. 10 are too few (0.96 and 0.92); 60 do as well and cost more where calls are long.
const DIP_CALLS: u32 = 25;
/// A dip is made when that long, or that many times a call, has passed with fewer calm calls than these, and more busy
/// ones. 2 s costs a little, 15 s is too rare (0.95, and 0.89 after the flip).
const CALM_EVERY_NS: u64 = 5_000_000_000;
const CALM_EVERY_CALLS: u64 = 40;
/// A dip that finds no calls to learn from ends after that long, or that many times a call.
const DIP_LONGEST_NS: u64 = 250_000_000;
const DIP_LONGEST_CALLS: u64 = 4;

/// The default policy. See the module.
#[derive(Clone, Debug)]
pub struct Gradient {
    bounds: Bounds,
    limit: f64,
    /// The limit is where it was started, or on its way down from there.
    guessed: bool,
    stretch: f64,
    /// The same of the last calls, calm ones too.
    lately: f64,
    window: Window,
    baselines: ByTool<Baseline>,
    calm: Calm,
}

/// How long calls of one kind take on a server at ease, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    calm: Mean,
    /// Of any calls, as long as there are too few calm ones.
    rough: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: f64,
    seen: u32,
}

/// Whether there are enough calm calls, and what is done about it.
#[derive(Clone, Copy, Debug, Default)]
struct Calm {
    since_ns: u64,
    calls: u32,
    /// Calls that were not calm: without them nobody would learn from a dip.
    busy: u32,
    dipping: bool,
    /// The mean time of all calls.
    service: Mean,
}

impl Gradient {
    /// A policy that starts at `bounds.start`.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            limit: bounds.clamp(f64::from(bounds.start)),
            guessed: true,
            stretch: 1.0,
            lately: 1.0,
            window: Window::default(),
            baselines: ByTool::default(),
            calm: Calm::default(),
        }
    }

    /// Up to so many calls in flight are calm; a dip goes down to it, below the least limit too, or a server that has
    /// become slower for good would be measured by what it was for ever.
    fn half(&self) -> u32 {
        whole(self.limit / 2.0).max(1)
    }

    fn turn(&mut self, busy_for: f64, dropped: f64) {
        self.stretch = busy_for;
        let gradient = (1.0 / busy_for).clamp(STEEPEST, 1.0) * (1.0 - dropped);
        let wanted = self.limit * gradient + self.limit.sqrt();
        // Nothing speaks for a start that was guessed: it comes down all the way, until a window asks for more.
        self.guessed &= wanted < self.limit;
        let part = if self.guessed { 1.0 } else { SMOOTHING };
        self.limit = self.bounds.clamp(self.limit + part * (wanted - self.limit));
    }
}

impl Policy for Gradient {
    #[allow(clippy::cast_precision_loss)] // a time of more than 2^53 ns is 104 days
    fn finished(&mut self, sample: &Sample, now_ns: u64) {
        let service = sample.service_ns.max(1) as f64;
        let dropped = sample.outcome == Outcome::Dropped;
        let calm = sample.in_flight <= self.half();
        let stretch = self.stretch.max(1.0);
        let mut baseline = self.baselines.get(sample.tool);
        let expected = baseline.value().unwrap_or(service);
        let told = !dropped || service > expected;
        if told {
            baseline.learn(service, calm, stretch);
            self.baselines.set(sample.tool, baseline);
        }
        let ratio = baseline.value().map_or(1.0, |baseline| service / baseline);
        self.calm.note(service, calm && told, now_ns);
        if told {
            self.lately += (ratio - self.lately) * SEEN;
        }
        if !calm || dropped {
            let ratio = if told { ratio } else { 1.0 };
            if let Some(shown) = self.window.add(sample, ratio, now_ns) {
                self.turn(shown.mean, shown.dropped);
            }
        }
    }

    fn limit(&self) -> u32 {
        if self.calm.dipping { self.half() } else { whole(self.limit) }
    }

    fn stretch(&self) -> Option<f64> {
        Some(self.lately)
    }
}

impl Baseline {
    fn value(&self) -> Option<f64> {
        let mean = if self.calm.seen >= BELIEVED { self.calm } else { self.rough };
        (mean.seen > 0).then_some(mean.value)
    }

    fn learn(&mut self, service: f64, calm: bool, stretch: f64) {
        if calm {
            self.calm.add(service);
        }
        if self.calm.seen < BELIEVED {
            self.rough.add(if calm { service } else { service / stretch });
        }
    }
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.seen = self.seen.saturating_add(1);
        self.value += (value - self.value) * (1.0 / f64::from(self.seen)).max(LEARNING);
    }
}

impl Calm {
    fn note(&mut self, service: f64, calm: bool, now_ns: u64) {
        self.service.add(service);
        self.calls = self.calls.saturating_add(u32::from(calm));
        self.busy = self.busy.saturating_add(u32::from(!calm));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a mean of u64s
        let call_ns = self.service.value as u64;
        let passed_ns = now_ns.saturating_sub(self.since_ns);
        let enough = self.calls >= DIP_CALLS;
        if self.dipping {
            if enough || passed_ns > call_ns.saturating_mul(DIP_LONGEST_CALLS).max(DIP_LONGEST_NS) {
                *self = Self { since_ns: now_ns, service: self.service, ..Self::default() };
            }
        } else if passed_ns > call_ns.saturating_mul(CALM_EVERY_CALLS).max(CALM_EVERY_NS) {
            let dipping = self.busy > self.calls && !enough;
            *self = Self { since_ns: now_ns, service: self.service, dipping, ..Self::default() };
        }
    }
}
