//! Calls that were given up and may run on at the server, until it answers them after all.
//!
//! A server that is told of a cancellation need not answer any more, so a grave is kept for as long as the limiter counts
//! what is in it, and no longer. An empty one costs nothing.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::admission::Zombie;

/// The limiter forgets a zombie by then.
const KEPT: Duration = Duration::from_secs(30);

/// By the serials of the calls, which are about in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Graves(BTreeMap<u32, (Instant, Zombie)>);

impl Graves {
    /// Adds a call. Those that were kept for long enough are added to `over`, to be dropped where nothing is locked.
    pub(super) fn dig(&mut self, serial: u32, zombie: Zombie, now: Instant, over: &mut Vec<Zombie>) {
        while let Some(first) = self.0.first_entry()
            && now.duration_since(first.get().0) >= KEPT
        {
            over.push(first.remove().1);
        }
        over.extend(self.0.insert(serial, (now, zombie)).map(|(_, old)| old));
    }

    /// Takes out the call that was answered.
    pub(super) fn open(&mut self, serial: u32) -> Option<Zombie> {
        if self.0.is_empty() { None } else { self.0.remove(&serial).map(|(_, zombie)| zombie) }
    }
}
