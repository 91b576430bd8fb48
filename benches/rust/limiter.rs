//! What a call costs that passes the limiter of a server: on a free permit, and through a queue that stands. `reference`
//! is an entry into a set that is ordered, and the first one out of it: the least that a queue of classes can cost.
#![allow(missing_docs, clippy::unwrap_used)]

mod cpu;

use std::collections::BTreeSet;
use std::hint::black_box;

use cpu::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};
use omnimind_limits::concurrency::{Bounds, Fixed, Gradient, Outcome, Policy, ToolClass};
use omnimind_limits::limiter::{Arrived, Event, Limiter, PermitId};
use omnimind_limits::queue::{Call, Class};

const TENANTS: u32 = 10;

/// A limiter and a clock; every call is of another tenant and class than the one before.
struct Rig {
    limiter: Limiter<u32, ()>,
    events: Vec<Event<()>>,
    now_ns: u64,
    turn: u32,
}

impl Rig {
    fn new(policy: Box<dyn Policy>) -> Self {
        // Nobody gives up: the queue is to stay as long as it is.
        Self { limiter: Limiter::with_patience(policy, 10_000, u64::MAX), events: Vec::new(), now_ns: 0, turn: 0 }
    }

    fn arrive(&mut self) -> Arrived<()> {
        self.turn = self.turn.wrapping_add(1);
        let class = Class::ALL[self.turn as usize % Class::ALL.len()];
        let call = Call { tenant: self.turn % TENANTS, weight: 1, class, deadline_ns: u64::MAX };
        self.limiter.arrive(black_box(&call), ToolClass(0), (), self.now_ns, &mut self.events)
    }

    fn finish(&mut self, permit: PermitId) {
        self.now_ns += 1_000;
        assert!(self.limiter.finished(permit, Outcome::Ok, self.now_ns, &mut self.events));
    }

    /// One call more waits, one in flight is answered, and the next one starts.
    fn rotate(&mut self, in_flight: PermitId) -> PermitId {
        self.arrive();
        self.finish(in_flight);
        let started = self.events.drain(..).find_map(|event| match event {
            Event::Started { permit, .. } => Some(permit),
            Event::Gone(_) => None,
        });
        started.unwrap()
    }
}

fn limiter(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("limiter");
    group.bench_function("reference", |b| {
        let mut waiting: BTreeSet<u64> = (0..10).collect();
        let mut next = 10;
        b.iter(|| {
            waiting.insert(black_box(next));
            next += 1;
            waiting.pop_first()
        });
    });
    let policies: [(&str, Box<dyn Policy>); 2] = [
        ("free_permit_fixed", Box::new(Fixed::new(100))),
        ("free_permit_gradient", Box::new(Gradient::new(Bounds::default()))),
    ];
    for (name, policy) in policies {
        let mut rig = Rig::new(policy);
        group.bench_function(name, |b| {
            b.iter(|| {
                let Arrived::Started(permit, ()) = rig.arrive() else { unreachable!("a permit is free") };
                rig.finish(permit);
            });
        });
    }
    for waiting in [10_usize, 1_000] {
        let mut rig = Rig::new(Box::new(Fixed::new(100)));
        let mut in_flight = Vec::new();
        while let Arrived::Started(permit, ()) = rig.arrive() {
            in_flight.push(permit);
        }
        for _ in 1..waiting {
            rig.arrive();
        }
        let mut at = 0;
        group.bench_function(format!("through_a_queue_of_{waiting}"), |b| {
            b.iter(|| {
                at = (at + 1) % in_flight.len();
                in_flight[at] = rig.rotate(in_flight[at]);
            });
        });
        assert_eq!(rig.limiter.live().waiting.iter().sum::<usize>(), waiting);
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = cpu::criterion();
    targets = limiter
}
criterion_main!(benches);
