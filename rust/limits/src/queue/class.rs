//! How urgent a call is, beside the others of its tenant.

/// The four classes, most urgent first. Between tenants they mean nothing: a tenant cannot buy itself forward by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What keeps the house alive: health, cancellation, control.
    System,
    /// Somebody waits for the answer.
    Interactive,
    /// An agent at work.
    Normal,
    /// Prefetch, indexing: nobody would miss it.
    Background,
}

impl Class {
    /// All of them, most urgent first.
    pub const ALL: [Self; 4] = [Self::System, Self::Interactive, Self::Normal, Self::Background];

    /// The class a caller gets that may have this one and asks for `hint`: a hint only lowers.
    #[must_use]
    pub fn lowered_to(self, hint: Self) -> Self {
        self.max(hint)
    }

    /// Its place in [`Class::ALL`].
    #[inline]
    pub fn rank(self) -> usize {
        self as usize
    }
}
