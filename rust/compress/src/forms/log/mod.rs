//! Logs, and what builds print: lines by template.
//!
//! A line's time is found and the rest cut into words and values ([`pieces`]); lines that differ in values only have
//! one template ([`shape`]). Without loss ([`whole`]) a template is printed once and each line as its time, its
//! template and its values. With a budget ([`cut`]) a line that sums up each template comes first, then what must not be
//! lost (errors, rare lines, values far from the others), then all other lines, alike beside alike.

mod alarm;
mod clean;
mod cut;
mod front;
mod outlier;
mod pieces;
mod records;
mod reserve;
mod shape;
mod stamp;
mod summary;
mod units;
mod whole;

use std::borrow::Cow;

pub(super) use shape::{ByHash, sum_of};
pub(super) use whole::{name, number};

use super::trace;
use crate::outline::{Aim, Group, Outline, Unit};

/// What the lines are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A log: the first and the last error of each kind are kept.
    Log,
    /// A build: every error is.
    Build,
    /// Stack traces: lines further in go on with the one before.
    Trace,
}

/// The block by templates; `None` if nothing in it repeats.
pub(super) fn outline(block: &str, aim: Aim, of: Of) -> Option<Outline<'_>> {
    match aim {
        Aim::Whole => {
            let unit = Unit::new(0, Cow::Owned(encode(block)?), 0..block.len());
            Some(Outline { groups: vec![Group::default()], units: vec![unit] })
        }
        Aim::Cut => Some(cut::outline(&shape::Log::read(block), of)),
    }
}

/// First frames that come again are named, then the lines are put by template.
fn encode(block: &str) -> Option<String> {
    let folded = trace::fold(block);
    let lines = folded.as_deref().unwrap_or(block);
    let printed = whole::encode(&shape::Log::read(lines)).or_else(|| folded.clone())?;
    // What is read back in two steps was made in two, whatever the block looks like.
    (decode(&printed).as_deref() == Some(block)).then_some(printed)
}

/// The block of which `printed` is the whole.
pub(super) fn decode(printed: &str) -> Option<String> {
    let lines = whole::decode(printed);
    let unfolded = trace::unfold(lines.as_deref().unwrap_or(printed));
    unfolded.or(lines)
}

/// What texts have in common that differ in numbers, as a number.
pub(super) fn masked(text: &str) -> u64 {
    let mut pieces = Vec::new();
    pieces::cut(text, None, &mut pieces);
    let words = pieces.iter().filter(|piece| piece.what == pieces::What::Word);
    words.fold(pieces.len() as u64, |sum, piece| sum.rotate_left(7) ^ sum_of(piece.of(text).as_bytes())).max(1)
}
