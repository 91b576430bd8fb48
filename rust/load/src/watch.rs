//! A run seen from outside while it goes on: how far it is, and a way to end it early.
//!
//! The sending threads share nothing while they send. Each publishes what it has counted five times a second, from a task
//! of its own event loop (some 0.1 ms each time), and looks there whether it should stop. So watching costs the same
//! however often somebody looks.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::report::{Percentiles, Report};
use crate::tally::histogram;

/// How often a thread publishes.
pub(crate) const LOOK: Duration = Duration::from_millis(200);

/// What the threads of a run and those who watch it share.
#[derive(Default)]
pub(crate) struct Watch {
    stop: AtomicBool,
    threads: Mutex<Vec<Seen>>,
}

/// What one thread has counted.
struct Seen {
    elapsed: Duration,
    sent: u64,
    right: u64,
    failed: u64,
    /// Of its measured calls, and of its arrivals: filled anew each time, so that publishing asks for no memory.
    latency: Histogram<u64>,
    lag: Histogram<u64>,
}

/// How far a run is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// Since the first call was due, warm-up included.
    pub elapsed_s: f64,
    /// Calls sent,
    pub sent: u64,
    /// those answered right,
    pub right: u64,
    /// and those that ended otherwise.
    pub failed: u64,
    /// Of right answers to calls due after the warm-up so far, from the intended instant of sending.
    pub latency_ms: Percentiles,
    /// How late an open loop is for its own schedule.
    pub lag_ms: Percentiles,
}

impl Watch {
    /// Whether the run is to end.
    pub(crate) fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Takes over what a thread has counted.
    pub(crate) fn publish(&self, index: usize, ledger: &Ledger, elapsed: Duration) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while index >= threads.len() {
            let (latency, lag) = (histogram()?, histogram()?);
            threads.push(Seen { elapsed, sent: 0, right: 0, failed: 0, latency, lag });
        }
        let Some(seen) = threads.get_mut(index) else { return Ok(()) };
        seen.elapsed = elapsed;
        (seen.sent, seen.right, seen.failed) = (ledger.sent, ledger.right, ledger.ended() - ledger.right);
        seen.latency.reset();
        for era in &ledger.eras {
            // Same bounds on both sides, here and below: nothing to refuse.
            let _ = seen.latency.add(&era.latency);
        }
        let _ = seen.lag.set_to(&ledger.lag);
        Ok(())
    }

    fn progress(&self) -> io::Result<Progress> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut progress, mut latency, mut lag) = (Progress::default(), histogram()?, histogram()?);
        for seen in threads.iter() {
            progress.elapsed_s = progress.elapsed_s.max(seen.elapsed.as_secs_f64());
            progress.sent += seen.sent;
            progress.right += seen.right;
            progress.failed += seen.failed;
            let _ = latency.add(&seen.latency);
            let _ = lag.add(&seen.lag);
        }
        progress.latency_ms = Percentiles::of(&latency);
        progress.lag_ms = Percentiles::of(&lag);
        Ok(progress)
    }
}

/// A run on threads of its own. Dropped, it ends early by itself.
pub struct Running {
    watch: Arc<Watch>,
    outcome: Mutex<Outcome>,
}

enum Outcome {
    Awaited(Receiver<io::Result<Report>>),
    Here(Box<io::Result<Report>>),
}

impl Running {
    /// Starts one.
    ///
    /// # Errors
    /// If the plan makes no sense (`InvalidInput`), or there is no thread to be had.
    pub fn start(plan: Plan) -> io::Result<Self> {
        plan.check().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let watch = Arc::new(Watch::default());
        let (done, outcome) = sync_channel(1);
        let own = Arc::clone(&watch);
        std::thread::Builder::new().name("load".into()).spawn(move || {
            // Nobody waits any more if the handle is gone.
            let _ = done.send(crate::run::run_watched(&plan, Some(&own)));
        })?;
        Ok(Self { watch, outcome: Mutex::new(Outcome::Awaited(outcome)) })
    }

    /// Whether the run is over; waits for it, but not longer than that.
    pub fn wait(&self, patience: Duration) -> bool {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Outcome::Awaited(receiver) = &*outcome {
            match receiver.recv_timeout(patience) {
                Ok(found) => *outcome = Outcome::Here(found.into()),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => {
                    let lost = Err(io::Error::other("the thread of the run ended by itself"));
                    *outcome = Outcome::Here(Box::new(lost));
                }
            }
        }
        true
    }

    /// How far it is, as of a fifth of a second ago: a [`Progress`] as JSON.
    ///
    /// # Errors
    /// Never in practice: a histogram could not be made.
    pub fn progress_json(&self) -> io::Result<String> {
        Ok(serde_json::to_string(&self.watch.progress()?)?)
    }

    /// Sends no more; what is in flight is waited for.
    pub fn stop(&self) {
        self.watch.stop.store(true, Ordering::Relaxed);
    }

    /// What it found, as JSON; None while it goes on.
    ///
    /// # Errors
    /// If the target could not be opened at all.
    pub fn report_json(&self) -> io::Result<Option<String>> {
        match &*self.outcome.lock().unwrap_or_else(PoisonError::into_inner) {
            Outcome::Awaited(_) => Ok(None),
            Outcome::Here(found) => match &**found {
                Ok(report) => Ok(Some(serde_json::to_string(report)?)),
                Err(why) => Err(io::Error::new(why.kind(), why.to_string())),
            },
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
