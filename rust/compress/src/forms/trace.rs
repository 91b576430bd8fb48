//! Stack traces: frames that come again, printed once.
//!
//! ```text
//! "@X n" names the n lines below it; "@X" alone stands for them again
//! java.lang.IllegalStateException: order 7 is locked
//! @A 3
//!     at shop.Orders.lock(Orders.java:41)
//!     at shop.Orders.pay(Orders.java:88)
//!     at shop.Api.handle(Api.java:12)
//! java.lang.IllegalStateException: order 9 is locked
//! @A
//! ```
//!
//! Two traces often share only their outer frames. So the named runs are not whole traces: two frames stand in one run
//! where each always comes with the other, in all traces of the block; wherever traces part or join, a run ends.
//! All is found in two passes over the lines.
//!
//! A block of traces is else read as a log is: the lines between the frames are by template, and what is cut first are
//! the frames of libraries.

use std::{collections::HashMap, fmt::Write as _};

use super::log::{ByHash, name, number, sum_of};

const LEGEND: &str = "\"@X n\" names the n lines below it; \"@X\" alone stands for them again";
const SIGN: char = '@';
const AS_IT_WAS: char = '\\';

/// The line is part of a trace and not its first; `next` is the line below it.
pub(super) fn is_frame(line: &str, next: Option<&str>) -> bool {
    let inner = line.trim_start();
    if inner.len() < line.len() {
        return !inner.is_empty();
    }
    // Go says the function flush left and the place below it.
    line.ends_with(')') && next.is_some_and(|next| next.starts_with("\t/"))
        || line.starts_with("... ") && line.ends_with(" more")
}

/// The frame is of a library, not of one's own code.
pub(super) fn is_library(line: &str) -> bool {
    const PARTS: [&str; 32] = [
        "node_modules",
        "site-packages",
        "dist-packages",
        "/usr/lib",
        "/rustc/",
        ".cargo/registry",
        "node:internal",
        "(internal/",
        "lib/python3",
        "at java.",
        "at javax.",
        "at jdk.",
        "at sun.",
        "at org.springframework.",
        "at org.apache.",
        "at org.hibernate.",
        "at io.netty.",
        "at com.fasterxml.",
        "at com.zaxxer.",
        "at kotlin.",
        "at scala.",
        "at akka.",
        "at System.",
        "at Microsoft.",
        "/usr/local/go/src",
        "/go/pkg/mod",
        "runtime.go",
        "core::",
        "std::",
        "tokio::",
        "at reactor.",
        "<frozen ",
    ];
    PARTS.iter().any(|part| line.contains(part))
}

/// The block with repeated frames named; `None` if that saves nothing.
pub(super) fn fold(block: &str) -> Option<String> {
    let lines = read(block);
    let links = Links::of(&lines);
    let runs = runs(&lines, &links);
    let named = named(&lines, &runs);
    if named.values().all(|times| *times < 2) {
        return None;
    }
    let mut out = LEGEND.to_owned();
    let mut names: ByHash<String> = ByHash::default();
    for run in &runs {
        let Some(body) = lines.get(run.clone()) else { continue };
        let key = key(body);
        if named.get(&key).is_none_or(|times| *times < 2) {
            for line in body {
                out.push('\n');
                if line.text.starts_with([SIGN, AS_IT_WAS]) {
                    out.push(AS_IT_WAS);
                }
                out.push_str(line.text);
            }
        } else if let Some(name) = names.get(&key) {
            let _ = write!(out, "\n{SIGN}{name}");
        } else {
            let name = name(names.len());
            let _ = write!(out, "\n{SIGN}{name} {}", body.len());
            for line in body {
                out.push('\n');
                out.push_str(line.text);
            }
            names.insert(key, name);
        }
    }
    (out.len() < block.len() && unfold(&out).as_deref() == Some(block)).then_some(out)
}

/// The block of which [`fold`] made this.
pub(super) fn unfold(printed: &str) -> Option<String> {
    let rest = printed.strip_prefix(LEGEND)?.strip_prefix('\n')?;
    let mut out: Vec<&str> = Vec::new();
    let mut named: HashMap<usize, std::ops::Range<usize>> = HashMap::new();
    let mut lines = rest.split('\n');
    while let Some(line) = lines.next() {
        let Some(reference) = line.strip_prefix(SIGN) else {
            out.push(line.strip_prefix(AS_IT_WAS).unwrap_or(line));
            continue;
        };
        if let Some((name, count)) = reference.split_once(' ') {
            let from = out.len();
            out.extend(lines.by_ref().take(count.parse().ok()?));
            named.insert(number(name)?, from..out.len());
        } else {
            out.extend_from_within(named.get(&number(reference)?)?.clone());
        }
    }
    Some(out.join("\n"))
}

struct Line<'a> {
    text: &'a str,
    frame: bool,
    sum: u64,
}

fn read(block: &str) -> Vec<Line<'_>> {
    let mut texts = block.split('\n').peekable();
    let mut lines = Vec::new();
    while let Some(text) = texts.next() {
        let frame = is_frame(text, texts.peek().copied());
        lines.push(Line { text, frame, sum: if frame { sum_of(text.as_bytes()) } else { 0 } });
    }
    lines
}

/// What comes before and behind each frame: one and the same, or more than one.
#[derive(Default)]
struct Links {
    before: ByHash<Option<u64>>,
    behind: ByHash<Option<u64>>,
}

impl Links {
    fn of(lines: &[Line<'_>]) -> Self {
        let mut links = Self::default();
        let mut last = 0;
        for line in lines {
            if line.frame {
                note(&mut links.before, line.sum, last);
            }
            if last != 0 {
                note(&mut links.behind, last, line.sum);
            }
            last = line.sum;
        }
        if last != 0 {
            note(&mut links.behind, last, 0);
        }
        links
    }

    /// Each of the two always comes with the other.
    fn are_one(&self, first: &Line<'_>, second: &Line<'_>) -> bool {
        first.frame
            && second.frame
            && self.behind.get(&first.sum) == Some(&Some(second.sum))
            && self.before.get(&second.sum) == Some(&Some(first.sum))
    }
}

fn note(links: &mut ByHash<Option<u64>>, of: u64, other: u64) {
    links.entry(of).and_modify(|known| *known = known.filter(|known| *known == other)).or_insert(Some(other));
}

/// The lines in runs: frames that always come together; any other line is a run of its own.
fn runs(lines: &[Line<'_>], links: &Links) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let joins =
            at.checked_sub(1).and_then(|before| lines.get(before)).is_some_and(|before| links.are_one(before, line));
        match runs.last_mut() {
            Some(run) if joins => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

fn key(run: &[Line<'_>]) -> u64 {
    run.iter().fold(0, |key: u64, line| key.rotate_left(9) ^ line.sum)
}

/// How often each run of frames comes, as far as it is long enough to be named.
fn named(lines: &[Line<'_>], runs: &[std::ops::Range<usize>]) -> ByHash<usize> {
    let mut named = ByHash::default();
    for run in runs {
        let Some(body) = lines.get(run.clone()).filter(|body| body.iter().all(|line| line.frame)) else { continue };
        if body.iter().map(|line| line.text.len()).sum::<usize>() >= SHORT {
            *named.entry(key(body)).or_default() += 1;
        }
    }
    named
}

/// A run of fewer bytes is not worth a name.
const SHORT: usize = 24;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_that_come_again_stand_once_even_where_only_the_outer_ones_do() {
        let outer = "\tat shop.Orders.pay(Orders.java:88)\n\tat shop.Api.handle(Api.java:12)\n\tat java.lang.Thread.run(Thread.java:840)";
        let block = format!(
            "E: order 7\n\tat shop.A.first(A.java:41)\n{outer}\nE: order 8\n\tat shop.B.second(B.java:3)\n{outer}\nE: order 9\n\tat shop.A.first(A.java:41)\n{outer}"
        );
        let printed = fold(&block).unwrap();
        assert_eq!(printed.matches("shop.Orders.pay").count(), 1, "{printed}");
        assert_eq!(printed.matches("shop.A.first").count(), 1, "{printed}");
        assert_eq!(unfold(&printed).unwrap(), block);
    }

    proptest! {
        #[test]
        fn what_is_folded_is_unfolded(lines in prop::collection::vec("(@A( 2)?|\\\\x| at aaaaaaaaaaaaaaaaaaaaaaaaaaaa| at bbbbbbbbbbbbbbbbbbbbbbbbbbbbb| at cccccccccccccccccccccccccccccc|x|)", 0..40)) {
            let block = lines.join("\n");
            if let Some(printed) = fold(&block) {
                prop_assert_eq!(unfold(&printed).unwrap(), block);
            }
        }
    }
}
