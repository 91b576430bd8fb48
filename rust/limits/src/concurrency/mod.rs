//! How many calls one server should have in flight: told by how the calls it finished went.
//!
//! A policy is pure. It is fed with finished calls, never with cancelled ones or answers from memory, and looks at them
//! in windows (`window.rs`); time is an argument. What it says lies within its [`Bounds`].
//!
//! [`Gradient`] is what to take; [`Aimd`] needs calls that fail before it learns, [`Fixed`] learns nothing. What each of
//! them costs is what `cargo run --release --example arena` prints.

mod aimd;
mod fixed;
mod gradient;
#[cfg(test)]
mod tests;
mod tool;
mod window;

pub use self::aimd::Aimd;
pub use self::fixed::Fixed;
pub use self::gradient::Gradient;
pub(crate) use self::tool::ByTool;
pub use self::tool::ToolClass;
use self::window::Window;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, well or badly: the server did its work.
    Ok,
    /// The server gave no answer in time, or said that it is overloaded.
    Dropped,
}

/// A finished call.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The kind of tool that was called.
    pub tool: ToolClass,
    /// From start to end, in nanoseconds, the wait before the start not counted.
    pub service_ns: u64,
    /// Calls in flight when it was started, itself included.
    pub in_flight: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a policy may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What it says before it knows anything.
    pub start: u32,
    /// The least it says.
    pub min: u32,
    /// The most it says.
    pub max: u32,
}

impl Default for Bounds {
    /// 16 at first; 4 at least, so that there is always something to learn from; 200 at most.
    fn default() -> Self {
        Self { start: 16, min: 4, max: 200 }
    }
}

impl Bounds {
    fn clamp(self, limit: f64) -> f64 {
        let min = self.min.max(1);
        limit.clamp(f64::from(min), f64::from(self.max.max(min)))
    }
}

/// Decides how many calls may be in flight.
pub trait Policy: std::fmt::Debug + Send {
    /// A call finished at the instant `now_ns`.
    fn finished(&mut self, sample: &Sample, now_ns: u64);

    /// How many calls may be in flight now.
    fn limit(&self) -> u32;

    /// How much slower calls are than on a server at ease: 1 is not at all. `None` where the policy does not look.
    fn stretch(&self) -> Option<f64> {
        None
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by two u32
fn whole(limit: f64) -> u32 {
    limit.round() as u32
}
