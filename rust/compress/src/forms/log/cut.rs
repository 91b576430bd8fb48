//! A log of which some lines will be left out.
//!
//! In this order, so that few marks are needed: the lines that must not be lost, in the order of the log; then
//! template by template a line that sums it up, the values that this one only counts, and the other lines.

use std::{borrow::Cow, ops::Range};

use super::{
    Of,
    alarm::Grade,
    clean::clean,
    front::Front,
    records::{self, Record},
    reserve::Reserving,
    shape::{Log, Sums, Template, sum_of},
    summary::{List, Maker},
};
use crate::{
    forms::trace,
    outline::{Group, Outline, Reserve, Unit, When},
};

/// A record of more lines is cut.
const TALL: usize = 8;
/// So many frames of each part of a tall record go with its begin.
const FRAMES: usize = 3;
/// What frames of libraries are like: each other.
const LIBRARY: u64 = 0x11b;
/// Values are listed by so many.
const CHUNK: usize = 6;
/// Where a template has so many bytes of the block, more is said of it than has to be.
const ROOMY: usize = 1600;

pub(super) fn outline<'a>(log: &Log<'a>, of: Of) -> Outline<'a> {
    let grades = records::grades(log);
    let mut records = records::read(log, of, &grades);
    let heads = by_template(log, &records);
    let roomy = log.block.len() >= heads.iter().filter(|heads| !heads.is_empty()).count().saturating_mul(ROOMY);
    let summed: Vec<bool> = {
        let mut reserving = Reserving { log, of, records: &mut records, grades: &grades, roomy };
        // Blank lines say nothing.
        let is_blank = |template: &Template| log.model(template).is_none_or(|line| log.text(line).trim().is_empty());
        let each = log.templates.iter().zip(&heads);
        let summed = each.map(|(template, heads)| !is_blank(template) && reserving.template(template, heads));
        let summed: Vec<bool> = summed.collect();
        reserving.traces();
        reserving.titles();
        reserving.last();
        // Where every line is kept there is nothing to sum up.
        let lacks = |heads: &Vec<usize>| heads.iter().any(|at| records.get(*at).is_some_and(|at| at.reserve.is_none()));
        summed.into_iter().zip(&heads).map(|(summed, heads)| summed && lacks(heads)).collect()
    };
    let front = Front::of(log);
    let mut cut = Cut { log, of, front: front.as_ref(), records: &records, outline: Outline::default() };
    cut.group(None, head(front.as_ref(), summed.contains(&true), roomy));
    for record in records.iter().filter(|record| record.reserve.is_some()) {
        cut.record(0, record);
    }
    let mut maker = Maker { log, front: front.as_ref(), roomy, seen: Sums::default() };
    for (at, (template, heads)) in log.templates.iter().zip(&heads).enumerate() {
        if heads.is_empty() {
            continue;
        }
        let group = cut.group(Some(0), String::new());
        if summed.get(at) == Some(&true) {
            let grade = grades.get(at).copied().unwrap_or(Grade::Quiet);
            cut.sum_up(group, template, heads, grade, &mut maker);
        }
        for record in heads.iter().filter_map(|at| records.get(*at)).filter(|record| record.reserve.is_none()) {
            cut.record(group, record);
        }
    }
    cut.outline
}

/// What is said above all lines.
fn head(front: Option<&Front<'_>>, summed: bool, roomy: bool) -> String {
    let mut head = String::new();
    if let Some(front) = front {
        head = format!("times stand for: {}", front.head());
    }
    if summed {
        head.push_str(if head.is_empty() { "" } else { "; " });
        head.push_str(if roomy {
            "\"3 ×\": three lines alike but for {values}"
        } else {
            "\"3 ×\": 3 lines alike but for {}"
        });
    }
    head
}

/// The records of each template, by their first lines.
fn by_template(log: &Log<'_>, records: &[Record]) -> Vec<Vec<usize>> {
    let mut heads = vec![Vec::new(); log.templates.len()];
    for (at, record) in records.iter().enumerate() {
        let line = log.lines.get(record.lines.start);
        if let Some(heads) = line.and_then(|line| heads.get_mut(line.template)) {
            heads.push(at);
        }
    }
    heads
}

/// The outline in the making.
struct Cut<'c, 'a> {
    log: &'c Log<'a>,
    of: Of,
    front: Option<&'c Front<'a>>,
    records: &'c [Record],
    outline: Outline<'a>,
}

impl<'a> Cut<'_, 'a> {
    fn group(&mut self, parent: Option<usize>, head: String) -> usize {
        self.outline.groups.push(Group { parent, head: Cow::Owned(head) });
        self.outline.groups.len() - 1
    }

    fn sum_up(&mut self, group: usize, template: &Template, heads: &[usize], grade: Grade, maker: &mut Maker<'_, 'a>) {
        let lines: Vec<usize> = heads.iter().filter_map(|at| Some(self.records.get(*at)?.lines.start)).collect();
        let at = self.log.model(template).map_or(0, |line| line.bytes.start);
        let summary = maker.sum_up(template, &lines, grade > Grade::Quiet);
        let mut unit = Unit::new(group, clean(Cow::Owned(summary.text)), at..at);
        unit.reserve = Some(if grade == Grade::Error { Reserve::Error } else { Reserve::Template });
        unit.when = When::Cut;
        self.outline.units.push(unit);
        let labelled = summary.lists.len() > 1;
        for (place, list) in summary.lists.iter().enumerate() {
            self.list(group, list, labelled, at, template.sum.rotate_left(17).wrapping_add(place as u64) | 1);
        }
    }

    /// Values that a summary only counts.
    fn list(&mut self, group: usize, list: &List<'a>, labelled: bool, at: usize, like: u64) {
        for values in list.values.chunks(CHUNK) {
            let mut text = String::new();
            if labelled && !list.label.is_empty() {
                text.extend([list.label, ":"]);
            }
            for value in values {
                text.extend([" ", value]);
            }
            let mut unit = Unit::new(group, clean(Cow::Owned(text)), at..at);
            (unit.when, unit.like) = (When::Cut, like);
            self.outline.units.push(unit);
        }
    }

    fn record(&mut self, group: usize, record: &Record) {
        let Some(first) = self.log.lines.get(record.lines.start) else { return };
        let like = self.log.templates.get(first.template).map_or(0, |template| template.sum);
        let mut at = record.lines.start;
        let second = self.text(at + 1..at + 2).trim_start();
        let is_trace = record.lines.len() > 2 && (second.starts_with("at ") || second.starts_with("File \""));
        // What a compiler says is wanted before the source that it shows.
        let most = if self.of == Of::Build { 1 } else { TALL };
        if record.lines.len() <= most && !is_trace {
            return self.unit(group, record.lines.clone(), record.reserve, like);
        }
        while at < record.lines.end {
            // The line itself, or what caused it; then its frames.
            let next = (at + 1..record.lines.end).find(|line| self.is_cause(*line)).unwrap_or(record.lines.end);
            let near = self.near(at + 1..next);
            self.unit(group, at..at + 1, record.reserve, like);
            self.far(group, at + 1..near.start);
            // What went wrong is wanted before the way there.
            let way = record.reserve.map(|reserve| reserve.max(Reserve::Outlier));
            self.unit(group, near.clone(), way, sum_of(self.text(near.clone()).as_bytes()));
            self.far(group, near.end..next);
            at = next;
        }
    }

    /// Those of the frames that are nearest to what went wrong: the first, but for Python, which has them last.
    fn near(&self, frames: Range<usize>) -> Range<usize> {
        if self.text(frames.start..frames.start + 1).trim_start().starts_with("File \"") {
            // Each has a line of code below it.
            return frames.end.saturating_sub(2 * FRAMES).max(frames.start)..frames.end;
        }
        frames.start..(frames.start + FRAMES).min(frames.end)
    }

    /// Frames far from what went wrong: those of libraries are all alike.
    fn far(&mut self, group: usize, frames: Range<usize>) {
        let mut at = frames.start;
        while at < frames.end {
            let is_library = |at: usize| trace::is_library(self.text(at..at + 1));
            let library = is_library(at);
            let next = (at + 1..frames.end).find(|line| is_library(*line) != library).unwrap_or(frames.end);
            let like = if library { LIBRARY } else { sum_of(self.text(at..at + 1).as_bytes()) };
            self.unit(group, at..next, None, like);
            at = next;
        }
    }

    /// A line that goes on with another and is no frame: it stands as far left as a line can.
    fn is_cause(&self, at: usize) -> bool {
        !self.text(at..at + 1).starts_with([' ', '\t'])
    }

    fn text(&self, lines: Range<usize>) -> &'a str {
        let start = self.log.lines.get(lines.start).map_or(0, |line| line.bytes.start);
        let last = lines.end.checked_sub(1).and_then(|last| self.log.lines.get(last));
        self.log.block.get(start..last.map_or(start, |line| line.bytes.end)).unwrap_or_default()
    }

    fn unit(&mut self, group: usize, lines: Range<usize>, reserve: Option<Reserve>, like: u64) {
        let Some(first) = self.log.lines.get(lines.start).filter(|_| !lines.is_empty()) else { return };
        let text = self.text(lines);
        let source = first.bytes.start..first.bytes.start + text.len();
        // Blank lines at its end say nothing.
        let text = text.trim_end_matches(['\n', '\r']);
        let shown = match self.front.filter(|front| front.range(self.log, first).is_some()) {
            Some(front) => {
                let mut shown = String::with_capacity(text.len());
                front.show(self.log, first, &mut shown);
                shown.push_str(text.get(first.bytes.len()..).unwrap_or_default());
                Cow::Owned(shown)
            }
            None => Cow::Borrowed(text),
        };
        let mut unit = Unit::new(group, clean(shown), source);
        (unit.reserve, unit.like) = (reserve, like);
        self.outline.units.push(unit);
    }
}
