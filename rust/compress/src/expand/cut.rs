//! As much of a text as its tokens allow.

use std::ops::Range;

use super::{Expanded, Place, lines::Lines};
use crate::tokens;

/// A range of the original, or as many of its lines as fit, or as much of its first one.
pub(super) fn of(original: &str, range: Range<usize>, max_tokens: Option<usize>) -> Expanded {
    let text = original.get(range.clone()).unwrap_or_default();
    let (kept, tokens) = prefix(text, max_tokens);
    let lines = Lines::of(text).count();
    let next = (kept < text.len()).then(|| {
        let at = range.start + kept;
        // Where a line ends the rest can be said in lines, if it is whole lines that were asked for.
        let rest_is_lines = range.end == original.len() || original.as_bytes().get(range.end - 1) == Some(&b'\n');
        if kept > 0 && text.as_bytes().get(kept - 1) == Some(&b'\n') && rest_is_lines {
            let lines = Lines::of(original);
            Place::Lines(lines.at(at), lines.at(range.end - 1))
        } else {
            Place::Bytes(at..range.end)
        }
    });
    let text = text.get(..kept).unwrap_or_default().to_owned();
    let shown = if next.is_some() { Lines::of(&text).count() } else { lines };
    Expanded { tokens, found: lines, shown, next, text, widened: None }
}

/// How many bytes of a text fit, and what they cost: whole lines, or else characters of the first one.
pub(super) fn prefix(text: &str, max_tokens: Option<usize>) -> (usize, usize) {
    let Some(most) = max_tokens else { return (text.len(), tokens::count(text)) };
    if let Some(tokens) = tokens::count_limited(text, most) {
        return (text.len(), tokens);
    }
    let mut ends = Vec::new();
    let (mut at, mut sum) = (0, 0_usize);
    for line in text.split_inclusive('\n') {
        let Some(cost) = tokens::count_limited(line, most.saturating_sub(sum)) else { break };
        (at, sum) = (at + line.len(), sum + cost);
        ends.push(at);
    }
    // The sum is that of the whole but for what happens at line ends.
    while let Some(end) = ends.pop() {
        if let Some(tokens) = text.get(..end).and_then(|kept| tokens::count_limited(kept, most)) {
            return (end, tokens);
        }
    }
    characters(text, most)
}

/// The most characters that were found to fit, by halves.
fn characters(text: &str, most: usize) -> (usize, usize) {
    let (mut kept, mut cost) = (0, 0);
    let mut high = text.len();
    // What fits ends at `kept`, what does not ends behind `high`.
    while kept < high {
        let middle = floor(text, kept + (high - kept).div_ceil(2));
        let end = if middle > kept { middle } else { ceil(text, kept + 1) };
        match text.get(..end).and_then(|begin| tokens::count_limited(begin, most)) {
            Some(tokens) => (kept, cost) = (end, tokens),
            None if middle > kept => high = floor(text, end - 1),
            None => break,
        }
    }
    (kept, cost)
}

/// As many blocks as fit, joined, what they cost and how many they are. If not even one fits, that one, and none.
pub(super) fn joined(blocks: impl Iterator<Item = String>, max_tokens: Option<usize>) -> (String, usize, usize) {
    let most = max_tokens.unwrap_or(usize::MAX);
    let (mut text, mut sum) = (String::new(), 0_usize);
    let mut ends = Vec::new();
    for block in blocks {
        let cost = tokens::count_limited(&block, most.saturating_sub(sum));
        if cost.is_none() && !ends.is_empty() {
            break;
        }
        text.push_str(&block);
        let Some(cost) = cost else { return (text, 0, 0) };
        sum += cost;
        ends.push(text.len());
    }
    while let Some(end) = ends.last() {
        text.truncate(*end);
        match tokens::count_limited(&text, most) {
            Some(tokens) => return (text, tokens, ends.len()),
            None if ends.len() == 1 => return (text, 0, 0),
            None => ends.pop(),
        };
    }
    (text, 0, 0)
}

/// The last border of characters up to this byte.
pub(super) fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// The first border of characters from this byte on.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
