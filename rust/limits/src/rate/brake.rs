//! The outer brake: what stands above every policy while the machine itself is out of breath.
//!
//! CPU above 95 %, or some task waiting for a processor in more than 40 % of the time, for two seconds: all rates are
//! halved, and halved again for every two seconds more. They come back by a twentieth a second once it is over. Short
//! peaks do not count, and a source that fell silent lets go: a brake that nobody can see the reason of must not hold.

use std::time::Duration;

use crate::health::{Health, Share};

const CPU_ABOVE: f64 = 0.95;
const PSI_ABOVE: f64 = 0.40;
const HELD: Duration = Duration::from_secs(2);
const KEEP: f64 = 0.5;
const LEAST: f64 = 0.05;
const RETURN_PER_S: f64 = 0.05;

/// The part of every rate that is left.
#[derive(Clone, Debug)]
pub struct Brake {
    left: f64,
    pressed_since: Option<Duration>,
    stepped_at: Duration,
}

impl Brake {
    /// Not pressed.
    pub fn new() -> Self {
        Self { left: 1.0, pressed_since: None, stepped_at: Duration::ZERO }
    }

    /// The part of every rate that is left from the instant `now` on: all, or down to a twentieth.
    pub fn step(&mut self, health: &Health, now: Duration) -> Share {
        let since_last = now.saturating_sub(self.stepped_at);
        self.stepped_at = self.stepped_at.max(now);
        if !out_of_breath(health) {
            self.pressed_since = None;
            self.left = (self.left + RETURN_PER_S * since_last.as_secs_f64()).min(1.0);
        } else if now.saturating_sub(*self.pressed_since.get_or_insert(now)) >= HELD {
            self.pressed_since = Some(now);
            self.left = (self.left * KEEP).max(LEAST);
        }
        Share::clamped(self.left)
    }
}

impl Default for Brake {
    fn default() -> Self {
        Self::new()
    }
}

fn out_of_breath(health: &Health) -> bool {
    let above = |share: Option<Share>, limit| share.is_some_and(|share| share.get() > limit);
    above(health.cpu, CPU_ABOVE) || above(health.psi, PSI_ABOVE)
}
