//! When the next call goes out: whenever a place is free (closed loop), or by the clock (open loop).
//!
//! An open loop never waits for answers: arrivals whose place is not free yet queue here with the instant they were
//! due, and their latency counts from it. The workers of one thread take from one pace. Who was idle the shortest takes
//! the next arrival, so that a quiet run uses few connections and a stall as many as it needs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::chance::Chance;
use crate::clock::Alarm;
use crate::ledger::{Ledger, ns};
use crate::plan::{Arrivals, Loop, Plan};
use crate::schedule::Schedule;

/// The pace of one thread.
pub(crate) struct Pace {
    mode: Mode,
    until: Cell<Instant>,
    /// Calls left to give out.
    left: Cell<u64>,
    /// An arrival that found no place for so long is not sent any more.
    patience: Duration,
    unsent: Cell<u64>,
    stopped: Notify,
}

enum Mode {
    Closed,
    Open { due: RefCell<VecDeque<Instant>>, added: Notify, ended: Cell<bool>, idle: Cell<usize> },
}

impl Pace {
    /// A thread's share of the plan, ending at `until` or after `count` calls.
    pub(crate) fn new(plan: &Plan, until: Instant, count: u64) -> Self {
        let mode = match plan.pacing {
            Loop::Closed => Mode::Closed,
            Loop::Open { .. } => Mode::Open {
                due: RefCell::default(),
                added: Notify::new(),
                ended: Cell::new(false),
                idle: Cell::new(0),
            },
        };
        Self {
            mode,
            until: Cell::new(until),
            left: Cell::new(count),
            patience: plan.timeout,
            unsent: Cell::new(0),
            stopped: Notify::new(),
        }
    }

    /// The instant the next call was due, or None when there are no more. Waits for it in an open loop.
    pub(crate) async fn next(&self) -> Option<Instant> {
        loop {
            if let Some(due) = self.try_next() {
                return Some(due);
            }
            let Mode::Open { added, ended, idle, .. } = &self.mode else { return None };
            if ended.get() {
                return None;
            }
            idle.set(idle.get() + 1);
            added.notified().await;
            idle.set(idle.get() - 1);
        }
    }

    /// The same without waiting: None also when nothing is due yet.
    pub(crate) fn try_next(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Closed => {
                let now = Instant::now();
                if now >= self.until.get() || !self.take_one() {
                    return None;
                }
                Some(now)
            }
            Mode::Open { due, .. } => self.first_in_time(&mut due.borrow_mut()),
        }
    }

    fn first_in_time(&self, due: &mut VecDeque<Instant>) -> Option<Instant> {
        while let Some(first) = due.pop_front() {
            if first.elapsed() <= self.patience {
                return Some(first);
            }
            self.unsent.set(self.unsent.get() + 1);
        }
        None
    }

    /// No call becomes due any more.
    pub(crate) fn stop(&self) {
        self.until.set(self.until.get().min(Instant::now()));
        self.stopped.notify_one();
    }

    /// When the last call may be due.
    pub(crate) fn until(&self) -> Instant {
        self.until.get()
    }

    /// Arrivals that were never sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.unsent.get()
    }

    fn take_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    /// Makes arrivals by the clock from `started` until the end of an open loop; returns at once for a closed one.
    pub(crate) async fn tick(
        &self,
        plan: &Plan,
        started: Instant,
        mut chance: Chance,
        ledger: &RefCell<Ledger>,
    ) -> io::Result<()> {
        let (Mode::Open { due, added, ended, idle }, Loop::Open { arrivals, .. }) = (&self.mode, plan.pacing) else {
            return Ok(());
        };
        let alarm = Alarm::new()?;
        let schedule = Schedule::new(plan, plan.threads);
        let mut gap = || if arrivals == Arrivals::Poisson { chance.exponential(1.0) } else { 1.0 };
        let mut at_s = 0.0;
        while let Some(next_s) = schedule.after(at_s, gap()) {
            at_s = next_s;
            let next = started + Duration::from_secs_f64(at_s);
            if next >= self.until.get() || !self.take_one() {
                break;
            }
            tokio::select! {
                biased;
                woken = alarm.wait_until(next) => woken?,
                () = self.stopped.notified() => break,
            }
            let now = Instant::now();
            if now >= self.until.get() {
                // Hopelessly behind; the report says how many arrivals were not made.
                break;
            }
            let lag = now.saturating_duration_since(next);
            ledger.borrow_mut().lag.saturating_record(ns(lag));
            if idle.get() <= due.borrow().len() {
                ledger.borrow_mut().waited += 1;
            }
            due.borrow_mut().push_back(next);
            added.notify_last();
            if lag > Duration::from_millis(1) {
                // Behind: let the workers run between arrivals, as they would have.
                tokio::task::yield_now().await;
            }
        }
        ended.set(true);
        added.notify_waiters();
        Ok(())
    }
}
