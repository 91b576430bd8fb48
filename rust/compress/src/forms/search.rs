//! Search hits under their paths: `path:line:text`, `path:line:column:text`, and `path-line-text` around them.
//!
//! ```text
//! src/store/disk.rs
//! 12:    fn open(path: &Path) -> Result<Self> {
//! 13-        let file = File::open(path)?;
//! src/main.rs
//! 4:use store::disk::open;
//! ```
//!
//! Rule: a path stands once above the hits that follow each other in it, and a hit as it was behind its path. That is
//! how `rg --heading` prints, so that nobody needs to be told how to read it; what is printed so already is only read.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use super::log::{ByHash, masked};
use crate::outline::{Aim, Group, Outline, Reserve, Unit, When};

/// Before a line that would else be read as something of ours.
const AS_IT_WAS: char = '\\';
/// Between hits that do not follow each other.
const BREAK: &str = "--";
/// A path that holds more numbers between dashes than this is not looked for.
const TRIES: usize = 16;
/// Hits like no other are reserved if they are no more than one in so many.
const FEW: usize = 4;
/// What sums are like: each other.
const SUMS: u64 = 0x53;

/// A line of the block.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    start: usize,
    /// Where the path ends and, behind one sign, the number of the line begins.
    path: Option<usize>,
}

impl<'a> Line<'a> {
    fn path(&self) -> Option<&'a str> {
        self.path.and_then(|end| self.text.get(..end))
    }

    /// Number and text, and where they begin in the block.
    fn hit(&self) -> (&'a str, usize) {
        let from = self.path.map_or(0, |end| end + 1);
        (self.text.get(from..).unwrap_or_default(), self.start + from)
    }
}

/// The hits by path; `None` if most lines are none.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    let lines = read(block);
    let hits = lines.iter().filter(|line| line.path.is_some()).count();
    let others = lines.iter().filter(|line| line.path.is_none() && !line.text.is_empty() && line.text != BREAK).count();
    if hits > 1 && hits >= others {
        return Some(by_path(&lines, aim));
    }
    let headed = lines.iter().filter(|line| number_length(line.text).is_some()).count();
    (aim == Aim::Cut && headed > 1 && headed.saturating_mul(2) > others).then(|| under_headings(&lines))
}

/// The lines that these were under their paths.
pub(super) fn decode(printed: &str) -> String {
    let mut out = String::with_capacity(printed.len() * 2);
    let mut path = "";
    let mut begun = false;
    for line in printed.split('\n') {
        let is_hit = number_length(line).is_some();
        if !is_hit && is_heading(line) {
            path = line;
            continue;
        }
        if begun {
            out.push('\n');
        }
        begun = true;
        if let Some(length) = number_length(line) {
            out.push_str(path);
            // The sign behind the number is the one before it.
            out.push_str(line.get(length..=length).unwrap_or(":"));
        }
        out.push_str(line.strip_prefix(AS_IT_WAS).unwrap_or(line));
    }
    out
}

/// How long the number at the line's begin is, if a hit's sign follows it.
fn number_length(line: &str) -> Option<usize> {
    let length = line.bytes().take(10).take_while(u8::is_ascii_digit).count();
    (length > 0 && matches!(line.as_bytes().get(length), Some(b':' | b'-'))).then_some(length)
}

/// The line would be read as a path.
fn is_heading(line: &str) -> bool {
    !line.is_empty() && line != BREAK && !line.starts_with(AS_IT_WAS)
}

fn read(block: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    let mut lines: Vec<Line<'_>> = block
        .split('\n')
        .map(|text| {
            let line = Line { text, start, path: path_end(text, b':', |_| true) };
            start += text.len() + 1;
            line
        })
        .collect();
    let paths: HashSet<&str> = lines.iter().filter_map(Line::path).collect();
    for line in lines.iter_mut().filter(|line| line.path.is_none()) {
        line.path = path_end(line.text, b'-', |path| paths.contains(path));
    }
    lines
}

/// Where the path ends: before the first number between two of these signs.
fn path_end(text: &str, sign: u8, known: impl Fn(&str) -> bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == sign).map(|(at, _)| at);
    ends.filter(|at| number_of(bytes, *at, sign)).take(TRIES).find(|at| {
        text.get(..*at)
            .is_some_and(|path| number_length(path).is_none() && is_heading(path) && is_path(path) && known(path))
    })
}

fn number_of(bytes: &[u8], at: usize, sign: u8) -> bool {
    let digits = bytes.iter().skip(at + 1).take(10).take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && bytes.get(at + 1 + digits) == Some(&sign)
}

/// Not a time, nor the begin of a sentence.
fn is_path(path: &str) -> bool {
    path.len() < 512 && path.contains(['/', '\\', '.']) && !path.contains(": ")
        || !path.is_empty()
            && path.len() < 64
            && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn by_path<'a>(lines: &[Line<'a>], aim: Aim) -> Outline<'a> {
    let mut outline = Outline { groups: vec![Group::default()], units: Vec::with_capacity(lines.len()) };
    let mut open: Option<&str> = None;
    for line in lines {
        let Some(path) = line.path() else {
            other(line, aim, open.is_some(), &mut outline);
            continue;
        };
        if open != Some(path) {
            outline.groups.push(Group { parent: Some(0), head: Cow::Borrowed(path) });
            open = Some(path);
        }
        let (text, start) = line.hit();
        // The path is the group's head: it is not left out with the hit.
        outline.units.push(hit(outline.groups.len() - 1, text, start..start + text.len()));
    }
    if aim == Aim::Cut {
        reserve(&mut outline);
    }
    outline
}

/// The few hits that are like no other, and of each path how many hits it has.
fn reserve(outline: &mut Outline<'_>) {
    let mut alike: ByHash<usize> = ByHash::default();
    for unit in outline.units.iter().filter(|unit| is_hit(unit)) {
        *alike.entry(built(&unit.text)).or_default() += 1;
    }
    let hits: usize = alike.values().sum();
    let single = alike.values().filter(|times| **times == 1).count();
    let odd = single.saturating_mul(FEW) <= hits;
    let mut counts = vec![0_usize; outline.groups.len()];
    for unit in &mut outline.units {
        if !is_hit(unit) {
            continue;
        }
        if let Some(count) = counts.get_mut(unit.group) {
            *count += 1;
        }
        if odd && alike.get(&built(&unit.text)) == Some(&1) {
            unit.reserve = Some(Reserve::Rare);
        }
    }
    let mut units = Vec::with_capacity(outline.units.len() + counts.len());
    let mut group = 0;
    for unit in std::mem::take(&mut outline.units) {
        if unit.group != group {
            group = unit.group;
            let head = outline.groups.get(group).is_some_and(|group| !group.head.is_empty());
            let count = counts.get(group).copied().filter(|count| head && *count > 1);
            units.extend(count.map(|count| sum(group, count, unit.source.start)));
        }
        units.push(unit);
    }
    outline.units = units;
}

fn sum(group: usize, count: usize, at: usize) -> Unit<'static> {
    let mut sum = Unit::new(group, Cow::Owned(format!("{count} hits")), at..at);
    (sum.reserve, sum.when, sum.like) = (Some(Reserve::Heading), When::Cut, SUMS);
    sum
}

/// How a line is built: its signs, without words, numbers and blanks.
fn built(text: &str) -> u64 {
    let signs = text.bytes().filter(|byte| byte.is_ascii_punctuation() && *byte != b'_');
    signs.fold(1, |sum, sign| (sum ^ u64::from(sign)).wrapping_mul(0x0100_0000_01b3))
}

/// Not what stands around one.
fn is_hit(unit: &Unit<'_>) -> bool {
    number_length(&unit.text).is_some_and(|length| unit.text.as_bytes().get(length) == Some(&b':'))
}

fn hit(group: usize, text: &str, source: Range<usize>) -> Unit<'_> {
    let mut unit = Unit::new(group, Cow::Borrowed(text), source);
    unit.like = masked(text.trim_start_matches(|sign: char| sign.is_ascii_digit() || matches!(sign, ':' | '-')));
    unit
}

/// A line that is no hit; a break stands with the hits before it, and only where all are.
fn other<'a>(line: &Line<'a>, aim: Aim, under_path: bool, outline: &mut Outline<'a>) {
    let is_break = line.text == BREAK || line.text.is_empty();
    if aim == Aim::Cut && is_break {
        return;
    }
    let escaped = aim == Aim::Whole && !is_break;
    let text = if escaped { Cow::Owned(format!("{AS_IT_WAS}{}", line.text)) } else { Cow::Borrowed(line.text) };
    let group = if under_path { outline.groups.len() - 1 } else { 0 };
    outline.units.push(Unit::new(group, text, line.start..line.start + line.text.len()));
}

/// What stands under headings already.
fn under_headings<'a>(lines: &[Line<'a>]) -> Outline<'a> {
    let mut outline = Outline { groups: vec![Group::default()], units: Vec::with_capacity(lines.len()) };
    for (at, line) in lines.iter().enumerate() {
        let source = line.start..line.start + line.text.len();
        let next_is_hit = || lines.get(at + 1).is_some_and(|next| number_length(next.text).is_some());
        if number_length(line.text).is_some() {
            outline.units.push(hit(outline.groups.len() - 1, line.text, source));
        } else if is_heading(line.text) && next_is_hit() {
            outline.groups.push(Group { parent: Some(0), head: Cow::Borrowed(line.text) });
        } else if is_heading(line.text) {
            outline.groups.push(Group::default());
            outline.units.push(Unit::new(outline.groups.len() - 1, Cow::Borrowed(line.text), source));
        }
    }
    reserve(&mut outline);
    outline
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_once_above_its_hits() {
        let block = "src/a.rs:12:fn a() {\nsrc/a.rs-13-    b();\n--\nsrc/a-2-b.rs:4:7:use a;\nsrc/a-2-b.rs-5-use b;\n";
        let printed = outline(block, Aim::Whole).unwrap().whole();
        assert_eq!(printed, "src/a.rs\n12:fn a() {\n13-    b();\n--\nsrc/a-2-b.rs\n4:7:use a;\n5-use b;\n");
        assert_eq!(decode(&printed), block);
    }

    #[test]
    fn lines_that_look_like_ours_are_told_apart() {
        for block in [
            "a.rs:1:x\n12:y\na.rs:2:z\n\\q",
            "a.rs:1:x\nBinary file b matches\na.rs:2:z",
            "9:a.rs:1:x\n9:a.rs:2:y",
            "2024-01-notes.md:3:x\n2024-01-notes.md:4:y",
            "C:\\src\\a.rs:1:x\r\nC:\\src\\a.rs:2:y\r\n",
        ] {
            if let Some(outline) = outline(block, Aim::Whole) {
                assert_eq!(decode(&outline.whole()), block);
            }
        }
    }

    #[test]
    fn what_stands_under_headings_is_cut_by_them() {
        let block = "src/a.rs\n1:x\n2-y\n\nsrc/b.rs\n3:z\n4:w\n";
        assert!(outline(block, Aim::Whole).is_none());
        let outline = outline(block, Aim::Cut).unwrap();
        assert_eq!(outline.print(|unit| outline.units[unit].text == "3:z", |_| None, |_| None), "src/b.rs\n3:z");
        let sums = outline.print(|unit| outline.units[unit].when == When::Cut, |_| None, |_| None);
        assert_eq!(sums, "src/b.rs\n2 hits");
    }
}
