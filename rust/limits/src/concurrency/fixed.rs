//! A number chosen by the operator. At its best as good as [`super::Gradient`], and wrong as soon as the server changes.

use super::{Policy, Sample};

/// Always the same limit.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(u32);

impl Fixed {
    /// `limit` calls in flight; 0 counts as 1.
    pub fn new(limit: u32) -> Self {
        Self(limit.max(1))
    }
}

impl Policy for Fixed {
    fn finished(&mut self, _: &Sample, _: u64) {}

    fn limit(&self) -> u32 {
        self.0
    }
}
