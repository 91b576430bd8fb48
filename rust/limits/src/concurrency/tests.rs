#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use super::*;

const MS: f64 = 1e6;
const ONE_TOOL: [(u8, f64); 1] = [(0, 20.0)];

/// A server with a knee: calls that find more than it can do at once wait for each other. Always as many in flight as
/// the policy lets it, or `offered`.
struct Server {
    now_ns: f64,
    knee: f64,
    offered: u32,
}

impl Server {
    fn new(knee: f64) -> Self {
        Self { now_ns: 0.0, knee, offered: u32::MAX }
    }

    /// Calls of tools, by kind and by the milliseconds they take on a server at ease, one after the other, for so long.
    fn run(&mut self, policy: &mut dyn Policy, tools: &[(u8, f64)], seconds: f64, outcome: Outcome) {
        let until_ns = self.now_ns + seconds * 1e9;
        for turn in 0.. {
            if self.now_ns >= until_ns {
                return;
            }
            let in_flight = policy.limit().min(self.offered);
            let (tool, alone_ms) = tools[turn % tools.len()];
            let service_ns = alone_ms * MS * (f64::from(in_flight) / self.knee).max(1.0);
            let mean_ms = tools.iter().map(|(_, alone_ms)| alone_ms).sum::<f64>() / tools.len() as f64;
            self.now_ns += mean_ms * MS / f64::from(in_flight).min(self.knee);
            let tool = ToolClass(tool);
            policy.finished(&Sample { tool, service_ns: service_ns as u64, in_flight, outcome }, self.now_ns as u64);
        }
    }

    fn ok(&mut self, policy: &mut dyn Policy, tools: &[(u8, f64)], seconds: f64) {
        self.run(policy, tools, seconds, Outcome::Ok);
    }
}

fn from(start: u32) -> Bounds {
    Bounds { start, ..Bounds::default() }
}

#[test]
fn the_gradient_settles_a_little_above_the_knee_wherever_it_begins() {
    for (start, knee) in [(4, 10.0), (16, 10.0), (100, 10.0), (16, 40.0), (16, 5.0)] {
        let mut policy = Gradient::new(from(start));
        Server::new(knee).ok(&mut policy, &ONE_TOOL, 120.0);
        let limit = f64::from(policy.limit());
        assert!(
            limit >= knee * 0.9 && limit <= knee + 2.0 * knee.sqrt() + 2.0,
            "{limit} for a knee of {knee}, from {start}"
        );
    }
}

#[test]
fn the_gradient_follows_a_knee_that_moves_and_does_not_drift_in_an_hour() {
    let mut policy = Gradient::new(Bounds::default());
    let mut server = Server::new(10.0);
    server.ok(&mut policy, &ONE_TOOL, 3_600.0);
    assert!((10..=18).contains(&policy.limit()), "{} after an hour at 10", policy.limit());
    server.knee = 20.0;
    server.ok(&mut policy, &ONE_TOOL, 60.0);
    assert!((18..=32).contains(&policy.limit()), "{} at 20", policy.limit());
    server.knee = 5.0;
    server.ok(&mut policy, &ONE_TOOL, 60.0);
    assert!((5..=11).contains(&policy.limit()), "{} at 5", policy.limit());
}

#[test]
fn a_start_that_was_far_too_high_comes_down_within_six_windows() {
    let (mut policy, mut server) = (Gradient::new(from(128)), Server::new(8.0));
    server.offered = 8;
    server.ok(&mut policy, &ONE_TOOL, 1.0);
    server.offered = u32::MAX;
    server.ok(&mut policy, &ONE_TOOL, 2.5);
    assert!((8..=20).contains(&policy.limit()), "{}", policy.limit());
}

#[test]
fn calls_that_are_held_back_are_soon_seen_to_be_at_ease() {
    let (mut policy, mut server) = (Gradient::new(from(100)), Server::new(10.0));
    server.offered = 10;
    server.ok(&mut policy, &ONE_TOOL, 1.0);
    server.offered = u32::MAX;
    server.ok(&mut policy, &ONE_TOOL, 0.5);
    assert!(policy.stretch() > Some(2.0), "{:?}", policy.stretch());
    server.offered = 4;
    server.ok(&mut policy, &ONE_TOOL, 0.5);
    assert!(policy.limit() > 20 && policy.stretch() < Some(1.1), "{} {:?}", policy.limit(), policy.stretch());
}

#[test]
fn a_limit_that_is_not_used_does_not_grow() {
    let mut server = Server::new(100.0);
    server.offered = 6;
    let mut policies: [Box<dyn Policy>; 2] = [Box::new(Gradient::new(from(16))), Box::new(Aimd::new(from(16)))];
    for policy in &mut policies {
        server.ok(policy.as_mut(), &ONE_TOOL, 30.0);
        assert_eq!(policy.limit(), 16, "{policy:?}");
    }
}

#[test]
fn slower_tools_are_measured_by_their_own_times() {
    let mut policy = Gradient::new(Bounds::default());
    let mut server = Server::new(10.0);
    let (fast, slow) = ((0, 10.0), (1, 100.0));
    server.ok(&mut policy, &[fast, fast, fast, slow], 30.0);
    let before = policy.limit();
    server.ok(&mut policy, &[slow, slow, slow, fast], 30.0);
    let after = policy.limit();
    assert!(after.abs_diff(before) <= 3, "{before}, then {after}");
}

#[test]
fn a_server_that_is_slower_for_good_is_measured_by_what_it_is() {
    let mut policy = Gradient::new(Bounds::default());
    let mut server = Server::new(10.0);
    server.ok(&mut policy, &[(0, 20.0)], 30.0);
    server.ok(&mut policy, &[(0, 200.0)], 5.0);
    assert!(policy.limit() <= 9, "at first it looks like overload: {}", policy.limit());
    server.ok(&mut policy, &[(0, 200.0)], 120.0);
    assert!((9..=18).contains(&policy.limit()), "{}", policy.limit());
}

#[test]
fn failures_lower_the_limit_to_its_least_and_no_further() {
    let mut policies: [Box<dyn Policy>; 2] = [Box::new(Gradient::new(from(100))), Box::new(Aimd::new(from(100)))];
    for policy in &mut policies {
        Server::new(200.0).run(policy.as_mut(), &ONE_TOOL, 20.0, Outcome::Dropped);
        assert_eq!(policy.limit(), 4, "{policy:?}");
    }
}

#[test]
fn no_window_of_fewer_than_25_calls_changes_anything() {
    let mut policy = Aimd::new(Bounds::default());
    let sample = Sample { tool: ToolClass(0), service_ns: 1_000_000, in_flight: 16, outcome: Outcome::Ok };
    for call in 0..24 {
        policy.finished(&sample, call * 10_000_000_000);
    }
    assert_eq!(policy.limit(), 16);
    policy.finished(&sample, 240_000_000_000);
    assert_eq!(policy.limit(), 17);
    for _ in 0..1_000 {
        policy.finished(&sample, 240_100_000_000);
    }
    assert_eq!(policy.limit(), 17, "nor one of less than 250 ms");
}

#[test]
fn aimd_adds_one_a_window_and_takes_a_tenth_where_calls_fail() {
    let mut policy = Aimd::new(from(100));
    let mut server = Server::new(500.0);
    server.ok(&mut policy, &ONE_TOOL, 5.0);
    assert!((115..=121).contains(&policy.limit()), "{}", policy.limit());
    let before = policy.limit();
    server.run(&mut policy, &ONE_TOOL, 1.0, Outcome::Dropped);
    let left = f64::from(policy.limit()) / f64::from(before);
    assert!(left < 0.9_f64.powi(2) && left > 0.9_f64.powi(5), "{left}");
}
