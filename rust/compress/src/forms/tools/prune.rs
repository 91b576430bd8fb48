//! What is left of a list when nothing is said that no call needs.

use super::{
    super::json::{
        parse::{At, Doc, Sort},
        text,
    },
    member,
};

/// Members of a tool that a model does not need to call it.
const TOOL: &[&str] = &["outputSchema", "annotations", "icons"];
/// Keywords that change neither what may be sent nor how it is understood.
const SCHEMA: &[&str] = &["$schema", "$comment"];
/// Keywords whose value is an object of schemas by name.
const NAMED: &[&str] = &["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];
/// Keywords whose value is data and no schema.
const DATA: &[&str] = &["enum", "const", "default", "examples", "required", "type"];
/// Schemas with more keywords than this are left as they are.
const MANY: usize = 32;
/// What libraries write as the bounds of an integer without bounds.
const UNBOUND: &[&str] = &["9007199254740991", "-9007199254740991"];

/// The document, its array of tools pruned.
pub(super) fn list(doc: &Doc<'_>, list: At) -> String {
    let mut pruner = Pruner { doc, list, out: String::with_capacity(doc.text.len() / 2) };
    pruner.around(0);
    pruner.out
}

/// The document, which is one tool, pruned.
pub(super) fn one(doc: &Doc<'_>) -> String {
    let mut pruner = Pruner { doc, list: 0, out: String::with_capacity(doc.text.len() / 2) };
    pruner.tool(0);
    pruner.out
}

/// What a schema says of null beside what it says itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    No,
    /// It is allowed, too.
    Said,
    /// It would be allowed, and need not be: what it stands for is said by leaving it out.
    Unsaid,
}

struct Pruner<'d, 'a> {
    doc: &'d Doc<'a>,
    list: At,
    out: String,
}

impl Pruner<'_, '_> {
    /// What stands around the list, compact; and the list.
    fn around(&mut self, at: At) {
        let doc = self.doc;
        if at == self.list {
            self.array(at, Self::tool);
        } else if at < self.list && doc.node(at).is_some_and(|node| node.end > self.list) {
            self.object(at, Self::around);
        } else {
            self.copy(at);
        }
    }

    fn tool(&mut self, at: At) {
        let doc = self.doc;
        let described = member(doc, at, "description").is_some_and(|said| !doc.raw_value(said).is_empty());
        self.out.push('{');
        for member in doc.inner(at) {
            let name = doc.raw_name(member);
            // A tool is no task unless it says so.
            let usual = name == "execution" && compact(doc, member) == r#"{"taskSupport":"forbidden"}"#;
            // A title stands in for a description, and says nothing beside one.
            let title = name == "title" && described;
            if usual || title || TOOL.contains(&name) {
                continue;
            }
            self.name(member);
            match name {
                "inputSchema" => self.schema(member),
                "description" => self.description(member),
                _ => self.copy(member),
            }
        }
        self.out.push('}');
    }

    fn schema(&mut self, at: At) {
        match self.doc.sort(at) {
            Sort::Array => self.array(at, Self::schema),
            Sort::Object => self.braces(at, Null::No),
            _ => self.copy(at),
        }
    }

    fn braces(&mut self, at: At, null: Null) {
        self.out.push('{');
        self.keywords(at, null);
        self.out.push('}');
    }

    /// Schemas by name. That one which may be left out may be null instead is not said.
    fn properties(&mut self, at: At, schema: At) {
        let doc = self.doc;
        let required: Vec<&str> = member(doc, schema, "required")
            .map(|list| doc.inner(list).map(|name| doc.raw_value(name)).collect())
            .unwrap_or_default();
        self.object(at, |pruner, property| {
            if doc.sort(property) == Sort::Object && !required.contains(&doc.raw_name(property)) {
                pruner.braces(property, Null::Unsaid);
            } else {
                pruner.schema(property);
            }
        });
    }

    /// The keywords of a schema.
    fn keywords(&mut self, at: At, null: Null) {
        let doc = self.doc;
        for keyword in doc.inner(at) {
            let name = doc.raw_name(keyword);
            let no_default = null == Null::Unsaid && name == "default" && doc.sort(keyword) == Sort::Null;
            if is_idle(doc, keyword) || no_default {
                continue;
            }
            if let Some(one) = or_null(doc, at, keyword) {
                self.keywords(one, if null == Null::Unsaid { null } else { Null::Said });
                continue;
            }
            self.name(keyword);
            if let Some(one) = type_or_null(doc, keyword).filter(|_| null == Null::Unsaid) {
                self.copy(one);
            } else if null == Null::Said && name == "type" {
                self.out.push('[');
                self.copy(keyword);
                self.out.push_str(",\"null\"]");
            } else if name == "description" {
                self.description(keyword);
            } else if name == "properties" && doc.sort(keyword) == Sort::Object {
                self.properties(keyword, at);
            } else if NAMED.contains(&name) && doc.sort(keyword) == Sort::Object {
                self.object(keyword, Self::schema);
            } else if DATA.contains(&name) {
                self.copy(keyword);
            } else {
                self.schema(keyword);
            }
        }
    }

    fn object(&mut self, at: At, mut value: impl FnMut(&mut Self, At)) {
        self.out.push('{');
        for member in self.doc.inner(at) {
            self.name(member);
            value(self, member);
        }
        self.out.push('}');
    }

    fn array(&mut self, at: At, mut one: impl FnMut(&mut Self, At)) {
        self.out.push('[');
        for (index, at) in self.doc.inner(at).enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            one(self, at);
        }
        self.out.push(']');
    }

    fn name(&mut self, member: At) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(self.doc.raw_name(member));
        self.out.push_str("\":");
    }

    /// With one space for many, and one line's end for many.
    fn description(&mut self, at: At) {
        match text::unescaped(self.doc.raw_value(at)) {
            Some(said) if self.doc.sort(at) == Sort::Text => text::quote(&mut self.out, &normal(&said)),
            _ => self.copy(at),
        }
    }

    fn copy(&mut self, at: At) {
        match self.doc.sort(at) {
            Sort::Array => self.array(at, Self::copy),
            Sort::Object => self.object(at, Self::copy),
            Sort::Text => {
                self.out.push('"');
                self.out.push_str(self.doc.raw_value(at));
                self.out.push('"');
            }
            _ => self.out.push_str(self.doc.raw_value(at)),
        }
    }
}

/// A value without white space.
pub(super) fn compact(doc: &Doc<'_>, at: At) -> String {
    let mut pruner = Pruner { doc, list: at, out: String::new() };
    pruner.copy(at);
    pruner.out
}

/// Whether a keyword says nothing that a call needs.
fn is_idle(doc: &Doc<'_>, at: At) -> bool {
    let (name, sort) = (doc.raw_name(at), doc.sort(at));
    let empty = doc.inner(at).next().is_none();
    match name {
        "additionalProperties" => sort != Sort::Object || empty,
        "required" => sort == Sort::Array && empty,
        "minimum" | "maximum" => UNBOUND.contains(&doc.raw_value(at)),
        "title" => sort == Sort::Text,
        _ => SCHEMA.contains(&name),
    }
}

/// If `keyword` is the `anyOf` of one schema or null: that schema, which then may stand for both.
fn or_null(doc: &Doc<'_>, schema: At, keyword: At) -> Option<At> {
    if doc.raw_name(keyword) != "anyOf" || doc.inner(keyword).count() != 2 || doc.inner(schema).count() > MANY {
        return None;
    }
    let is_null = |at: At| compact(doc, at) == r#"{"type":"null"}"#;
    let one = doc.inner(keyword).find(|at| !is_null(*at))?;
    let said = |at: At| doc.inner(schema).any(|other| doc.raw_name(other) == doc.raw_name(at));
    let fits = doc.inner(one).all(|at| {
        !matches!(doc.raw_name(at), "enum" | "const" | "$ref" | "anyOf" | "oneOf" | "allOf" | "not")
            && (is_idle(doc, at) || !said(at))
    });
    let typed = member(doc, one, "type").is_some_and(|at| doc.sort(at) == Sort::Text);
    (doc.inner(keyword).any(is_null) && fits && typed).then_some(one)
}

/// If `keyword` is a `type` of one or null: that one.
fn type_or_null(doc: &Doc<'_>, keyword: At) -> Option<At> {
    if doc.raw_name(keyword) != "type" || doc.sort(keyword) != Sort::Array || doc.inner(keyword).count() != 2 {
        return None;
    }
    let is_null = |at: &At| doc.raw_value(*at) == "null";
    doc.inner(keyword).any(|at| is_null(&at)).then(|| doc.inner(keyword).find(|at| !is_null(at))).flatten()
}

/// Text without white space that says nothing.
pub(super) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = "";
    for sign in text.trim().chars() {
        if sign.is_whitespace() {
            gap = if sign == '\n' || gap == "\n" { "\n" } else { " " };
        } else {
            out.push_str(std::mem::take(&mut gap));
            out.push(sign);
        }
    }
    out
}
