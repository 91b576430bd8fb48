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
}

impl<'a> Unit<'a> {
    /// A unit that nothing is known of but its text.
    pub fn new(group: usize, text: Cow<'a, str>, source: Range<usize>) -> Self {
        Self { group, text, source, reserve: None, like: 0, when: When::Always }
    }
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
        self.print(|unit| self.units.get(unit).is_some_and(|unit| unit.when == When::Always), |_| None)
    }

    /// The units that are `kept`, with what `mark` says of each run of units left out: nothing, or lines of its own.
    /// Only [`When::Always`] units make a run; the last of it may be followed by a unit that is printed in its stead.
    pub fn print(&self, kept: impl Fn(usize) -> bool, mut mark: impl FnMut(Range<usize>) -> Option<String>) -> String {
        let mut out = Lines::default();
        let mut open: Vec<usize> = Vec::new();
        let mut gap: Option<Range<usize>> = None;
        for (at, unit) in self.units.iter().enumerate() {
            if kept(at) {
                if let Some(text) = gap.take().and_then(&mut mark) {
                    out.push(&text);
                }
                self.enter(unit.group, &mut open, &mut out);
                out.push(&unit.text);
            } else if unit.when == When::Always {
                gap = Some(gap.map_or(at, |gap| gap.start)..at + 1);
            }
        }
        if let Some(text) = gap.and_then(mark) {
            out.push(&text);
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

/// Lines, joined.
#[derive(Default)]
struct Lines {
    text: String,
    begun: bool,
}

impl Lines {
    fn push(&mut self, line: &str) {
        if self.begun {
            self.text.push('\n');
        }
        self.begun = true;
        self.text.push_str(line);
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
        let printed = of_two_files().print(|unit| unit == 4, |run| Some(format!("[{run:?}]")));
        assert_eq!(printed, "[0..4]\nb.rs\nfn f\n5");
    }

    #[test]
    fn a_unit_that_sums_up_is_printed_only_beside_a_gap() {
        let mut outline = of_two_files();
        if let Some(unit) = outline.units.get_mut(1) {
            unit.when = When::Cut;
        }
        assert_eq!(outline.whole(), "a.rs\n1\nb.rs\n3\nfn f\n4\n5");
        let printed = outline.print(|unit| unit < 2, |run| Some(format!("[{run:?}]")));
        assert_eq!(printed, "a.rs\n1\n2\n[2..5]");
    }
}
