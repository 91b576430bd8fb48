//! A server that shares itself equally among the calls in flight and gets slower for each one beyond its knee.
//!
//! All calls in flight progress alike, so one number says how far each has got: a call that enters when the others
//! stand at `v` with work `w` is done when they stand at `v + w`. A heap by that sum makes each step O(log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::parameters::{ALONE_S, LOSS_PER_CALL};

pub struct Upstream {
    capacity_per_s: f64,
    progress: f64,
    looked_s: f64,
    running: Vec<bool>,
    in_flight: usize,
    ends: BinaryHeap<Reverse<(Ordered, usize)>>,
    busy_s: f64,
}

#[derive(Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Upstream {
    pub fn new(capacity_per_s: f64) -> Self {
        Self {
            capacity_per_s,
            progress: 0.0,
            looked_s: 0.0,
            running: Vec::new(),
            in_flight: 0,
            ends: BinaryHeap::new(),
            busy_s: 0.0,
        }
    }

    pub fn set_capacity(&mut self, capacity_per_s: f64, now_s: f64) {
        self.advance(now_s);
        self.capacity_per_s = capacity_per_s;
    }

    pub fn start(&mut self, call: usize, work: f64, now_s: f64) {
        self.advance(now_s);
        if call >= self.running.len() {
            self.running.resize(call + 1, false);
        }
        self.running[call] = true;
        self.in_flight += 1;
        self.ends.push(Reverse((Ordered(self.progress + work), call)));
    }

    pub fn cancel(&mut self, call: usize, now_s: f64) {
        self.advance(now_s);
        if std::mem::take(&mut self.running[call]) {
            self.in_flight -= 1;
        }
    }

    /// When the next call will be done, if none enters or leaves before.
    pub fn next_end_s(&mut self) -> Option<f64> {
        while let Some(Reverse((_, call))) = self.ends.peek()
            && !self.running[*call]
        {
            self.ends.pop();
        }
        let Reverse((Ordered(end), _)) = self.ends.peek()?;
        Some(self.looked_s + ((end - self.progress) / self.each_per_s()).max(0.0))
    }

    /// Takes out the call that is done at `now_s`, which [`Upstream::next_end_s`] said.
    pub fn end(&mut self, now_s: f64) -> Option<usize> {
        self.advance(now_s);
        let Reverse((_, call)) = self.ends.pop()?;
        self.running[call] = false;
        self.in_flight -= 1;
        Some(call)
    }

    /// The share of its processors that was in use since the last look.
    pub fn busy(&mut self, now_s: f64, since_s: f64) -> f64 {
        self.advance(now_s);
        std::mem::take(&mut self.busy_s) / (now_s - since_s)
    }

    fn knee(&self) -> f64 {
        self.capacity_per_s * ALONE_S
    }

    fn each_per_s(&self) -> f64 {
        let n = self.in_flight as f64;
        let all = (n / ALONE_S).min(self.capacity_per_s) / (1.0 + LOSS_PER_CALL * (n - self.knee()).max(0.0));
        all / n
    }

    fn advance(&mut self, now_s: f64) {
        let passed_s = now_s - self.looked_s;
        self.looked_s = now_s;
        if self.in_flight > 0 {
            self.progress += passed_s * self.each_per_s();
            self.busy_s += passed_s * (self.in_flight as f64 / self.knee()).min(1.0);
        }
    }
}
