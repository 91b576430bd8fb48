//! One call in flight: what has come for it, and who waits.
//!
//! The reader must never wait for the reader of one call, so a slot takes everything at once. It is bounded
//! all the same: a call whose client lets more than [`BACKLOG_BYTES`] of notifications pile up is ended.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::upstream::{Event, Failure, Long, Note, Question};

/// Bytes of notifications and questions that may wait for one call's client.
const BACKLOG_BYTES: usize = 4 << 20;
/// What an event costs beside its text.
const EVENT_BYTES: usize = 128;
/// Position of a request that was never queued.
const NEVER: u64 = u64::MAX;

/// One call in flight.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each says one thing of the call, and all go together")]
pub(super) struct Slot {
    /// The lease it came by.
    pub lease: u64,
    /// The server may ask a question while it works on this.
    pub asks: bool,
    /// A long answer is handed over piece by piece.
    pub may_be_long: bool,
    /// The answer too carries a subscription id.
    pub listens: bool,
    /// The client's id.
    pub id: Bytes,
    /// Not a call of anyone, but the gateway's.
    ours: bool,
    position: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    token: Option<Bytes>,
    queue: VecDeque<Event>,
    bytes: usize,
    end: Option<Event>,
    waker: Option<Waker>,
}

/// The call's client is too slow.
#[derive(Debug)]
pub(super) struct Flooded;

impl Slot {
    /// A call that has not been written.
    pub(super) fn new(lease: u64, id: Bytes, asks: bool, listens: bool) -> Self {
        let (position, inner) = (AtomicU64::new(NEVER), Mutex::new(Inner::default()));
        Self { lease, asks, may_be_long: false, listens, id, ours: false, position, inner }
    }

    /// A request of the gateway's own.
    pub(super) fn ours(id: Bytes, listens: bool) -> Self {
        Self { ours: true, ..Self::new(0, id, false, listens) }
    }

    /// True for somebody's call that is to be answered before long.
    pub(super) fn is_owed(&self) -> bool {
        !self.listens && !self.ours
    }

    /// Notes where in the stream the request begins, and the client's progress token.
    pub(super) fn queued(&self, position: u64, token: Option<Bytes>) {
        self.position.store(position, Ordering::Relaxed);
        if token.is_some() {
            self.inner.lock().token = token;
        }
    }

    /// True if the request stands in the stream at all.
    pub(super) fn is_queued(&self) -> bool {
        self.position.load(Ordering::Relaxed) != NEVER
    }

    /// True if a part of the request may have reached the server, which has `written` bytes.
    pub(super) fn was_sent(&self, written: u64) -> bool {
        self.position.load(Ordering::Relaxed) < written
    }

    /// The client's progress token.
    pub(super) fn token(&self) -> Option<Bytes> {
        self.inner.lock().token.clone()
    }

    /// Hands over a notification.
    pub(super) fn note(&self, note: Note) -> Result<(), Flooded> {
        let bytes = note.params.len() + EVENT_BYTES;
        self.push(Event::Note(note), bytes)
    }

    /// Hands over a question.
    pub(super) fn ask(&self, question: Question) -> Result<(), Flooded> {
        let bytes = question.params.len() + EVENT_BYTES;
        self.push(Event::Ask(question), bytes)
    }

    fn push(&self, event: Event, bytes: usize) -> Result<(), Flooded> {
        let mut inner = self.inner.lock();
        if inner.bytes + bytes > BACKLOG_BYTES {
            return Err(Flooded);
        }
        inner.bytes += bytes;
        inner.queue.push_back(event);
        wake(inner);
        Ok(())
    }

    /// Ends the call; the first end counts.
    pub(super) fn end(&self, outcome: Result<Bytes, Failure>) {
        self.end_with(Event::End(outcome));
    }

    /// Ends the call with an answer that is not held.
    pub(super) fn end_long(&self, long: Long) {
        self.end_with(Event::Long(long));
    }

    fn end_with(&self, end: Event) {
        let mut inner = self.inner.lock();
        if inner.end.is_none() {
            inner.end = Some(end);
        }
        wake(inner);
    }

    /// The next event.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Event> {
        let mut inner = self.inner.lock();
        if let Some(event) = inner.queue.pop_front() {
            inner.bytes =
                if inner.queue.is_empty() { 0 } else { inner.bytes.saturating_sub(EVENT_BYTES + size(&event)) };
            return Poll::Ready(event);
        }
        if let Some(end) = inner.end.take() {
            return Poll::Ready(end);
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Note(note) => note.params.len(),
        Event::Ask(question) => question.params.len(),
        Event::Pause { .. } | Event::Long(_) | Event::End(_) => 0,
    }
}

fn wake(mut inner: parking_lot::MutexGuard<'_, Inner>) {
    let waker = inner.waker.take();
    drop(inner);
    if let Some(waker) = waker {
        waker.wake();
    }
}
