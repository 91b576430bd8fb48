//! The rate half of the gate: which buckets a call must pass, and how fast they fill.
//!
//! [`Admission`] asks three buckets in one decision; [`Keyed`] keeps them, by key, in bounded memory. A [`RatePolicy`]
//! and the [`Brake`] read one [`Health`](crate::Health), step by step, and what they decide is one store:
//! [`Admission::set_pace`].

mod admission;
mod aimd;
mod brake;
mod cpu_step;
mod key;
mod keyed;
mod pace;
mod place;
mod policy;

pub use admission::{Admission, Call, Quotas, RateRefusal, Scope};
pub use aimd::{Aimd, AimdRules};
pub use brake::Brake;
pub use cpu_step::CpuStep;
pub use key::{Key, Keys};
pub use keyed::Keyed;
pub use policy::{Fixed, RatePolicy};
