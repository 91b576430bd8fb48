//! One form a kind: how a block of that kind is read into units, and how what all units print is read back.
//!
//! Rule: `decode(kind, outline(kind, block, Aim::Whole)?.whole())` is `block`, byte for byte; for JSON the same value
//! with the members in the same order. Where a form cannot promise that, it says `None` and the block is taken as
//! [`Kind::Text`].

mod code;
mod diff;
mod grid;
mod html;
mod json;
mod lines;
mod log;
mod prose;
mod search;
mod table;
pub mod tools;
mod trace;

use crate::{
    Kind,
    outline::{Aim, Outline},
};

/// A block as units; `None` if it is not of that kind after all.
pub fn outline(kind: Kind, block: &str, aim: Aim) -> Option<Outline<'_>> {
    match kind {
        Kind::Log => log::outline(block, aim, log::Of::Log),
        Kind::Trace => log::outline(block, aim, log::Of::Trace),
        Kind::Build => log::outline(block, aim, log::Of::Build),
        Kind::Json => json::outline(block, aim),
        Kind::JsonLines => json::outline_lines(block, aim),
        Kind::Diff => diff::outline(block, aim),
        Kind::Search => search::outline(block, aim),
        Kind::Table => table::outline(block, aim),
        Kind::Tools => tools::outline(block, aim),
        Kind::Code => code::outline(block, aim),
        Kind::Html => html::outline(block, aim),
        Kind::Prose => prose::outline(block, aim),
        Kind::Text => Some(lines::outline(block)),
    }
}

/// The block of which `printed` is the whole outline, without gaps; `None` if it is not one.
pub fn decode(kind: Kind, printed: &str) -> Option<String> {
    match kind {
        Kind::Json | Kind::JsonLines | Kind::Tools => json::decode(printed),
        Kind::Table => table::decode(printed),
        Kind::Text => Some(printed.to_owned()),
        Kind::Log | Kind::Build | Kind::Trace => log::decode(printed),
        Kind::Diff => diff::decode(printed),
        Kind::Search => Some(search::decode(printed)),
        _ => None,
    }
}
