//! A diff of which some lines will be left out: file, hunk, changed lines one by one, what stands around them as one.

use std::{borrow::Cow, ops::Range};

use super::{super::log::masked, What, plain_head};
use crate::{
    outline::{Group, Outline, Reserve, Unit, When},
    router::is_commit,
};

/// How far behind an old line the new one stands that replaces it.
const NEAR: usize = 16;
/// Longer lines are of data or minified code.
const LONG: usize = 500;

pub(super) fn outline<'a>(block: &'a str, lines: &[(Range<usize>, What)]) -> Outline<'a> {
    let outline = Outline { groups: vec![Group::default()], units: Vec::new() };
    let mut cut = Cut { block, outline, file: 0, hunk: 0, by_people: true, author: "" };
    let mut at = 0;
    while let Some((range, what)) = lines.get(at) {
        let commit = cut.commit(lines.get(at..).unwrap_or_default());
        if commit > 0 {
            at += commit;
            continue;
        }
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
    /// Of the last commit.
    author: &'a str,
}

impl<'a> Cut<'a> {
    /// Reads the head of a commit and the first line of its message; how many lines that were. Whose it is, is not
    /// said again and again, and where there is no room for the rest that first line says what it is.
    fn commit(&mut self, lines: &[(Range<usize>, What)]) -> usize {
        let block = self.block;
        let text = |at: usize| {
            let (range, _) = lines.get(at).filter(|(_, what)| *what == What::Other)?;
            block.get(range.clone())
        };
        let Some(first) = text(0).filter(|first| is_commit(first)) else { return 0 };
        let head = (1..lines.len()).map_while(text).take_while(|line| !line.is_empty()).count();
        let blank = (1 + head..lines.len()).map_while(text).take_while(|line| line.is_empty()).count();
        let title = text(1 + head + blank).filter(|title| title.starts_with("    "));
        let count = 1 + head + if title.is_some() { blank + 1 } else { 0 };
        let mut said = first.to_owned();
        for line in (1..=head).filter_map(text) {
            if line.starts_with("Author: ") && std::mem::replace(&mut self.author, line) == line {
                continue;
            }
            let day = line.strip_prefix("Date: ").map(str::trim_start);
            said.extend([if day.is_some() { " " } else { "\n" }, day.unwrap_or(line)]);
        }
        let range = |at: usize| lines.get(at).map_or(0..0, |(range, _)| range.clone());
        let source = range(0).start..range(count - 1).end;
        (self.file, self.hunk) = (0, 0);
        if let Some(title) = title {
            said.extend(["\n", title]);
        }
        let mut unit = Unit::new(0, Cow::Owned(said), source);
        unit.reserve = title.is_none().then_some(Reserve::Heading);
        self.outline.units.push(unit);
        if let Some(title) = title {
            let mut unit = Unit::new(0, Cow::Borrowed(title), range(count - 1));
            (unit.reserve, unit.when) = (Some(Reserve::Heading), When::Instead);
            self.outline.units.push(unit);
        }
        count
    }

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
        unit.reserve = match what {
            What::Head => Some(Reserve::Heading),
            What::Changed if self.by_people && text.len() < LONG => Some(Reserve::Changed),
            _ => None,
        };
        if what == What::Changed {
            unit.like = masked(text.get(1..).unwrap_or_default());
            self.replace(text, unit.like);
        }
        self.outline.units.push(unit);
    }

    /// Of an old line that a new one says nearly the same as, what the new one has otherwise is enough.
    fn replace(&mut self, text: &'a str, like: u64) {
        if !text.starts_with('+') {
            return;
        }
        let hunk = self.hunk;
        let before =
            self.outline.units.iter_mut().enumerate().rev().take(NEAR).take_while(|(_, unit)| unit.group == hunk);
        let mut old = before.filter(|(_, unit)| unit.text.starts_with('-') && unit.reserve == Some(Reserve::Changed));
        let Some((at, old)) = old.find(|(_, unit)| unit.like == like && unit.when == When::Always) else { return };
        let Some(short) = otherwise(&old.text, text) else { return };
        (old.reserve, old.like) = (Some(Reserve::Outlier), 0);
        let mut unit = Unit::new(hunk, Cow::Owned(short), old.source.clone());
        (unit.reserve, unit.when) = (Some(Reserve::Outlier), When::Instead);
        self.outline.units.insert(at + 1, unit);
    }

    fn group(&mut self, parent: usize, head: Cow<'a, str>) -> usize {
        self.outline.groups.push(Group { parent: Some(parent), head });
        self.outline.groups.len() - 1
    }
}

/// The words of an old line that its new one does not have: `-…30,…`. `None` if that is most of it.
fn otherwise(old: &str, new: &str) -> Option<String> {
    let (old, new) = (old.strip_prefix('-')?.trim_end(), new.strip_prefix('+')?.trim_end());
    let ends =
        |same: usize| old.get(same..).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
    let alike = old.char_indices().zip(new.chars()).take_while(|((_, one), other)| one == other);
    let mut begin = alike.last().map_or(0, |((at, sign), _)| at + sign.len_utf8());
    // Back to where a word begins.
    begin = old.get(..begin)?.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let rest = new.get(begin..)?;
    let alike = old.get(begin..)?.chars().rev().zip(rest.chars().rev()).take_while(|(one, other)| one == other);
    let mut end = old.len() - alike.map(|(sign, _)| sign.len_utf8()).sum::<usize>();
    while !ends(end) {
        end += old.get(end..)?.chars().next()?.len_utf8();
    }
    let words = old.get(begin..end)?.trim();
    let cut = |is: bool| if is { "…" } else { "" };
    let short = format!("-{}{words}{}", cut(begin > 0), cut(end < old.len()));
    (!words.is_empty() && short.len() * 2 <= old.trim_start().len() + 8).then_some(short)
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
