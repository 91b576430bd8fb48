//! The way of a text: parts, forms, and, if it is still too long, a choice and marks, counted until it fits.

use std::ops::Range;

use crate::{
    Kind, critical,
    cut::Work,
    forms,
    outline::Aim,
    policy::Policy,
    report::{Block, Form, Outcome, Share},
    router::{self, Part},
    select::field,
    tokens,
};

/// A text in fewer tokens: no more than the budget, if there is one.
pub fn compress(text: &str, policy: &Policy<'_>) -> Outcome {
    let handle = *blake3::hash(text.as_bytes()).as_bytes();
    let parts = router::parts(text, &policy.hints);
    let before = counted(text, &parts);
    let tokens_before = before.iter().sum();
    let budget = policy.budget.map(|budget| if policy.gentle { gentled(budget, &parts, &before) } else { budget });
    let whole = without_loss(text, &parts, &before);
    let outcome = match budget.filter(|budget| whole.tokens > *budget) {
        Some(budget) => Work { text, handle, policy, parts: &parts, before: &before, tokens_before }.cut(budget),
        None => Outcome {
            text: whole.text,
            handle,
            tokens_before,
            tokens_after: whole.tokens,
            critical: Vec::new(),
            preserved: true,
            missing: Vec::new(),
            missing_more: 0,
            omissions: Vec::new(),
            blocks: whole.blocks,
        },
    };
    Outcome { critical: shares(text, &outcome.text), ..outcome }
}

/// A text in fewer tokens, with nothing left out.
pub fn lossless(text: &str) -> Outcome {
    compress(text, &Policy::default())
}

/// The original of an outcome in which nothing was left out; of JSON, the same value.
pub fn decode(outcome: &Outcome) -> Option<String> {
    decode_blocks(&outcome.text, outcome.blocks.iter().map(|block| (block.kind, block.printed.clone(), block.form)))
}

/// [`decode`] of a text whose blocks are known by their kinds, where they stand in it, and their forms; `None` if
/// something was left out of one, or it is not what its kind and form say.
pub fn decode_blocks(text: &str, blocks: impl Iterator<Item = (Kind, Range<usize>, Form)>) -> Option<String> {
    let mut out = String::new();
    for (at, (kind, printed, form)) in blocks.enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let printed = text.get(printed)?;
        match form {
            Form::Plain => out.push_str(printed),
            Form::Whole => out.push_str(&forms::decode(kind, printed)?),
            Form::Cut => return None,
        }
    }
    Some(out)
}

/// The tokens of each part with the line end behind it; their sum is that of the text.
fn counted(text: &str, parts: &[Part]) -> Vec<usize> {
    let mut counts = Vec::with_capacity(parts.len());
    let mut from = 0;
    let mut waiting = 0_usize;
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 == parts.len() { text.len() } else { part.range.end + 1 };
        waiting += 1;
        // A token may reach over the line end if what follows is no word; then the two are counted as one.
        let begins_word = text.get(end..).and_then(|rest| rest.chars().next()).is_none_or(char::is_alphanumeric);
        if begins_word || at + 1 == parts.len() {
            let count = tokens::count(text.get(from..end).unwrap_or_default());
            spread(count, parts.get(at + 1 - waiting..=at).unwrap_or_default(), &mut counts);
            (from, waiting) = (end, 0);
        }
    }
    counts
}

/// Shares a count among parts by their length.
fn spread(count: usize, parts: &[Part], counts: &mut Vec<usize>) {
    let mut left = count;
    let mut bytes: usize = parts.iter().map(|part| part.range.len() + 1).sum();
    for part in parts {
        let share = left.saturating_mul(part.range.len() + 1) / bytes.max(1);
        counts.push(share);
        left -= share;
        bytes -= part.range.len() + 1;
    }
}

/// The budget that leaves prose half of its tokens.
fn gentled(budget: usize, parts: &[Part], before: &[usize]) -> usize {
    let (mut prose, mut all) = (0, 0_usize);
    for (part, count) in parts.iter().zip(before) {
        all += count;
        prose += if part.kind == Kind::Prose { *count } else { 0 };
    }
    // The others' part of the budget, and half of the prose.
    let others = budget.saturating_mul(all - prose) / all.max(1);
    budget.max(others + prose / 2)
}

/// All blocks in the forms of their kinds, where these are shorter.
struct Lossless {
    text: String,
    tokens: usize,
    blocks: Vec<Block>,
}

fn without_loss(text: &str, parts: &[Part], before: &[usize]) -> Lossless {
    let mut out = Lossless { text: String::new(), tokens: 0, blocks: Vec::new() };
    for (at, (part, before)) in parts.iter().zip(before).enumerate() {
        let block = text.get(part.range.clone()).unwrap_or_default();
        let shorter = shorter(part.kind, block, *before);
        let form = if shorter.is_some() { Form::Whole } else { Form::Plain };
        if at > 0 {
            out.text.push('\n');
        }
        let start = out.text.len();
        let after = shorter.as_ref().map_or(*before, |(_, tokens)| *tokens);
        out.text.push_str(shorter.as_ref().map_or(block, |(printed, _)| printed));
        out.blocks.push(Block {
            kind: part.kind,
            bytes: part.range.clone(),
            printed: start..out.text.len(),
            tokens_before: *before,
            tokens_after: after,
            form,
        });
    }
    out.tokens = tokens::count(&out.text);
    // Each block is no longer than it was, but tokens that reached over a line end may not do so any more.
    if out.tokens > before.iter().sum() { plain(text, parts, before) } else { out }
}

fn plain(text: &str, parts: &[Part], before: &[usize]) -> Lossless {
    let block = |(part, tokens): (&Part, &usize)| Block {
        kind: part.kind,
        bytes: part.range.clone(),
        printed: part.range.clone(),
        tokens_before: *tokens,
        tokens_after: *tokens,
        form: Form::Plain,
    };
    let blocks = parts.iter().zip(before).map(block).collect();
    Lossless { text: text.to_owned(), tokens: before.iter().sum(), blocks }
}

/// The block in its form and the tokens of that, if they are fewer.
fn shorter(kind: Kind, block: &str, before: usize) -> Option<(String, usize)> {
    if kind == Kind::Text {
        return None;
    }
    let printed = forms::outline(kind, block, Aim::Whole)?.whole();
    if printed == block {
        return None;
    }
    let tokens = tokens::count(&printed);
    (tokens < before).then_some((printed, tokens))
}

/// The distinct critical values of the original by kind, and how many of them stand in what came out.
fn shares(text: &str, out: &str) -> Vec<Share> {
    let there: std::collections::HashSet<u64> =
        critical::scan(out).into_iter().filter_map(|found| out.get(found.range)).map(field::hash).collect();
    let mut values: Vec<(critical::Kind, u64)> = critical::scan(text)
        .into_iter()
        .filter_map(|found| Some((found.kind, field::hash(text.get(found.range)?))))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
        .chunk_by(|one, other| one.0 == other.0)
        .filter_map(|run| {
            let kept = run.iter().filter(|(_, value)| there.contains(value)).count();
            Some(Share { kind: run.first()?.0, kept, total: run.len() })
        })
        .collect()
}
