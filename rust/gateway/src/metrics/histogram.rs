//! Times in buckets with exact bounds, as Prometheus counts them: a time belongs to the first bound that is not below it.
//!
//! The bounds go by 1, 2, 5 from 50 µs to 60 s. From 10 ms on they hold those that OpenTelemetry advises for MCP
//! (`0.01 … 60`), so that its dashboards read the same shares; below are the ones an answer from memory needs. Times are
//! compared in nanoseconds, never rounded first.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The bounds, and how they are written.
const BOUNDS: [(u64, &str); 19] = [
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (200_000, "0.0002"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_000_000, "0.002"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (20_000_000, "0.02"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (200_000_000, "0.2"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_000_000_000, "2"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
    (60_000_000_000, "60"),
];
/// With the one for what is slower than all bounds.
const BUCKETS: usize = BOUNDS.len() + 1;

/// Times that any thread adds.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

/// Times that one adds at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    counts: [u64; BUCKETS],
    sum_ns: u64,
}

/// The bucket of a time. The short ones are found first: they are many.
fn place(ns: u64) -> usize {
    BOUNDS.iter().position(|(bound_ns, _)| ns <= *bound_ns).unwrap_or(BUCKETS - 1)
}

/// Whole nanoseconds.
pub(crate) fn whole_ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Histogram {
    /// Two relaxed additions.
    pub(crate) fn add(&self, ns: u64) {
        if let Some(count) = self.counts.get(place(ns)) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// As of now. What is being added just then may be in the sum and not yet in a bucket, or the other way round.
    pub(crate) fn times(&self) -> Times {
        Times { counts: self.counts.each_ref().map(|count| count.load(Relaxed)), sum_ns: self.sum_ns.load(Relaxed) }
    }
}

impl Times {
    pub(crate) fn add(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(place(ns)) {
            *count = count.saturating_add(1);
        }
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Those of both.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// One series in Prometheus' text format; `labels` are written out, and may be empty.
    pub(crate) fn render(&self, text: &mut String, name: &str, labels: &str) {
        let (comma, own) = if labels.is_empty() { ("", String::new()) } else { (",", format!("{{{labels}}}")) };
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        let mut seen = 0_u64;
        for (bound, count) in bounds.zip(self.counts) {
            seen = seen.saturating_add(count);
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {seen}");
        }
        let (whole, part) = (self.sum_ns / 1_000_000_000, self.sum_ns % 1_000_000_000);
        let _ = writeln!(text, "{name}_sum{own} {whole}.{part:09}\n{name}_count{own} {seen}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_written_as_what_it_is_and_they_grow() {
        for (ns, written) in BOUNDS {
            let seconds: f64 = written.parse().unwrap();
            assert_eq!(Duration::from_secs_f64(seconds), Duration::from_nanos(ns), "{written}");
        }
        assert!(BOUNDS.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn a_time_belongs_to_the_first_bound_that_is_not_below_it() {
        for (at, (ns, _)) in BOUNDS.into_iter().enumerate() {
            assert_eq!([place(ns - 1), place(ns), place(ns + 1)], [at, at, at + 1]);
        }
        assert_eq!((place(0), place(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn both_kinds_tell_the_same_and_buckets_hold_all_below_them() {
        let (shared, mut own) = (Histogram::default(), Times::default());
        for ns in [1, 50_000, 50_001, 7_000_000, 70_000_000_000] {
            shared.add(ns);
            own.add(ns);
        }
        let told = |times: &Times, labels| {
            let mut text = String::new();
            times.render(&mut text, "x", labels);
            text
        };
        assert_eq!(told(&shared.times(), "a=\"b\""), told(&own, "a=\"b\""));
        let text = told(&own, "a=\"b\"");
        for line in [
            "x_bucket{a=\"b\",le=\"0.00005\"} 2\n",
            "x_bucket{a=\"b\",le=\"0.0001\"} 3\n",
            "x_bucket{a=\"b\",le=\"0.01\"} 4\n",
            "x_bucket{a=\"b\",le=\"60\"} 4\n",
            "x_bucket{a=\"b\",le=\"+Inf\"} 5\n",
            "x_sum{a=\"b\"} 70.007100002\n",
            "x_count{a=\"b\"} 5\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let mut twice = own.clone();
        twice.merge(&own);
        assert!(told(&twice, "").contains("x_sum 140.014200004\nx_count 10\n"));
        assert!(told(&own, "").contains("x_bucket{le=\"+Inf\"} 5\nx_sum 70."));
    }
}
