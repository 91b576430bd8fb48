//! The near-free upstream over a Unix socket: all lines of one read are answered in one write.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use super::answer::{Answer, answer};
use super::{Behaviour, free_name};
use crate::chance::Chance;

/// Serves on a socket until the task is dropped. Runs in a `LocalSet`.
///
/// # Errors
/// If the name cannot be bound or the listener fails.
pub async fn serve_unix(path: &Path, behaviour: Behaviour, ready: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    free_name(path)?;
    let listener = UnixListener::bind(path)?;
    ready()?;
    let behaviour = Rc::new(behaviour);
    loop {
        let (stream, _) = listener.accept().await?;
        let behaviour = Rc::clone(&behaviour);
        tokio::task::spawn_local(async move {
            // A connection that breaks is its client's business.
            let _ = one_connection(stream, behaviour).await;
        });
    }
}

/// Answers waiting to be written, by whoever made them.
#[derive(Default)]
struct Outbox {
    lines: RefCell<Vec<u8>>,
    filled: Notify,
}

async fn one_connection(stream: UnixStream, behaviour: Rc<Behaviour>) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let outbox = Rc::new(Outbox::default());
    let source = Rc::clone(&outbox);
    let writing = tokio::task::spawn_local(async move {
        loop {
            let lines = source.lines.take();
            if lines.is_empty() {
                source.filled.notified().await;
            } else if writer.write_all(&lines).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = BytesMut::with_capacity(64 * 1024);
    let mut chance = Chance::new(1);
    let outcome = loop {
        while let Some(end) = memchr(b'\n', &bytes) {
            let line = bytes.get(..end).unwrap_or_default();
            if !line.trim_ascii().is_empty() {
                take(line, &behaviour, &mut chance, &outbox);
            }
            bytes.advance(end + 1);
        }
        if !outbox.lines.borrow().is_empty() {
            outbox.filled.notify_one();
        }
        bytes.reserve(64 * 1024);
        match reader.read_buf(&mut bytes).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    writing.abort();
    outcome
}

fn take(line: &[u8], behaviour: &Behaviour, chance: &mut Chance, outbox: &Rc<Outbox>) {
    if !behaviour.delays() {
        let mut lines = outbox.lines.borrow_mut();
        if !matches!(answer(line, behaviour.eras, &mut lines), Answer::Nothing | Answer::Count) {
            lines.push(b'\n');
        }
        return;
    }
    let mut out = Vec::new();
    let outcome = answer(line, behaviour.eras, &mut out);
    if matches!(outcome, Answer::Nothing | Answer::Count) {
        return;
    }
    out.push(b'\n');
    if outcome != Answer::Call {
        outbox.lines.borrow_mut().extend_from_slice(&out);
        return;
    }
    let (delay, outbox) = (behaviour.delay(chance), Rc::clone(outbox));
    tokio::task::spawn_local(async move {
        tokio::time::sleep(delay).await;
        outbox.lines.borrow_mut().extend_from_slice(&out);
        outbox.filled.notify_one();
    });
}
