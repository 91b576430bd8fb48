//! Whether an origin is asked at all.
//!
//! One that fails five times in a row (no connection, no answer, 502, 503 or 504) is left alone: calls are refused
//! at once, with the time to come back, instead of each waiting for its own failure. It is 30 s the first time,
//! more every time it happens again, up to ten times that, and not quite the same for every gateway. Then calls come
//! back slowly: one at a time, twice as many after each that succeeds; a failure among them begins the next rest. One
//! that takes long holds nobody up: every so often the next one may try.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that are borne.
const FAILURES: u32 = 5;
/// The rest grows to so many times the first one.
const MOST_TIMES: u32 = 10;
/// So many calls at once, and the origin counts as well again.
const WELL: u32 = 64;
/// Who comes while others try whether it is well is told to come back after this.
const RETURNING: Duration = Duration::from_millis(1_500);

/// The health of an origin.
#[derive(Debug)]
pub(super) struct Health {
    rest: Duration,
    in_a_row: u32,
    times: u32,
    round: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Well,
    Out { until: Instant },
    Back { may: u32, out: u32, last: Instant },
}

/// What was let through: all is well, or it is one of the calls of this round that try whether it is.
pub(super) type Admitted = Option<u32>;

impl Health {
    /// A healthy origin whose first rest is this long.
    pub(super) fn new(rest: Duration) -> Self {
        Self { rest, in_a_row: 0, times: 0, round: 0, phase: Phase::Well }
    }

    /// True if a success would change nothing.
    pub(super) fn is_well(&self) -> bool {
        self.in_a_row == 0 && matches!(self.phase, Phase::Well)
    }

    /// How long calls are refused.
    pub(super) fn out_for(&self, now: Instant) -> Duration {
        match self.phase {
            Phase::Out { until } => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// Lets a call through, or says how long it is to stay away.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admitted, Duration> {
        match &mut self.phase {
            Phase::Well => return Ok(None),
            Phase::Out { until } if now < *until => return Err(*until - now),
            Phase::Out { .. } => self.phase = Phase::Back { may: 1, out: 1, last: now },
            Phase::Back { may, out, last } if *out < *may || now.duration_since(*last) >= RETURNING => {
                *out = out.saturating_add(1);
                *last = now;
            }
            Phase::Back { .. } => return Err(RETURNING),
        }
        Ok(Some(self.round))
    }

    /// A call was answered.
    pub(super) fn succeeded(&mut self, admitted: Admitted) {
        self.in_a_row = 0;
        self.ended(admitted);
        if let Phase::Back { may, .. } = &mut self.phase
            && admitted == Some(self.round)
        {
            *may = may.saturating_mul(2);
            if *may > WELL {
                self.phase = Phase::Well;
                self.times = 0;
            }
        }
    }

    /// A call failed; true if the origin is left alone from now on. `chance` is in `0.0..1.0`.
    pub(super) fn failed(&mut self, admitted: Admitted, now: Instant, chance: f64) -> bool {
        self.ended(admitted);
        let too_often = match self.phase {
            Phase::Well => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.in_a_row >= FAILURES
            }
            Phase::Back { .. } => admitted == Some(self.round),
            Phase::Out { .. } => false,
        };
        if too_often {
            self.in_a_row = 0;
            self.times = (self.times + 1).min(MOST_TIMES);
            self.round = self.round.wrapping_add(1);
            self.phase = Phase::Out { until: now + spread(self.rest.saturating_mul(self.times), chance) };
        }
        too_often
    }

    /// A call ended without showing anything.
    pub(super) fn ended(&mut self, admitted: Admitted) {
        if let Phase::Back { out, .. } = &mut self.phase
            && admitted == Some(self.round)
        {
            *out = out.saturating_sub(1);
        }
    }

    /// It can be reached again: calls may come back.
    pub(super) fn reached(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Out { .. }) {
            self.phase = Phase::Back { may: 1, out: 0, last: now };
        }
    }
}

/// This time, give or take a tenth.
pub(super) fn spread(time: Duration, chance: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    fn out(now: Instant) -> Health {
        let mut health = Health::new(REST);
        for n in 1..=5 {
            assert_eq!(health.failed(None, now, 0.5), n == 5);
        }
        health
    }

    /// As many successes as it takes, one after the other.
    fn returned(health: &mut Health, now: Instant) -> u32 {
        let mut calls = 0;
        while !health.is_well() {
            let admitted = health.admit(now).unwrap();
            health.succeeded(admitted);
            calls += 1;
        }
        calls
    }

    #[tokio::test]
    async fn five_failures_in_a_row_and_no_fewer_are_too_many() {
        let now = Instant::now();
        let mut health = Health::new(REST);
        for _ in 0..3 {
            for _ in 0..4 {
                assert!(!health.failed(None, now, 0.5));
            }
            assert_eq!(health.admit(now), Ok(None));
            health.succeeded(None);
        }
        assert_eq!(out(now).admit(now), Err(REST));
    }

    #[tokio::test]
    async fn every_further_rest_is_longer_up_to_ten_times() {
        let mut now = Instant::now();
        let mut health = out(now);
        for times in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10] {
            assert_eq!(health.out_for(now), REST * times);
            now += REST * times;
            let admitted = health.admit(now).unwrap();
            assert!(health.failed(admitted, now, 0.5));
        }
    }

    #[tokio::test]
    async fn calls_come_back_slowly_and_a_whole_return_clears_the_past() {
        let mut now = Instant::now();
        let mut health = out(now);
        now += REST;
        let first = health.admit(now).unwrap();
        assert_eq!(health.admit(now), Err(RETURNING), "one at a time");
        health.succeeded(first);
        let pair = [health.admit(now).unwrap(), health.admit(now).unwrap()];
        assert_eq!(health.admit(now), Err(RETURNING), "then two");
        for admitted in pair {
            health.ended(admitted);
        }
        assert!(health.admit(now).is_ok(), "who gives up makes room");
        assert_eq!(returned(&mut health, now), 6);
        for n in 1..=5 {
            assert_eq!(health.failed(None, now, 0.5), n == 5);
        }
        assert_eq!(health.out_for(now), REST, "it is the first time again");
    }

    #[tokio::test]
    async fn a_call_that_takes_long_does_not_keep_the_others_out() {
        let mut now = Instant::now();
        let mut health = out(now);
        now += REST;
        let slow = health.admit(now).unwrap();
        for _ in 0..3 {
            assert_eq!(health.admit(now), Err(RETURNING));
            now += RETURNING;
            assert!(health.admit(now).is_ok());
        }
        health.succeeded(slow);
    }

    #[tokio::test]
    async fn what_began_before_the_rest_counts_no_more() {
        let mut now = Instant::now();
        let mut health = out(now);
        assert!(!health.failed(None, now, 0.5), "late failures do not prolong it");
        now += REST;
        let old = health.admit(now).unwrap();
        assert!(health.failed(old, now, 0.5));
        now += REST * 2;
        let new = health.admit(now).unwrap();
        health.ended(old);
        assert_eq!(health.admit(now), Err(RETURNING), "a call of the last round makes no room in this one");
        assert!(!health.failed(None, now, 0.5));
        health.succeeded(new);
    }

    #[tokio::test]
    async fn an_origin_that_can_be_reached_is_tried_before_its_time() {
        let now = Instant::now();
        let mut health = out(now);
        health.reached(now);
        assert!(health.admit(now).is_ok());
        assert_eq!(health.admit(now), Err(RETURNING));
    }

    #[test]
    fn the_spread_is_a_tenth_to_both_sides() {
        for (chance, ms) in [(0.0, 27_000), (0.5, 30_000), (1.0, 33_000), (7.0, 33_000), (-1.0, 27_000)] {
            assert_eq!(spread(REST, chance).as_millis(), ms);
        }
    }
}
