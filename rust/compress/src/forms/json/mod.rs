//! JSON as lines that need no quotes, braces or repeated names: tables for many alike, indented lines for the rest.
//!
//! What is read back is the same value: members in the same order, numbers as they were spelled, strings of the same
//! characters. White space outside of strings and the choice of escapes are not kept.

mod columns;
pub(crate) mod loose;
pub(crate) mod parse;
mod read;
mod rows;
mod table;
pub(crate) mod text;
mod texts;
mod tree;

use crate::outline::{Aim, Group, Outline};
use parse::{Doc, Sort};
use table::Table;
use tree::Tree;

use super::grid;

/// One value as units; `None` if it is not one, or a bare string or number.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    let doc = Doc::parse(block)?;
    matches!(doc.sort(0), Sort::Array | Sort::Object).then(|| Tree::outline(&doc, 0, aim))
}

/// A value a line as rows. Lines that are empty are not kept.
pub(super) fn outline_lines(block: &str, aim: Aim) -> Option<Outline<'_>> {
    let mut doc = Doc::of_many(block);
    let mut rows = Vec::new();
    let mut from = 0;
    for line in block.split('\n') {
        if !line.trim_ascii().is_empty() {
            rows.push(doc.add(from, from + line.len())?);
        }
        from += line.len() + 1;
    }
    let table = Table::of_lines(&doc, &rows)?;
    let mut outline = Outline { groups: vec![Group::default()], units: Vec::new() };
    grid::print(&table.grid, table.noun, aim).place(&table.grid, Some(0), "", &mut outline);
    Some(outline)
}

/// The JSON that all units of an outline say.
pub(super) fn decode(printed: &str) -> Option<String> {
    read::document(printed)
}
