//! A `tools/list` result for fewer tokens, in two strengths.
//!
//! [`prune`] keeps the protocol's form: valid JSON, each tool with its name, description and input schema, without
//! what no call needs. [`signatures`] says a tool in a line of text. Neither can be read back into what it was: what is
//! dropped is dropped. Where a list has to be read back ([`Aim::Whole`]), it is JSON like any other.

mod find;
mod prune;
mod signature;

use crate::outline::{Aim, Group, Outline, Reserve, Unit};

use super::json::{
    self,
    parse::{At, Doc, Sort},
};

/// The list with pruned schemas, as compact JSON of the same form: `outputSchema`, `annotations`, a `title` beside a
/// description, `icons`, and in schemas `$schema`, `title`, `additionalProperties` that is no schema, and the like are
/// left out. All tool names, parameters, types, limits, `required`, enums, defaults and descriptions stay; white space in
/// descriptions is normalised. `None` if the text is no list of tools.
pub fn prune(text: &str) -> Option<String> {
    let doc = Doc::parse(text)?;
    let list = list(&doc)?;
    Some(prune::list(&doc, list))
}

/// One tool, as [`prune`] tells it; `None` if the text is no tool.
pub fn prune_one(text: &str) -> Option<String> {
    let doc = Doc::parse(text).filter(|doc| is_tool(doc, 0))?;
    Some(prune::one(&doc))
}

/// A line a tool, `name(path, limit?:int=100, mode:a|b) - First sentence`, after one that explains them. All tool names,
/// parameters, required, types, enums and defaults that say something are there; of the description the first sentence.
/// `None` if the text is no list of tools.
pub fn signatures(text: &str) -> Option<String> {
    let doc = Doc::parse(text)?;
    let tools: Vec<At> = doc.inner(list(&doc)?).collect();
    let mut out = signatures_head(tools.len());
    for tool in tools {
        out.push('\n');
        out.push_str(&signature::line(&doc, tool));
    }
    Some(out)
}

/// One tool, as a line of [`signatures`]; `None` if the text is no tool.
pub fn signature(text: &str) -> Option<String> {
    let doc = Doc::parse(text).filter(|doc| is_tool(doc, 0))?;
    Some(signature::line(&doc, 0))
}

/// The line that explains those of so many tools.
pub fn signatures_head(count: usize) -> String {
    format!("{count} tools: name(required, optional?:type=default, no type: str) - what it does")
}

/// The tools that a question is about, by their places, the best first: those that have a word of it in their names,
/// descriptions or parameters' names (BM25; a word of the name counts three times).
pub fn find(tools: &[&str], query: &str) -> Vec<usize> {
    find::best(tools, query)
}

/// Tools as units of one line each, or, to be read back, the JSON form.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    if aim == Aim::Whole {
        return json::outline(block, aim);
    }
    let doc = Doc::parse(block)?;
    let tools: Vec<At> = doc.inner(list(&doc)?).collect();
    let unit = |tool: &At| Unit {
        reserve: Some(Reserve::Signature),
        ..Unit::new(0, signature::line(&doc, *tool).into(), doc.source(*tool))
    };
    let units = tools.iter().map(unit).collect();
    Some(Outline { groups: vec![Group { parent: None, head: signatures_head(tools.len()).into() }], units })
}

/// The array of tools: the document itself, its `tools`, or those of its `result`.
fn list(doc: &Doc<'_>) -> Option<At> {
    let list = match doc.sort(0) {
        Sort::Array => 0,
        _ => member(doc, 0, "tools").or_else(|| member(doc, member(doc, 0, "result")?, "tools"))?,
    };
    let mut tools = doc.inner(list).peekable();
    (doc.sort(list) == Sort::Array && tools.peek().is_some() && tools.all(|tool| is_tool(doc, tool))).then_some(list)
}

fn is_tool(doc: &Doc<'_>, tool: At) -> bool {
    let is = |name: &str, sort: Sort| member(doc, tool, name).is_some_and(|at| doc.sort(at) == sort);
    is("name", Sort::Text) && is("inputSchema", Sort::Object)
}

/// A member of an object.
fn member(doc: &Doc<'_>, object: At, name: &str) -> Option<At> {
    let is_object = doc.sort(object) == Sort::Object;
    is_object.then(|| doc.inner(object).find(|member| doc.raw_name(*member) == name)).flatten()
}
