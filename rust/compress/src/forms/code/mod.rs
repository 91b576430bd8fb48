//! Source code: signatures first, then what stands under them, statement by statement.
//!
//! Many languages at once, by what they have in common: words that begin a definition, brackets, indentation. A type
//! (class, struct, module, a section of a configuration) is the head of what stands further in; a function's signature,
//! its decorators with it, is a unit that has to be kept, the first line of what documents it another. Imports that
//! follow each other are one unit, so is a statement over several lines. Nothing is parsed that a reader could not see,
//! so a file that is cut off or does not compile is read as well as any other.
//!
//! Rule: a unit's text is the block's text as it stands there. Code has no shorter form, so there is none of the whole.

mod lines;
mod names;

use std::{borrow::Cow, ops::Range};

use crate::{
    forms::prose::sentences,
    outline::{Aim, Group, Outline, Reserve, Unit},
};
use lines::Line;
use names::Definition;

/// Lines that belong together are one unit up to so many, and so many bytes.
const MOST_LINES: usize = 12;
const MOST_BYTES: usize = 600;
/// Types in types are not followed further.
const DEPTH: usize = 8;

/// The block by definitions; `None` if all of it is to be printed.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    if aim == Aim::Whole {
        return None;
    }
    let lines = lines::read(block);
    let mut reader = Reader {
        block,
        lines: &lines,
        out: Outline { groups: vec![Group::default()], units: Vec::new() },
        scopes: Vec::new(),
        function: None,
    };
    let mut at = 0;
    while at < lines.len() {
        at += reader.step(at).max(1);
    }
    reader.leave(None);
    Some(reader.out)
}

/// A type that we are in.
struct Scope {
    /// How far in its head stands; none for a section, which only another one ends.
    indent: Option<usize>,
    group: usize,
    head: Range<usize>,
    /// No signature stands in it: then its first line says that it is there.
    bare: bool,
    /// Its first unit.
    first: usize,
}

struct Reader<'a, 'l> {
    block: &'a str,
    lines: &'l [Line],
    out: Outline<'a>,
    scopes: Vec<Scope>,
    /// How far in the function stands that we are in.
    function: Option<usize>,
}

impl<'a> Reader<'a, '_> {
    fn text(&self, at: usize) -> &'a str {
        self.lines.get(at).and_then(|line| self.block.get(line.bare())).unwrap_or_default()
    }

    /// Reads what begins with this line; how many lines that were.
    fn step(&mut self, at: usize) -> usize {
        let Some(line) = self.lines.get(at) else { return 1 };
        let text = self.text(at);
        if text.is_empty() {
            return 1;
        }
        if !lines::only_closes(text) {
            self.leave(Some(line.indent));
        }
        if line.inside {
            self.unit(at, 1, None);
            return 1;
        }
        if names::is_section(text) {
            self.leave(None);
            self.enter(None, at, 1);
            return 1;
        }
        if names::is_import(text) {
            return self.run(at, |reader, at| names::is_import(reader.text(at)));
        }
        let marks = self.decorators(at);
        if let Some((definition, count)) = self.definition(at + marks) {
            return self.define(definition, at, marks + count);
        }
        if names::is_comment(text) {
            return self.run(at, |reader, at| names::is_comment(reader.text(at)));
        }
        if self.is_key(at) {
            self.enter(Some(line.indent), at, 1);
            return 1;
        }
        let count = self.statement(at);
        self.unit(at, count, None);
        count
    }

    /// How many lines from here on decorate what follows them.
    fn decorators(&self, at: usize) -> usize {
        let mut count = 0;
        while count < MOST_LINES && names::is_decorator(self.text(at + count)) {
            count += self.statement(at + count);
        }
        count
    }

    /// How many lines a statement has: until its brackets are closed.
    fn statement(&self, at: usize) -> usize {
        let mut depth = 0_i32;
        let mut bytes = 0;
        for count in 1..=MOST_LINES {
            let Some(line) = self.lines.get(at + count - 1) else { return count.max(2) - 1 };
            bytes += line.range.len();
            depth = depth.saturating_add(line.round);
            if depth <= 0 || bytes > MOST_BYTES {
                return count;
            }
        }
        // Too long for a unit: then its lines stand for themselves.
        1
    }

    /// What is defined here, and how many lines its signature has.
    fn definition(&self, at: usize) -> Option<(Definition, usize)> {
        let text = self.text(at);
        if self.lines.get(at)?.inside {
            return None;
        }
        let definition = names::definition(text)?;
        let count = self.statement(at);
        let last = self.text(at + count - 1);
        if definition == Definition::Perhaps {
            let opens = last.ends_with('{') || self.text(at + count) == "{";
            let prototype = last.ends_with(';') && self.function.is_none() && names::is_prototype(text);
            return (opens || prototype).then_some((Definition::Function, count));
        }
        Some((definition, count))
    }

    fn define(&mut self, definition: Definition, at: usize, count: usize) -> usize {
        let indent = self.lines.get(at).map_or(0, |line| line.indent);
        let within = self.function.is_some();
        if definition == Definition::Type && !within {
            self.enter(Some(indent), at, count);
            return count;
        }
        for scope in &mut self.scopes {
            scope.bare = false;
        }
        self.unit(at, count, (!within).then_some(Reserve::Signature));
        if !within {
            self.function = Some(indent);
        }
        count
    }

    /// `name:` above lines that stand further in.
    fn is_key(&self, at: usize) -> bool {
        let indent = self.lines.get(at).map_or(0, |line| line.indent);
        let next = (at + 1..self.lines.len().min(at + 4)).find(|next| !self.text(*next).is_empty());
        let deeper = next.and_then(|next| self.lines.get(next)).is_some_and(|next| next.indent > indent);
        deeper && self.function.is_none() && names::is_key(self.text(at))
    }

    /// Lines of one sort are one unit, if they are not too many.
    fn run(&mut self, at: usize, same: impl Fn(&Self, usize) -> bool) -> usize {
        let indent = self.lines.get(at).map(|line| line.indent);
        let mut count = self.statement(at);
        let mut bytes = 0;
        while count < MOST_LINES
            && same(self, at + count)
            && self.lines.get(at + count).map(|line| line.indent) == indent
        {
            bytes += self.text(at + count).len();
            if bytes > MOST_BYTES / 2 {
                break;
            }
            count += self.statement(at + count);
        }
        self.unit(at, count, None);
        count
    }

    fn enter(&mut self, indent: Option<usize>, at: usize, count: usize) {
        let range = self.range(at, count);
        if self.scopes.len() >= DEPTH {
            self.unit(at, count, None);
            return;
        }
        let head = self.block.get(range.clone()).unwrap_or_default();
        let group = self.out.groups.len();
        self.out.groups.push(Group { parent: Some(self.group()), head: Cow::Borrowed(head) });
        self.scopes.push(Scope { indent, group, head: range, bare: true, first: self.out.units.len() });
    }

    /// Ends the types and the function that a line so far in stands no more in; all of them if there is no line.
    fn leave(&mut self, indent: Option<usize>) {
        self.function = self.function.filter(|function| indent.is_some_and(|indent| indent > *function));
        while let Some(scope) = self.scopes.pop_if(|scope| match (indent, scope.indent) {
            (Some(indent), Some(of)) => indent <= of,
            (Some(_), None) => false,
            (None, _) => true,
        }) {
            self.ended(scope);
        }
    }

    fn ended(&mut self, scope: Scope) {
        if self.out.units.len() == scope.first {
            let head = self.out.groups.get_mut(scope.group).map(|group| std::mem::take(&mut group.head));
            let unit = Unit::new(scope.group, head.unwrap_or_default(), scope.head);
            self.out.units.push(Unit { reserve: Some(Reserve::Signature), ..unit });
        } else if scope.bare
            && let Some(unit) = self.out.units.get_mut(scope.first)
        {
            unit.reserve = unit.reserve.or(Some(Reserve::Heading));
        }
    }

    fn group(&self) -> usize {
        self.scopes.last().map_or(0, |scope| scope.group)
    }

    fn range(&self, at: usize, count: usize) -> Range<usize> {
        let start = self.lines.get(at).map_or(0, |line| line.range.start);
        let end = self.lines.get(at + count.max(1) - 1).map_or(self.block.len(), |line| line.bare().end);
        start..end.max(start)
    }

    fn unit(&mut self, at: usize, count: usize, reserve: Option<Reserve>) {
        let range = self.range(at, count);
        let group = self.group();
        let (block, units) = (self.block, &mut self.out.units);
        let mut push = |part: Range<usize>| {
            let text = block.get(part.clone()).unwrap_or_default();
            units.push(Unit { reserve, ..Unit::new(group, Cow::Borrowed(text), part) });
        };
        if count == 1 && range.len() > sentences::LONG {
            sentences::cut(block, range, &mut push);
        } else {
            push(range);
        }
    }
}

#[cfg(test)]
mod tests;
