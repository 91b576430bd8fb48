//! The sums over some of the measured calls: those of one phase, one tool, one server, one era, or all.

use std::collections::BTreeMap;
use std::io;

use hdrhistogram::Histogram;

/// Latencies from 1 µs to 2 minutes, to three digits.
const LONGEST_NS: u64 = 120_000_000_000;

/// Calls due after the warm-up, and how they ended.
pub(crate) struct Tally {
    pub(crate) right: u64,
    /// Those of them whose answer came before the end of the window.
    pub(crate) in_window: u64,
    pub(crate) wrong: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    /// Of right answers, from the intended instant of sending.
    pub(crate) latency: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { right: 0, in_window: 0, wrong: 0, errors: BTreeMap::new(), latency: histogram()? })
    }

    /// All of these together.
    pub(crate) fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> io::Result<Self> {
        let mut sum = Self::new()?;
        parts.into_iter().for_each(|part| sum.add(part));
        Ok(sum)
    }

    pub(crate) fn right(&mut self, latency_ns: u64, in_window: bool) {
        self.right += 1;
        self.in_window += u64::from(in_window);
        self.latency.saturating_record(latency_ns);
    }

    pub(crate) fn error(&mut self, kind: &str) {
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(kind.to_owned(), 1)),
        }
    }

    /// Calls that failed or were answered wrongly.
    pub(crate) fn failed(&self) -> u64 {
        self.wrong + self.errors.values().sum::<u64>()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.in_window += other.in_window;
        self.wrong += other.wrong;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        // Same bounds on both sides: nothing to refuse.
        let _ = self.latency.add(&other.latency);
    }
}

/// An empty histogram; all have the same bounds.
pub(crate) fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, LONGEST_NS, 3).map_err(io::Error::other)
}
