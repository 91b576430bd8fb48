//! Where a caller finds what became of its requests.
//!
//! One descriptor is readable while there is something, so an event loop of any kind can wait for all of its requests at
//! once and no thread of ours has to enter it. A request that its caller gives up is dropped with everything it
//! holds; one that ends without a word, which none should, is answered as lost.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Weak},
};

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::event::EventfdFlags;
use tokio::{runtime::Handle, task::AbortHandle};

use super::{
    answer::{Body, Head},
    engine::Native,
    fault::Fault,
};

/// What became of a request, or of a wish for more of its answer.
#[derive(Debug)]
pub enum Outcome {
    /// The head of an answer, and what is to be read.
    Head(Head, Body),
    /// A whole answer.
    Whole(Head, Vec<Bytes>),
    /// Some of an answer; nothing, after its end.
    Pieces(Vec<Bytes>),
    /// Neither.
    Failed(Fault),
}

/// The inbox.
#[derive(Debug)]
pub struct Inbox {
    letters: Native<Mutex<Letters>>,
    signal: OwnedFd,
}

#[derive(Debug, Default)]
struct Letters {
    last: u64,
    running: HashMap<u64, AbortHandle>,
    done: Vec<(u64, Outcome)>,
}

impl Inbox {
    /// An empty inbox.
    ///
    /// # Errors
    /// The kernel refused an event descriptor.
    pub fn new() -> io::Result<Arc<Self>> {
        let signal = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { letters: Native::new(Mutex::default()), signal }))
    }

    /// Readable while there is something.
    pub fn signal(&self) -> BorrowedFd<'_> {
        self.signal.as_fd()
    }

    /// All that has come, by number.
    pub fn take(&self) -> Vec<(u64, Outcome)> {
        let mut letters = self.letters.lock();
        let _ = rustix::io::read(&self.signal, &mut [0u8; 8]);
        std::mem::take(&mut letters.done)
    }

    /// Gives one up.
    pub fn forget(&self, number: u64) {
        let mut letters = self.letters.lock();
        if let Some(running) = letters.running.remove(&number) {
            running.abort();
            return;
        }
        let place = letters.done.iter().position(|(done, _)| *done == number);
        let letter = place.map(|place| letters.done.swap_remove(place));
        drop(letters);
        drop(letter);
    }

    /// Runs something under a number of its own.
    pub(super) fn run(self: &Arc<Self>, engine: &Handle, work: impl Future<Output = Outcome> + Send + 'static) -> u64 {
        let mut letters = self.letters.lock();
        letters.last = letters.last.wrapping_add(1);
        let number = letters.last;
        let envelope = Envelope { inbox: Arc::downgrade(self), number, letter: None };
        let task = engine.spawn(envelope.fill(work));
        letters.running.insert(number, task.abort_handle());
        number
    }

    fn put(&self, number: u64, outcome: Outcome) {
        let mut letters = self.letters.lock();
        if letters.running.remove(&number).is_none() {
            drop(letters);
            return drop(outcome);
        }
        if letters.done.is_empty() {
            let _ = rustix::io::write(&self.signal, &1u64.to_ne_bytes());
        }
        letters.done.push((number, outcome));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if self.letters.is_native() {
            for (_, running) in self.letters.lock().running.drain() {
                running.abort();
            }
        }
    }
}

/// Brings an outcome to its inbox when it is dropped, whatever for.
struct Envelope {
    inbox: Weak<Inbox>,
    number: u64,
    letter: Option<Outcome>,
}

impl Envelope {
    async fn fill(mut self, work: impl Future<Output = Outcome>) {
        self.letter = Some(work.await);
    }
}

impl Drop for Envelope {
    fn drop(&mut self) {
        let lost = || Outcome::Failed(Fault::Lost("it was given up".to_owned()));
        if let Some(inbox) = self.inbox.upgrade() {
            inbox.put(self.number, self.letter.take().unwrap_or_else(lost));
        }
    }
}
