//! How long calls take at the moment, under the load there is.
//!
//! One moving average for each kind of tool and one for all. The weight of a new call, 0.02, is the arena's; at first the
//! plain mean. A call that was dropped counts if it took longer than expected: it would have taken longer still.

use crate::concurrency::{ByTool, Outcome, Sample, ToolClass};

const WEIGHT: u64 = 50;

#[derive(Clone, Debug, Default)]
pub(super) struct Estimates {
    all: Average,
    tools: ByTool<Average>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    ns: u64,
    seen: u64,
}

impl Estimates {
    /// The time a call of this kind takes; of any kind, as long as this one is unknown.
    pub(super) fn service_ns(&self, tool: ToolClass) -> u64 {
        let average = self.tools.get(tool);
        if average.seen > 0 { average.ns } else { self.all.ns }
    }

    /// The time a call takes.
    pub(super) fn mean_ns(&self) -> u64 {
        self.all.ns
    }

    pub(super) fn learn(&mut self, sample: &Sample) {
        if sample.outcome == Outcome::Dropped && sample.service_ns <= self.service_ns(sample.tool) {
            return;
        }
        self.all.add(sample.service_ns);
        let mut average = self.tools.get(sample.tool);
        average.add(sample.service_ns);
        self.tools.set(sample.tool, average);
    }
}

impl Average {
    fn add(&mut self, ns: u64) {
        self.seen = self.seen.saturating_add(1).min(WEIGHT);
        let (up, down) = (ns.saturating_sub(self.ns), self.ns.saturating_sub(ns));
        self.ns = self.ns.saturating_add(up / self.seen).saturating_sub(down / self.seen);
    }
}
