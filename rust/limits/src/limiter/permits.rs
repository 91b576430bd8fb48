//! The calls in flight, counted one by one, and those that were given up and run on.
//!
//! A *zombie* is a call that its caller gave up and the server did not: it holds no permit, but it holds the server. It
//! counts until the server answers it after all. A server that was told to cancel need not answer (and by the
//! protocol should not), so a zombie counts at most ten times as long as a call takes, one second at least and 30 at most.

use std::collections::BTreeSet;

use crate::concurrency::ToolClass;
use crate::slab::{Key, Slab};

const ZOMBIE_CALLS: u64 = 10;
const ZOMBIE_SHORTEST_NS: u64 = 1_000_000_000;
const ZOMBIE_LONGEST_NS: u64 = 30_000_000_000;

/// The name of a started call, until it is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId(Key);

#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) tool: ToolClass,
    pub(super) started_ns: u64,
    /// Calls in flight when it was started, itself included.
    pub(super) in_flight: u32,
    zombie_until_ns: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Permits {
    calls: Slab<Running>,
    zombies: BTreeSet<(u64, Key)>,
}

/// What a permit was that is now given back.
pub(super) enum Ended {
    Running(Running),
    Zombie,
    Unknown,
}

impl Permits {
    pub(super) fn new() -> Self {
        Self { calls: Slab::new(), zombies: BTreeSet::new() }
    }

    pub(super) fn in_flight(&self) -> u32 {
        u32::try_from(self.calls.len().saturating_sub(self.zombies.len())).unwrap_or(u32::MAX)
    }

    pub(super) fn zombies(&self) -> u32 {
        u32::try_from(self.zombies.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn start(&mut self, tool: ToolClass, now_ns: u64) -> PermitId {
        let in_flight = self.in_flight().saturating_add(1);
        PermitId(self.calls.insert(Running { tool, started_ns: now_ns, in_flight, zombie_until_ns: None }))
    }

    pub(super) fn end(&mut self, id: PermitId) -> Ended {
        match self.calls.remove(id.0) {
            None => Ended::Unknown,
            Some(Running { zombie_until_ns: Some(until_ns), .. }) => {
                self.zombies.remove(&(until_ns, id.0));
                Ended::Zombie
            }
            Some(running) => Ended::Running(running),
        }
    }

    /// The call is given up, the server runs on. `call_ns` is what a call takes.
    pub(super) fn abandon(&mut self, id: PermitId, call_ns: u64, now_ns: u64) -> bool {
        let Some(running) = self.calls.get_mut(id.0).filter(|running| running.zombie_until_ns.is_none()) else {
            return false;
        };
        let life_ns = call_ns.saturating_mul(ZOMBIE_CALLS).clamp(ZOMBIE_SHORTEST_NS, ZOMBIE_LONGEST_NS);
        let until_ns = now_ns.saturating_add(life_ns);
        running.zombie_until_ns = Some(until_ns);
        self.zombies.insert((until_ns, id.0))
    }

    /// Forgets the zombies whose time is over by `now_ns`.
    pub(super) fn bury(&mut self, now_ns: u64) {
        while let Some(&(until_ns, key)) = self.zombies.first()
            && until_ns <= now_ns
        {
            self.zombies.pop_first();
            self.calls.remove(key);
        }
    }

    pub(super) fn next_burial(&self) -> Option<u64> {
        self.zombies.first().map(|(until_ns, _)| *until_ns)
    }
}
