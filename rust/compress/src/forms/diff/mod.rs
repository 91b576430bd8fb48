//! Unified diffs: files, their hunks, and the lines of these.
//!
//! A file's head says its path up to four times. Without loss one line says it once:
//!
//! ```text
//! "* P" stands for the lines: diff --git a/P b/P, index (what follows P), --- a/P, +++ b/P
//! * src/main.rs 3f2a1b0..9c8d7e6 100644
//! @@ -1,4 +1,4 @@
//! ```
//!
//! With a budget, changed lines come before what stands around them, and what machines wrote (lock files, generated
//! and minified code) after what people did. How long a hunk is, is read from its head: a removed line may look like
//! the head of a file.

mod cut;

use std::{borrow::Cow, ops::Range};

use crate::{
    outline::{Aim, Group, Outline, Unit},
    router::is_commit,
};

/// What one of our heads begins with: the first of these that no line of the block begins with.
const MARKS: [&str; 3] = ["* ", "** ", "file "];

fn legend(mark: &str) -> String {
    format!("\"{mark}P\" stands for the lines: diff --git a/P b/P, index (what follows P), --- a/P, +++ b/P")
}

/// What a line of a diff is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Of a commit or of nothing.
    Other,
    Head,
    Hunk,
    Context,
    Changed,
}

/// A diff by files and hunks, with the commits that it is of; `None` if it has neither hunk nor commit.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    let lines = read(block);
    let is_commit = |range: &Range<usize>| block.get(range.clone()).is_some_and(is_commit);
    if !lines.iter().any(|(range, what)| *what == What::Hunk || *what == What::Other && is_commit(range)) {
        return None;
    }
    match aim {
        Aim::Whole => whole(block),
        Aim::Cut => Some(cut::outline(block, &lines)),
    }
}

/// Each line of the block, and what it is.
fn read(block: &str) -> Vec<(Range<usize>, What)> {
    let mut lines = Vec::new();
    let mut start = 0;
    // How many lines of the hunk are still to come, of the old and of the new file.
    let (mut old, mut new) = (0_u64, 0_u64);
    let mut in_head = false;
    let mut texts = block.split('\n').peekable();
    while let Some(text) = texts.next() {
        let first = text.as_bytes().first();
        let next = texts.peek().copied().unwrap_or_default();
        let what = match first {
            Some(b'+') if new > 0 => What::Changed,
            Some(b'-') if old > 0 => What::Changed,
            Some(b' ' | b'\r') | None if old > 0 && new > 0 => What::Context,
            Some(b'\\') => What::Context,
            _ => {
                (old, new) = hunk(text).unwrap_or_default();
                let begins = text.starts_with("diff --git ") || text.starts_with("--- ") && next.starts_with("+++ ");
                in_head = begins || in_head && is_head(text);
                if old > 0 || new > 0 {
                    in_head = false;
                    What::Hunk
                } else if in_head {
                    What::Head
                } else {
                    What::Other
                }
            }
        };
        if what == What::Changed {
            (old, new) = (old - u64::from(first == Some(&b'-')), new - u64::from(first == Some(&b'+')));
        } else if what == What::Context && first != Some(&b'\\') {
            (old, new) = (old.saturating_sub(1), new.saturating_sub(1));
        }
        lines.push((start..start + text.len(), what));
        start += text.len() + 1;
    }
    lines
}

/// How many lines of the old and of the new file the hunk shows.
fn hunk(text: &str) -> Option<(u64, u64)> {
    let ranges = text.strip_prefix("@@ -")?;
    let (old, rest) = ranges.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let count = |range: &str| range.split_once(',').map_or(Some(1), |(_, count)| count.parse::<u32>().ok());
    Some((count(old)?.into(), count(new)?.into()))
}

fn is_head(text: &str) -> bool {
    const HEADS: [&str; 13] = [
        "index ",
        "--- ",
        "+++ ",
        "old mode ",
        "new mode ",
        "new file ",
        "deleted file ",
        "similarity ",
        "dissimilarity ",
        "rename ",
        "copy ",
        "Binary ",
        "GIT binary ",
    ];
    HEADS.iter().any(|head| text.starts_with(head))
}

/// The path and what the index line says, if these four lines say no more than that.
fn plain_head(lines: [&str; 4]) -> Option<(&str, &str)> {
    let [first, index, old, new] = lines;
    let path = old.strip_prefix("--- a/").filter(|path| !path.contains(' '))?;
    let (one, other) = first.strip_prefix("diff --git a/")?.split_once(" b/")?;
    (one == path && other == path && new.strip_prefix("+++ b/") == Some(path))
        .then_some((path, index.strip_prefix("index ")?))
}

fn whole(block: &str) -> Option<Outline<'_>> {
    let mark = MARKS.iter().find(|mark| !block.split('\n').any(|line| line.starts_with(**mark)))?;
    let mut out = legend(mark);
    let lines: Vec<&str> = block.split('\n').collect();
    let mut at = 0;
    let mut heads = 0;
    while let Some(line) = lines.get(at) {
        out.push('\n');
        let four = lines.get(at..at + 4).and_then(|four| four.try_into().ok());
        if let Some((path, index)) = four.and_then(plain_head) {
            out.extend([mark, path, " ", index]);
            heads += 1;
            at += 4;
        } else {
            out.push_str(line);
            at += 1;
        }
    }
    let unit = Unit::new(0, Cow::Owned(out), 0..block.len());
    (heads > 0).then(|| Outline { groups: vec![Group::default()], units: vec![unit] })
}

/// The diff of which this is the whole.
pub(super) fn decode(printed: &str) -> Option<String> {
    let (first, rest) = printed.split_once('\n')?;
    let mark = MARKS.iter().find(|mark| legend(mark) == first)?;
    let mut out = String::with_capacity(printed.len() + printed.len() / 4);
    for (at, line) in rest.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        match line.strip_prefix(mark).and_then(|head| head.split_once(' ')) {
            Some((path, index)) => {
                let lines = ["diff --git a/", path, " b/", path, "\nindex ", index, "\n--- a/", path, "\n+++ b/", path];
                out.extend(lines);
            }
            None => out.push_str(line),
        }
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use crate::outline::{Reserve, When};

    const DIFF: &str = "\
diff --git a/src/a.rs b/src/a.rs
index 3f2a1b0..9c8d7e6 100644
--- a/src/a.rs
+++ b/src/a.rs
@@ -1,3 +1,3 @@ fn a
 one
--- two
+++ three
 four
diff --git a/Cargo.lock b/Cargo.lock
index 1111111..2222222 100644
--- a/Cargo.lock
+++ b/Cargo.lock
@@ -7 +7 @@
-old
+new
";

    #[test]
    fn a_head_that_says_its_path_four_times_says_it_once() {
        let printed = outline(DIFF, Aim::Whole).unwrap().whole();
        assert!(printed.contains("\n* src/a.rs 3f2a1b0..9c8d7e6 100644\n@@"), "{printed}");
        assert_eq!(decode(&printed).unwrap(), DIFF);
    }

    #[test]
    fn changed_lines_are_reserved_even_if_they_look_like_heads_and_what_machines_wrote_is_not() {
        let outline = outline(DIFF, Aim::Cut).unwrap();
        let reserved = outline.units.iter().filter(|unit| unit.reserve == Some(Reserve::Changed));
        assert_eq!(reserved.map(|unit| unit.text.as_ref()).collect::<Vec<_>>(), ["--- two", "+++ three"]);
        let printed = outline.print(|unit| outline.units[unit].text == "+++ three", |_| None, |_| None);
        assert_eq!(printed, "diff src/a.rs\n@@ +1 @@ fn a\n+++ three");
    }

    #[test]
    fn of_an_old_line_what_the_new_one_has_otherwise_is_enough() {
        let block = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n     The plan has not changed.\n-    timeout = 30 # seconds\n+    timeout = 4500 # seconds\n-old words\n+other things\n";
        let outline = outline(block, Aim::Cut).unwrap();
        let of = |reserve| outline.units.iter().filter(move |unit| unit.reserve == Some(reserve));
        let changed: Vec<&str> = of(Reserve::Changed).map(|unit| unit.text.as_ref()).collect();
        assert_eq!(changed, ["+    timeout = 4500 # seconds", "-old words", "+other things"]);
        let said: Vec<_> = of(Reserve::Outlier).map(|unit| (unit.text.as_ref(), unit.when)).collect();
        assert_eq!(said, [("-    timeout = 30 # seconds", When::Always), ("-…30…", When::Instead)]);
    }

    #[test]
    fn a_commit_is_said_in_full_or_by_the_first_line_of_its_message() {
        let commit = |at: usize| {
            format!(
                "commit b121fbd6b310204cd83d06bf3d8e72556{at:04}\nAuthor: Ann <a@b.example>\nDate:   Mon Nov 23 00:28:35 2026 +0000\n\n    Gate {at} opens\n\n"
            )
        };
        let block: String = (0..3).map(commit).collect();
        let outline = outline(&block, Aim::Cut).unwrap();
        let full = outline.print(|unit| outline.units[unit].when == When::Always, |_| None, |_| None);
        assert!(full.starts_with("commit b121fbd6b310204cd83d06bf3d8e725560000\nAuthor: Ann <a@b.example> Mon Nov 23 00:28:35 2026 +0000\n    Gate 0 opens\n"), "{full}");
        assert_eq!(full.matches("Author").count(), 1);
        let brief = outline.print(|unit| outline.units[unit].when == When::Instead, |_| None, |_| None);
        assert_eq!(brief, "    Gate 0 opens\n    Gate 1 opens\n    Gate 2 opens");
    }

    #[test]
    fn a_file_that_is_only_renamed_is_a_unit() {
        let block = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\ndiff --git a/z b/z\n--- a/z\n+++ b/z\n@@ -1 +1 @@\n-a\n+b";
        let outline = outline(block, Aim::Cut).unwrap();
        assert_eq!(outline.units[0].reserve, Some(Reserve::Heading));
        assert!(outline.units[0].text.ends_with("rename to y"));
    }
}
