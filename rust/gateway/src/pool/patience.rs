//! How long a connection may rest before it is closed.
//!
//! A server closes what rests too long (uvicorn and Node after 5 s, some after one) and does not say when. A
//! request sent at that moment is lost, and nobody knows whether it ran. So connections are closed here first:
//! a second before the shortest rest after which the server was seen to close one, or half of it where that is
//! less. Of a server of which nothing is known, connections are used again only after short rests, until a *scout*,
//! a connection that is used no more, has shown how long one is left open; so not even the first call is lost. Another
//! scout corrects what was no limit: a server that is restarted closes connections of any age.

use std::time::Duration;

/// How much earlier than the server, if its time allows.
const MARGIN: Duration = Duration::from_secs(1);
/// So many sights are remembered: one that was no limit is outvoted in time.
const SIGHTS: usize = 4;
/// As long as nothing is known, the configured rest is divided by this.
const CAUTION: u32 = 8;
/// A server that promises more is not believed.
const LONGEST: Duration = Duration::from_secs(600);

/// What is known of a server's patience.
#[derive(Debug)]
pub(super) struct Patience {
    start: Duration,
    told: Option<Duration>,
    seen: [Option<Duration>; SIGHTS],
    next: usize,
    proven: bool,
}

impl Patience {
    /// Nothing is known; connections are to rest for `start`, if the server lets them.
    pub(super) fn new(start: Duration) -> Self {
        Self { start, told: None, seen: [None; SIGHTS], next: 0, proven: false }
    }

    /// A connection that has rested so long is of no more use.
    pub(super) fn limit(&self) -> Duration {
        let most = self.most();
        let limit = self.seen.iter().flatten().min().map_or(most, |seen| before(*seen).min(most));
        let known = self.proven || self.is_learned();
        if known { limit } else { limit.min(self.start / CAUTION) }
    }

    /// True once the server has shown or told how long it waits.
    pub(super) fn is_learned(&self) -> bool {
        self.told.is_some() || self.seen.iter().any(Option::is_some)
    }

    /// True if a connection is wanted that shows whether the server still closes so early.
    pub(super) fn wants_scout(&self) -> bool {
        self.limit() < self.most()
    }

    /// A scout that has rested so long has shown that the server waits.
    pub(super) fn enough(&self) -> Duration {
        self.most() + MARGIN
    }

    /// The server said `Keep-Alive: timeout=`.
    pub(super) fn told(&mut self, promise: Duration) {
        self.told = Some(promise.min(LONGEST));
    }

    /// The server closed a connection that had rested so long.
    pub(super) fn closed(&mut self, rested: Duration) {
        if let Some(place) = self.seen.get_mut(self.next) {
            *place = Some(rested);
        }
        self.next = (self.next + 1) % SIGHTS;
    }

    /// A scout was left open: connections may rest, and what was seen earlier was no limit.
    pub(super) fn outlived(&mut self) {
        self.seen = [None; SIGHTS];
        self.proven = true;
    }

    fn most(&self) -> Duration {
        self.told.map_or(self.start, before)
    }
}

fn before(closes: Duration) -> Duration {
    closes.saturating_sub(MARGIN.min(closes / 2))
}

/// The seconds in a `Keep-Alive` header.
pub(super) fn promised(header: &str) -> Option<Duration> {
    let timeout = header.split(',').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("timeout").then_some(value)
    })?;
    timeout.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn fresh() -> Patience {
        Patience::new(ms(4_000))
    }

    #[test]
    fn the_limit_stays_a_second_or_half_below_what_was_seen() {
        for (closes, limit) in
            [(5_000, 4_000), (4_500, 3_500), (2_000, 1_000), (1_000, 500), (200, 100), (9_000, 4_000)]
        {
            let mut patience = fresh();
            patience.closed(ms(closes));
            assert_eq!(patience.limit(), ms(limit), "closes after {closes} ms");
        }
    }

    #[test]
    fn the_shortest_of_the_last_four_sights_counts() {
        let mut patience = fresh();
        patience.closed(ms(10));
        for _ in 0..3 {
            patience.closed(ms(3_000));
            assert_eq!(patience.limit(), ms(5));
        }
        patience.closed(ms(3_000));
        assert_eq!(patience.limit(), ms(2_000));
    }

    #[test]
    fn a_promise_counts_until_less_is_seen() {
        let mut patience = fresh();
        patience.told(ms(75_000));
        assert_eq!((patience.limit(), patience.is_learned()), (ms(74_000), true));
        patience.closed(ms(20_000));
        assert_eq!(patience.limit(), ms(19_000));
        patience.told(Duration::from_secs(1_000_000));
        patience.outlived();
        assert_eq!(patience.limit(), ms(599_000));
    }

    #[test]
    fn a_scout_that_is_left_open_makes_the_limit_what_it_was() {
        let mut patience = fresh();
        patience.closed(ms(30));
        assert!(patience.wants_scout() && patience.is_learned());
        assert_eq!(patience.enough(), ms(5_000));
        patience.outlived();
        assert_eq!((patience.limit(), patience.is_learned()), (ms(4_000), false));
    }

    #[test]
    fn as_long_as_nothing_is_known_rests_are_short() {
        let mut patience = fresh();
        assert!(patience.wants_scout() && !patience.is_learned());
        assert_eq!(patience.limit(), ms(500));
        patience.outlived();
        assert!(!patience.wants_scout() && !patience.is_learned());
        assert_eq!(patience.limit(), ms(4_000));
    }

    #[test]
    fn the_header_is_read_in_every_spelling() {
        let seconds = |text| promised(text).map(|promise| promise.as_secs());
        assert_eq!(seconds("timeout=5"), Some(5));
        assert_eq!(seconds("max=100, Timeout = \"7\""), Some(7));
        assert_eq!(seconds("max=100"), None);
        assert_eq!(seconds("timeout=soon"), None);
        assert_eq!(seconds(""), None);
    }
}
