//! What prediction may cost: less than a tenth of the tool time is wasted, at most two calls a session run ahead.
//!
//! A predicted call is *open* from its issue until it was used or wasted. An open call counts as wasted from the start,
//! at what it is expected to cost or has cost: so the share holds even if none of them is ever asked for, and a new one
//! is admitted only if it would hold then too. A call may fill the share only as far as it is likely: what is left is kept
//! for surer ones. With no tool time seen there is nothing to take a share of, and nothing
//! is issued. What was counted leaves after the window (five minutes, in ten steps), so a principal that guessed badly
//! gets its chance again.
//!
//! An answer is kept on probation: for a few seconds, and not beyond the next write to its server. Unasked for by then,
//! it was wasted. Calls that were cancelled or failed were wasted for the time they took.

use super::{BudgetLimits, Refused};

const STEPS: usize = 10;
const OPEN: usize = 64;
/// A call that never reported back is given up after this time.
const LOST_MS: u64 = 60_000;

/// Names one issued call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub(super) u64);

/// What a real call means for the predicted ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The predicted call that this one is: its answer is there, or it is in flight and may be joined.
    pub used: Option<Ticket>,
    /// Calls in flight that reality has overtaken: to be cancelled, and reported as cancelled.
    pub cancel: Vec<Ticket>,
}

/// What became of predicted calls, and of tool time.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct PredictStats {
    /// Calls observed.
    pub observed: u64,
    /// Predictions given out.
    pub predicted: u64,
    /// Predicted calls issued.
    pub issued: u64,
    /// Issued calls that were asked for in time.
    pub used: u64,
    /// Issued calls that were answered, and that nobody asked for in time.
    pub wasted: u64,
    /// Issued calls that were cancelled, failed or were lost.
    pub cancelled: u64,
    /// Predictions refused because too much was wasted, or could be.
    pub over_budget: u64,
    /// Predictions refused because two of the session were in flight.
    pub in_flight: u64,
    /// Tool time of real calls and of used predictions, in milliseconds.
    pub useful_ms: f64,
    /// Tool time of predictions that were not used.
    pub wasted_ms: f64,
}

#[derive(Debug)]
pub(super) struct Budget {
    limits: BudgetLimits,
    steps: [(f64, f64); STEPS],
    step: u64,
    open: Vec<Open>,
    pub(super) stats: PredictStats,
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    session: u64,
    server: u32,
    fingerprint: u64,
    cost_ms: f64,
    issued_ms: u64,
    /// Answered, and kept until then.
    until_ms: Option<u64>,
    /// In flight, and asked for.
    claimed: bool,
}

/// A call about to be issued.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intent {
    pub(super) ticket: Ticket,
    pub(super) session: u64,
    pub(super) server: u32,
    pub(super) fingerprint: u64,
    pub(super) cost_ms: f64,
    pub(super) probability: f64,
}

impl Budget {
    pub(super) fn new(limits: BudgetLimits) -> Self {
        Self { limits, steps: [(0.0, 0.0); STEPS], step: 0, open: Vec::new(), stats: PredictStats::default() }
    }

    /// A real call took this much of a tool's time.
    pub(super) fn worked(&mut self, took_ms: f64, now_ms: u64) {
        self.turn(now_ms);
        self.useful(took_ms);
    }

    pub(super) fn begin(&mut self, intent: Intent, now_ms: u64) -> Result<(), Refused> {
        self.turn(now_ms);
        let in_flight =
            self.open.iter().filter(|open| open.session == intent.session && open.until_ms.is_none()).count();
        if in_flight >= self.limits.in_flight {
            self.stats.in_flight += 1;
            return Err(Refused::InFlight);
        }
        let (useful, wasted) = self.steps.iter().fold((0.0, 0.0), |sum, step| (sum.0 + step.0, sum.1 + step.1));
        let lost = wasted + self.at_risk_ms() + intent.cost_ms;
        let share = self.limits.wasted_share * intent.probability.clamp(0.0, 1.0);
        if lost > share * (useful + lost) || self.open.len() >= OPEN {
            self.stats.over_budget += 1;
            return Err(Refused::OverBudget);
        }
        let Intent { ticket, session, server, fingerprint, cost_ms, .. } = intent;
        let open =
            Open { ticket, session, server, fingerprint, cost_ms, issued_ms: now_ms, until_ms: None, claimed: false };
        self.open.push(open);
        self.stats.issued += 1;
        Ok(())
    }

    /// It was answered. Until when the answer may be kept; none: it may not.
    pub(super) fn finished(&mut self, ticket: Ticket, took_ms: f64, now_ms: u64) -> Option<u64> {
        self.turn(now_ms);
        let until_ms = now_ms.saturating_add(self.limits.probation_ms);
        let at = self.place(ticket)?;
        let open = self.open.get_mut(at)?;
        (open.cost_ms, open.until_ms) = (took_ms, Some(until_ms));
        if open.claimed {
            self.open.swap_remove(at);
            self.useful(took_ms);
        }
        Some(until_ms)
    }

    /// It was cancelled, or failed, after so much time.
    pub(super) fn cancelled(&mut self, ticket: Ticket, spent_ms: f64, now_ms: u64) {
        self.turn(now_ms);
        if let Some(at) = self.place(ticket) {
            self.open.swap_remove(at);
            self.stats.cancelled += 1;
            self.lose(spent_ms);
        }
    }

    /// A real call of this session arrived.
    pub(super) fn arrived(&mut self, session: u64, fingerprint: Option<u64>, now_ms: u64) -> Arrival {
        self.turn(now_ms);
        let same = |open: &Open| open.session == session && Some(open.fingerprint) == fingerprint && !open.claimed;
        if let Some(at) = self.open.iter().position(same) {
            self.stats.used += 1;
            let ticket = self.open.get(at).map(|open| open.ticket);
            match self.open.get_mut(at) {
                Some(open) if open.until_ms.is_none() => open.claimed = true,
                _ => {
                    let open = self.open.swap_remove(at);
                    self.useful(open.cost_ms);
                }
            }
            return Arrival { used: ticket, cancel: Vec::new() };
        }
        let overtaken = |open: &&Open| open.session == session && open.until_ms.is_none() && !open.claimed;
        Arrival { used: None, cancel: self.open.iter().filter(overtaken).map(|open| open.ticket).collect() }
    }

    /// A write to this server: answers of before it are worth nothing. Calls in flight that are to be cancelled.
    pub(super) fn wrote(&mut self, server: u32, now_ms: u64) -> Vec<Ticket> {
        self.turn(now_ms);
        self.waste(|open| open.server == server && open.until_ms.is_some());
        let mine = |open: &&Open| open.server == server && !open.claimed;
        self.open.iter().filter(mine).map(|open| open.ticket).collect()
    }

    pub(super) fn is_open(&self, session: u64, fingerprint: u64) -> bool {
        self.open.iter().any(|open| open.session == session && open.fingerprint == fingerprint)
    }

    /// Moves the window on, and counts what nobody asked for in time.
    pub(super) fn turn(&mut self, now_ms: u64) {
        let step = now_ms / (self.limits.window_ms / STEPS as u64).max(1);
        let passed = step.saturating_sub(self.step).min(STEPS as u64);
        for ahead in 1..=passed {
            if let Some(old) = self.steps.get_mut(place_of(step - passed + ahead)) {
                *old = (0.0, 0.0);
            }
        }
        self.step = self.step.max(step);
        let lost_before_ms = now_ms.saturating_sub(LOST_MS);
        self.stats.cancelled += self.lose_where(|open| open.until_ms.is_none() && open.issued_ms < lost_before_ms);
        self.waste(|open| open.until_ms.is_some_and(|until_ms| until_ms < now_ms));
    }

    fn at_risk_ms(&self) -> f64 {
        self.open.iter().filter(|open| !open.claimed).map(|open| open.cost_ms).sum()
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.open.iter().position(|open| open.ticket == ticket)
    }

    fn waste(&mut self, which: impl Fn(&Open) -> bool) {
        self.stats.wasted += self.lose_where(which);
    }

    fn lose_where(&mut self, which: impl Fn(&Open) -> bool) -> u64 {
        let before = self.open.len();
        let mut lost_ms = 0.0;
        self.open.retain(|open| {
            let goes = which(open);
            lost_ms += if goes { open.cost_ms } else { 0.0 };
            !goes
        });
        self.lose(lost_ms);
        (before - self.open.len()) as u64
    }

    fn useful(&mut self, ms: f64) {
        let ms = sane(ms);
        self.stats.useful_ms += ms;
        if let Some(step) = self.steps.get_mut(place_of(self.step)) {
            step.0 += ms;
        }
    }

    fn lose(&mut self, ms: f64) {
        let ms = sane(ms);
        self.stats.wasted_ms += ms;
        if let Some(step) = self.steps.get_mut(place_of(self.step)) {
            step.1 += ms;
        }
    }
}

fn place_of(step: u64) -> usize {
    usize::try_from(step % STEPS as u64).unwrap_or_default()
}

fn sane(ms: f64) -> f64 {
    if ms.is_finite() { ms.max(0.0) } else { 0.0 }
}

impl PredictStats {
    pub(super) fn plus(mut self, other: &Self) -> Self {
        self.observed += other.observed;
        self.predicted += other.predicted;
        self.issued += other.issued;
        self.used += other.used;
        self.wasted += other.wasted;
        self.cancelled += other.cancelled;
        self.over_budget += other.over_budget;
        self.in_flight += other.in_flight;
        self.useful_ms += other.useful_ms;
        self.wasted_ms += other.wasted_ms;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST_MS: f64 = 10.0;

    fn intent(number: u64, session: u64) -> Intent {
        Intent { ticket: Ticket(number), session, server: 1, fingerprint: number, cost_ms: COST_MS, probability: 1.0 }
    }

    /// A budget over which so much tool time has passed.
    fn after(worked_ms: f64) -> Budget {
        let mut budget = Budget::new(BudgetLimits::default());
        budget.worked(worked_ms, 1_000_000);
        budget
    }

    #[test]
    fn with_no_tool_time_there_is_nothing_to_take_a_share_of() {
        assert_eq!(after(0.0).begin(intent(1, 1), 1_000_000), Err(Refused::OverBudget));
        assert_eq!(after(114.0).begin(intent(1, 1), 1_000_000), Err(Refused::OverBudget));
        assert_eq!(after(116.0).begin(intent(1, 1), 1_000_000), Ok(()));
    }

    #[test]
    fn a_third_call_of_a_session_waits_until_one_has_landed_and_other_sessions_do_not() {
        let mut budget = after(10_000.0);
        assert_eq!([1, 2, 3].map(|number| budget.begin(intent(number, 1), 1_000_000).is_ok()), [true, true, false]);
        assert_eq!(budget.begin(intent(4, 2), 1_000_000), Ok(()));
        assert_eq!(budget.finished(Ticket(1), COST_MS, 1_000_100), Some(1_005_100));
        assert_eq!(budget.begin(intent(5, 1), 1_000_100), Ok(()));
    }

    #[test]
    fn however_bad_the_guesses_less_than_a_tenth_is_wasted_and_the_budget_recovers() {
        let mut budget = after(0.0);
        let mut now_ms = 1_000_000;
        for number in 0..2_000 {
            now_ms += 1_000;
            budget.worked(COST_MS, now_ms);
            if budget.begin(intent(number, number), now_ms).is_ok() {
                budget.finished(Ticket(number), COST_MS, now_ms + 10);
            }
            let stats = budget.stats;
            assert!(stats.wasted_ms <= 0.081 * (stats.useful_ms + stats.wasted_ms), "{stats:?}");
        }
        assert!(budget.stats.wasted > 150, "it went on trying: {:?}", budget.stats);
        budget.lose(1e6);
        assert_eq!(budget.begin(intent(9_001, 1), now_ms), Err(Refused::OverBudget));
        now_ms += 330_000;
        budget.worked(1_000.0, now_ms);
        assert_eq!(budget.begin(intent(9_002, 1), now_ms), Ok(()));
    }

    #[test]
    fn a_doubtful_call_may_fill_less_of_the_budget_than_a_sure_one() {
        let doubtful = |number| Intent { probability: 0.5, ..intent(number, number) };
        let mut budget = after(1_000.0);
        let issued = (0..20).filter(|number| budget.begin(doubtful(*number), 1_000_000).is_ok()).count();
        assert_eq!(issued, 4);
        assert_eq!(budget.begin(intent(30, 30), 1_000_000), Ok(()));
    }

    #[test]
    fn an_answer_is_used_within_its_probation_and_wasted_after() {
        let mut budget = after(10_000.0);
        for number in [1, 2] {
            budget.begin(intent(number, 1), 1_000_000).unwrap();
            budget.finished(Ticket(number), COST_MS, 1_000_010);
        }
        assert_eq!(budget.arrived(1, Some(1), 1_005_010).used, Some(Ticket(1)));
        assert_eq!(budget.arrived(1, Some(1), 1_005_010).used, None, "once");
        assert_eq!(budget.arrived(1, Some(2), 1_005_011).used, None);
        assert_eq!((budget.stats.used, budget.stats.wasted), (1, 1));
    }

    #[test]
    fn a_call_in_flight_is_joined_by_its_own_and_overtaken_by_another() {
        let mut budget = after(10_000.0);
        budget.begin(intent(1, 1), 1_000_000).unwrap();
        budget.begin(intent(2, 1), 1_000_000).unwrap();
        budget.begin(intent(3, 2), 1_000_000).unwrap();
        let joined = budget.arrived(1, Some(1), 1_000_001);
        assert_eq!(joined, Arrival { used: Some(Ticket(1)), cancel: Vec::new() });
        let overtaken = budget.arrived(1, Some(99), 1_000_002);
        assert_eq!(
            overtaken,
            Arrival { used: None, cancel: vec![Ticket(2)] },
            "not what is waited for, not another session's"
        );
        budget.cancelled(Ticket(2), 2.0, 1_000_002);
        budget.finished(Ticket(1), COST_MS, 1_000_010);
        assert_eq!((budget.stats.used, budget.stats.cancelled, budget.stats.wasted_ms), (1, 1, 2.0));
    }

    #[test]
    fn a_write_makes_answers_on_probation_worthless_and_calls_in_flight_are_to_be_cancelled() {
        let mut budget = after(10_000.0);
        budget.begin(intent(1, 1), 1_000_000).unwrap();
        budget.finished(Ticket(1), COST_MS, 1_000_010);
        budget.begin(intent(2, 1), 1_000_020).unwrap();
        budget.begin(Intent { server: 2, ..intent(3, 1) }, 1_000_020).unwrap();
        assert_eq!(budget.wrote(1, 1_000_030), [Ticket(2)]);
        assert_eq!(budget.arrived(1, Some(1), 1_000_031).used, None);
        assert_eq!(budget.stats.wasted, 1);
    }

    #[test]
    fn a_call_that_never_reports_back_is_given_up() {
        let mut budget = after(10_000.0);
        budget.begin(intent(1, 1), 1_000_000).unwrap();
        budget.turn(1_061_000);
        assert_eq!(budget.stats.cancelled, 1);
        assert_eq!(budget.finished(Ticket(1), COST_MS, 1_061_000), None);
    }

    #[test]
    fn a_clock_that_goes_backwards_does_no_harm() {
        let mut budget = after(10_000.0);
        budget.begin(intent(1, 1), 1_000_000).unwrap();
        budget.turn(5);
        budget.finished(Ticket(1), f64::NAN, 5);
        budget.worked(f64::INFINITY, 6);
        assert_eq!(budget.arrived(1, Some(1), 7).used, Some(Ticket(1)));
        assert!(budget.stats.useful_ms.is_finite());
    }
}
