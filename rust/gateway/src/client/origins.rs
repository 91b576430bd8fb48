//! One pool an origin, for as many origins as there is room for.
//!
//! Of more, the one that was not used for the longest time makes room, if nothing is under way to it: its connections are
//! closed and what was learned of it is forgotten.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Settings, fault::Fault};
use crate::pool::{Origin, Pool, Report, Terms};

/// Origins that are known at a time.
const MOST: usize = 256;
/// When it may be worth trying again where that many have requests under way.
const COME_BACK: Duration = Duration::from_secs(1);

/// The pools.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pools: HashMap<String, Known>,
    /// Counts uses.
    now: u64,
    shut: bool,
}

#[derive(Debug)]
struct Known {
    pool: Arc<Pool>,
    used: u64,
}

impl Origins {
    /// The pool of an origin. Who holds it keeps it from being forgotten. Called inside a tokio runtime.
    pub(super) fn pool(&self, origin: &Origin, settings: &Settings) -> Result<Arc<Pool>, Fault> {
        let mut state = self.0.lock();
        if state.shut {
            return Err(Fault::Closed);
        }
        state.now = state.now.wrapping_add(1);
        let now = state.now;
        let name = origin.to_string();
        if let Some(known) = state.pools.get_mut(&name) {
            known.used = now;
            return Ok(Arc::clone(&known.pool));
        }
        let forgotten = if state.pools.len() >= MOST { Some(state.make_room()?) } else { None };
        let terms = Terms::new(settings.pool.clone(), Arc::clone(&settings.trust));
        let pool = Arc::new(Pool::new(origin.clone(), terms));
        state.pools.insert(name, Known { pool: Arc::clone(&pool), used: now });
        drop(state);
        drop(forgotten);
        Ok(pool)
    }

    /// Lets all of them go.
    pub(super) fn shut(&self) {
        let mut state = self.0.lock();
        state.shut = true;
        let pools = std::mem::take(&mut state.pools);
        drop(state);
        drop(pools);
    }

    /// How they stand, by name.
    pub(super) fn report(&self) -> Vec<(String, Report)> {
        let state = self.0.lock();
        let mut reports: Vec<_> = state.pools.iter().map(|(name, known)| (name.clone(), known.pool.report())).collect();
        drop(state);
        reports.sort_by(|one, other| one.0.cmp(&other.0));
        reports
    }
}

impl State {
    fn make_room(&mut self) -> Result<Known, Fault> {
        let unused = self.pools.iter().filter(|(_, known)| Arc::strong_count(&known.pool) == 1);
        let oldest = unused.min_by_key(|(_, known)| known.used).map(|(name, _)| name.clone());
        oldest.and_then(|name| self.pools.remove(&name)).ok_or_else(|| Fault::Crowded {
            why: format!("requests to {MOST} other origins are under way"),
            retry_after: COME_BACK,
        })
    }
}
