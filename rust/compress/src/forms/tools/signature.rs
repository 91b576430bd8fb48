//! A tool in one line: `name(path, limit?:int=10, mode?:fast|safe) - What it does`.
//!
//! Most parameters are strings, so that is what has no type. A string among the values of an enum stands without quotes
//! unless it would be taken for a type, a literal or a sign of the form.

use std::{borrow::Cow, cell::Cell, collections::HashSet};

use super::{
    super::json::{
        parse::{At, Doc, Sort},
        text,
    },
    member, prune,
};

/// References inside references, and objects inside objects, are followed no deeper.
const DEPTH: usize = 4;
/// Schemas looked at for one tool: references can make many of few.
const SCHEMAS: usize = 2000;
/// Bytes of a default that is said.
const DEFAULT: usize = 40;
/// Bytes of a description's first sentence, cut at a word.
const SENTENCE: usize = 56;
/// Words that are types, and signs that a bare value may not hold.
const TYPES: [&str; 7] = ["str", "int", "num", "bool", "object", "any", "null"];
const SIGNS: &[char] = &['|', ',', '(', ')', '{', '}', '[', ']', '=', ':', '"', '?'];

pub(super) fn line(doc: &Doc<'_>, tool: At) -> String {
    let root = member(doc, tool, "inputSchema").unwrap_or(tool);
    let writer = Writer { doc, root, left: Cell::new(SCHEMAS) };
    let mut out = member(doc, tool, "name").map_or(Cow::Borrowed(""), |at| said(doc, at)).into_owned();
    out.push('(');
    writer.parameters(writer.root, DEPTH, &mut out);
    out.push(')');
    let description = member(doc, tool, "description").map_or(Cow::Borrowed(""), |at| said(doc, at));
    let first = sentence(&description);
    if !first.is_empty() {
        out.push_str(" - ");
        out.push_str(&first);
    }
    out
}

fn said<'a>(doc: &Doc<'a>, at: At) -> Cow<'a, str> {
    let raw = doc.raw_value(at);
    text::unescaped(raw).unwrap_or(Cow::Borrowed(raw))
}

/// The first sentence, on one line.
fn sentence(description: &str) -> String {
    let text = prune::normal(description);
    let ends = |(at, sign): (usize, char)| {
        let after = text.get(at + sign.len_utf8()..).unwrap_or_default();
        match sign {
            '.' | '!' | '?' if after.is_empty() || after.starts_with([' ', '\n']) => Some(at),
            '。' | '\n' => Some(at),
            _ => None,
        }
    };
    let end = text.char_indices().find_map(ends).unwrap_or(text.len());
    let first = text.get(..end).unwrap_or_default();
    if first.len() <= SENTENCE {
        return first.to_owned();
    }
    let mut words = first.char_indices().filter(|(at, sign)| *sign == ' ' && *at <= SENTENCE).map(|(at, _)| at);
    let end = words.next_back().or_else(|| (0..=SENTENCE).rev().find(|at| first.is_char_boundary(*at))).unwrap_or(0);
    format!("{}…", first.get(..end).unwrap_or_default())
}

struct Writer<'d, 'a> {
    doc: &'d Doc<'a>,
    /// The schema that references begin at.
    root: At,
    /// Schemas that may still be looked at.
    left: Cell<usize>,
}

impl Writer<'_, '_> {
    /// The properties of an object.
    fn parameters(&self, schema: At, depth: usize, out: &mut String) {
        let doc = self.doc;
        let required: HashSet<Cow<'_, str>> = member(doc, schema, "required")
            .map(|list| doc.inner(list).map(|at| said(doc, at)).collect())
            .unwrap_or_default();
        let Some(properties) = member(doc, schema, "properties") else { return };
        for (index, property) in doc.inner(properties).enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            let raw = doc.raw_name(property);
            let name = text::unescaped(raw).unwrap_or(Cow::Borrowed(raw));
            let needed = required.contains(&name);
            out.push_str(&name);
            if !needed {
                out.push('?');
            }
            let mut sort = String::new();
            self.sort(property, depth, !needed, &mut sort);
            if sort != "str" {
                out.push(':');
                out.push_str(&sort);
            }
            self.default(property, out);
        }
    }

    fn default(&self, schema: At, out: &mut String) {
        let Some(default) = member(self.doc, schema, "default") else { return };
        let text = self.literal(default);
        // Nothing, none and no are what is expected of what is left out.
        if text.len() <= DEFAULT && !matches!(text.as_str(), "null" | "false" | "\"\"" | "[]" | "{}") {
            out.push('=');
            out.push_str(&text);
        }
    }

    /// A value: a string without quotes where that cannot be taken for something else.
    fn literal(&self, at: At) -> String {
        let text = prune::compact(self.doc, at);
        let bare = said(self.doc, at);
        let plain = text::is_plain(&bare) && !text::is_literal(&bare) && !TYPES.contains(&bare.as_ref());
        if self.doc.sort(at) == Sort::Text && plain && !bare.contains(SIGNS) { bare.into_owned() } else { text }
    }

    /// Adds what a schema allows; null is not said of what may be left out.
    fn sort(&self, schema: At, depth: usize, optional: bool, out: &mut String) {
        let doc = self.doc;
        let Some(left) = self.left.get().checked_sub(1) else { return out.push_str("any") };
        self.left.set(left);
        if let Some(reference) = member(doc, schema, "$ref") {
            let found = self.resolved(&said(doc, reference)).filter(|_| depth > 0);
            return match found {
                Some(found) => self.sort(found, depth - 1, optional, out),
                None => out.push_str("any"),
            };
        }
        if let Some(one) = member(doc, schema, "const") {
            return out.push_str(&self.literal(one));
        }
        if let Some(list) = member(doc, schema, "enum") {
            let values = doc.inner(list).filter(|at| !(optional && doc.sort(*at) == Sort::Null));
            return joined(values.map(|at| self.literal(at)), out);
        }
        if let Some(list) = ["anyOf", "oneOf"].into_iter().find_map(|name| member(doc, schema, name)) {
            let sorts = doc.inner(list).filter(|_| depth > 0).map(|at| {
                let mut sort = String::new();
                self.sort(at, depth - 1, false, &mut sort);
                sort
            });
            return joined(sorts.filter(|sort| !(optional && sort == "null")), out);
        }
        match member(doc, schema, "type") {
            Some(list) if doc.sort(list) == Sort::Array => {
                let kinds = doc.inner(list).map(|at| said(doc, at)).filter(|kind| !(optional && kind == "null"));
                joined(kinds.map(|kind| self.kind(schema, &kind, depth)), out);
            }
            Some(kind) => out.push_str(&self.kind(schema, &said(doc, kind), depth)),
            None => out.push_str("any"),
        }
    }

    fn kind(&self, schema: At, kind: &str, depth: usize) -> String {
        let doc = self.doc;
        match kind {
            "string" => "str".to_owned(),
            "integer" => "int".to_owned(),
            "number" => "num".to_owned(),
            "boolean" => "bool".to_owned(),
            "array" => {
                let mut out = String::new();
                match member(doc, schema, "items").filter(|_| depth > 0) {
                    Some(items) => self.sort(items, depth - 1, false, &mut out),
                    None => out.push_str("any"),
                }
                if out.contains('|') { format!("({out})[]") } else { format!("{out}[]") }
            }
            "object" => {
                let mut out = String::new();
                if depth > 0 {
                    self.parameters(schema, depth - 1, &mut out);
                }
                if out.is_empty() { "object".to_owned() } else { format!("{{{out}}}") }
            }
            other => other.to_owned(),
        }
    }

    /// `#/$defs/Name`.
    fn resolved(&self, reference: &str) -> Option<At> {
        let path = reference.strip_prefix("#/")?;
        path.split('/').try_fold(self.root, |at, name| member(self.doc, at, name))
    }
}

fn joined(parts: impl Iterator<Item = String>, out: &mut String) {
    for (index, part) in parts.enumerate() {
        if index > 0 {
            out.push('|');
        }
        out.push_str(&part);
    }
}
