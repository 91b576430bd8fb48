//! Markup that is no page: an element with nothing but text is a line, `name attribute=value: text`; one whose elements
//! are all such is one line if that is short, `item: title=…; link=…`; others are heads, their elements further in.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use super::{
    tags::{Tag, Token, Tokens},
    text::{Buffer, decoded},
};
use crate::outline::{Group, Outline, Reserve, Unit};

/// An element of short elements is one line up to this length, in bytes.
const RECORD: usize = 400;
/// Text of an element that is longer than this and has several lines is printed by lines.
const LONG: usize = 200;
/// Elements are not put further in than this.
const DEPTH: usize = 16;

pub(super) fn outline(block: &str) -> Outline<'_> {
    let mut reader =
        Reader { groups: vec![Group::default()], units: Vec::new(), stack: Vec::new(), text: Buffer::default() };
    for token in Tokens::new(block) {
        match token {
            Token::Text { range, raw } => reader.text.push(block, range, raw, true),
            Token::Open(tag) => reader.open(&tag),
            Token::Close { name, range } => reader.close(name, range.end),
        }
    }
    while !reader.stack.is_empty() {
        reader.end(block.len());
    }
    reader.loose();
    Outline { groups: reader.groups, units: reader.units }
}

/// A line that waits until it is known where it goes.
struct Leaf {
    name: String,
    text: String,
    source: Range<usize>,
}

struct Element<'a> {
    name: &'a str,
    /// Its name and attributes.
    head: String,
    start: usize,
    leaves: Vec<Leaf>,
    /// The bytes of these.
    length: usize,
    /// Its group, once it has to have one.
    group: Option<usize>,
}

impl Element<'_> {
    fn push(&mut self, leaf: Leaf) {
        self.length += leaf.name.len() + leaf.text.len() + 3;
        self.leaves.push(leaf);
    }
}

struct Reader<'a> {
    groups: Vec<Group<'a>>,
    units: Vec<Unit<'a>>,
    stack: Vec<Element<'a>>,
    text: Buffer,
}

impl<'a> Reader<'a> {
    fn open(&mut self, tag: &Tag<'a>) {
        self.loose();
        let mut head = tag.name.to_owned();
        for (name, value) in tag.attributes().filter(|(name, _)| !name.starts_with("xmlns")) {
            let _ = write!(head, " {name}={}", decoded(value));
        }
        let start = tag.range.start;
        self.stack.push(Element { name: tag.name, head, start, leaves: Vec::new(), length: 0, group: None });
        if tag.closed {
            self.end(tag.range.end);
        }
    }

    /// Closes the innermost element of that name; names that close nothing near are passed.
    fn close(&mut self, name: &str, end: usize) {
        let depth = self.stack.iter().rev().take(DEPTH).position(|element| element.name == name);
        for _ in 0..depth.map_or(0, |depth| depth + 1) {
            self.end(end);
        }
    }

    fn end(&mut self, end: usize) {
        if self.stack.last().is_some_and(|element| element.group.is_some() || !element.leaves.is_empty()) {
            self.loose();
        }
        let Some(element) = self.stack.last() else { return };
        let long = self.text.text().len() > LONG && self.text.text().trim().contains('\n');
        if element.group.is_some() || element.length > RECORD {
            self.settle();
            self.stack.pop();
        } else if element.leaves.is_empty() && long {
            self.long();
            self.stack.pop();
        } else if let Some(element) = self.stack.pop() {
            self.short(element, end);
        }
    }

    /// An element in one line.
    fn short(&mut self, element: Element<'a>, end: usize) {
        let is_record = !element.leaves.is_empty();
        let text = if is_record {
            let fields = element.leaves.iter().map(|leaf| match (leaf.name.as_str(), leaf.text.as_str()) {
                (one, "") | ("", one) => one.to_owned(),
                (name, text) => format!("{name}={text}"),
            });
            fields.collect::<Vec<_>>().join("; ")
        } else {
            self.words()
        };
        let leaf = Leaf { name: element.head, text, source: element.start..end };
        match self.stack.last_mut() {
            Some(parent) if !is_record => {
                parent.push(leaf);
                if parent.length > RECORD && parent.leaves.len() > 1 {
                    self.settle();
                }
            }
            _ => {
                let group = self.settle();
                self.line(group, self.stack.len(), &leaf);
            }
        }
    }

    /// The lines of a long text under the head of the innermost element.
    fn long(&mut self) {
        let failed = self.stack.last().is_some_and(|element| is_failure(element.name));
        let text = std::mem::take(&mut self.text);
        let group = self.settle();
        let mut reserve = failed.then_some(Reserve::Error);
        let mut at = 0;
        for line in text.text().split('\n') {
            let part = at..at + line.len();
            at = part.end + 1;
            if !line.trim().is_empty() {
                let unit = Unit::new(group, Cow::Owned(line.trim_end().to_owned()), text.source(part));
                self.units.push(Unit { reserve: reserve.take(), ..unit });
            }
        }
    }

    /// The group of the innermost element. Lines that wait in it and around it go to their groups before.
    fn settle(&mut self) -> usize {
        let mut parent = 0;
        let settled = |element: &Element<'_>| element.group.is_some() && element.leaves.is_empty();
        let from = self.stack.iter().rposition(settled).unwrap_or(0);
        for depth in from..self.stack.len() {
            let Some(element) = self.stack.get_mut(depth) else { break };
            let leaves = std::mem::take(&mut element.leaves);
            element.length = 0;
            if element.group.is_none() && depth < DEPTH {
                let head = format!("{}{}", "  ".repeat(depth), element.head);
                self.groups.push(Group { parent: Some(parent), head: Cow::Owned(head) });
                element.group = Some(self.groups.len() - 1);
            }
            parent = *element.group.get_or_insert(parent);
            for leaf in leaves {
                self.line(parent, depth + 1, &leaf);
            }
        }
        parent
    }

    fn line(&mut self, group: usize, depth: usize, leaf: &Leaf) {
        let indent = "  ".repeat(depth.min(DEPTH));
        let text = match (leaf.name.as_str(), leaf.text.as_str()) {
            (one, "") | ("", one) => format!("{indent}{one}"),
            (name, text) => format!("{indent}{name}: {text}"),
        };
        let failed = is_failure(leaf.name.split(' ').next().unwrap_or_default());
        let unit = Unit::new(group, Cow::Owned(text), leaf.source.clone());
        self.units.push(Unit { reserve: failed.then_some(Reserve::Error), ..unit });
    }

    /// Text that stands between elements is a line.
    fn loose(&mut self) {
        if self.text.is_empty() {
            self.text.clear();
            return;
        }
        let source = self.text.source(0..self.text.text().len());
        let leaf = Leaf { name: String::new(), text: self.words(), source };
        match self.stack.last_mut() {
            Some(parent) => parent.push(leaf),
            None => self.line(0, 0, &leaf),
        }
    }

    /// The text that was collected, in one line.
    fn words(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        text.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn is_failure(name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
    matches!(name.as_str(), "failure" | "error" | "fault" | "exception" | "fatal")
}
