//! A small log-linear histogram of nanoseconds, for the many moments of a run: 1.7 KB, values to within 6 %.
//!
//! Sixteen equal parts between a power of two and the next. What is reported of the whole run and of its parts comes
//! from histograms of three digits instead; this one is for curves over time.

use serde::Serialize;

/// Parts between a power of two and the next.
const PARTS_BITS: u32 = 4;
const PARTS: usize = 1 << PARTS_BITS;
/// From 2^10 ns, about a microsecond, to 2^37 ns, more than two minutes. What lies outside counts as the outermost.
const LEAST_BITS: u32 = 10;
const OCTAVES: usize = 27;

/// Counts by size.
#[derive(Clone)]
pub(crate) struct Coarse {
    counts: Box<[u32]>,
    max_ns: u64,
}

/// What a moment shows: milliseconds, and counts by powers of two.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Spread {
    /// The median.
    pub p50_ms: f64,
    /// 99 in 100 are below.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// How many took from 2^(10+n) ns (1 us, nearly) to twice as long; the first has what is shorter, too.
    pub by_power: Vec<u64>,
}

impl Default for Coarse {
    fn default() -> Self {
        Self { counts: vec![0; OCTAVES * PARTS].into(), max_ns: 0 }
    }
}

impl Coarse {
    pub(crate) fn record(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(place(ns)) {
            *count = count.saturating_add(1);
        }
        self.max_ns = self.max_ns.max(ns);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*others);
        }
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// What it shows.
    pub(crate) fn spread(&self) -> Spread {
        let sum = |counts: &[u32]| counts.iter().map(|&count| u64::from(count)).sum::<u64>();
        let mut by_power: Vec<u64> = self.counts.chunks(PARTS).map(sum).collect();
        while by_power.len() > 1 && by_power.last() == Some(&0) {
            by_power.pop();
        }
        Spread { p50_ms: self.at(0.5), p99_ms: self.at(0.99), max_ms: ms(self.max_ns), by_power }
    }

    /// The value, in milliseconds, that this share of all do not exceed.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn at(&self, quantile: f64) -> f64 {
        let all: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let wanted = ((all as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (place, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return ms(end(place).min(self.max_ns));
            }
        }
        0.0
    }
}

/// Where a value is counted.
fn place(ns: u64) -> usize {
    let Some(octave) = ns.checked_ilog2().and_then(|bits| bits.checked_sub(LEAST_BITS)) else { return 0 };
    // Shifted so far, the highest bit stands for the octave and those below it for the part.
    let part = usize::try_from(ns >> (octave + LEAST_BITS - PARTS_BITS)).unwrap_or(0) & (PARTS - 1);
    (octave as usize * PARTS + part).min(OCTAVES * PARTS - 1)
}

/// The first value that is counted beyond a place.
fn end(place: usize) -> u64 {
    let (octave, part) = (place / PARTS, place % PARTS);
    ((PARTS + part + 1) as u64) << (octave + (LEAST_BITS - PARTS_BITS) as usize)
}

#[allow(clippy::cast_precision_loss)] // below 2^53 ns are 104 days
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::{Coarse, end, place};

    #[test]
    fn every_value_is_within_its_place_and_a_place_is_narrow() {
        let mut ns = 1_500_u64;
        while ns < 100_000_000_000 {
            let (above, below) = (end(place(ns)), end(place(ns) - 1));
            assert!(below <= ns && ns < above, "{ns} is not in {below}..{above}");
            #[allow(clippy::cast_precision_loss)]
            let width = (above - below) as f64 / ns as f64;
            assert!(width <= 0.0626, "{ns}: {width}");
            ns += ns / 7;
        }
        assert_eq!(place(0), 0);
    }

    #[test]
    fn percentiles_are_within_a_sixteenth_and_powers_add_up() {
        let mut coarse = Coarse::default();
        (1..=1_000).for_each(|us| coarse.record(us * 1_000));
        let spread = coarse.spread();
        assert!((0.5..=0.532).contains(&spread.p50_ms), "{spread:?}");
        assert!((0.99..=1.0).contains(&spread.p99_ms), "{spread:?}");
        assert_eq!(spread.by_power.iter().sum::<u64>(), 1_000);
        assert!((spread.max_ms - 1.0).abs() < 1e-9);
    }
}
