//! One run of one entrant in one scene: virtual time, the same every time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::entrants::{Act, Entrant};
use crate::load::{Offer, Scene};
use crate::parameters::{CAPACITY_PER_S, CHANGE_AT_S};
use crate::score::Score;
use crate::upstream::Upstream;

/// How often an entrant is told how busy the processors are.
const LOOK_S: f64 = 1.0;

pub fn run(scene: Scene, seed: u64, entrant: Box<dyn Entrant>) -> Score {
    let offers = scene.offers(seed);
    let mut contest = Contest {
        score: Score::new(scene, &offers),
        upstream: Upstream::new(CAPACITY_PER_S),
        entrant,
        offers,
        deadlines: BinaryHeap::new(),
        acts: Vec::new(),
    };
    contest.play(scene);
    contest.score
}

struct Contest {
    offers: Vec<Offer>,
    upstream: Upstream,
    entrant: Box<dyn Entrant>,
    score: Score,
    /// When calls in flight are no longer wanted.
    deadlines: BinaryHeap<Reverse<(u64, usize)>>,
    acts: Vec<Act>,
}

enum Happening {
    Arrival,
    Done,
    Late(usize),
    Wake,
    Look,
    Change,
}

impl Contest {
    fn play(&mut self, scene: Scene) {
        let (mut arrived, mut looked_s, mut change_s) = (0, 0.0, CHANGE_AT_S);
        if scene.step() == 1.0 {
            change_s = f64::INFINITY;
        }
        while let Some((now_s, happening)) = self.next(arrived, looked_s + LOOK_S, change_s) {
            if now_s >= scene.run_s() {
                return;
            }
            let now_ns = ns(now_s);
            match happening {
                Happening::Arrival => {
                    self.entrant.arrive(arrived, &self.offers[arrived], now_ns, &mut self.acts);
                    self.act(now_s);
                    self.score.settle(arrived);
                    arrived += 1;
                }
                Happening::Done => {
                    if let Some(call) = self.upstream.end(now_s) {
                        self.score.done(call, &self.offers[call], now_s);
                        self.entrant.done(call, self.offers[call].deadline_s >= now_s, now_ns, &mut self.acts);
                    }
                }
                Happening::Late(call) => {
                    self.deadlines.pop();
                    if self.score.runs(call) {
                        self.entrant.late(call, now_ns, &mut self.acts);
                    }
                }
                Happening::Wake => self.entrant.tick(now_ns, &mut self.acts),
                Happening::Look => {
                    let busy = self.upstream.busy(now_s, looked_s);
                    looked_s = now_s;
                    self.entrant.looked(busy, now_ns, &mut self.acts);
                    self.score.limit(self.entrant.limit());
                }
                Happening::Change => {
                    self.upstream.set_capacity(CAPACITY_PER_S * scene.step(), now_s);
                    change_s = f64::INFINITY;
                }
            }
            self.act(now_s);
        }
    }

    fn next(&mut self, arrived: usize, look_s: f64, change_s: f64) -> Option<(f64, Happening)> {
        let wake = self.entrant.next_wake().map(|wake_ns| (seconds(wake_ns), Happening::Wake));
        let done = self.upstream.next_end_s().map(|end_s| (end_s, Happening::Done));
        let late = self.deadlines.peek().map(|Reverse((late_ns, call))| (seconds(*late_ns), Happening::Late(*call)));
        let arrival = self.offers.get(arrived).map(|offer| (offer.arrives_s, Happening::Arrival));
        let look = Some((look_s, Happening::Look));
        let change = Some((change_s, Happening::Change));
        [done, late, wake, arrival, look, change].into_iter().flatten().min_by(|one, other| one.0.total_cmp(&other.0))
    }

    fn act(&mut self, now_s: f64) {
        for act in std::mem::take(&mut self.acts) {
            match act {
                Act::Start(call) => {
                    let offer = &self.offers[call];
                    self.score.started(call, offer);
                    self.upstream.start(call, offer.work, now_s);
                    self.deadlines.push(Reverse((ns(offer.deadline_s), call)));
                }
                Act::Refuse(call) => self.score.refused(call, &self.offers[call]),
                Act::Cancel(call) => {
                    self.score.cancelled(call);
                    self.upstream.cancel(call, now_s);
                }
            }
        }
    }
}

pub fn ns(s: f64) -> u64 {
    (s * 1e9).round() as u64
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
