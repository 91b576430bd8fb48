//! Whatever comes, in whatever order: every call has one fate, every permit and every place comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use omnimind_limits::concurrency::{Aimd, Bounds, Fixed, Gradient, Outcome, Policy, ToolClass};
use omnimind_limits::limiter::{Arrived, Event, Limiter, PermitId};
use omnimind_limits::queue::{Call, Class, LONGEST_WAIT_NS, WaitId};

use crate::chance::Chance;
use crate::full;

const TENANTS: usize = 40;
const MOST_WAITING: usize = 300;
const MS: u64 = 1_000_000;

/// What was given to the limiter, and must come back.
struct Payload {
    number: usize,
    _alive: Rc<()>,
}

/// What should be the case.
struct Walk {
    limiter: Limiter<usize, Payload>,
    chance: Chance,
    now_ns: u64,
    alive: Rc<()>,
    came: usize,
    waiting: BTreeMap<usize, (WaitId, usize, Class)>,
    /// How many wait of each class of each tenant.
    lanes: [[usize; 4]; TENANTS],
    running: BTreeMap<usize, (PermitId, usize)>,
    abandoned: Vec<PermitId>,
    used_up: Vec<PermitId>,
    fates: BTreeSet<usize>,
    events: Vec<Event<Payload>>,
}

impl Walk {
    fn new(policy: Box<dyn Policy>, seed: u64) -> Self {
        Self {
            limiter: Limiter::new(policy, MOST_WAITING),
            chance: Chance::new(seed),
            now_ns: 0,
            alive: Rc::new(()),
            came: 0,
            waiting: BTreeMap::new(),
            lanes: [[0; 4]; TENANTS],
            running: BTreeMap::new(),
            abandoned: Vec::new(),
            used_up: Vec::new(),
            fates: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.now_ns += (self.chance.gap_s(1.0) * 1e6) as u64;
        match self.chance.below(100) {
            0..50 => self.arrive(),
            50..78 => self.finish(),
            78..82 => self.cancel(),
            82..84 => self.abandon(),
            84..86 => self.answer_late(),
            86..94 => self.leave(),
            94 => self.disconnect(),
            95 => self.give_back_twice(),
            96 => self.brake(),
            97 if self.chance.below(50) == 0 => self.limiter.replaced(self.now_ns, &mut self.events),
            _ => self.wake(),
        }
        let started = self.settle();
        self.check(started);
    }

    fn arrive(&mut self) {
        let number = self.came;
        self.came += 1;
        let tenant = self.chance.below(TENANTS).min(self.chance.below(TENANTS));
        let class = Class::ALL[self.chance.below(4)];
        let deadline_ns = self.now_ns + self.chance.below(1_500) as u64 * MS;
        let call = Call { tenant, weight: self.chance.below(4) as u32, class, deadline_ns };
        let tool = ToolClass(self.chance.below(5) as u8);
        let payload = Payload { number, _alive: Rc::clone(&self.alive) };
        let arrived = self.limiter.arrive(&call, tool, payload, self.now_ns, &mut self.events);
        self.settle();
        match arrived {
            Arrived::Started(permit, payload) => {
                assert_eq!(payload.number, number);
                self.running.insert(number, (permit, tenant));
            }
            Arrived::Queued(id) => {
                self.waiting.insert(number, (id, tenant, class));
                self.lanes[tenant][class.rank()] += 1;
                let live = self.limiter.live();
                // Twenty for each permit, or as many as are started within the longest wait.
                let step_ns = live.service_ns / u64::from(live.usable.max(1));
                let in_time = LONGEST_WAIT_NS.checked_div(step_ns).map_or(usize::MAX, |calls| calls as usize);
                let room = in_time.max(20 * live.usable as usize);
                assert!(live.waiting.iter().sum::<usize>() <= MOST_WAITING.min(room));
            }
            Arrived::Refused(_, payload) => self.fate(payload.number),
        }
    }

    fn finish(&mut self) {
        let Some(number) = self.any_running() else { return };
        let (permit, _) = self.running.remove(&number).unwrap();
        let outcome = if self.chance.below(10) == 0 { Outcome::Dropped } else { Outcome::Ok };
        assert!(self.limiter.finished(permit, outcome, self.now_ns, &mut self.events));
        self.over(number, permit);
    }

    fn cancel(&mut self) {
        let Some(number) = self.any_running() else { return };
        let (permit, _) = self.running.remove(&number).unwrap();
        assert!(self.limiter.cancelled(permit, self.now_ns, &mut self.events));
        self.over(number, permit);
    }

    fn abandon(&mut self) {
        let Some(number) = self.any_running() else { return };
        let (permit, _) = self.running.remove(&number).unwrap();
        assert!(self.limiter.abandoned(permit, self.now_ns, &mut self.events));
        self.fate(number);
        self.abandoned.push(permit);
    }

    fn answer_late(&mut self) {
        let Some(permit) = self.abandoned.pop() else { return };
        self.limiter.finished(permit, Outcome::Ok, self.now_ns, &mut self.events);
        self.used_up.push(permit);
    }

    fn leave(&mut self) {
        let Some(number) = self.any_waiting() else { return };
        self.leaves(number);
    }

    fn leaves(&mut self, number: usize) {
        let id = self.no_longer_waits(number).0;
        assert_eq!(self.limiter.left(id).unwrap().number, number);
        assert!(self.limiter.left(id).is_none());
        self.fate(number);
    }

    /// Everything of one tenant goes at once.
    fn disconnect(&mut self) {
        let tenant = self.chance.below(TENANTS);
        for number in keys(&self.waiting, |(_, of, _)| *of == tenant) {
            self.leaves(number);
        }
        for number in keys(&self.running, |(_, of)| *of == tenant) {
            let (permit, _) = self.running.remove(&number).unwrap();
            assert!(self.limiter.cancelled(permit, self.now_ns, &mut self.events));
            self.over(number, permit);
            self.settle();
        }
    }

    fn give_back_twice(&mut self) {
        let Some(permit) = self.used_up.pop() else { return };
        assert!(!self.limiter.finished(permit, Outcome::Ok, self.now_ns, &mut self.events));
        assert!(!self.limiter.abandoned(permit, self.now_ns, &mut self.events));
    }

    fn brake(&mut self) {
        let brake = [0.0, 0.2, 0.5, 1.0, 1.0, 1.0][self.chance.below(6)];
        self.limiter.set_brake(brake, self.now_ns, &mut self.events);
    }

    fn wake(&mut self) {
        self.now_ns = self.limiter.next_wake().map_or(self.now_ns, |wake_ns| wake_ns.max(self.now_ns));
        self.limiter.tick(self.now_ns, &mut self.events);
        assert!(self.limiter.next_wake().is_none_or(|wake_ns| wake_ns > self.now_ns), "a wake that changes nothing");
    }

    /// Takes note of the events; says how many calls were started.
    fn settle(&mut self) -> usize {
        let mut starts = 0;
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Started { permit, id, payload, .. } => {
                    let (waited_as, tenant, class) = self.no_longer_waits(payload.number);
                    assert_eq!(waited_as, id);
                    let better = &self.lanes[tenant][..class.rank()];
                    assert!(better.iter().all(|len| *len == 0), "{class:?} was started before one of {better:?}");
                    self.running.insert(payload.number, (permit, tenant));
                    starts += 1;
                }
                Event::Gone(gone) => {
                    self.no_longer_waits(gone.payload.number);
                    self.fate(gone.payload.number);
                }
            }
        }
        starts
    }

    fn check(&self, started: usize) {
        let live = self.limiter.live();
        assert_eq!(live.in_flight as usize, self.running.len());
        assert!(live.zombies as usize <= self.abandoned.len());
        let of_class = |class: Class| self.lanes.iter().map(|lanes| lanes[class.rank()]).sum();
        assert_eq!(live.waiting, Class::ALL.map(of_class));
        assert!(started == 0 || live.in_flight <= live.usable);
        assert!(self.waiting.is_empty() || live.in_flight >= live.usable, "a call waits beside a free permit");
        assert_eq!(Rc::strong_count(&self.alive), 1 + self.waiting.len());
        assert_eq!(self.came, self.fates.len() + self.waiting.len() + self.running.len());
    }

    /// Ends everything; nothing may be left.
    fn end(mut self) {
        self.limiter.set_brake(1.0, self.now_ns, &mut self.events);
        self.settle();
        while let Some(number) = self.any_running() {
            let (permit, _) = self.running.remove(&number).unwrap();
            assert!(self.limiter.finished(permit, Outcome::Ok, self.now_ns, &mut self.events));
            self.over(number, permit);
            self.settle();
        }
        self.limiter.replaced(self.now_ns, &mut self.events);
        let live = self.limiter.live();
        assert_eq!((live.in_flight, live.zombies, live.waiting), (0, 0, [0; 4]));
        assert_eq!((self.limiter.tenants(), self.limiter.next_wake()), (0, None));
        assert_eq!((Rc::strong_count(&self.alive), self.fates.len()), (1, self.came));
    }

    fn no_longer_waits(&mut self, number: usize) -> (WaitId, usize, Class) {
        let (id, tenant, class) = self.waiting.remove(&number).unwrap();
        self.lanes[tenant][class.rank()] -= 1;
        (id, tenant, class)
    }

    fn over(&mut self, number: usize, permit: PermitId) {
        self.fate(number);
        self.used_up.push(permit);
    }

    fn fate(&mut self, number: usize) {
        assert!(self.fates.insert(number), "call {number} was told twice what became of it");
    }

    fn any_running(&mut self) -> Option<usize> {
        let from = self.chance.below(self.came.max(1));
        self.running.range(from..).chain(&self.running).next().map(|(number, _)| *number)
    }

    fn any_waiting(&mut self) -> Option<usize> {
        let from = self.chance.below(self.came.max(1));
        self.waiting.range(from..).chain(&self.waiting).next().map(|(number, _)| *number)
    }
}

fn keys<V>(map: &BTreeMap<usize, V>, of: impl Fn(&V) -> bool) -> Vec<usize> {
    map.iter().filter(|(_, value)| of(value)).map(|(number, _)| *number).collect()
}

#[test]
fn nothing_leaks_and_no_bound_breaks_whatever_comes() {
    let bounds = Bounds::default();
    let policies: [Box<dyn Policy>; 3] =
        [Box::new(Gradient::new(bounds)), Box::new(Aimd::new(bounds)), Box::new(Fixed::new(6))];
    let steps = if full() { 1_000_000 } else { 100_000 };
    for (seed, policy) in policies.into_iter().enumerate() {
        let mut walk = Walk::new(policy, seed as u64);
        (0..steps / 3).for_each(|_| walk.step());
        assert!(walk.came > steps / 8);
        walk.end();
    }
}
