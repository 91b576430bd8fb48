//! Where the values of a JSON text stand: a list in the order of the text, each with the place behind its last child.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

struct Node {
    kind: Kind,
    range: Range<usize>,
    /// The member's name, with its quotes; empty in arrays.
    name: Range<usize>,
    /// The node behind all that is in this one.
    next: usize,
}

/// Values that lie deeper are not read.
const DEEPEST: usize = 200;

/// The values of a text; the first one is its root.
pub(super) struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    /// None if the text is neither a JSON value nor one a line, or too deep.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut tree = Self { text, nodes: Vec::new() };
        if is_json(text) {
            tree.value(start(text, 0), 0..0, DEEPEST)?;
            return Some(tree);
        }
        tree.nodes.push(Node { kind: Kind::Array, range: 0..text.len(), name: 0..0, next: 0 });
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if !line.trim().is_empty() {
                if !is_json(line) {
                    return None;
                }
                tree.value(start(text, at), 0..0, DEEPEST)?;
            }
            at += line.len();
        }
        let next = tree.nodes.len();
        tree.nodes.first_mut()?.next = next;
        (next > 1).then_some(tree)
    }

    pub(super) fn kind(&self, node: usize) -> Kind {
        self.nodes.get(node).map_or(Kind::Null, |node| node.kind)
    }

    pub(super) fn range(&self, node: usize) -> Range<usize> {
        self.nodes.get(node).map(|node| node.range.clone()).unwrap_or_default()
    }

    /// As it stands in the text.
    pub(super) fn raw(&self, node: usize) -> &'a str {
        self.text.get(self.range(node)).unwrap_or_default()
    }

    /// The text of a string.
    pub(super) fn string(&self, node: usize) -> Option<Cow<'a, str>> {
        (self.kind(node) == Kind::Text).then(|| unquoted(self.raw(node)))?
    }

    /// Itself and all that is in it.
    pub(super) fn all(&self, node: usize) -> Range<usize> {
        node..self.nodes.get(node).map_or(node, |found| found.next)
    }

    /// What is directly in it.
    pub(super) fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let all = self.all(node);
        let inside = move |at: usize| (at < all.end).then_some(at);
        std::iter::successors(inside(node + 1), move |at| inside(self.all(*at).end))
    }

    /// Whether a member of an object has this name.
    pub(super) fn is_named(&self, node: usize, name: &str) -> bool {
        let range = self.nodes.get(node).map(|node| node.name.clone()).unwrap_or_default();
        self.text.get(range).and_then(unquoted).is_some_and(|found| found == name)
    }

    /// Reads the value that begins here; where it ends, if it is not too deep. What is read is known to be JSON.
    fn value(&mut self, at: usize, name: Range<usize>, deeper: usize) -> Option<usize> {
        let byte = self.text.as_bytes().get(at).copied().unwrap_or_default();
        let own = self.nodes.len();
        let kind = match byte {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::Text,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            _ => Kind::Number,
        };
        self.nodes.push(Node { kind, range: at..at, name, next: own + 1 });
        let end = match kind {
            Kind::Object | Kind::Array => {
                self.inside(start(self.text, at + 1), kind == Kind::Object, deeper.checked_sub(1)?)?
            }
            Kind::Text => string_end(self.text, at),
            _ => {
                let rest = self.text.get(at..).unwrap_or_default();
                at + rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len())
            }
        };
        let next = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(own) {
            (node.range.end, node.next) = (end, next);
        }
        Some(end)
    }

    fn inside(&mut self, mut at: usize, named: bool, deeper: usize) -> Option<usize> {
        loop {
            match self.text.as_bytes().get(at) {
                Some(b',') => at = start(self.text, at + 1),
                Some(b']' | b'}') => return Some(at + 1),
                None => return None,
                Some(_) => {
                    let name = at..if named { string_end(self.text, at) } else { at };
                    // Behind a name stands a colon.
                    let value = if named { start(self.text, start(self.text, name.end) + 1) } else { at };
                    let end = self.value(value, name, deeper)?;
                    at = start(self.text, end.max(at + 1));
                }
            }
        }
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The first byte from here on that is no white space.
fn start(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).unwrap_or(rest.len())
}

/// Behind the closing quote of the string that begins here.
fn string_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// A JSON string's text. One with a lone surrogate has none.
fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}
