//! What a run was worth.

use crate::load::{Offer, Scene};
use crate::parameters as p;

/// The grain of the curves.
pub const BIN_S: f64 = 0.5;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unknown,
    Waiting,
    Running,
    Over,
}

pub struct Score {
    scene: Scene,
    states: Vec<State>,
    waiting: [[u64; 4]; p::TENANTS],
    /// Calls by class and by tenant that came when it counted, and those of them that were done in time.
    classes: [(u64, u64); 4],
    tenants: [(u64, u64); p::TENANTS],
    /// Calls done in time, and their work, in each bin of the run.
    pub calls: Vec<f64>,
    pub work: Vec<f64>,
    /// The limit at each second.
    pub limits: Vec<u32>,
    /// A lower class started while a higher one of the same tenant waited.
    pub inversions: u64,
    offers: Vec<(usize, usize)>,
}

impl Score {
    pub fn new(scene: Scene, offers: &[Offer]) -> Self {
        let bins = (scene.run_s() / BIN_S) as usize;
        let mut score = Self {
            scene,
            states: vec![State::Unknown; offers.len()],
            waiting: [[0; 4]; p::TENANTS],
            classes: [(0, 0); 4],
            tenants: [(0, 0); p::TENANTS],
            calls: vec![0.0; bins],
            work: vec![0.0; bins],
            limits: Vec::new(),
            inversions: 0,
            offers: offers.iter().map(|offer| (offer.tenant, offer.class.rank())).collect(),
        };
        for offer in offers.iter().filter(|offer| counts(scene, offer)) {
            score.classes[offer.class.rank()].0 += 1;
            score.tenants[offer.tenant].0 += 1;
        }
        score
    }

    /// The call that has just arrived waits, unless something else was said of it.
    pub fn settle(&mut self, call: usize) {
        if self.states[call] == State::Unknown {
            self.states[call] = State::Waiting;
            let (tenant, class) = self.offers[call];
            self.waiting[tenant][class] += 1;
        }
    }

    pub fn started(&mut self, call: usize, offer: &Offer) {
        self.leave(call, State::Running);
        let better = &self.waiting[offer.tenant][..offer.class.rank()];
        self.inversions += u64::from(better.iter().any(|waiting| *waiting > 0));
    }

    pub fn refused(&mut self, call: usize, _: &Offer) {
        self.leave(call, State::Over);
    }

    pub fn cancelled(&mut self, call: usize) {
        self.states[call] = State::Over;
    }

    pub fn runs(&self, call: usize) -> bool {
        self.states[call] == State::Running
    }

    pub fn done(&mut self, call: usize, offer: &Offer, now_s: f64) {
        self.states[call] = State::Over;
        if now_s > offer.deadline_s {
            return;
        }
        let bin = (now_s / BIN_S) as usize;
        self.calls[bin] += 1.0;
        self.work[bin] += offer.work;
        if counts(self.scene, offer) {
            self.classes[offer.class.rank()].1 += 1;
            self.tenants[offer.tenant].1 += 1;
        }
    }

    pub fn limit(&mut self, limit: Option<u32>) {
        self.limits.extend(limit);
    }

    /// Calls done in time, in capacities.
    pub fn goodput(&self) -> f64 {
        mean(&self.calls, p::DISCARDED_S, self.scene.run_s()) / p::CAPACITY_PER_S
    }

    /// Work of calls done in time, in capacities.
    pub fn useful(&self) -> f64 {
        self.useful_between(p::DISCARDED_S, self.scene.run_s())
    }

    /// The same between two instants, in capacities of that time.
    pub fn useful_between(&self, from_s: f64, to_s: f64) -> f64 {
        let capacity_per_s = if from_s >= p::CHANGE_AT_S { self.scene.step() } else { 1.0 } * p::CAPACITY_PER_S;
        mean(&self.work, from_s, to_s) / capacity_per_s
    }

    /// The worst stretch of `long_s` that begins at `from_s` or later.
    pub fn worst_useful(&self, from_s: f64, long_s: f64) -> f64 {
        let last = ((self.scene.run_s() - from_s - long_s) / BIN_S) as usize;
        (0..=last)
            .map(|bin| from_s + bin as f64 * BIN_S)
            .map(|from_s| self.useful_between(from_s, from_s + long_s))
            .fold(f64::INFINITY, f64::min)
    }

    /// The share of calls of the highest class that were done in time.
    pub fn top_class(&self) -> f64 {
        share(self.classes[0])
    }

    /// The same of the calls of all tenants but the first.
    pub fn others(&self) -> f64 {
        let others = &self.tenants[1..];
        share((others.iter().map(|tenant| tenant.0).sum(), others.iter().map(|tenant| tenant.1).sum()))
    }

    fn leave(&mut self, call: usize, state: State) {
        if std::mem::replace(&mut self.states[call], state) == State::Waiting {
            let (tenant, class) = self.offers[call];
            self.waiting[tenant][class] -= 1;
        }
    }
}

/// Whether a call is one of those by which classes and tenants are judged: not of the beginning, and over by the end.
fn counts(scene: Scene, offer: &Offer) -> bool {
    offer.arrives_s >= p::DISCARDED_S && offer.deadline_s < scene.run_s()
}

fn mean(bins: &[f64], from_s: f64, to_s: f64) -> f64 {
    let bins = &bins[(from_s / BIN_S) as usize..(to_s / BIN_S) as usize];
    bins.iter().sum::<f64>() / (bins.len() as f64 * BIN_S)
}

fn share((asked, served): (u64, u64)) -> f64 {
    served as f64 / asked.max(1) as f64
}
