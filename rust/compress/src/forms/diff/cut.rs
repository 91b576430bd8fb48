//! A diff of which some lines will be left out: file, hunk, changed lines one by one, what stands around them as one.

use std::{borrow::Cow, ops::Range};

use super::{super::log::masked, What, plain_head};
use crate::outline::{Group, Outline, Reserve, Unit};

/// How far behind an old line the new one stands that replaces it.
const NEAR: usize = 16;
/// Longer lines are of data or minified code.
const LONG: usize = 500;

pub(super) fn outline<'a>(block: &'a str, lines: &[(Range<usize>, What)]) -> Outline<'a> {
    let outline = Outline { groups: vec![Group::default()], units: Vec::new() };
    let mut cut = Cut { block, outline, file: 0, hunk: 0, by_people: true };
    let mut at = 0;
    while let Some((range, what)) = lines.get(at) {
        let goes_on = |(range, other): &&(Range<usize>, What)| {
            other == what && !block.get(range.start..).is_some_and(|text| text.starts_with("diff --git "))
        };
        let length = match what {
            What::Head | What::Context => 1 + lines.iter().skip(at + 1).take_while(goes_on).count(),
            _ => 1,
        };
        let end = lines.get(at + length - 1).map_or(range.end, |(last, _)| last.end);
        let has_hunks = lines.get(at + length).is_some_and(|(_, next)| *next == What::Hunk);
        cut.push(range.start..end, *what, has_hunks);
        at += length;
    }
    cut.outline
}

struct Cut<'a> {
    block: &'a str,
    outline: Outline<'a>,
    /// The groups that are open.
    file: usize,
    hunk: usize,
    by_people: bool,
}

impl<'a> Cut<'a> {
    fn push(&mut self, source: Range<usize>, what: What, has_hunks: bool) {
        let Some(text) = self.block.get(source.clone()) else { return };
        match what {
            What::Head if has_hunks => {
                self.file = self.group(0, short_head(text));
                self.hunk = self.file;
                self.by_people = !is_made(text);
                return;
            }
            What::Hunk => {
                self.hunk = self.group(self.file, short_hunk(text));
                return;
            }
            What::Head | What::Other => (self.file, self.hunk) = (0, 0),
            What::Context | What::Changed => {}
        }
        let mut unit = Unit::new(self.hunk, Cow::Borrowed(text), source);
        let is_title = || text.starts_with("commit ") || text.starts_with("    ");
        unit.reserve = match what {
            What::Head => Some(Reserve::Heading),
            What::Other if is_title() => Some(Reserve::Heading),
            What::Changed if self.by_people && text.len() < LONG => Some(Reserve::Changed),
            _ => None,
        };
        if what == What::Changed {
            unit.like = masked(text.get(1..).unwrap_or_default());
            self.replace(text, unit.like);
        }
        self.outline.units.push(unit);
    }

    /// An old line that a new one says nearly the same as is the first that can be done without.
    fn replace(&mut self, text: &str, like: u64) {
        if !text.starts_with('+') {
            return;
        }
        let hunk = self.hunk;
        let before = self.outline.units.iter_mut().rev().take(NEAR).take_while(|unit| unit.group == hunk);
        let mut old = before.filter(|unit| unit.text.starts_with('-') && unit.reserve == Some(Reserve::Changed));
        if let Some(old) = old.find(|unit| unit.like == like) {
            (old.reserve, old.like) = (Some(Reserve::Outlier), 0);
        }
    }

    fn group(&mut self, parent: usize, head: Cow<'a, str>) -> usize {
        self.outline.groups.push(Group { parent: Some(parent), head });
        self.outline.groups.len() - 1
    }
}

/// A file's head; its path alone if it says no more than that and what the file's hashes are.
fn short_head(head: &str) -> Cow<'_, str> {
    let mut lines = head.split('\n');
    let four = [(); 4].map(|()| lines.next().unwrap_or_default());
    match plain_head(four).filter(|_| lines.next().is_none()) {
        Some((path, _)) => Cow::Owned(format!("diff {path}")),
        None => Cow::Owned(head.split('\n').filter(|line| !line.starts_with("index ")).collect::<Vec<_>>().join("\n")),
    }
}

/// A hunk's head: where it stands in the new file, and in what. How many lines it has says nothing where some are gone.
fn short_hunk(head: &str) -> Cow<'_, str> {
    let place = || {
        let (_, rest) = head.split_once(" +")?;
        let (new, within) = rest.split_once(" @@")?;
        Some(format!("@@ +{} @@{within}", new.split(',').next()?))
    };
    place().map_or(Cow::Borrowed(head), Cow::Owned)
}

/// The file is one that machines write.
fn is_made(head: &str) -> bool {
    const NAMES: [&str; 11] = [
        "package-lock.json",
        "yarn.lock",
        "Cargo.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "uv.lock",
        "go.sum",
        "composer.lock",
        "Gemfile.lock",
        "Pipfile.lock",
        "flake.lock",
    ];
    const ENDINGS: [&str; 8] = [".min.js", ".min.css", ".map", ".snap", ".pb.go", "_pb2.py", ".g.dart", ".svg"];
    const PARTS: [&str; 5] = ["/dist/", "/vendor/", "/node_modules/", "generated", "__snapshots__"];
    let path = head.split('\n').next().unwrap_or_default();
    let name = path.rsplit(['/', ' ']).next().unwrap_or_default();
    NAMES.contains(&name)
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || PARTS.iter().any(|part| path.contains(part))
}
