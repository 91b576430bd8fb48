//! What a form makes of a block: units that are kept or left out as one, in the order in which they are printed.
//!
//! A unit (a log line, a row, a sentence, a hunk's line) stands in a group, a group may stand in another. The head of a
//! group (a path, the names of columns, a signature) is printed once, before the first of its units that is kept, and
//! not at all if none is. Units of a group, its inner groups included, stand side by side, so that a head is never
//! printed twice. That is all that selection has to know of a structure: there is one way to choose and one to print.

use std::{borrow::Cow, ops::Range};

/// What the outline is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// All units will be printed: the shortest text from which the block can be read back.
    Whole,
    /// Some will be left out: units in the order that needs the fewest marks (log lines by template), with
    /// [`When::Cut`] units that sum up what is left out.
    Cut,
}

/// Why a unit has to be kept before all others. In the order in which they are given up when the budget is too small:
/// the last first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reserve {
    /// The first of each distinct error.
    Error,
    /// A template, with its count.
    Template,
    /// A line whose template is rare.
    Rare,
    /// An added or removed line.
    Changed,
    /// A signature.
    Signature,
    /// A row with a value far from the others'; a sentence with a value where few have one.
    Outlier,
    /// A heading.
    Heading,
    /// The first or the last of many.
    Edge,
}

/// When a unit is printed at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// If it is kept.
    Always,
    /// If it is kept and another unit of its group is not: it sums up its group.
    Cut,
    /// If it is kept and the unit before it is not: it says in short what that one says.
    Instead,
}

/// A heading and what stands under it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group<'a> {
    /// The group in which it stands; always one before it in [`Outline::groups`].
    pub parent: Option<usize>,
    /// Printed as lines of its own; nothing is printed if it is empty.
    pub head: Cow<'a, str>,
}

/// What is kept or left out as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Its group.
    pub group: usize,
    /// What is printed, as one or several lines, without the last line's end.
    pub text: Cow<'a, str>,
    /// The bytes of the block that it stands for.
    pub source: Range<usize>,
    /// Why it has to be kept.
    pub reserve: Option<Reserve>,
    /// Units with the same number say nearly the same; 0: it is like no other.
    pub like: u64,
    /// When it is printed.
    pub when: When,
    /// Units of the same number follow each other on one line; 0: it has a line of its own.
    pub line: u32,
}

impl<'a> Unit<'a> {
    /// A unit that nothing is known of but its text.
    pub fn new(group: usize, text: Cow<'a, str>, source: Range<usize>) -> Self {
        Self { group, text, source, reserve: None, like: 0, when: When::Always, line: 0 }
    }
}

/// What is said of a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The words.
    pub text: String,
    /// They go on the line of the unit before; otherwise they have lines of their own.
    pub inline: bool,
}

/// A block, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline<'a> {
    /// Outer ones before inner ones.
    pub groups: Vec<Group<'a>>,
    /// In the order in which they are printed.
    pub units: Vec<Unit<'a>>,
}

impl Outline<'_> {
    /// All units, no mark: what the form reads back.
    pub fn whole(&self) -> String {
        let always = |unit| self.units.get(unit).is_some_and(|unit: &Unit<'_>| unit.when == When::Always);
        self.print(always, |_| None, |_| None)
    }

    /// The units that are `kept`, each with what its `note` says behind it, and with what `mark` says of each run of
    /// units left out. Only [`When::Always`] units make a run; the last of it may be
    /// followed by a unit that is printed in its stead.
    pub fn print(
        &self,
        kept: impl Fn(usize) -> bool,
        note: impl Fn(usize) -> Option<String>,
        mut mark: impl FnMut(Range<usize>) -> Option<Said>,
    ) -> String {
        let mut out = Lines::default();
        let mut open: Vec<usize> = Vec::new();
        let mut gap: Option<Range<usize>> = None;
        for (at, unit) in self.units.iter().enumerate() {
            if kept(at) {
                if let Some(said) = gap.take().and_then(&mut mark) {
                    out.say(&said);
                }
                self.enter(unit.group, &mut open, &mut out);
                if unit.when == When::Instead && unit.line != 0 {
                    out.push_brief(&unit.text);
                } else {
                    out.push_unit(&unit.text, unit.line);
                }
                out.text.push_str(&note(at).unwrap_or_default());
            } else if unit.when == When::Always {
                gap = Some(gap.map_or(at, |gap| gap.start)..at + 1);
            }
        }
        if let Some(said) = gap.and_then(mark) {
            out.say(&said);
        }
        out.text
    }

    /// Prints the heads of the group and of those around it, as far as they are not open.
    fn enter(&self, group: usize, open: &mut Vec<usize>, out: &mut Lines) {
        let mut chain = Vec::new();
        let mut next = Some(group);
        while let Some(group) = next.and_then(|at| self.groups.get(at).map(|group| (at, group))) {
            chain.push(group.0);
            next = group.1.parent.filter(|parent| *parent < group.0);
        }
        chain.reverse();
        let same = chain.iter().zip(open.iter()).take_while(|(one, other)| one == other).count();
        for at in chain.get(same..).unwrap_or_default() {
            if let Some(group) = self.groups.get(*at).filter(|group| !group.head.is_empty()) {
                out.push(&group.head);
            }
        }
        *open = chain;
    }
}

/// What stands before several units on one line that are printed in the stead of others.
pub(crate) const BRIEFS: &str = "… ";
/// Such a line is no longer than this, in bytes.
const BRIEFS_LINE: usize = 160;

/// Lines, joined.
#[derive(Default)]
struct Lines {
    text: String,
    begun: bool,
    /// Where the last line begins, if it holds what is printed in the stead of units.
    briefs: Option<usize>,
    /// The number of the line that the last unit stands on; 0 if nothing may follow it there.
    line: u32,
}

impl Lines {
    fn push(&mut self, line: &str) {
        if self.begun {
            self.text.push('\n');
        }
        self.begun = true;
        self.briefs = None;
        self.line = 0;
        self.text.push_str(line);
    }

    fn push_unit(&mut self, text: &str, line: u32) {
        if line != 0 && line == self.line {
            self.text.extend([" ", text]);
        } else {
            self.push(text);
            self.line = line;
        }
    }

    fn say(&mut self, said: &Said) {
        if said.inline && self.line != 0 {
            self.text.extend([" ", &said.text]);
        } else {
            self.push(&said.text);
        }
    }

    /// What has no space in it shares a line with others of its kind: most words cost a token less behind a space than
    /// behind a line end.
    fn push_brief(&mut self, text: &str) {
        let plain = !text.is_empty() && !text.contains([' ', '\n']);
        let Some(start) = self.briefs.filter(|start| plain && self.text.len() - start + text.len() < BRIEFS_LINE)
        else {
            self.push(text);
            self.briefs = plain.then(|| self.text.len() - text.len());
            return;
        };
        if !self.text.get(start..).is_some_and(|line| line.starts_with(BRIEFS)) {
            self.text.insert_str(start, BRIEFS);
        }
        self.text.extend([" ", text]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_two_files() -> Outline<'static> {
        let group = |parent, head| Group { parent, head: Cow::Borrowed(head) };
        let unit = |group, text: &'static str| Unit::new(group, Cow::Borrowed(text), 0..0);
        Outline {
            groups: vec![group(None, ""), group(Some(0), "a.rs"), group(Some(0), "b.rs"), group(Some(2), "fn f")],
            units: vec![unit(1, "1"), unit(1, "2"), unit(2, "3"), unit(3, "4"), unit(3, "5")],
        }
    }

    #[test]
    fn a_head_stands_once_before_the_first_of_its_units() {
        assert_eq!(of_two_files().whole(), "a.rs\n1\n2\nb.rs\n3\nfn f\n4\n5");
    }

    #[test]
    fn a_head_of_which_no_unit_is_kept_is_not_printed_and_an_outer_one_is() {
        let printed = of_two_files().print(
            |unit| unit == 4,
            |_| None,
            |run| Some(Said { text: format!("[{run:?}]"), inline: false }),
        );
        assert_eq!(printed, "[0..4]\nb.rs\nfn f\n5");
    }

    #[test]
    fn sentences_of_a_paragraph_and_what_is_said_between_them_stand_on_its_line() {
        let mut outline = of_two_files();
        for (unit, line) in outline.units.iter_mut().zip([1, 1, 1, 2, 2]) {
            (unit.group, unit.line) = (1, line);
        }
        let few = |run: Range<usize>| Some(Said { text: format!("…{}", run.len()), inline: true });
        assert_eq!(outline.print(|_| true, |_| None, few), "a.rs\n1 2 3\n4 5");
        assert_eq!(outline.print(|unit| unit % 2 == 0, |_| None, few), "a.rs\n1 …1 3 …1\n5");
        assert_eq!(outline.print(|unit| unit == 3, |_| None, few), "…3\na.rs\n4 …1");
    }

    #[test]
    fn what_stands_in_for_others_shares_a_line_if_it_is_one_word() {
        let mut outline = of_two_files();
        for unit in &mut outline.units {
            unit.group = 0;
            (unit.when, unit.line) = (When::Instead, 1);
        }
        assert_eq!(outline.print(|_| true, |_| None, |_| None), "… 1 2 3 4 5");
        assert_eq!(outline.print(|unit| unit == 2, |_| None, |_| None), "3");
        for (at, text) in [(2, "two words"), (3, "")] {
            outline.units[at].text = Cow::Borrowed(text);
        }
        assert_eq!(outline.print(|_| true, |_| None, |_| None), "… 1 2\ntwo words\n\n5");
        outline.units.iter_mut().for_each(|unit| unit.text = Cow::Owned("x".repeat(60)));
        let lines = outline.print(|_| true, |_| None, |_| None).lines().map(str::len).collect::<Vec<_>>();
        assert!(lines.len() == 3 && lines.iter().all(|length| *length <= 170), "{lines:?}");
    }

    #[test]
    fn a_unit_that_sums_up_is_printed_only_beside_a_gap() {
        let mut outline = of_two_files();
        if let Some(unit) = outline.units.get_mut(1) {
            unit.when = When::Cut;
        }
        assert_eq!(outline.whole(), "a.rs\n1\nb.rs\n3\nfn f\n4\n5");
        let printed =
            outline.print(|unit| unit < 2, |_| None, |run| Some(Said { text: format!("[{run:?}]"), inline: false }));
        assert_eq!(printed, "a.rs\n1\n2\n[2..5]");
    }
}
