//! What came out, and an honest account of it: what each part cost before and after, what was left out and where it
//! stood, and which critical values still stand there verbatim.

use std::ops::Range;

use crate::{Kind, critical, outline::Reserve};

/// A text, pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What a model reads.
    pub text: String,
    /// BLAKE3 of the original: its name, wherever it is kept.
    pub handle: [u8; 32],
    /// Of the original.
    pub tokens_before: usize,
    /// Of `text`, marks and all.
    pub tokens_after: usize,
    /// Critical values by kind, those kinds only that occur.
    pub critical: Vec<Share>,
    /// Whether all that had to be kept was kept, within the budget.
    pub preserved: bool,
    /// What had to be kept and was not: the first [`MISSING_LISTED`].
    pub missing: Vec<Missing>,
    /// How many more of them there are.
    pub missing_more: usize,
    /// What was left out, in the order of the marks.
    pub omissions: Vec<Omission>,
    /// The parts of the original, in order; between two of them stands a line end.
    pub blocks: Vec<Block>,
}

/// How much of what is missing is listed by name.
pub const MISSING_LISTED: usize = 32;

/// How many of the distinct critical values of one kind are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Their kind.
    pub kind: critical::Kind,
    /// Those that stand verbatim in what came out.
    pub kept: usize,
    /// Those that stand in the original.
    pub total: usize,
}

/// Something that had to be kept and was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Why it had to be.
    pub reserve: Reserve,
    /// Lines of the original, from 1, both ends in.
    pub lines: (usize, usize),
    /// How it begins.
    pub text: String,
}

/// A gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// Lines of the original, from 1, both ends in. Not all of them need be left out, if units were put in another order.
    pub lines: (usize, usize),
    /// The bytes of the original from the first to the last that was left out.
    pub bytes: Range<usize>,
    /// Units left out.
    pub units: usize,
    /// What these would have cost.
    pub tokens: usize,
}

impl Omission {
    /// Takes in another one, which follows it.
    pub(crate) fn join(&mut self, other: &Self) {
        self.lines.1 = self.lines.1.max(other.lines.1);
        self.bytes.end = self.bytes.end.max(other.bytes.end);
        self.units += other.units;
        self.tokens += other.tokens;
    }
}

/// A part of the original of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Where it stands in the original.
    pub bytes: Range<usize>,
    /// Where it stands in what came out; empty if it was left out.
    pub printed: Range<usize>,
    /// Of the original.
    pub tokens_before: usize,
    /// Of what is printed of it.
    pub tokens_after: usize,
    /// How it is printed.
    pub form: Form,
}

/// How a block is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// In the form of its kind, without loss.
    Whole,
    /// A choice of its units.
    Cut,
}
