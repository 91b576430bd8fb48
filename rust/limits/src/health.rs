//! What a policy is told of the machine and of a server: one typed reading, each part of it optional.
//!
//! Nothing here reads a file or a clock. Whoever owns the files hands their text to [`CpuTimes::parse`] and
//! [`Pressure::parse`]; two readings of such a counter make a [`Share`]. What cannot be read, or makes no sense, is
//! `None`: a policy that does not know stays as it is, and never acts on a number made up.
//!
//! Why counters and not the averages the kernel offers beside them: `avg10` still says "overloaded" ten seconds after
//! the load has gone, and a policy that acts on it works against the past.

use std::time::Duration;

/// A part of a whole: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

/// One reading. A part is `None` where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Processor time in use, of all there is on the machine.
    pub cpu: Option<Share>,
    /// Time in which some task had to wait for a processor (PSI, `some`).
    pub psi: Option<Share>,
    /// The time 99 of 100 calls stay under.
    pub p99: Option<Duration>,
    /// Calls that failed or ran out of time, of all that ended.
    pub error_rate: Option<Share>,
}

/// Processor time since the machine started, in ticks: busy and idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    busy: u64,
    idle: u64,
}

/// Time since the machine started in which some task waited for a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    some: Duration,
}

impl Share {
    /// A share of `part`, which must lie between 0 and 1.
    pub fn new(part: f64) -> Option<Self> {
        (0.0..=1.0).contains(&part).then_some(Self(part))
    }

    /// A share of `percent` in a hundred.
    pub fn percent(percent: u8) -> Option<Self> {
        Self::new(f64::from(percent) / 100.0)
    }

    /// The share nearest to `part`, which must be a number.
    pub(crate) fn clamped(part: f64) -> Self {
        Self(part.clamp(0.0, 1.0))
    }

    /// The share as a number between 0 and 1.
    #[inline]
    pub fn get(self) -> f64 {
        self.0
    }

    /// `part` of `whole`, at most all of it; `None` where there is no whole.
    #[allow(clippy::cast_precision_loss)] // a share, not a count: 53 bits are plenty
    fn of(part: u64, whole: u64) -> Option<Self> {
        if whole == 0 { None } else { Self::new((part as f64 / whole as f64).min(1.0)) }
    }
}

impl Health {
    /// Whether any part lies above the same part of `limits`. A part that either leaves open never does.
    pub fn exceeds(&self, limits: &Self) -> bool {
        above(self.cpu, limits.cpu)
            || above(self.psi, limits.psi)
            || above(self.p99, limits.p99)
            || above(self.error_rate, limits.error_rate)
    }
}

impl CpuTimes {
    /// Reads the text of `/proc/stat`: the line of all processors together.
    ///
    /// Time spent for guests stands in that line twice, once inside `user` and `nice`; it is counted once. Waiting for
    /// a disk is idle time.
    pub fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let mut ticks = [0_u64; 8];
        let mut words = line.split_ascii_whitespace();
        for (at, tick) in ticks.iter_mut().enumerate() {
            match words.next() {
                Some(word) => *tick = word.parse().ok()?,
                None if at < 4 => return None, // every kernel tells user, nice, system and idle
                None => break,
            }
        }
        let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks;
        Some(Self { busy: sum([user, nice, system, irq, softirq, steal])?, idle: sum([idle, iowait])? })
    }

    /// The share of time in use since the reading `earlier`; `None` if none has passed, or if the counter went back.
    pub fn busy_since(&self, earlier: &Self) -> Option<Share> {
        let busy = self.busy.checked_sub(earlier.busy)?;
        let idle = self.idle.saturating_sub(earlier.idle); // the kernel's `iowait` may step back a little
        Share::of(busy, busy.checked_add(idle)?)
    }
}

impl Pressure {
    /// Reads the text of `/proc/pressure/cpu` (or of a cgroup's `cpu.pressure`): the total of its line `some`.
    pub fn parse(psi: &str) -> Option<Self> {
        let line = psi.lines().find_map(|line| line.strip_prefix("some "))?;
        let total = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?;
        Some(Self { some: Duration::from_micros(total.parse().ok()?) })
    }

    /// The share of the time `between` the two readings in which some task waited.
    pub fn waiting_since(&self, earlier: &Self, between: Duration) -> Option<Share> {
        let waited = self.some.checked_sub(earlier.some)?;
        Share::of(whole_us(waited)?, whole_us(between)?)
    }
}

fn above<T: PartialOrd>(reading: Option<T>, limit: Option<T>) -> bool {
    matches!((reading, limit), (Some(reading), Some(limit)) if reading > limit)
}

fn sum<const N: usize>(ticks: [u64; N]) -> Option<u64> {
    ticks.into_iter().try_fold(0_u64, u64::checked_add)
}

fn whole_us(span: Duration) -> Option<u64> {
    u64::try_from(span.as_micros()).ok()
}
