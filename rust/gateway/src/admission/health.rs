//! How the machine and its servers are: read once a second, told to the rates and to the brake.
//!
//! The brake is a budget of the whole house, spent in the order of the tiers: the servers of the lowest lose theirs first,
//! wholly, before the next one loses any.

use std::time::Duration;

use omnimind_limits::{CpuTimes, Health, Pressure, Share, rate::Brake};

use super::ledger::Lately;

/// Between two looks.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// Fewer calls say nothing of how long calls take, or how many fail.
const FEWEST: u32 = 20;
/// Tiers.
const TIERS: f64 = 3.0;

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    times: Option<CpuTimes>,
    pressure: Option<(Pressure, Duration)>,
    brake: Brake,
    seen: Health,
    /// What the brake leaves: all, or down to a twentieth.
    left: f64,
}

impl Vitals {
    pub(super) fn new() -> Self {
        Self { left: 1.0, ..Self::default() }
    }

    /// Reads the machine's counters, as the kernel tells them; what cannot be read is not known.
    pub(super) fn read(
        &mut self,
        stat: Option<&str>,
        pressure: Option<&str>,
        now: Duration,
    ) -> (Option<Share>, Option<Share>) {
        let times = stat.and_then(CpuTimes::parse);
        let pressure = pressure.and_then(Pressure::parse).map(|pressure| (pressure, now));
        let cpu = times.zip(self.times).and_then(|(times, before)| times.busy_since(&before));
        let psi = pressure
            .zip(self.pressure)
            .and_then(|((pressure, now), (before, since))| pressure.waiting_since(&before, now.saturating_sub(since)));
        (self.times, self.pressure) = (times, pressure);
        (cpu, psi)
    }

    /// Takes a reading; what the brake leaves from now on, unless it leaves all as it did before.
    pub(super) fn heed(&mut self, health: Health, now: Duration) -> Option<f64> {
        let before = self.left;
        self.seen = health;
        self.left = self.brake.step(&health, now).get();
        (self.left < 1.0 || before < 1.0).then_some(self.left)
    }

    /// What was seen last, and what the brake leaves.
    pub(super) fn view(&self) -> (Health, f64) {
        (self.seen, self.left)
    }
}

/// How calls went lately: the time that 99 of 100 stay under, and the share that failed.
pub(super) fn of_calls(lately: &Lately) -> (Option<Duration>, Option<Share>) {
    let calls = lately.services.len();
    if calls < FEWEST {
        return (None, None);
    }
    (lately.services.under(990), Share::new((f64::from(lately.dropped) / f64::from(calls)).min(1.0)))
}

/// What is left of a server's limit where the house has `left` of its budget.
pub(super) fn of_tier(left: f64, tier: &str) -> f64 {
    let before_it = match tier {
        "critical" => 0.0,
        "high" => 1.0,
        _ => 2.0,
    };
    (left * TIERS - before_it).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn busy(percent: u8) -> Health {
        Health { cpu: Share::percent(percent), ..Health::default() }
    }

    #[test]
    fn servers_lose_their_budget_in_the_order_of_their_tiers() {
        let of = |left| ["medium", "high", "critical"].map(|tier| of_tier(left, tier));
        let near = |left, expected: [f64; 3]| {
            assert!(of(left).iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-9), "{:?}", of(left));
        };
        near(1.0, [1.0, 1.0, 1.0]);
        near(0.8, [0.4, 1.0, 1.0]);
        near(0.5, [0.0, 0.5, 1.0]);
        near(0.25, [0.0, 0.0, 0.75]);
        near(0.05, [0.0, 0.0, 0.15]);
    }

    #[test]
    fn the_brake_is_heard_of_while_it_is_on_and_once_when_it_lets_go() {
        let mut vitals = Vitals::new();
        assert_eq!(vitals.heed(busy(99), S), None);
        assert_eq!(vitals.heed(busy(99), 2 * S), None);
        assert_eq!(vitals.heed(busy(99), 3 * S), Some(0.5));
        let released: Vec<_> = (4..20).map(|at| vitals.heed(busy(20), at * S)).collect();
        let on = released.iter().take_while(|left| left.is_some()).count();
        assert_eq!(released[on - 1], Some(1.0));
        assert_eq!(released[on], None);
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let mut vitals = Vitals::new();
        let stat = |busy: u32, idle: u32| format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\n");
        let psi = |us: u32| format!("some avg10=0.00 avg60=0.00 avg300=0.00 total={us}\n");
        assert_eq!(vitals.read(Some(&stat(0, 0)), Some(&psi(0)), S), (None, None));
        let (cpu, waiting) = vitals.read(Some(&stat(30, 70)), Some(&psi(250_000)), 2 * S);
        assert_eq!((cpu, waiting), (Share::percent(30), Share::percent(25)));
        assert_eq!(vitals.read(None, None, 3 * S), (None, None));
    }

    #[test]
    fn a_few_calls_say_nothing() {
        let mut lately = Lately::default();
        (0..19).for_each(|_| lately.services.add(1_000_000));
        assert_eq!(of_calls(&lately), (None, None));
        lately.services.add(1_000_000);
        lately.dropped = 5;
        let (p99, errors) = of_calls(&lately);
        assert!(p99.is_some_and(|p99| p99.as_micros() >= 1_000));
        assert_eq!(errors, Share::percent(25));
    }
}
