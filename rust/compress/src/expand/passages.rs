//! The passages of a text that answer a query best (BM25): runs of lines, ended by a blank one where there is one.

use std::collections::HashMap;
use std::ops::Range;

use super::{Expanded, Place, Unreadable, cut, lines::Lines};
use crate::select::words::words;
use crate::tokens;

/// Lines of a passage, at most, and how many it has before a blank line ends it.
const LONGEST: usize = 12;
const SHORTEST: usize = 3;
/// Passages that are given where no number of tokens says how many.
const USUAL: usize = 8;
/// How fast more of the same word stops to count, and how much a long passage is held against it.
const K1: f32 = 1.2;
const B: f32 = 0.6;

/// The best ones, as many as fit, in the order of the text.
pub(super) fn best(original: &str, query: &str, max_tokens: Option<usize>) -> Result<Expanded, Unreadable> {
    let mut asked = Vec::new();
    words(query, |word| asked.push(word.hash));
    asked.sort_unstable();
    asked.dedup();
    if asked.is_empty() {
        return Err(Unreadable::NoWords);
    }
    let lines = Lines::of(original);
    let passages = passages(&lines);
    let ranked = ranked(&lines, &passages, &asked, original);
    let of = |at: usize| passages.get(at).cloned().unwrap_or(1..1);
    let (mut taken, mut sum) = (Vec::new(), 0_usize);
    for at in &ranked {
        let cost = tokens::count(&printed(original, &lines, &of(*at)));
        if max_tokens.map_or(taken.len() >= USUAL, |most| sum.saturating_add(cost) > most) {
            continue;
        }
        sum += cost;
        taken.push(*at);
    }
    let found = ranked.len();
    let next = ranked.iter().find(|at| !taken.contains(at)).map(|at| Place::Lines(of(*at).start, of(*at).end - 1));
    loop {
        let mut order = taken.clone();
        order.sort_unstable();
        let text: String = order.iter().map(|at| printed(original, &lines, &of(*at))).collect();
        if let Some(tokens) = tokens::count_limited(&text, max_tokens.unwrap_or(usize::MAX)) {
            if let (true, Some(first)) = (taken.is_empty(), ranked.first()) {
                return begun(original, &lines, &of(*first), found, max_tokens);
            }
            return Ok(Expanded { text, tokens, found, shown: taken.len(), next, widened: None });
        }
        taken.pop();
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

/// Those that have at least one of the words, the best first.
fn ranked(lines: &Lines<'_>, passages: &[Range<usize>], asked: &[u64], original: &str) -> Vec<usize> {
    let mut counted: Vec<(HashMap<u64, usize>, usize)> = Vec::with_capacity(passages.len());
    for passage in passages {
        let (mut times, mut length) = (HashMap::new(), 0);
        let range = lines.range(passage.start, passage.end - 1).unwrap_or_default();
        words(original.get(range).unwrap_or_default(), |word| {
            length += 1;
            if asked.binary_search(&word.hash).is_ok() {
                *times.entry(word.hash).or_insert(0) += 1;
            }
        });
        counted.push((times, length));
    }
    let count = real(passages.len());
    let mean = real(counted.iter().map(|(_, length)| length).sum()) / count.max(1.0);
    let rarity = |word: &u64| {
        let among = real(counted.iter().filter(|(times, _)| times.contains_key(word)).count());
        (1.0 + (count - among + 0.5) / (among + 0.5)).ln()
    };
    let weights: Vec<(u64, f32)> = asked.iter().map(|word| (*word, rarity(word))).collect();
    let score = |(times, length): &(HashMap<u64, usize>, usize)| -> f32 {
        let norm = K1 * (1.0 - B + B * real(*length) / mean.max(1.0));
        let of = |(word, weight): &(u64, f32)| {
            let times = real(times.get(word).copied().unwrap_or_default());
            weight * times * (K1 + 1.0) / (times + norm)
        };
        weights.iter().map(of).sum()
    };
    let mut scored: Vec<(f32, usize)> = counted
        .iter()
        .map(score)
        .enumerate()
        .filter(|(_, score)| *score > 0.0)
        .map(|(at, score)| (score, at))
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    scored.into_iter().map(|(_, at)| at).collect()
}

/// A passage under its place.
fn printed(original: &str, lines: &Lines<'_>, passage: &Range<usize>) -> String {
    let range = lines.range(passage.start, passage.end - 1).unwrap_or_default();
    let text = original.get(range).unwrap_or_default();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("[{}]\n{text}{end}", Place::Lines(passage.start, passage.end - 1))
}

#[allow(clippy::cast_precision_loss, reason = "a score, not a sum")]
fn real(count: usize) -> f32 {
    count as f32
}
