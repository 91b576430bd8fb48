//! The rate half of the gate: which bucket, at which level, and how fast all of them fill.

mod admission;
mod key;
mod keyed;
mod pace;

pub use admission::{Admission, Call, Quotas, RateRefusal, Scope};
pub use key::{Key, Keys};
pub use keyed::Keyed;
