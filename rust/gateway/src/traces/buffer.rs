//! Spans that have ended and are not exported yet.
//!
//! The rule: no request waits for whoever exports. The buffer is bounded; what finds no room is dropped and counted.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::span::Span;
use crate::metrics::head;

/// The buffer, and what became of all that was put into it.
#[derive(Debug)]
pub struct Buffer {
    state: Mutex<State>,
    enough: Condvar,
    most: usize,
    batch: usize,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    spans: VecDeque<Span>,
    is_closed: bool,
}

impl Buffer {
    /// Room for so many; who waits is woken when there are `batch`.
    pub(super) fn new(most: usize, batch: usize) -> Self {
        let (state, enough) = (Mutex::default(), Condvar::new());
        let [exported, failed, dropped] = [const { AtomicU64::new(0) }; 3];
        Self { state, enough, most, batch: batch.clamp(1, most.max(1)), exported, failed, dropped }
    }

    /// A span has ended.
    pub(super) fn push(&self, span: Span) {
        let mut state = self.state.lock();
        if state.is_closed || state.spans.len() >= self.most {
            drop(state);
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        state.spans.push_back(span);
        let is_enough = state.spans.len() == self.batch;
        drop(state);
        if is_enough {
            self.enough.notify_one();
        }
    }

    /// All spans there are, oldest first, once there are enough or `patience` is over; nothing if there will be no more.
    pub fn take(&self, patience: Duration) -> Option<VecDeque<Span>> {
        let mut state = self.state.lock();
        if state.spans.len() < self.batch && !state.is_closed {
            let _ = self.enough.wait_for(&mut state, patience);
        }
        let spans = std::mem::take(&mut state.spans);
        (!spans.is_empty() || !state.is_closed).then_some(spans)
    }

    /// What became of spans that were taken.
    pub fn exported(&self, exported: u64, failed: u64) {
        self.exported.fetch_add(exported, Relaxed);
        self.failed.fetch_add(failed, Relaxed);
    }

    /// No more spans come.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.enough.notify_all();
    }

    /// What became of all spans, for scrapers.
    pub(crate) fn render(&self, text: &mut String) {
        head(text, "omnimind_spans_total", "counter", "Spans of traces, by what became of them.");
        for (state, count) in [("exported", &self.exported), ("failed", &self.failed), ("dropped", &self.dropped)] {
            let _ = writeln!(text, "omnimind_spans_total{{state=\"{state}\"}} {}", count.load(Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;
    use crate::traces::span::Kind;

    fn span(number: u64) -> Span {
        Span {
            trace: 1,
            span: number,
            parent: None,
            is_remote: false,
            flags: 1,
            state: None,
            kind: Kind::Server,
            name: String::new(),
            start_ns: 0,
            end_ns: 0,
            attributes: Vec::new(),
            failed: false,
        }
    }

    fn taken(buffer: &Buffer, patience: Duration) -> Option<Vec<u64>> {
        buffer.take(patience).map(|spans| spans.iter().map(|span| span.span).collect())
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let buffer = Buffer::new(3, 2);
        (1..=5).for_each(|number| buffer.push(span(number)));
        assert_eq!(taken(&buffer, Duration::ZERO), Some(vec![1, 2, 3]));
        buffer.push(span(6));
        assert_eq!(taken(&buffer, Duration::ZERO), Some(vec![6]));
        buffer.exported(3, 1);
        let mut text = String::new();
        buffer.render(&mut text);
        for line in ["{state=\"exported\"} 3", "{state=\"failed\"} 1", "{state=\"dropped\"} 2"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn who_waits_is_woken_by_enough_and_not_by_one() {
        let buffer = Arc::new(Buffer::new(16, 2));
        buffer.push(span(1));
        assert_eq!(taken(&buffer, Duration::from_millis(20)), Some(vec![1]), "the time is over");
        let waiting = std::thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || (Instant::now(), taken(&buffer, Duration::from_secs(60)))
        });
        std::thread::sleep(Duration::from_millis(20));
        buffer.push(span(2));
        std::thread::sleep(Duration::from_millis(20));
        buffer.push(span(3));
        let (since, spans) = waiting.join().unwrap_or((Instant::now(), None));
        assert_eq!(spans, Some(vec![2, 3]));
        assert!(since.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_rest_is_handed_out_after_the_end_and_then_nothing() {
        let buffer = Buffer::new(16, 8);
        buffer.push(span(1));
        buffer.close();
        buffer.push(span(2));
        assert_eq!(taken(&buffer, Duration::from_secs(60)), Some(vec![1]));
        assert_eq!(taken(&buffer, Duration::from_secs(60)), None);
    }
}
