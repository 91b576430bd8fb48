//! The near-free upstream as a child process: lines in on stdin, lines out on stdout, until stdin ends.
//!
//! Plain blocking reads and writes: nothing is cheaper for one pipe. Delayed answers go through a second thread.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::Behaviour;
use super::answer::{Answer, answer};
use crate::chance::Chance;

/// Serves one client on stdin and stdout.
///
/// # Errors
/// If reading or writing fails.
pub fn serve_stdio(behaviour: &Behaviour) -> io::Result<()> {
    let (late, due) = channel();
    let delayer = std::thread::spawn(move || write_when_due(&due));
    let mut input = io::stdin().lock();
    let mut bytes = BytesMut::with_capacity(64 * 1024);
    let mut chunk = vec![0; 64 * 1024];
    let (mut now, mut one) = (Vec::new(), Vec::new());
    let mut chance = Chance::new(1);
    loop {
        while let Some(end) = memchr(b'\n', &bytes) {
            one.clear();
            let line = bytes.get(..end).unwrap_or_default();
            let outcome =
                if line.trim_ascii().is_empty() { Answer::Nothing } else { answer(line, behaviour.eras, &mut one) };
            bytes.advance(end + 1);
            if matches!(outcome, Answer::Nothing | Answer::Count) {
                continue;
            }
            one.push(b'\n');
            if outcome == Answer::Call && behaviour.delays() {
                let then = Instant::now() + behaviour.delay(&mut chance);
                let _ = late.send((then, one.clone()));
            } else {
                now.extend_from_slice(&one);
            }
        }
        write_out(&now)?;
        now.clear();
        let read = input.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    drop(late);
    delayer.join().unwrap_or(Ok(()))
}

fn write_when_due(due: &Receiver<(Instant, Vec<u8>)>) -> io::Result<()> {
    let mut waiting: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let mut order = 0;
    let mut ended = false;
    while !(ended && waiting.is_empty()) {
        let first = waiting.keys().next().map(|(then, _)| *then);
        let wait = first.map_or(Duration::from_secs(3600), |then| then.saturating_duration_since(Instant::now()));
        if ended {
            std::thread::sleep(wait);
        } else {
            match due.recv_timeout(wait) {
                Ok((then, line)) => {
                    order += 1;
                    waiting.insert((then, order), line);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => ended = true,
            }
        }
        let now = Instant::now();
        let later = waiting.split_off(&(now, u64::MAX));
        let ripe: Vec<u8> = std::mem::replace(&mut waiting, later).into_values().flatten().collect();
        write_out(&ripe)?;
    }
    Ok(())
}

fn write_out(lines: &[u8]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut output = io::stdout().lock();
    output.write_all(lines)?;
    output.flush()
}
