//! The press: the same facts in fewer tokens. Pure: same input and policy, same bytes.
//!
//! A text is cut into blocks of one [`Kind`] each. The form of that kind reads a block into an [`outline`](outline::Outline):
//! units that can be kept or left out, under heads that are printed once. All units printed are the block without loss
//! (the form can decode it); with a budget, a choice of them is printed, and a mark wherever some were left out.

#![forbid(unsafe_code)]

pub mod critical;
mod cut;
pub mod expand;
pub mod forms;
#[cfg(test)]
mod linear;
pub mod mark;
pub mod meaning;
pub mod outline;
pub mod policy;
mod press;
pub mod report;
pub mod router;
mod select;
pub mod tokens;

pub use policy::{Hints, Policy};
pub use press::{compress, decode, decode_blocks, lossless};
pub use report::Outcome;

/// What a block of text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One JSON value.
    Json,
    /// A JSON value a line.
    JsonLines,
    /// Lines with a time or a level at their begin.
    Log,
    /// What compilers, test runners and package managers print.
    Build,
    /// Stack traces.
    Trace,
    /// Unified diffs.
    Diff,
    /// Source code.
    Code,
    /// `path:line:text`, as grep prints it.
    Search,
    /// CSV, TSV, Markdown tables, columns of fixed width.
    Table,
    /// Sentences and paragraphs, with or without Markdown headings.
    Prose,
    /// HTML and XML.
    Html,
    /// An MCP `tools/list` result.
    Tools,
    /// Anything else: lines.
    Text,
}

/// How it is said that something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// By a mark that names the lines.
    Marked,
    /// By how many are gone; a mark behind them all says of how many lines they were.
    Counted,
    /// By that mark alone: of lines and rows nobody expects the next one, and there may be many gaps.
    Silent,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 13] = [
        Self::Json,
        Self::JsonLines,
        Self::Log,
        Self::Build,
        Self::Trace,
        Self::Diff,
        Self::Code,
        Self::Search,
        Self::Table,
        Self::Prose,
        Self::Html,
        Self::Tools,
        Self::Text,
    ];

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Log => "log",
            Self::Build => "build",
            Self::Trace => "trace",
            Self::Diff => "diff",
            Self::Code => "code",
            Self::Search => "search",
            Self::Table => "table",
            Self::Prose => "prose",
            Self::Html => "html",
            Self::Tools => "tools",
            Self::Text => "text",
        }
    }

    /// Where a reader has to see each gap, and where it is enough to know of how many lines some are gone.
    pub(crate) fn gaps(self) -> Gaps {
        match self {
            Self::Json | Self::Prose | Self::Html => Gaps::Counted,
            Self::JsonLines | Self::Log | Self::Build | Self::Search | Self::Table | Self::Diff => Gaps::Silent,
            Self::Trace | Self::Code | Self::Tools | Self::Text => Gaps::Marked,
        }
    }
}
