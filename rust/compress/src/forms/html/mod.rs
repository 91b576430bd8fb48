//! Pages: what a reader of the page sees, as sentences under their headings.
//!
//! Scripts, styles, comments and drawings are gone, and so are tags; what is left is text as Markdown has it: headings,
//! points, quotes, rows of tables under their head, code line by line, links with where they lead. Links that follow
//! each other with nothing between them are a menu and one unit; at the edges of a page (`nav`, `header`, `footer`,
//! `aside`) a menu says its words only. XML has a form of its own ([`xml`]).
//!
//! A page cannot be read back from its text, so there is no form of the whole.

mod menu;
mod names;
mod page;
mod tags;
mod text;
mod xml;

use crate::outline::{Aim, Outline};
use tags::{Token, Tokens};

/// Tags that are looked at to tell a page from other markup.
const SAMPLE: usize = 200;

/// The block's text; `None` if there is none, or if all of it is to be printed.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    if aim == Aim::Whole {
        return None;
    }
    let outline = if is_page(block) { page::outline(block) } else { xml::outline(block) };
    (!outline.units.is_empty()).then_some(outline)
}

/// Whether most tags are those of pages.
fn is_page(block: &str) -> bool {
    let names = Tokens::new(block).filter_map(|token| match token {
        Token::Open(tag) => Some(tag.name),
        _ => None,
    });
    let (mut known, mut all) = (0, 0);
    for name in names.take(SAMPLE) {
        if name.eq_ignore_ascii_case("html") {
            return true;
        }
        all += 1;
        known += usize::from(names::is_known(name));
    }
    known * 2 >= all
}

#[cfg(test)]
mod tests;
