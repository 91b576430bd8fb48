//! The way out: one buffer, one writer.
//!
//! Callers append whole lines under a short lock and never touch the descriptor. The writer lets everyone who
//! is ready append first (one trip through the scheduler) and then writes what is there in one call, so that
//! a busy connection costs one write for many requests and a quiet one is not delayed. The buffer is bounded
//! by bytes: callers wait for room, so a server that stops reading holds its callers and not our memory.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
};

/// Bytes that may wait before callers do.
const ROOM_BYTES: usize = 1 << 20;
/// A drained buffer larger than this is given back.
const KEEP_BYTES: usize = 64 << 10;

/// Lines waiting for the writer.
#[derive(Debug)]
pub(super) struct Outlet {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    queued: u64,
    written: u64,
    waiting: Vec<Waker>,
    closed: bool,
}

/// There is no room now, or never again.
#[derive(Debug)]
pub(super) struct Full;

impl Outlet {
    /// An outlet that begins with these bytes.
    pub(super) fn new(opening: Vec<u8>) -> Self {
        let state = State { queued: opening.len() as u64, buffer: opening, ..State::default() };
        Self { state: Mutex::new(state), ready: Notify::new() }
    }

    /// Appends a line if there is room; the writer of it is told where in the stream it begins. Line breaks
    /// inside the text (legal between JSON tokens) become spaces; a failed text leaves nothing behind.
    pub(super) fn push<E>(
        &self,
        write: impl FnOnce(&mut Vec<u8>, u64) -> Result<(), E>,
    ) -> Result<Result<(), E>, Full> {
        let mut state = self.state.lock();
        if state.closed || state.buffer.len() >= ROOM_BYTES {
            return Err(Full);
        }
        let pushed = state.append(write);
        drop(state);
        if pushed.is_ok() {
            self.ready.notify_one();
        }
        Ok(pushed)
    }

    /// Appends a line whether there is room or not: for what must not wait (cancels, answers).
    pub(super) fn force(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let _ = state.append(|out, _| {
            write(out);
            Ok::<(), ()>(())
        });
        drop(state);
        self.ready.notify_one();
    }

    /// Ready when there is room, or when it is too late.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.closed || state.buffer.len() < ROOM_BYTES {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// How far the stream has been handed to the kernel.
    pub(super) fn written(&self) -> u64 {
        self.state.lock().written
    }

    /// Ends the outlet; everyone who waits is woken.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        self.ready.notify_one();
    }

    /// Writes until the outlet is closed or the stream fails.
    pub(super) async fn drain(&self, mut stream: impl AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut batch = Vec::new();
        loop {
            if !self.swap(&mut batch) {
                return stream.shutdown().await;
            }
            if batch.is_empty() {
                self.ready.notified().await;
                tokio::task::yield_now().await;
                continue;
            }
            let done = write_all(&mut stream, &batch, |count| self.state.lock().written += count as u64).await;
            batch.clear();
            batch.shrink_to(KEEP_BYTES);
            done?;
        }
    }

    /// Takes what waits; false when there will be no more.
    fn swap(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.state.lock();
        std::mem::swap(&mut state.buffer, batch);
        let waiting = std::mem::take(&mut state.waiting);
        let open = !state.closed || !batch.is_empty();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        open
    }
}

async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    mut rest: &[u8],
    mut progress: impl FnMut(usize),
) -> std::io::Result<()> {
    while !rest.is_empty() {
        match stream.write(rest).await? {
            0 => return Err(std::io::ErrorKind::WriteZero.into()),
            count => {
                progress(count);
                rest = rest.get(count..).unwrap_or_default();
            }
        }
    }
    stream.flush().await
}

impl State {
    fn append<E>(&mut self, write: impl FnOnce(&mut Vec<u8>, u64) -> Result<(), E>) -> Result<(), E> {
        let from = self.buffer.len();
        if let Err(error) = write(&mut self.buffer, self.queued) {
            self.buffer.truncate(from);
            return Err(error);
        }
        if let Some(line) = self.buffer.get_mut(from..) {
            one_line(line);
        }
        self.buffer.push(b'\n');
        self.queued += (self.buffer.len() - from) as u64;
        Ok(())
    }
}

/// JSON allows line breaks only between tokens, where a space means the same.
fn one_line(mut text: &mut [u8]) {
    while let Some(at) = memchr::memchr2(b'\n', b'\r', text) {
        let (_, rest) = text.split_at_mut(at);
        let Some((found, rest)) = rest.split_first_mut() else { return };
        *found = b' ';
        text = rest;
    }
}
