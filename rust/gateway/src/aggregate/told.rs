//! Tools in fewer tokens: made when they are wanted first, and kept with the page that they are of.
//!
//! A page that a server says again byte for byte is the same page ([`Shelves::remember`](super::shelves::Shelves)), so
//! what was made of it is made once, belongs to one principal, is bounded with the page and dies with it.

use std::sync::OnceLock;

use bytes::Bytes;
use omnimind_compress::forms::tools;
use omnimind_wire::json;

use super::list::List;
use crate::{config::ToolList, relay::Client};

/// How items are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they came.
    Whole,
    /// Tools without what no call needs.
    Pruned,
    /// Tools as a line of text each, which begins with the name.
    Line,
}

impl Form {
    /// That of the items of a list as this client lists them.
    pub(super) fn of(client: &Client, list: List) -> Self {
        match (list, client.caller.tools) {
            (List::Tools, ToolList::Pruned) => Self::Pruned,
            _ => Self::Whole,
        }
    }
}

/// What was made of the items of one page, in their order; an item that is no tool stays as it is.
#[derive(Debug, Default)]
pub(super) struct Told {
    pruned: OnceLock<Box<[Bytes]>>,
    lines: OnceLock<Box<[Bytes]>>,
}

impl Told {
    /// The items in a form; none for the one they have.
    pub(super) fn of<'i>(&self, form: Form, items: impl Iterator<Item = &'i [u8]>) -> Option<&[Bytes]> {
        let (kept, make): (_, fn(&str) -> Option<String>) = match form {
            Form::Whole => return None,
            Form::Pruned => (&self.pruned, tools::prune_one),
            Form::Line => (&self.lines, |raw| tools::signature(raw).or_else(|| name(raw))),
        };
        let made = |raw: &[u8]| {
            let made = std::str::from_utf8(raw).ok().and_then(make);
            made.map_or_else(|| Bytes::copy_from_slice(raw), Bytes::from)
        };
        Some(kept.get_or_init(|| items.map(made).collect()))
    }
}

/// All that can be said of what has no schema.
fn name(raw: &str) -> Option<String> {
    json::find(raw.as_bytes(), &["name"]).ok().flatten().and_then(json::as_str).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::page::Page;

    fn page(text: &str) -> Page {
        Page::read(List::Tools, None, &Bytes::copy_from_slice(text.as_bytes()))
    }

    fn told(page: &Page, form: Form) -> Vec<&str> {
        page.told(form, 0).map(|(_, told)| std::str::from_utf8(told).unwrap_or_default()).collect()
    }

    const LIST: &str =
        r#"{"tools":[{"name":"a","title":"A","description":"Does a","inputSchema":{}},{"name":"b"},{"x":1}]}"#;

    #[test]
    fn what_was_made_of_a_page_is_made_once() {
        let page = page(LIST);
        let kept = page.clone();
        for form in [Form::Pruned, Form::Line] {
            let [first, again] = [&kept, &page].map(|page| told(page, form));
            assert!(first.iter().zip(&again).all(|(one, other)| std::ptr::eq(*one, *other)), "{form:?}");
        }
    }

    #[test]
    fn what_is_no_tool_stays_and_is_a_line_by_its_name() {
        let page = page(LIST);
        let pruned = [r#"{"name":"a","description":"Does a","inputSchema":{}}"#, r#"{"name":"b"}"#, r#"{"x":1}"#];
        assert_eq!(told(&page, Form::Pruned), pruned);
        assert_eq!(told(&page, Form::Line), ["a() - Does a", "b", r#"{"x":1}"#]);
        assert_eq!(told(&page, Form::Whole)[1..], pruned[1..]);
        let after = page.told(Form::Pruned, 2).map(|(raw, told)| (raw.len(), told.len())).collect::<Vec<_>>();
        assert_eq!(after, [(7, 7)]);
    }

    #[test]
    fn a_page_that_is_said_again_is_the_same_and_another_is_not() {
        let one = page(LIST);
        assert!(one.is(&page(LIST)));
        assert!(one.is(&page(&LIST.replace("]}", "], \"ttlMs\": 5}"))), "what stands around the items is no matter");
        for other in [
            LIST.replace("Does a", "Does b"),
            LIST.replace(",{\"x\":1}", ""),
            LIST.replace("]}", "],\"nextCursor\":\"c\"}"),
        ] {
            assert!(!one.is(&page(&other)), "{other}");
        }
    }
}
