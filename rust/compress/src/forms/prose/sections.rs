//! Units under headings, as prose and pages are made of.

use std::{borrow::Cow, ops::Range};

use super::{facts, like::Likes};
use crate::outline::{Group, Outline, Reserve, Unit};

/// An outline that grows: headings by level, and units under the last of them.
pub(in crate::forms) struct Sections<'a> {
    out: Outline<'a>,
    likes: Likes,
    /// The headings under which we are: level, group, where it stands.
    open: Vec<(u8, usize, Range<usize>)>,
    /// Nothing has come under the last heading yet.
    unused: bool,
    /// The number of the last paragraph.
    paragraph: u32,
}

impl<'a> Sections<'a> {
    pub(in crate::forms) fn new() -> Self {
        let out = Outline { groups: vec![Group::default()], units: Vec::new() };
        Self { out, likes: Likes::default(), open: Vec::new(), unused: false, paragraph: 0 }
    }

    pub(in crate::forms) fn heading(&mut self, level: u8, head: Cow<'a, str>, range: Range<usize>) {
        if self.open.last().is_some_and(|(other, ..)| *other >= level) {
            self.keep_empty_heading();
        }
        while self.open.last().is_some_and(|(other, ..)| *other >= level) {
            self.open.pop();
        }
        let group = self.group(head);
        self.open.push((level, group, range));
        self.unused = true;
    }

    /// A new group under the last heading.
    pub(in crate::forms) fn group(&mut self, head: Cow<'a, str>) -> usize {
        let parent = Some(self.last());
        self.out.groups.push(Group { parent, head });
        self.out.groups.len() - 1
    }

    /// The group of the last heading.
    pub(in crate::forms) fn last(&self) -> usize {
        self.open.last().map_or(0, |(_, group, _)| *group)
    }

    pub(in crate::forms) fn unit(&mut self, group: usize, text: Cow<'a, str>, range: Range<usize>) {
        let like = self.likes.of(&text);
        self.out.units.push(Unit { like, ..Unit::new(group, text, range) });
        self.unused = false;
    }

    /// Begins a paragraph.
    pub(in crate::forms) fn paragraph(&mut self) {
        self.paragraph = self.paragraph.saturating_add(1);
    }

    /// A sentence of the paragraph that was begun: it stands on one line with the others.
    pub(in crate::forms) fn sentence(&mut self, group: usize, text: Cow<'a, str>, range: Range<usize>) {
        self.unit(group, text, range);
        if let Some(unit) = self.out.units.last_mut() {
            unit.line = self.paragraph;
        }
    }

    pub(in crate::forms) fn finish(mut self) -> Outline<'a> {
        self.keep_empty_heading();
        facts::reserve(&mut self.out.units);
        self.out
    }

    /// A heading with nothing under it stands for itself.
    fn keep_empty_heading(&mut self) {
        let Some((_, group, range)) = self.open.last().filter(|_| self.unused) else { return };
        let (group, range) = (*group, range.clone());
        let head = self.out.groups.get_mut(group).map(|group| std::mem::take(&mut group.head)).unwrap_or_default();
        self.out.units.push(Unit { reserve: Some(Reserve::Heading), ..Unit::new(group, head, range) });
        self.unused = false;
    }
}
