//! Which requests are recorded: OpenTelemetry's samplers, by the names of `OTEL_TRACES_SAMPLER`.
//!
//! A share of traces is chosen by the low half of their ids, in the way of the SDKs: who looks at the same trace with the
//! same share decides alike.

use serde::Deserialize;

use super::parent::Parent;

/// A sampler as it is configured.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SamplerSpec {
    /// Which.
    pub name: Name,
    /// The share of traces, 0 to 1, of those that have one.
    #[serde(default = "whole")]
    pub ratio: f64,
}

/// The samplers that every SDK knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Everything.
    AlwaysOn,
    /// A share of all traces, whatever is said of them.
    #[serde(rename = "traceidratio")]
    TraceIdRatio,
    /// What the caller records, and all that has no caller.
    #[serde(rename = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    /// What the caller records.
    #[serde(rename = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    /// What the caller records, and a share of what has no caller.
    #[serde(rename = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}

fn whole() -> f64 {
    1.0
}

/// A sampler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampler {
    name: Name,
    /// A trace is chosen if the low half of its id is below.
    bound: u128,
}

impl Sampler {
    pub(super) fn new(spec: SamplerSpec) -> Self {
        let share = match spec.name {
            Name::AlwaysOn | Name::ParentBasedAlwaysOn => 1.0,
            Name::ParentBasedAlwaysOff => 0.0,
            Name::TraceIdRatio | Name::ParentBasedTraceIdRatio => spec.ratio.clamp(0.0, 1.0),
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2 to the 64th")]
        let bound = (share * 2f64.powi(64)).round() as u128;
        Self { name: spec.name, bound }
    }

    /// Whether a trace of this id that begins here is recorded.
    pub(super) fn root(self, trace: u128) -> bool {
        trace & u128::from(u64::MAX) < self.bound
    }

    /// Whether a part of somebody's trace is.
    pub(super) fn part(self, parent: &Parent) -> bool {
        match self.name {
            Name::AlwaysOn | Name::TraceIdRatio => self.root(parent.trace),
            Name::ParentBasedAlwaysOn | Name::ParentBasedAlwaysOff | Name::ParentBasedTraceIdRatio => {
                parent.is_sampled()
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(text: &str) -> Sampler {
        Sampler::new(serde_json::from_str(text).unwrap())
    }

    fn parent(flags: u8) -> Parent {
        Parent { trace: 1 << 63, span: 1, flags }
    }

    #[test]
    fn each_does_what_its_name_says() {
        // Of its name: root, part of a recorded trace, part of one that is not.
        for (name, wanted) in [
            ("always_on", [true, true, true]),
            ("parentbased_always_on", [true, true, false]),
            ("parentbased_always_off", [false, true, false]),
            ("parentbased_traceidratio", [false, true, false]),
            ("traceidratio", [false, false, false]),
        ] {
            let sampler = sampler(&format!("{{\"name\":\"{name}\",\"ratio\":0.25}}"));
            assert_eq!([sampler.root(1 << 63), sampler.part(&parent(1)), sampler.part(&parent(0))], wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_cut_where_the_sdks_cut_it(ratio in 0.0f64..=1.0, trace: u128) {
            let sampler = Sampler::new(SamplerSpec { name: Name::TraceIdRatio, ratio });
            // `round(ratio * 2**64)` of the Python SDK.
            let bound = (ratio * 18_446_744_073_709_551_616.0).round();
            #[allow(clippy::cast_precision_loss, reason = "near the bound either may be right")]
            let low = (trace & u128::from(u64::MAX)) as f64;
            prop_assume!((low - bound).abs() > 4096.0);
            prop_assert_eq!(sampler.root(trace), low < bound);
        }
    }
}
