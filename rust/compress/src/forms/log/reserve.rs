//! Which records must be kept: errors, what is rare, values far from the others, traces that went another way, the end.

use super::{
    Of,
    alarm::{self, Grade},
    outlier,
    records::Record,
    shape::{Log, Sums, Template},
    summary,
};
use crate::outline::Reserve;

/// A template with no more lines than this is rare.
const FEW: usize = 2;
/// One with no more than this is, if it is less than one in [`ONE_IN`] lines.
const FEW_OF_MANY: usize = 8;
const ONE_IN: usize = 80;
/// So many errors of one template are kept of what was compiled.
const ERRORS: usize = 40;
/// So many lines with a value of alarm are few, if they are no more than one in so many.
const ODD: usize = 12;
/// So many traces that went different ways are kept.
const TRACES: usize = 40;
/// Fewer lines than this are no trace.
const SHORT: usize = 4;

/// Marks the records that must be kept.
pub(super) struct Reserving<'r, 'a> {
    pub(super) log: &'r Log<'a>,
    pub(super) of: Of,
    pub(super) records: &'r mut [Record],
    pub(super) grades: &'r [Grade],
    /// There is room for more than has to be said.
    pub(super) roomy: bool,
}

impl Reserving<'_, '_> {
    fn mark(&mut self, at: usize, reserve: Reserve) {
        let Some(record) = self.records.get_mut(at) else { return };
        record.reserve = Some(record.reserve.map_or(reserve, |before| before.min(reserve)));
        // What an exception was thrown by belongs to it.
        if let Some(head) = record.of.and_then(|head| self.records.get_mut(head)) {
            head.reserve = head.reserve.or(Some(Reserve::Rare));
        }
    }

    /// What must be kept of a template's records; true if it is to be summed up as well.
    pub(super) fn template(&mut self, template: &Template, heads: &[usize]) -> bool {
        let lines: Vec<usize> = heads.iter().filter_map(|at| Some(self.records.get(*at)?.lines.start)).collect();
        let line = |at: &usize| self.log.lines.get(*at);
        let grade = lines.first().and_then(line).and_then(|line| self.grades.get(line.template)).copied();
        let grade = grade.unwrap_or(Grade::Quiet);
        let loud: Vec<usize> = if grade > Grade::Quiet {
            heads.to_vec()
        } else {
            let each = heads.iter().zip(&lines);
            let loud = each.filter(|(_, at)| line(at).is_some_and(|line| alarm::in_values(self.log, line)));
            loud.map(|(head, _)| *head).collect()
        };
        let few = heads.len() <= FEW;
        let short = self.roomy && grade == Grade::Error && heads.len() <= FEW_OF_MANY;
        let rare =
            few || short || heads.len() <= FEW_OF_MANY && heads.len().saturating_mul(ONE_IN) < self.records.len();
        let serious = grade != Grade::Warning;
        if rare {
            let reserve = if grade == Grade::Error { Reserve::Error } else { Reserve::Rare };
            for at in heads {
                self.mark(*at, reserve);
            }
        }
        // A few of many calls that failed are kept, each.
        let odd = grade == Grade::Quiet && loud.len() <= ODD && loud.len().saturating_mul(ODD) <= heads.len();
        if self.of == Of::Build && serious || odd {
            for at in loud.iter().take(ERRORS) {
                self.mark(*at, Reserve::Error);
            }
        }
        // A summary of no more lines than that says every value itself.
        let said = grade > Grade::Quiet && !rare && heads.len() <= summary::LOUD;
        let (first, last) = match (said, serious) {
            (true, _) => (Reserve::Edge, Reserve::Edge),
            (false, true) => (Reserve::Error, Reserve::Rare),
            (false, false) => (Reserve::Rare, Reserve::Edge),
        };
        for (at, reserve) in [(loud.first(), first), (loud.last(), last)] {
            if let Some(at) = at {
                self.mark(*at, reserve);
            }
        }
        if !rare {
            for far in outlier::find(self.log, template, &lines) {
                if let Some(head) = lines.binary_search(&far).ok().and_then(|at| heads.get(at)) {
                    self.mark(*head, Reserve::Outlier);
                }
            }
        }
        !rare
    }

    /// The first of the traces that went the same way.
    pub(super) fn traces(&mut self) {
        let mut ways = Sums::default();
        for at in 0..self.records.len() {
            let Some(record) = self.records.get(at).filter(|record| record.lines.len() >= SHORT) else { continue };
            let lines = self.log.lines.get(record.lines.clone()).unwrap_or_default();
            let way = lines.iter().fold(0_u64, |way, line| {
                let sum = self.log.templates.get(line.template).map_or(0, |template| template.sum);
                way.rotate_left(5) ^ sum
            });
            if ways.insert(way) && ways.len() <= TRACES {
                self.mark(at, Reserve::Error);
            }
        }
    }

    /// What stands above the report of a test that failed: its name.
    pub(super) fn titles(&mut self) {
        for at in 0..self.records.len() {
            let line = self.records.get(at).and_then(|record| self.log.lines.get(record.lines.start));
            if self.of == Of::Build && line.is_some_and(|line| self.log.text(line).starts_with("____")) {
                self.mark(at, Reserve::Heading);
            }
        }
    }

    /// How it ended.
    pub(super) fn last(&mut self) {
        let blank = |record: &Record| {
            let line = self.log.lines.get(record.lines.start);
            line.is_none_or(|line| self.log.text(line).trim().is_empty())
        };
        if let Some(last) = self.records.iter().rposition(|record| !blank(record)) {
            self.mark(last, Reserve::Edge);
        }
    }
}
