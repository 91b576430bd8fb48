//! What waits for the writer, and the one lock of the level: it orders changes, and readers never take it.
//!
//! A caller changes the index and queues the command under the same lock, so the order of the log is the order of
//! the index. Puts are refused beyond a bound of bytes; a removal never is, because it undoes something that was
//! admitted, and there are no more of those than there are entries.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Record;
use crate::Key;

/// How long the writer gathers what it writes at once.
const BATCH: Duration = Duration::from_millis(5);

/// Something for the writer to do.
#[derive(Debug)]
pub(super) enum Command {
    Put {
        key: Key,
        fingerprint: u64,
        ticket: u64,
        record: Record,
    },
    Remove {
        key: Key,
    },
    Clear {
        group: Option<u32>,
    },
    /// Answered when all that was queued before it is in the file.
    Flush(SyncSender<()>),
}

#[derive(Debug, Default)]
struct Waiting {
    commands: Vec<Command>,
    bytes: u64,
    /// The writer sleeps until there is something.
    idle: bool,
    /// The writer shall not gather any longer.
    urgent: bool,
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    max_bytes: u64,
}

impl Queue {
    pub(super) fn new(max_bytes: u64) -> Queue {
        Queue { waiting: Mutex::default(), wake: Condvar::new(), max_bytes }
    }

    /// Queues what `change` returns, if so many bytes still fit; else tells it that they do not.
    /// `change` may return a command in both cases.
    pub(super) fn change(&self, bytes: u64, change: impl FnOnce(bool) -> Option<Command>) -> bool {
        let mut waiting = self.waiting.lock();
        let fits = waiting.bytes + bytes <= self.max_bytes;
        if let Some(command) = change(fits) {
            if fits {
                waiting.bytes += bytes;
            }
            waiting.urgent |= matches!(command, Command::Flush(_)) || waiting.bytes > self.max_bytes / 2;
            waiting.commands.push(command);
            if waiting.idle || waiting.urgent {
                waiting.idle = false;
                self.wake.notify_one();
            }
        }
        fits
    }

    /// The writer's side: waits for work, gathers a batch of it, takes all. False when closed and empty.
    pub(super) fn take(&self, into: &mut Vec<Command>) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.commands.is_empty() {
            if waiting.closed {
                return false;
            }
            waiting.idle = true;
            self.wake.wait(&mut waiting);
        }
        waiting.idle = false;
        let until = Instant::now() + BATCH;
        while !waiting.urgent && !waiting.closed && !self.wake.wait_until(&mut waiting, until).timed_out() {}
        waiting.urgent = false;
        waiting.bytes = 0;
        std::mem::swap(&mut waiting.commands, into);
        true
    }

    /// The writer ends after what is queued.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_one();
    }
}
