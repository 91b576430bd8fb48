//! Sentences that say the same become one, with how many it stands for.
//!
//! Only under the same heading: what stands above a sentence belongs to what it says. To find the like of a sentence
//! among those before it, only these are looked at that share one of its rarest words, and of each word the last few:
//! so a text is read in time linear in its length.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    reading::Reading,
    words::{Sentence, Words},
};
use crate::{
    Kind,
    outline::{Outline, Reserve, Unit, When},
    select::field::Source,
};

/// How near two sentences must be, as a cosine.
const ALIKE: f32 = 0.5;
/// A sentence of fewer different words says too little to be compared, a longer one, in bytes, too much.
const FEWEST: usize = 4;
const LONGEST: usize = 800;
/// So many sentences with the same rare word are looked at, the last ones.
const LAST: usize = 8;

/// Merges, and says of each unit whether another one stands for it.
pub(super) fn merge(words: &Words<'_>, sources: &mut [Source<'_>], sentences: &[Sentence], near: &[f32]) -> Vec<bool> {
    let mut merged = vec![false; sentences.len()];
    let mut first = 0;
    for source in sources {
        let count = source.outline.units.len();
        let own = sentences.get(first..first + count).unwrap_or_default();
        for mut alike in alike(words, &source.outline, own, source.kind == Kind::Log) {
            // The one that the query is nearest to, or else the first.
            let nearness = |at: &usize| near.get(first + at).copied().unwrap_or_default();
            alike.sort_by(|one, other| nearness(other).total_cmp(&nearness(one)).then(one.cmp(other)));
            let mut reserve = None;
            for at in alike.iter().skip(1) {
                if let Some(unit) = source.outline.units.get_mut(*at) {
                    reserve = reserve.or(unit.reserve.take());
                }
                if let Some(merged) = merged.get_mut(first + at) {
                    *merged = true;
                }
            }
            if let Some(unit) = alike.first().and_then(|at| source.outline.units.get_mut(*at)) {
                unit.reserve = unit.reserve.or(reserve);
                unit.text = format!("{} […{} alike]", unit.text, alike.len() - 1).into();
            }
        }
        first += count;
    }
    merged
}

/// The units of a block that say the same, two or more each time.
fn alike(words: &Words<'_>, outline: &Outline<'_>, sentences: &[Sentence], is_log: bool) -> Vec<Vec<usize>> {
    let heads = heads(outline);
    let mut leaders: HashMap<(usize, u32), VecDeque<usize>> = HashMap::new();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let reading = |at: usize| {
        let (sentence, unit) = (sentences.get(at)?, outline.units.get(at)?);
        Some(sentence.reading.get_or_init(|| Reading::of(words, &unit.text, is_log)))
    };
    for (at, (unit, sentence)) in outline.units.iter().zip(sentences).enumerate() {
        if !may_merge(unit, sentence) {
            continue;
        }
        let head = heads.get(unit.group).copied().unwrap_or_default();
        let leads = words.leads(sentence);
        let mut others: Vec<usize> =
            leads.iter().filter_map(|word| leaders.get(&(head, *word))).flatten().copied().collect();
        others.sort_unstable();
        others.dedup();
        let nearness = |other: usize| sentences.get(other).map_or(0.0, |other| sentence.cosine(other));
        let mut others: Vec<(usize, f32)> = others.into_iter().map(|other| (other, nearness(other))).collect();
        others.retain(|(_, cosine)| *cosine >= ALIKE);
        others.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        let is_same = |other: &&(usize, f32)| {
            reading(at).zip(reading(other.0)).is_some_and(|(one, other)| one.may_be(other, words))
        };
        if let Some((leader, _)) = others.iter().find(is_same) {
            groups.entry(*leader).or_insert_with(|| vec![*leader]).push(at);
            continue;
        }
        for word in leads {
            let last = leaders.entry((head, word)).or_default();
            if last.len() >= LAST {
                last.pop_front();
            }
            last.push_back(at);
        }
    }
    groups.into_values().collect()
}

/// What has to be kept as it stands is not merged, nor what announces the lines below it.
fn may_merge(unit: &Unit<'_>, sentence: &Sentence) -> bool {
    unit.when == When::Always
        && matches!(unit.reserve, None | Some(Reserve::Outlier))
        && sentence.words.len() >= FEWEST
        && unit.text.len() <= LONGEST
        && !unit.text.trim_end().ends_with(':')
}

/// By group: the innermost one around it, or itself, that has a head, from 1; 0 where there is none.
fn heads(outline: &Outline<'_>) -> Vec<usize> {
    let mut heads: Vec<usize> = Vec::with_capacity(outline.groups.len());
    for (at, group) in outline.groups.iter().enumerate() {
        let around = || group.parent.and_then(|parent| heads.get(parent)).copied().unwrap_or_default();
        heads.push(if group.head.is_empty() { around() } else { at + 1 });
    }
    heads
}
