//! A call's right to be in flight at a server, as a guard: whatever becomes of the call, it comes back once.
//!
//! It goes with the call: from the gate to the exchange that carries it, and with that to its end. Dropped, it says that
//! nothing of the call is left and nothing was learned; whoever knows more says so.

use std::{fmt, mem, sync::Arc, time::Duration};

use omnimind_limits::{
    concurrency::{Outcome, ToolClass},
    limiter::PermitId,
};
use tokio::sync::Notify;

use super::{gate::Gate, state::End};

/// The right to be in flight.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    id: PermitId,
    kind: ToolClass,
    since_ns: u64,
    /// None for a call that nobody waits for.
    waited_ns: Option<u64>,
    /// Its time says nothing of the server.
    spoilt: bool,
    ended: bool,
}

/// A call that was given up and may run on at the server. Dropped, it has ended.
pub(crate) struct Zombie {
    gate: Arc<Gate>,
    id: PermitId,
}

/// A permit for a call that nobody waits for.
pub(crate) struct Spare {
    pub(crate) permit: Permit,
    /// Fires when a call wants it: it has it already then.
    pub(crate) overtaken: Arc<Notify>,
}

impl Permit {
    pub(super) fn new(gate: Arc<Gate>, id: PermitId, kind: ToolClass, since_ns: u64, waited_ns: Option<u64>) -> Self {
        Self { gate, id, kind, since_ns, waited_ns, spoilt: false, ended: false }
    }

    /// How long it was waited for.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns.unwrap_or_default())
    }

    /// What the call takes from now on says nothing of the server: it waits for something else.
    pub(crate) fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// The call has not come to the server, and will ask for a permit again.
    pub(crate) fn unused(mut self) {
        self.end(End::Unused);
    }

    /// The server has answered, or failed as `outcome` says.
    pub(crate) fn finished(mut self, outcome: Outcome) {
        let end = if self.spoilt { End::Cancelled } else { End::Finished(outcome) };
        self.end(end);
    }

    /// The server did not answer in time. What is returned may run on.
    pub(crate) fn late(mut self) -> Option<Zombie> {
        let end = if self.spoilt { End::Abandoned } else { End::Late };
        self.end(end).then(|| Zombie { gate: Arc::clone(&self.gate), id: self.id })
    }

    /// The call was given up, and may run on.
    pub(crate) fn abandoned(mut self) -> Option<Zombie> {
        self.end(End::Abandoned).then(|| Zombie { gate: Arc::clone(&self.gate), id: self.id })
    }

    fn end(&mut self, end: End) -> bool {
        !mem::replace(&mut self.ended, true) && self.gate.end(self.id, self.kind, (self.since_ns, self.waited_ns), end)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

impl Drop for Zombie {
    fn drop(&mut self) {
        self.gate.rest(self.id);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("server", self.gate.server()).field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Zombie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zombie").field("server", self.gate.server()).field("id", &self.id).finish_non_exhaustive()
    }
}
