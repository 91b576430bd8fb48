//! A crowd: callers of whom each asks again in the moment in which it is answered, as agents do that call in turn. That
//! is no overload, however many they are: nobody comes who is not awaited.

use omnimind_limits::concurrency::{Bounds, Gradient, Outcome, ToolClass};
use omnimind_limits::limiter::{Arrived, Event, Limiter, PermitId};
use omnimind_limits::queue::{Call, Class};

use crate::chance::Chance;
use crate::contest::ns;
use crate::parameters as p;
use crate::upstream::Upstream;

const CALLERS: usize = 500;
/// In no hurry.
const DEADLINE_S: f64 = 60.0;

struct Crowd {
    limiter: Limiter<usize, usize>,
    upstream: Upstream,
    chance: Chance,
    events: Vec<Event<usize>>,
    permits: Vec<Option<PermitId>>,
    asked_s: Vec<f64>,
    longest_s: f64,
    done: usize,
    refused: usize,
}

impl Crowd {
    fn new(capacity_per_s: f64, seed: u64) -> Self {
        Self {
            limiter: Limiter::new(Box::new(Gradient::new(Bounds::default())), 10_000),
            upstream: Upstream::new(capacity_per_s),
            chance: Chance::new(seed),
            events: Vec::new(),
            permits: vec![None; CALLERS],
            asked_s: vec![0.0; CALLERS],
            longest_s: 0.0,
            done: 0,
            refused: 0,
        }
    }

    /// All come at once, and again and again.
    fn play(mut self) -> Self {
        (0..CALLERS).for_each(|caller| self.ask(caller, 0.0));
        while let Some((now_s, ended)) = self.next().filter(|(now_s, _)| *now_s < p::RUN_S) {
            if !ended {
                self.limiter.tick(ns(now_s), &mut self.events);
            } else if let Some(caller) = self.upstream.end(now_s) {
                self.done += usize::from(now_s >= p::DISCARDED_S);
                let permit = self.permits[caller].take().unwrap();
                self.limiter.finished(permit, Outcome::Ok, ns(now_s), &mut self.events);
                self.hear(now_s);
                self.ask(caller, now_s);
            }
            self.hear(now_s);
        }
        self
    }

    /// What happens next, and whether it is the end of a call.
    fn next(&mut self) -> Option<(f64, bool)> {
        let end = self.upstream.next_end_s().map(|end_s| (end_s, true));
        let wake = self.limiter.next_wake().map(|wake_ns| (wake_ns as f64 / 1e9, false));
        [end, wake].into_iter().flatten().min_by(|one, other| one.0.total_cmp(&other.0))
    }

    fn ask(&mut self, caller: usize, now_s: f64) {
        self.asked_s[caller] = now_s;
        let (tenant, deadline_ns) = (caller % p::TENANTS, ns(now_s + DEADLINE_S));
        let call = Call { tenant, weight: 1, class: Class::Normal, deadline_ns };
        match self.limiter.arrive(&call, ToolClass(0), caller, ns(now_s), &mut self.events) {
            Arrived::Started(permit, caller) => self.start(caller, permit, now_s),
            Arrived::Queued(_) => {}
            Arrived::Refused(..) => self.refused += 1,
        }
    }

    fn start(&mut self, caller: usize, permit: PermitId, now_s: f64) {
        self.permits[caller] = Some(permit);
        self.longest_s = self.longest_s.max(now_s - self.asked_s[caller]);
        let work = self.chance.work();
        self.upstream.start(caller, work, now_s);
    }

    fn hear(&mut self, now_s: f64) {
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Started { permit, payload, .. } => self.start(payload, permit, now_s),
                Event::Gone(_) => self.refused += 1,
            }
        }
    }
}

#[test]
fn a_crowd_that_asks_again_when_it_is_answered_waits_its_turn_and_is_never_refused() {
    for capacity_per_s in [p::CAPACITY_PER_S, p::CAPACITY_PER_S / 2.0] {
        let crowd = Crowd::new(capacity_per_s, p::SEEDS[0]).play();
        let share = crowd.done as f64 / (p::RUN_S - p::DISCARDED_S) / capacity_per_s;
        let turn_s = CALLERS as f64 / capacity_per_s;
        let longest_s = crowd.longest_s;
        assert_eq!(crowd.refused, 0, "{share:.3} of {capacity_per_s}, {longest_s:.2} s");
        assert!(share > 0.94, "{share:.3} of {capacity_per_s}");
        assert!(longest_s < 2.0 * turn_s, "{longest_s:.2} s, where all have their turn in {turn_s:.2} s");
    }
}
