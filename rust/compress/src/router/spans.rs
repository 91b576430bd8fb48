//! Structures that show where they begin and where they end: fenced code, diffs, Markdown tables, JSON over lines.

use std::ops::Range;

use super::{columns, json};
use crate::Kind;

/// Lines that the head of a commit has at most, below its name.
const COMMIT_HEAD: usize = 12;

/// Lines of a structure.
pub(super) struct Span {
    /// What it is; none for fenced code, which is looked at again.
    pub(super) kind: Option<Kind>,
    /// Its lines.
    pub(super) lines: Range<usize>,
}

/// A text in lines, and what is left of the allowance for tries that fail.
pub(super) struct Finder<'a> {
    text: &'a str,
    lines: &'a [Range<usize>],
    allowance: usize,
    /// Up to here there are heads of files without a hunk.
    barren: usize,
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a str, lines: &'a [Range<usize>]) -> Self {
        Self { text, lines, allowance: text.len().saturating_mul(4), barren: 0 }
    }

    pub(super) fn line(&self, at: usize) -> &'a str {
        self.lines.get(at).and_then(|range| self.text.get(range.clone())).unwrap_or_default()
    }

    /// The structure that begins with this line.
    pub(super) fn at(&mut self, at: usize) -> Option<Span> {
        match self.line(at).as_bytes().first()? {
            b'`' | b'~' => self.fence(at),
            b'd' | b'-' | b'@' | b'I' => self.diff(at),
            b'{' | b'[' => self.json(at),
            b'c' => self.commit(at).or_else(|| self.markdown_table(at)),
            _ => self.markdown_table(at),
        }
    }

    /// What stands between two fences; the fences themselves belong to what is around.
    fn fence(&mut self, at: usize) -> Option<Span> {
        if self.allowance == 0 {
            return None;
        }
        let opening = self.line(at);
        let fence = opening.get(..3).filter(|fence| matches!(*fence, "```" | "~~~"))?;
        let rest = self.lines.len() - at;
        // A fence that is never closed is looked for once at this cost, not once a line.
        let length = (1..rest).find(|more| self.line(at + more).trim_end() == fence);
        if length.is_none() {
            self.allowance = self.allowance.saturating_sub(self.text.len());
        }
        let length = length.filter(|length| *length > 1)?;
        Some(Span { kind: None, lines: at + 1..at + length })
    }

    fn json(&mut self, at: usize) -> Option<Span> {
        let start = self.lines.get(at)?.start;
        let length = json::leading(self.text.get(start..)?, &mut self.allowance)?;
        let end = start + length;
        let lines = self.lines.get(at..)?.iter().take_while(|line| line.start < end).count();
        (lines > 2 || length > 400).then_some(Span { kind: Some(Kind::Json), lines: at..at + lines })
    }

    fn markdown_table(&self, at: usize) -> Option<Span> {
        if !columns::is_markdown_head(self.line(at), self.line(at + 1)) {
            return None;
        }
        let rows = (at + 2..self.lines.len()).take_while(|row| self.line(*row).contains('|')).count();
        Some(Span { kind: Some(Kind::Table), lines: at..at + 2 + rows })
    }

    /// A commit as `git log` and `git show` print it: its head, its message, which files it changed, and how.
    fn commit(&mut self, at: usize) -> Option<Span> {
        let names = ["Author: ", "Merge: ", "AuthorDate: ", "tree "];
        if !is_commit(self.line(at)) || !names.iter().any(|name| self.line(at + 1).starts_with(name)) {
            return None;
        }
        let is_count = |line: &str| line.starts_with(' ') && (line.contains(" | ") || line.contains(" changed, "));
        let goes_on = |line: &str| line.trim().is_empty() || line.starts_with("    ") || is_count(line);
        let head =
            (at + 1..self.lines.len()).take(COMMIT_HEAD).take_while(|next| self.line(*next).contains(": ")).count();
        let rest = (at + 1 + head..self.lines.len()).take_while(|next| goes_on(self.line(*next))).count();
        let end = at + 1 + head + rest;
        let changes = if is_diff_head(self.line(end)) { self.diff(end) } else { None };
        let end = changes.map_or(end, |changes| changes.lines.end);
        // Blank lines up to the next commit stand between the two.
        let next = (end..self.lines.len()).find(|next| !self.line(*next).is_empty());
        let end = next.filter(|next| is_commit(self.line(*next))).unwrap_or(end);
        Some(Span { kind: Some(Kind::Diff), lines: at..end })
    }

    /// From the first head to the end of the last hunk. A hunk is as long as it says.
    fn diff(&mut self, at: usize) -> Option<Span> {
        if at < self.barren {
            return None;
        }
        let mut next = at;
        let mut hunks = 0;
        while next < self.lines.len() {
            let line = self.line(next);
            if let Some((old, new)) = hunk_head(line) {
                next = self.hunk(next + 1, old, new);
                hunks += 1;
            } else if is_diff_head(line) && (!line.starts_with("--- ") || self.line(next + 1).starts_with("+++ ")) {
                next += 1;
            } else {
                break;
            }
        }
        if hunks == 0 {
            self.barren = next;
            return None;
        }
        Some(Span { kind: Some(Kind::Diff), lines: at..next })
    }

    /// The line behind a hunk with so many old and new lines.
    fn hunk(&self, mut at: usize, mut old: usize, mut new: usize) -> usize {
        while at < self.lines.len() && (old > 0 || new > 0) {
            match self.line(at).as_bytes().first() {
                Some(b'+') => new = new.saturating_sub(1),
                Some(b'-') => old = old.saturating_sub(1),
                // Many programs cut the blank of an empty line.
                Some(b' ' | b'\r') | None => {
                    old = old.saturating_sub(1);
                    new = new.saturating_sub(1);
                }
                Some(b'\\') => {}
                Some(_) => break,
            }
            at += 1;
        }
        at + usize::from(self.line(at).starts_with("\\ No newline"))
    }
}

/// The lines of the old and of the new text that a hunk has.
fn hunk_head(line: &str) -> Option<(usize, usize)> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let count = |place: &str| match place.split_once(',') {
        Some((_, count)) => count.parse::<usize>().ok(),
        None => place.parse::<usize>().ok().map(|_| 1),
    };
    Some((count(old)?, count(new)?))
}

/// `commit 1b2c...`, perhaps with the names of branches behind it.
pub(crate) fn is_commit(line: &str) -> bool {
    let Some(name) = line.strip_prefix("commit ") else { return false };
    let digits = name.bytes().take_while(u8::is_ascii_hexdigit).count();
    (7..=64).contains(&digits) && name.get(digits..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn is_diff_head(line: &str) -> bool {
    const HEADS: [&str; 15] = [
        "diff --git ",
        "diff ",
        "index ",
        "--- ",
        "+++ ",
        "new file mode ",
        "deleted file mode ",
        "old mode ",
        "new mode ",
        "similarity index ",
        "dissimilarity index ",
        "rename from ",
        "rename to ",
        "Binary files ",
        "Index: ",
    ];
    HEADS.iter().any(|head| line.starts_with(head))
}
