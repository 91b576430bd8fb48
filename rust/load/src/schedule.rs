//! The arrivals of an open loop over the phases of a run, as sums: pure, in seconds after the start.
//!
//! Each step has a rate of its own. A gap is drawn as a number of expected arrivals (1 for equal gaps, exponential
//! around 1 for independent callers) and turned into time where the rate is: so a gap that begins in a quiet step and
//! ends in a busy one is as long as it would be there, in part.

use crate::plan::{Loop, Plan};

/// Steps, each with its end and its rate.
pub(crate) struct Schedule(Vec<(f64, f64)>);

impl Schedule {
    /// That of a part of the plan's rate: each of its threads has an equal one.
    pub(crate) fn new(plan: &Plan, parts: usize) -> Self {
        let whole = match plan.pacing {
            Loop::Open { rate_per_s, .. } => rate_per_s,
            Loop::Closed => 0.0,
        };
        #[allow(clippy::cast_precision_loss)] // at most 64 threads
        let rate = whole / parts.max(1) as f64;
        Self(plan.steps().into_iter().map(|(end, pace)| (end.as_secs_f64(), pace * rate)).collect())
    }

    /// When so many more arrivals are expected than at `from`; None if that is never.
    pub(crate) fn after(&self, mut from: f64, mut arrivals: f64) -> Option<f64> {
        for &(end, rate) in &self.0 {
            if end <= from {
                continue;
            }
            let room = (end - from) * rate;
            if arrivals <= room {
                return Some(from + arrivals / rate);
            }
            arrivals -= room;
            from = end;
        }
        None
    }

    /// Arrivals expected until then.
    pub(crate) fn until(&self, end: f64) -> f64 {
        let mut began = 0.0;
        let mut sum = 0.0;
        for &(step_end, rate) in &self.0 {
            sum += (end.min(step_end) - began).max(0.0) * rate;
            began = step_end;
        }
        sum
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Schedule;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }

    #[test]
    fn a_gap_over_two_steps_is_as_long_in_each_as_its_rate_makes_it() {
        let schedule = Schedule(vec![(2.0, 1.0), (4.0, 10.0)]);
        close(schedule.after(0.0, 1.5).unwrap(), 1.5);
        close(schedule.after(1.5, 1.0).unwrap(), 2.05);
        close(schedule.after(3.0, 1.0).unwrap(), 3.1);
        assert_eq!(schedule.after(3.95, 1.0), None);
    }

    #[test]
    fn a_step_without_a_rate_is_passed_over() {
        let schedule = Schedule(vec![(1.0, 1.0), (3.0, 0.0), (5.0, 1.0)]);
        close(schedule.after(0.5, 1.0).unwrap(), 3.5);
    }

    #[test]
    fn what_is_expected_adds_up() {
        let schedule = Schedule(vec![(2.0, 1.0), (4.0, 10.0)]);
        close(schedule.until(1.0), 1.0);
        close(schedule.until(3.0), 12.0);
        close(schedule.until(99.0), 22.0);
    }
}
