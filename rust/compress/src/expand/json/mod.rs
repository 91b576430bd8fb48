//! Values of a JSON text by a path of RFC 9535, each as it stands in the text: no digit and no escape is written anew.
//!
//! A text of one value a line counts as the array of these.

mod filter;
mod path;
mod test;
mod tree;
mod walk;

use super::{Expanded, Place, Unreadable, cut};
use tree::Tree;

/// What the path leads to, in the order of the standard; members in the order of the text.
pub(super) fn at(original: &str, path: &str, max_tokens: Option<usize>) -> Result<Expanded, Unreadable> {
    let query = path::parse(path)?;
    let tree = Tree::read(original).ok_or(Unreadable::NotJson)?;
    let found = walk::nodes(&tree, &query)?;
    let ranges: Vec<_> = found.iter().map(|node| tree.range(*node)).collect();
    // The same values may be asked for again and again.
    let sum = ranges.iter().map(ExactSizeIterator::len).fold(0_usize, usize::saturating_add);
    if sum > original.len().saturating_mul(8).saturating_add(1 << 20) {
        return Err(Unreadable::TooManySteps);
    }
    if let [one] = &ranges[..] {
        let whole = cut::of(original, one.clone(), max_tokens);
        return Ok(Expanded { found: 1, shown: 1, ..whole });
    }
    let blocks = ranges.iter().map(|range| format!("{}\n", original.get(range.clone()).unwrap_or_default()));
    let (text, tokens, shown) = cut::joined(blocks, max_tokens);
    let next = ranges.get(shown).map(|next| Place::Bytes(next.clone()));
    if shown == 0
        && let Some(first) = ranges.first()
    {
        return Ok(Expanded { found: ranges.len(), shown: 1, ..cut::of(original, first.clone(), max_tokens) });
    }
    Ok(Expanded { text, tokens, found: ranges.len(), shown, next, widened: None })
}
