//! Which tools are meant: by the words of their names, descriptions and parameters' names.

use std::borrow::Cow;

use super::{
    super::json::{parse::Doc, text},
    is_tool, member,
};
use crate::select::rank::{Counted, asked, ranked};

/// A word of the name says so much more than one of the description.
const OF_NAME: f32 = 3.0;

/// Those of the tools that have a word of the query, by their places, the best first.
pub(super) fn best(tools: &[&str], query: &str) -> Vec<usize> {
    let asked = asked(query);
    let counted: Vec<Counted> = tools.iter().map(|tool| counted(tool, &asked)).collect();
    ranked(&counted, &asked)
}

fn counted(tool: &str, asked: &[u64]) -> Counted {
    let mut counted = Counted::default();
    let Some(doc) = Doc::parse(tool).filter(|doc| is_tool(doc, 0)) else { return counted };
    let said = |raw| text::unescaped(raw).unwrap_or(Cow::Borrowed(raw));
    for (name, weight) in [("name", OF_NAME), ("title", 1.0), ("description", 1.0)] {
        if let Some(at) = member(&doc, 0, name) {
            counted.add(&said(doc.raw_value(at)), weight, asked);
        }
    }
    let properties = member(&doc, 0, "inputSchema").and_then(|schema| member(&doc, schema, "properties"));
    for property in properties.into_iter().flat_map(|at| doc.inner(at)) {
        counted.add(&said(doc.raw_name(property)), 1.0, asked);
    }
    counted
}
