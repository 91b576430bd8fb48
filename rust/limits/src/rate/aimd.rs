//! A rate that feels its way: a little more each window that went well, a good part less when something overloads.
//!
//! Rules kept: the rate stays within its bounds; it is cut at once, and then at most once a window, so that a cut can
//! show its effect before the next; a window counts as gone well only if none of its readings was overloaded.

use std::time::Duration;

use super::policy::RatePolicy;
use crate::health::{Health, Share};
use crate::quota::Rate;

/// What an [`Aimd`] goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AimdRules {
    /// Where it starts.
    pub normal: Rate,
    /// Never less.
    pub floor: Rate,
    /// Never more.
    pub ceiling: Rate,
    /// What a window that went well adds.
    pub add: Rate,
    /// What a cut leaves of the rate.
    pub keep: Share,
    /// How long a window lasts.
    pub window: Duration,
    /// Readings above any of these are an overload.
    pub overload: Health,
}

/// Additive increase, multiplicative decrease.
#[derive(Clone, Debug)]
pub struct Aimd {
    rules: AimdRules,
    per_s: f64,
    window_from: Option<Duration>,
    cut_at: Option<Duration>,
}

impl Aimd {
    /// A policy by these rules. Where floor and ceiling cross, the floor holds.
    pub fn new(rules: AimdRules) -> Self {
        Self { per_s: rules.normal.per_s(), rules, window_from: None, cut_at: None }
    }

    fn is_over(&self, since: Option<Duration>, now: Duration) -> bool {
        since.is_some_and(|since| now.saturating_sub(since) >= self.rules.window)
    }
}

impl RatePolicy for Aimd {
    fn normal(&self) -> Rate {
        self.rules.normal
    }

    fn step(&mut self, health: &Health, now: Duration) -> Rate {
        if health.exceeds(&self.rules.overload) {
            if self.cut_at.is_none() || self.is_over(self.cut_at, now) {
                self.per_s *= self.rules.keep.get();
                self.cut_at = Some(now);
            }
            self.window_from = Some(now);
        } else if self.is_over(self.window_from, now) {
            self.per_s += self.rules.add.per_s();
            self.window_from = Some(now);
        } else {
            self.window_from.get_or_insert(now);
        }
        self.per_s = self.per_s.min(self.rules.ceiling.per_s()).max(self.rules.floor.per_s());
        Rate::clamped(self.per_s)
    }
}
