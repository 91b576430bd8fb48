//! The passages of a text that answer a query best (BM25): runs of lines, ended by a blank one where there is one.

use std::ops::Range;

use super::{Expanded, Place, Unreadable, cut, lines::Lines};
use crate::select::rank::{Counted, asked, ranked};
use crate::tokens;

/// Lines of a passage, at most, and how many it has before a blank line ends it.
const LONGEST: usize = 12;
const SHORTEST: usize = 3;
/// Passages that are given where no number of tokens says how many.
const USUAL: usize = 8;

/// The best ones, as many as fit, in the order of the text.
pub(super) fn best(original: &str, query: &str, max_tokens: Option<usize>) -> Result<Expanded, Unreadable> {
    let asked = asked(query);
    if asked.is_empty() {
        return Err(Unreadable::NoWords);
    }
    let lines = Lines::of(original);
    let passages = passages(&lines);
    let ranked = ranked(&counted(&lines, &passages, &asked, original), &asked);
    let of = |at: usize| passages.get(at).cloned().unwrap_or(1..1);
    let (mut taken, mut sum, mut left) = (Vec::new(), 0_usize, None);
    for at in &ranked {
        let cost = tokens::count(&printed(original, &lines, &of(*at)));
        if max_tokens.map_or(taken.len() >= USUAL, |most| sum.saturating_add(cost) > most) {
            left = left.or(Some(*at));
            continue;
        }
        sum += cost;
        taken.push(*at);
    }
    let found = ranked.len();
    let place = |at: usize| Place::Lines(of(at).start, of(at).end - 1);
    loop {
        let mut order = taken.clone();
        order.sort_unstable();
        let text: String = order.iter().map(|at| printed(original, &lines, &of(*at))).collect();
        if let Some(tokens) = tokens::count_limited(&text, max_tokens.unwrap_or(usize::MAX)) {
            if let (true, Some(first)) = (taken.is_empty(), ranked.first()) {
                return begun(original, &lines, &of(*first), found, max_tokens);
            }
            return Ok(Expanded { text, tokens, found, shown: taken.len(), next: left.map(&place), widened: None });
        }
        left = left.or(taken.pop());
    }
}

/// The begin of the best passage, where not even one fits whole.
fn begun(
    original: &str,
    lines: &Lines<'_>,
    passage: &Range<usize>,
    found: usize,
    max_tokens: Option<usize>,
) -> Result<Expanded, Unreadable> {
    let range = lines.range(passage.start, passage.end - 1)?;
    Ok(Expanded { found, shown: 1, ..cut::of(original, range, max_tokens) })
}

/// Lines, from 1, the end not in.
fn passages(lines: &Lines<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut first = 1;
    for number in 1..=lines.count() {
        let length = number + 1 - first;
        let is_blank = lines.line(number).trim().is_empty();
        if length >= LONGEST || (is_blank && length >= SHORTEST) {
            found.push(first..number + 1);
            first = number + 1;
        }
    }
    if first <= lines.count() {
        found.push(first..lines.count() + 1);
    }
    found
}

/// What of each passage counts.
fn counted(lines: &Lines<'_>, passages: &[Range<usize>], asked: &[u64], original: &str) -> Vec<Counted> {
    let of = |passage: &Range<usize>| {
        let mut counted = Counted::default();
        let range = lines.range(passage.start, passage.end - 1).unwrap_or_default();
        counted.add(original.get(range).unwrap_or_default(), 1.0, asked);
        counted
    };
    passages.iter().map(of).collect()
}

/// A passage under its place.
fn printed(original: &str, lines: &Lines<'_>, passage: &Range<usize>) -> String {
    let range = lines.range(passage.start, passage.end - 1).unwrap_or_default();
    let text = original.get(range).unwrap_or_default();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("[{}]\n{text}{end}", Place::Lines(passage.start, passage.end - 1))
}
