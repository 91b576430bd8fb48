//! A text that does not fit: a choice of its units, with marks where some are gone, printed and counted until it does.

use std::{collections::HashMap, ops::Range};

use crate::{
    Gaps, Kind, forms,
    mark::{self, Handle, Mark},
    meaning,
    outline::{Aim, Reserve, Said, Unit, When},
    policy::Policy,
    report::{Block, Form, MISSING_LISTED, Missing, Omission, Outcome},
    router::Part,
    select::{
        Choice,
        field::{Field, Source},
    },
    tokens,
};

/// How often a choice is printed and counted before what is left over is given up.
const TRIES: usize = 6;
/// One in so many tokens of the budget is left to what has to be kept or answers the query; the rest does without.
const FOR_WHAT_MATTERS: usize = 7;
/// A text of fewer tokens is small.
const SMALL: usize = 4_000;
/// So many sentences like one that is kept are worth to be counted.
const ALIKE: usize = 3;
/// How many characters of what is missing are shown.
const MISSING_SHOWN: usize = 120;

/// A text on its way.
pub(crate) struct Work<'a> {
    pub(crate) text: &'a str,
    pub(crate) handle: Handle,
    pub(crate) policy: &'a Policy<'a>,
    pub(crate) parts: &'a [Part],
    /// Tokens of each part.
    pub(crate) before: &'a [usize],
    pub(crate) tokens_before: usize,
}

/// What was printed of a choice.
#[derive(Default)]
struct Printed {
    text: String,
    tokens: usize,
    omissions: Vec<Omission>,
    blocks: Vec<Block>,
}

impl Work<'_> {
    /// What comes out, in no more tokens than the budget.
    pub(crate) fn cut(&self, budget: usize) -> Outcome {
        let mut sources = self.sources();
        let found = self.policy.encoder.map(|encoder| meaning::read(encoder, &mut sources, self.policy.query));
        let mut field = Field::read(&sources);
        if let Some(found) = &found {
            field.heed(found);
        }
        let legend = self.legend(budget);
        let taken = legend.as_ref().map_or(0, |(_, cost)| *cost);
        let legend = legend.map(|(line, _)| line).unwrap_or_default();
        let comfort = budget - budget / FOR_WHAT_MATTERS;
        let rooms = (budget.saturating_sub(taken), comfort.saturating_sub(taken));
        let mut choice = Choice::new(&field, self.policy.query, rooms);
        let lines = Lines::of(self.text);
        let mut best: Option<(Printed, Vec<(usize, Reserve)>)> = None;
        for _ in 0..TRIES {
            let printed = self.print(&sources, &field, &choice, &legend, &lines);
            let more = budget.checked_sub(printed.tokens);
            let left = choice.count();
            match more {
                None => choice.shrink(printed.tokens - budget + 2),
                Some(more) => {
                    let tokens = printed.tokens;
                    let mut missing: Vec<(usize, Reserve)> = choice.missing().collect();
                    if missing.is_empty() && left == 0 {
                        missing = all_reserved(&sources);
                    }
                    let enough = missing.is_empty() && tokens * 33 >= comfort * 32;
                    if best.as_ref().is_none_or(|(best, _)| best.tokens < tokens) {
                        best = Some((printed, missing));
                    }
                    // What is left over is worth another look only if a unit may fit in.
                    if enough || more * 33 < budget || !choice.grow(more, comfort.saturating_sub(tokens)) {
                        break;
                    }
                }
            }
            if left == 0 {
                break;
            }
        }
        let (mut printed, missing) =
            best.unwrap_or_else(|| (self.nothing(&field, &lines, budget), all_reserved(&sources)));
        for block in &mut printed.blocks {
            block.tokens_after = tokens::count(printed.text.get(block.printed.clone()).unwrap_or_default());
        }
        let listed = missing
            .iter()
            .take(MISSING_LISTED)
            .filter_map(|(at, reserve)| self.missing(&sources, *at, *reserve, &lines));
        Outcome {
            preserved: missing.is_empty() && printed.tokens <= budget && !printed.text.is_empty(),
            missing: listed.collect(),
            missing_more: missing.len().saturating_sub(MISSING_LISTED),
            text: printed.text,
            handle: self.handle,
            tokens_before: self.tokens_before,
            tokens_after: printed.tokens,
            critical: Vec::new(),
            omissions: printed.omissions,
            blocks: printed.blocks,
        }
    }

    fn sources(&self) -> Vec<Source<'_>> {
        let of = |part: &Part| {
            let block = self.text.get(part.range.clone()).unwrap_or_default();
            match forms::outline(part.kind, block, Aim::Cut) {
                Some(outline) => Source { kind: part.kind, outline },
                None => Source {
                    kind: Kind::Text,
                    outline: forms::outline(Kind::Text, block, Aim::Cut).unwrap_or_default(),
                },
            }
        };
        self.parts.iter().map(of).collect()
    }

    /// Every token counts: marks say no more than they must.
    fn is_small(&self) -> bool {
        self.tokens_before < SMALL
    }

    /// The first line and its tokens: the name in full where it costs little of the budget, else its begin, else none.
    fn legend(&self, budget: usize) -> Option<(String, usize)> {
        [false, true].into_iter().find_map(|short| {
            let line = mark::legend(&self.handle, self.tokens_before, short, self.policy.reader, &self.policy.key);
            let cost = tokens::count(&line) + 1;
            (cost * if short { 4 } else { 20 } <= budget).then_some((line, cost))
        })
    }

    fn print(
        &self,
        sources: &[Source<'_>],
        field: &Field,
        choice: &Choice<'_>,
        legend: &str,
        lines: &Lines,
    ) -> Printed {
        let mut out = Printed { text: legend.to_owned(), ..Printed::default() };
        let mut first = 0;
        for ((source, part), before) in sources.iter().zip(self.parts).zip(self.before) {
            let kept = shown(source, first, choice);
            let gaps = Gappy { work: self, source, start: part.range.start, first, field, lines };
            let printed = gaps.print(&kept, choice, &mut out.omissions);
            if !printed.is_empty() && !out.text.is_empty() {
                out.text.push('\n');
            }
            let start = out.text.len();
            out.text.push_str(&printed);
            out.blocks.push(Block {
                kind: part.kind,
                bytes: part.range.clone(),
                printed: start..out.text.len(),
                tokens_before: *before,
                tokens_after: 0,
                form: if printed == self.text.get(part.range.clone()).unwrap_or_default() {
                    Form::Plain
                } else {
                    Form::Cut
                },
            });
            first += source.outline.units.len();
        }
        out.tokens = tokens::count(&out.text);
        out
    }

    /// What is printed where not even the shortest choice fits: one mark for all, or nothing.
    fn nothing(&self, field: &Field, lines: &Lines, budget: usize) -> Printed {
        let tokens = (0..).map_while(|at| Some(field.cost(at)).filter(|cost| *cost > 0)).sum();
        let last = lines.at(self.text.len().saturating_sub(1));
        let mark = Mark { range: (1, last), bytes: false, some: None, tokens: 0 }.print(&self.handle, &self.policy.key);
        let text = if tokens::count(&mark) <= budget { mark } else { String::new() };
        let blocks = self.parts.iter().zip(self.before).map(|(part, before)| Block {
            kind: part.kind,
            bytes: part.range.clone(),
            printed: 0..0,
            tokens_before: *before,
            tokens_after: 0,
            form: Form::Cut,
        });
        Printed {
            tokens: tokens::count(&text),
            omissions: vec![Omission { lines: (1, last), bytes: 0..self.text.len(), units: 1, tokens }],
            blocks: blocks.collect(),
            text,
        }
    }

    fn missing(&self, sources: &[Source<'_>], at: usize, reserve: Reserve, lines: &Lines) -> Option<Missing> {
        let mut at = at;
        for (source, part) in sources.iter().zip(self.parts) {
            let Some(unit) = source.outline.units.get(at) else {
                at -= source.outline.units.len();
                continue;
            };
            let (start, end) = (part.range.start + unit.source.start, part.range.start + unit.source.end);
            let text = unit.text.chars().take(MISSING_SHOWN).collect();
            return Some(Missing {
                reserve,
                lines: (lines.at(start), lines.at(end.saturating_sub(1).max(start))),
                text,
            });
        }
        None
    }
}

/// A block that is printed with gaps.
struct Gappy<'a> {
    work: &'a Work<'a>,
    source: &'a Source<'a>,
    /// Where the block begins in the text.
    start: usize,
    /// Its first unit, among those of all blocks.
    first: usize,
    field: &'a Field,
    lines: &'a Lines,
}

impl Gappy<'_> {
    /// The units that are kept, with marks; what is gone goes to `omissions`, too.
    fn print(&self, kept: &[bool], choice: &Choice<'_>, omissions: &mut Vec<Omission>) -> String {
        let units = &self.source.outline.units;
        let is_kept = |unit: usize| kept.get(unit).copied().unwrap_or_default();
        let gaps = self.source.kind.gaps();
        let none = !kept.contains(&true);
        let mut all: Option<Omission> = None;
        let mut shortened = false;
        let sentences = matches!(self.source.kind, Kind::Prose | Kind::Html);
        let alike = self.alike(kept);
        let note = |unit: usize| alike.get(&unit).map(|count| format!(" (+{count} alike)"));
        let mut printed = self.source.outline.print(is_kept, note, |run| {
            // What is said in short has no mark, and what stands side by side is one omission.
            let brief = units.get(run.end).is_some_and(|unit| unit.when == When::Instead) && is_kept(run.end);
            let short = if brief { run.end - 1..run.end } else { run.end..run.end };
            let mut say = None;
            if let Some(gone) = self.omission(run.start..short.start) {
                let summed = (run.start..short.start).all(|at| choice.is_summed(self.first + at));
                join(&mut all, &gone);
                say = match gaps {
                    Gaps::Marked if summed => None,
                    Gaps::Counted if summed || none => None,
                    Gaps::Silent => None,
                    // In a small text the mark behind all sentences says enough.
                    Gaps::Counted if sentences && self.work.is_small() => {
                        Some(Said { text: mark::SOME.to_owned(), inline: true })
                    }
                    Gaps::Counted => Some(Said { text: mark::few(gone.units), inline: true }),
                    Gaps::Marked => {
                        let some = self.is_scattered(run.start..short.start, &gone);
                        Some(Said { text: self.mark(&gone, some), inline: false })
                    }
                };
                omissions.push(gone);
                shortened = false;
            }
            if let Some(gone) = self.omission(short) {
                join(&mut all, &gone);
                match omissions.last_mut().filter(|last| shortened && gone.lines.0 <= last.lines.1 + 1) {
                    Some(last) => last.join(&gone),
                    None => omissions.push(gone),
                }
                shortened = true;
            }
            say
        });
        if let Some(all) = all.filter(|_| gaps != Gaps::Marked) {
            if !printed.is_empty() {
                printed.push('\n');
            }
            printed.push_str(&self.mark(&all, !none));
        }
        printed
    }

    /// Of sentences that say nearly the same the first that is kept, and how many are gone.
    fn alike(&self, kept: &[bool]) -> HashMap<usize, usize> {
        let mut first: HashMap<u64, (usize, usize)> = HashMap::new();
        if !matches!(self.source.kind, Kind::Prose | Kind::Html) {
            return HashMap::new();
        }
        let units = || self.source.outline.units.iter().zip(kept).enumerate().filter(|(_, (unit, _))| unit.like != 0);
        for (at, (unit, _)) in units().filter(|(_, (_, kept))| **kept) {
            first.entry(unit.like).or_insert((at, 0));
        }
        for (_, (unit, _)) in units().filter(|(_, (_, kept))| !**kept) {
            if let Some((_, gone)) = first.get_mut(&unit.like) {
                *gone += 1;
            }
        }
        first.into_values().filter(|(_, gone)| *gone >= ALIKE).collect()
    }

    /// Units left out; none if these are blank lines only.
    fn omission(&self, run: Range<usize>) -> Option<Omission> {
        let units = self.source.outline.units.get(run.clone())?;
        let gone = || units.iter().filter(|unit| unit.when == When::Always);
        let start = gone().map(|unit| unit.source.start).min()? + self.start;
        let end = gone().map(|unit| unit.source.end).max()? + self.start;
        let bytes = start..end.clamp(start, self.work.text.len());
        if self.work.text.get(bytes.clone()).is_some_and(|text| text.trim().is_empty()) {
            return None;
        }
        let costs = units.iter().zip(run).filter(|(unit, _)| unit.when == When::Always);
        Some(Omission {
            lines: (self.lines.at(bytes.start), self.lines.at(bytes.end.saturating_sub(1).max(bytes.start))),
            bytes,
            units: gone().count(),
            tokens: costs.map(|(_, at)| self.field.cost(self.first + at)).sum(),
        })
    }

    /// Whether lines between the first and the last of a run may be kept, since they are in another order.
    fn is_scattered(&self, run: Range<usize>, gone: &Omission) -> bool {
        let units = self.source.outline.units.get(run).unwrap_or_default();
        let gone_units = || units.iter().filter(|unit| unit.when == When::Always);
        let covered: usize = gone_units().map(|unit| unit.source.len() + 1).sum();
        covered + covered / 10 + 8 < gone.bytes.len()
            || gone_units().zip(gone_units().skip(1)).any(|(one, other)| other.source.start < one.source.end)
    }

    fn mark(&self, gone: &Omission, some: bool) -> String {
        let within = gone.lines.0 == gone.lines.1 && gone.units > 1;
        let range = if within { (gone.bytes.start, gone.bytes.end) } else { gone.lines };
        let some = some.then_some(gone.units);
        let tokens = if self.work.is_small() { 0 } else { gone.tokens };
        Mark { range, bytes: within, some, tokens }.print(&self.work.handle, &self.work.policy.key)
    }
}

fn join(all: &mut Option<Omission>, gone: &Omission) {
    match all {
        Some(all) => {
            // In another order, the first to be printed need not be the first of the text.
            all.lines.0 = all.lines.0.min(gone.lines.0);
            all.bytes.start = all.bytes.start.min(gone.bytes.start);
            all.join(gone);
        }
        None => *all = Some(gone.clone()),
    }
}

/// The units of a block that are printed: what is kept, without what sums up a group of which all is kept.
fn shown(source: &Source<'_>, first: usize, choice: &Choice<'_>) -> Vec<bool> {
    let outline = &source.outline;
    let mut lacks = vec![false; outline.groups.len()];
    for (at, unit) in outline.units.iter().enumerate() {
        if unit.when == When::Always && !choice.keeps(first + at) {
            let mut next = Some(unit.group);
            while let Some(group) = next {
                let Some(lack) = lacks.get_mut(group).filter(|lack| !**lack) else { break };
                *lack = true;
                next = outline.groups.get(group).and_then(|of| of.parent).filter(|parent| *parent < group);
            }
        }
    }
    let is_lacking = |group: usize| lacks.get(group).copied().unwrap_or_default();
    let units = outline.units.iter().enumerate();
    let printed = |at: usize, unit: &Unit<'_>| match unit.when {
        When::Always => true,
        When::Cut => is_lacking(unit.group),
        When::Instead => at.checked_sub(1).is_some_and(|before| !choice.keeps(first + before)),
    };
    units.map(|(at, unit)| choice.keeps(first + at) && printed(at, unit)).collect()
}

/// All that had to be kept; in a text without any such unit, its first.
fn all_reserved(sources: &[Source<'_>]) -> Vec<(usize, Reserve)> {
    let units = sources.iter().flat_map(|source| &source.outline.units);
    let found: Vec<_> = units.enumerate().filter_map(|(at, unit)| Some((at, unit.reserve?))).collect();
    if found.is_empty() { vec![(0, Reserve::Edge)] } else { found }
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, that a byte stands in; a line end stands in the line that it ends.
    fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|end| *end < byte) + 1
    }
}
