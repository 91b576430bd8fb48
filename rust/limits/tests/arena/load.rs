//! What is asked of the upstream, and what happens to it on the way.

use omnimind_limits::concurrency::ToolClass;
use omnimind_limits::queue::Class;

use crate::chance::Chance;
use crate::parameters as p;

/// A run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scene {
    /// This many times the capacity, from tenants alike.
    Load(f64),
    /// One tenant asks for nearly everything.
    Hog,
    /// The capacity changes by this factor in the middle.
    Step(f64),
    /// The slow tool becomes common in the middle.
    Flip,
}

/// A call, as it is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub arrives_s: f64,
    pub deadline_s: f64,
    pub work: f64,
    pub tool: ToolClass,
    pub class: Class,
    pub tenant: usize,
}

impl Scene {
    pub fn run_s(self) -> f64 {
        match self {
            Self::Load(_) | Self::Hog => p::RUN_S,
            Self::Step(_) | Self::Flip => p::CHANGE_RUN_S,
        }
    }

    /// The factor by which the capacity changes in the middle.
    pub fn step(self) -> f64 {
        if let Self::Step(factor) = self { factor } else { 1.0 }
    }

    fn load(self) -> f64 {
        match self {
            Self::Load(load) => load,
            Self::Hog => p::HOG_LOAD,
            Self::Step(_) => p::STEP_LOAD,
            Self::Flip => p::FLIP_LOAD,
        }
    }

    /// All calls of the run, in the order they come.
    pub fn offers(self, seed: u64) -> Vec<Offer> {
        let mut chance = Chance::new(seed);
        let mut offers = Vec::new();
        let mut now_s = 0.0;
        loop {
            now_s += chance.gap_s(self.load() * p::CAPACITY_PER_S);
            if now_s >= self.run_s() {
                return offers;
            }
            offers.push(self.offer(now_s, &mut chance));
        }
    }

    fn offer(self, now_s: f64, chance: &mut Chance) -> Offer {
        let class = Class::ALL[chance.share(&p::CLASS_SHARES)];
        let patience_s = if chance.unit() < p::PATIENT_SHARE { p::PATIENCE_S } else { 0.0 };
        let deadline_s = now_s + p::DEADLINE_S + p::DEADLINE_SPREAD_S * chance.unit() + patience_s;
        let tenant = match self {
            Self::Hog if chance.unit() < p::HOG_SHARE => 0,
            Self::Hog => 1 + chance.below(p::TENANTS - 1),
            _ => chance.below(p::TENANTS),
        };
        let slow_share = p::SLOW_SHARES[usize::from(now_s >= p::CHANGE_AT_S)];
        let (tool, factor) = match self {
            Self::Flip if chance.unit() < slow_share => (ToolClass(1), p::TOOL_WORK[1]),
            Self::Flip => (ToolClass(0), p::TOOL_WORK[0]),
            _ => (ToolClass(0), 1.0),
        };
        Offer { arrives_s: now_s, deadline_s, work: factor * chance.work(), tool, class, tenant }
    }
}
