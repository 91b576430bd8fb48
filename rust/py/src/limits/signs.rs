//! What the machine says of itself, from `/proc`: read when a policy asks, by whoever just asked for a decision.
//!
//! Shares are of the time since the last reading, so the first one says nothing. A file that is not there, as
//! `/proc/pressure` on older kernels, leaves its part open.

use std::time::Duration;

use omnimind_limits::{CpuTimes, Health, Pressure};

#[derive(Default)]
pub(super) struct Signs {
    cpu: Option<CpuTimes>,
    psi: Option<(Pressure, Duration)>,
}

impl Signs {
    /// Reads both files; tens of microseconds.
    pub(super) fn read(&mut self, now: Duration) -> Health {
        let text = |path| std::fs::read_to_string(path).ok();
        let cpu = text("/proc/stat").as_deref().and_then(CpuTimes::parse);
        let psi = text("/proc/pressure/cpu").as_deref().and_then(Pressure::parse).map(|pressure| (pressure, now));
        let earlier = std::mem::replace(self, Self { cpu, psi });
        Health {
            cpu: cpu.zip(earlier.cpu).and_then(|(now, earlier)| now.busy_since(&earlier)),
            psi: psi.zip(earlier.psi).and_then(|((pressure, now), (earlier, then))| {
                pressure.waiting_since(&earlier, now.saturating_sub(then))
            }),
            ..Health::default()
        }
    }
}
