//! A document as indented lines `name: value`, with tables where there are many alike.
//!
//! One space a level: tokens of words begin with a space, so the first level costs nothing. What is small stands on one
//! line; an object with one member shares its line (`a.b: 1`); a text of many lines stands as it is after a line that
//! counts them, so that lines of it can be left out.

use std::ops::Range;

use super::{
    loose,
    parse::{At, Doc, Sort},
    table::{self, Table},
    text, texts,
};
use crate::{
    forms::grid,
    outline::{Aim, Group, Outline, Unit},
};

/// Bytes of a value that stands on one line though it has inner ones, as it stands in the text and as it is printed.
const SMALL_SOURCE: usize = 240;
const SMALL: usize = 80;
/// Bytes of a line of an array of scalars.
const WIDE: usize = 100;
/// Bytes of a member that may stand in the head of the others, and how many may.
const TITLE: usize = 100;
const TITLES: usize = 3;
pub(super) const ITEMS: &str = "items";
pub(super) const VALUES: &str = "values";
pub(super) const TEXT: &str = "lines of text";

/// Where a value is printed.
#[derive(Clone, Copy)]
struct Place {
    group: usize,
    /// Spaces before what is inside of the value.
    depth: usize,
}

pub(super) struct Tree<'d, 'a> {
    doc: &'d Doc<'a>,
    outline: Outline<'a>,
    aim: Aim,
}

impl<'a> Tree<'_, 'a> {
    pub(super) fn outline(doc: &Doc<'a>, root: At, aim: Aim) -> Outline<'a> {
        let mut tree = Tree { doc, outline: Outline { groups: vec![Group::default()], units: Vec::new() }, aim };
        let place = Place { group: 0, depth: 0 };
        let is_object = doc.sort(root) == Sort::Object && doc.inner(root).next().is_some();
        if is_object && tree.table(root).is_none() {
            tree.members(root, place, 0);
        } else {
            tree.value(root, String::new(), place);
        }
        tree.outline
    }

    /// Many values alike; but what holds long texts is rather cut in these than kept or left out by the row.
    fn table(&self, at: At) -> Option<Table<'a>> {
        let doc = self.doc;
        let node = doc.node(at)?;
        let texts = (at..node.end).filter(|at| doc.sort(*at) == Sort::Text && doc.raw_value(*at).len() >= texts::LONG);
        let long: usize = texts.map(|at| doc.raw_value(at).len()).sum();
        let prose = self.aim == Aim::Cut && long * 2 > doc.raw_value(at).len();
        if prose { None } else { Table::of(doc, at) }
    }

    /// All members but the first few.
    fn members(&mut self, at: At, place: Place, first: usize) {
        let doc = self.doc;
        for member in doc.inner(at).skip(first) {
            let mut line = self.name(member, place);
            let mut inner = member;
            while let Some(only) = self.only_member(inner) {
                line.push('.');
                loose::name(doc, only, &mut line);
                inner = only;
            }
            line.push(':');
            self.value(inner, line, Place { depth: place.depth + 1, ..place });
        }
    }

    fn name(&self, member: At, place: Place) -> String {
        let mut line = " ".repeat(place.depth);
        loose::name(self.doc, member, &mut line);
        line
    }

    /// What an object's head says of it beside its own line, and how many members that are: where a long text is cut,
    /// what is left of it has to stand under its title.
    fn title(&self, at: At, mut head: String, place: Place) -> (String, usize) {
        let doc = self.doc;
        let is_text = |member: At| doc.sort(member) == Sort::Text && texts::lines(doc, member, self.aim).is_some();
        if self.aim == Aim::Whole || !doc.inner(at).any(is_text) {
            return (head, 0);
        }
        let short = |member: At| {
            let scalar = !matches!(doc.sort(member), Sort::Object | Sort::Array);
            let value = Some(member).filter(|_| scalar && doc.raw_value(member).len() <= TITLE);
            value.and_then(|member| Some(format!("{}: {}", self.name(member, place), self.small(member)?)))
        };
        let titles: Vec<String> = doc.inner(at).map_while(short).take(TITLES).collect();
        for title in &titles {
            head.push_str(if head.is_empty() { "" } else { "\n" });
            head.push_str(title);
        }
        (head, titles.len())
    }

    /// The member of an object with one.
    fn only_member(&self, at: At) -> Option<At> {
        let mut inner = self.doc.inner(at);
        (self.doc.sort(at) == Sort::Object).then(|| inner.next()).flatten().filter(|_| inner.next().is_none())
    }

    /// Prints a value after `line`, which holds its name.
    fn value(&mut self, at: At, mut line: String, place: Place) {
        let space = if line.is_empty() { "" } else { " " };
        if let Some(small) = self.small(at) {
            line.push_str(space);
            line.push_str(&small);
            self.unit(at, line, place);
            return;
        }
        line.push_str(space);
        match self.doc.sort(at) {
            Sort::Text => self.lines(at, &line, place),
            Sort::Array | Sort::Object => {
                if let Some(table) = self.table(at) {
                    let printed = grid::print(&table.grid, table.noun, self.aim);
                    printed.place(&table.grid, Some(place.group), &line, &mut self.outline);
                } else if self.doc.sort(at) == Sort::Array {
                    self.array(at, &line, place);
                } else {
                    let (head, titles) = self.title(at, line.trim_end().to_owned(), place);
                    let place = self.group(head, place);
                    self.members(at, place, titles);
                }
            }
            _ => {}
        }
    }

    /// The value if it stands on one line.
    fn small(&self, at: At) -> Option<String> {
        let doc = self.doc;
        let mut out = String::new();
        match doc.sort(at) {
            Sort::Array | Sort::Object => {
                let flat = doc.inner(at).all(|inner| !matches!(doc.sort(inner), Sort::Object | Sort::Array));
                let empty = doc.inner(at).next().is_none();
                if !empty && (doc.raw_value(at).len() > SMALL_SOURCE || !(flat || doc.sort(at) == Sort::Array)) {
                    return None;
                }
                loose::print(doc, at, &mut out);
                (empty || out.len() <= SMALL).then_some(out)
            }
            Sort::Text if texts::lines(doc, at, self.aim).is_some() => None,
            _ => {
                loose::scalar(doc, at, &mut out, |value| !is_head(value));
                Some(out)
            }
        }
    }

    fn unit(&mut self, at: At, line: String, place: Place) {
        let like = text::masked(line.as_bytes());
        self.outline.units.push(Unit { like, ..Unit::new(place.group, line.into(), self.doc.source(at)) });
    }

    fn group(&mut self, head: String, place: Place) -> Place {
        self.outline.groups.push(Group { parent: Some(place.group), head: head.into() });
        Place { group: self.outline.groups.len() - 1, ..place }
    }

    fn lines(&mut self, at: At, head: &str, place: Place) {
        let Some(lines) = texts::lines(self.doc, at, self.aim) else { return };
        let place = self.group(format!("{head}{} {TEXT}", lines.len()), place);
        for (line, source) in lines {
            let like = text::masked(line.as_bytes());
            self.outline.units.push(Unit { like, ..Unit::new(place.group, line, source) });
        }
    }

    /// Scalars: several a line. Others: each after a `-`.
    fn array(&mut self, at: At, head: &str, place: Place) {
        let doc = self.doc;
        let count = doc.inner(at).count();
        if doc.inner(at).any(|inner| matches!(doc.sort(inner), Sort::Object | Sort::Array)) {
            let place = self.group(format!("{head}{count} {ITEMS}"), place);
            for item in doc.inner(at) {
                self.value(item, format!("{}-", " ".repeat(place.depth)), Place { depth: place.depth + 1, ..place });
            }
            return;
        }
        let place = self.group(format!("{head}{count} {VALUES}"), place);
        let mut line = String::new();
        let mut source = 0..0;
        for inner in doc.inner(at) {
            let mut value = String::new();
            loose::print(doc, inner, &mut value);
            if !line.is_empty() && line.len() + value.len() >= WIDE {
                let text = std::mem::take(&mut line);
                self.values(text, source.clone(), place);
            }
            if line.is_empty() {
                source = doc.source(inner);
            } else {
                line.push(',');
            }
            line.push_str(&value);
            source.end = doc.source(inner).end;
        }
        self.values(line, source, place);
    }

    fn values(&mut self, line: String, source: Range<usize>, place: Place) {
        let like = text::masked(line.as_bytes());
        self.outline.units.push(Unit { like, ..Unit::new(place.group, line.into(), source) });
    }
}

/// Whether a text would be taken for the head of what follows on lines of its own.
fn is_head(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(count, noun)| {
        let noun = noun.split_once("; ").map_or(noun, |(noun, _)| noun);
        !count.is_empty()
            && count.bytes().all(|byte| byte.is_ascii_digit())
            && [ITEMS, VALUES, TEXT, table::ROWS, table::ENTRIES, table::ARRAYS, table::LINES].contains(&noun)
    })
}
