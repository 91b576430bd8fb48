//! A string that holds a text of many lines, or, to be cut, of many sentences.

use std::{borrow::Cow, ops::Range};

use super::{
    parse::{At, Doc, Sort},
    text,
};
use crate::outline::Aim;

/// Lines of a text that stands on lines of its own.
const TEXT_LINES: usize = 3;
/// Bytes from which a text is cut by its sentences, and bytes that such a piece has at least and at most.
pub(super) const LONG: usize = 400;
const PIECE: usize = 60;
pub(super) const LONGEST: usize = 600;

/// The lines of a string that has many, and where they stand; to be cut, a long one's sentences.
pub(super) fn lines<'a>(doc: &Doc<'a>, at: At, aim: Aim) -> Option<Vec<(Cow<'a, str>, Range<usize>)>> {
    let node = doc.node(at).filter(|node| node.sort == Sort::Text)?;
    let raw = doc.raw(node.span);
    let by_sentence = aim == Aim::Cut && raw.len() >= LONG;
    if !node.escaped && !by_sentence {
        return None;
    }
    let mut lines = Vec::new();
    let mut from = 0;
    let mut next = 0;
    while let Some(escape) = raw.get(next..)?.find('\\').map(|found| next + found) {
        if raw.as_bytes().get(escape + 1) == Some(&b'n') {
            lines.push(from..escape);
            from = escape + 2;
        }
        next = escape + 2;
    }
    lines.push(from..raw.len());
    if by_sentence {
        lines = lines.into_iter().flat_map(|line| sentences(raw, line)).collect();
    }
    if lines.len() < TEXT_LINES {
        return None;
    }
    let start = node.span.from as usize;
    let said = |line: Range<usize>| {
        let text = text::unescaped(raw.get(line.clone())?).filter(|text| !text.contains('\n'))?;
        Some((text, start + line.start..start + line.end))
    };
    lines.into_iter().map(said).collect()
}

/// Cuts a line of a text, with its escapes, where sentences end; where none does for long, at a space.
fn sentences(raw: &str, line: Range<usize>) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut from = line.start;
    let mut space = None;
    let mut was = ' ';
    for (at, sign) in raw.get(line.clone()).unwrap_or_default().char_indices() {
        let at = line.start + at;
        let long = at - from;
        let ends = (sign == ' ' && matches!(was, '.' | '!' | '?' | ';' | ':')) || matches!(was, '。' | '！' | '？');
        if ends && long >= PIECE {
            pieces.push(from..at);
            (from, space) = (if sign == ' ' { at + 1 } else { at }, None);
        } else if sign == ' ' {
            if let Some(end) = space.filter(|_| long > LONGEST) {
                pieces.push(from..end);
                from = end + 1;
            }
            space = Some(at);
        }
        was = sign;
    }
    if from < line.end || pieces.is_empty() {
        pieces.push(from..line.end);
    }
    pieces
}
