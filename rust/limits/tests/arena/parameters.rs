//! The arena's parameters, all of them. They are the measure: a policy is tuned here, the arena is not tuned to a policy.

/// Calls a second the upstream can do, of mean work.
pub const CAPACITY_PER_S: f64 = 500.0;
/// The time a call of mean work takes alone.
pub const ALONE_S: f64 = 0.020;
/// What each call in flight beyond the knee costs of the throughput. The knee is capacity × time alone: 10.
pub const LOSS_PER_CALL: f64 = 0.002;
/// Work is lognormal: this is the deviation of its logarithm; the mean is 1.
pub const WORK_SIGMA: f64 = 0.8;

/// The share of calls of each class, most urgent first.
pub const CLASS_SHARES: [f64; 4] = [0.1, 0.3, 0.4, 0.2];
/// A call has this long at least, …
pub const DEADLINE_S: f64 = 0.3;
/// … up to this much more by chance, …
pub const DEADLINE_SPREAD_S: f64 = 0.7;
/// … and one call of five …
pub const PATIENT_SHARE: f64 = 0.2;
/// … has this much more.
pub const PATIENCE_S: f64 = 1.0;

/// Callers.
pub const TENANTS: usize = 10;
/// The share of tenant 0 where it is a hog, and the load then.
pub const HOG_SHARE: f64 = 0.9;
pub const HOG_LOAD: f64 = 3.0;

/// Offered calls, in capacities.
pub const LOADS: [f64; 6] = [0.5, 0.9, 1.2, 2.0, 5.0, 10.0];
/// A run, of which the first quarter is discarded.
pub const RUN_S: f64 = 40.0;
pub const DISCARDED_S: f64 = 10.0;

/// A run in which something changes, and when.
pub const CHANGE_RUN_S: f64 = 60.0;
pub const CHANGE_AT_S: f64 = 30.0;
/// The load at which capacity is halved or doubled.
pub const STEP_LOAD: f64 = 3.0;
/// The load at which the mix of tools flips, their work, and the share of the slow one before and after.
pub const FLIP_LOAD: f64 = 1.5;
pub const TOOL_WORK: [f64; 2] = [0.5, 5.0];
pub const SLOW_SHARES: [f64; 2] = [0.05, 0.5];

/// Calls that may wait.
pub const MOST_WAITING: usize = 200;

/// Each run is made with each of these; the worst counts.
pub const SEEDS: [u64; 3] = [1, 2, 3];
