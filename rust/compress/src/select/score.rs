//! What a unit is worth before anything is kept: how well it answers the query, how new its words are, and what kind of
//! thing it is. What else stands in the choice already is not known here.

use super::{
    field::{Field, Item, Term},
    words::words,
};
use crate::{Kind, critical};

/// What the units are worth.
pub(super) struct Scores {
    /// Between 0 and 1: how well the unit answers the query, by itself.
    pub(super) query: Vec<f32>,
    /// All together, without what depends on the choice.
    pub(super) base: Vec<f32>,
    /// By block and kind: what a critical value is worth that is not kept yet.
    values: Vec<[f32; KINDS]>,
}

/// Kinds of critical values.
const KINDS: usize = critical::Kind::ALL.len();

/// How fast more of the same word stops to count, and how much a long unit is held against it.
const K1: f32 = 1.2;
const B: f32 = 0.4;
/// What the parts are worth beside each other.
const QUERY: f32 = 8.0;
const HOP: f32 = 2.5;
const NEAR: f32 = 1.2;
const NOVELTY: f32 = 1.5;
/// What nearness in meaning is worth beside the same words.
const MEANING: f32 = 1.0;
/// How much more a value is worth where hardly any unit has one of its kind.
const SELDOM: f32 = 1.5;

impl Scores {
    pub(super) fn of(field: &Field, query: &str) -> Self {
        let direct = nearer(field, bm25(field, query));
        let hop = two_hop(field, &direct);
        let near = neighbours(field, &direct);
        let novelty = novelty(field);
        let count = field.items.len();
        let base = (0..count)
            .map(|at| {
                let item = field.items.get(at);
                let part = |of: &[f32]| of.get(at).copied().unwrap_or_default();
                let lead = item.map_or(0.0, |item| lead(item.kind, at, count));
                QUERY * part(&direct) + HOP * part(&hop) + NEAR * part(&near) + NOVELTY * part(&novelty) + lead
            })
            .collect();
        Self { query: direct, base, values: values(field) }
    }

    /// What a critical value is worth that is not kept yet.
    pub(super) fn value(&self, item: Option<&Item>, kind: critical::Kind) -> f32 {
        let block = item.and_then(|item| self.values.get(item.block));
        block.and_then(|weights| weights.get(kind as usize)).copied().unwrap_or_default()
    }
}

/// What values are worth, by block: a date says little where every line has one, and much in a text that has two.
fn values(field: &Field) -> Vec<[f32; KINDS]> {
    let mut units = vec![0_usize; field.blocks.len()];
    let mut with = vec![[0_usize; KINDS]; field.blocks.len()];
    for (at, item) in field.items.iter().enumerate().filter(|(_, item)| !item.brief) {
        let mut seen = [false; KINDS];
        for value in field.values_of(at) {
            if let Some(seen) = seen.get_mut(value.kind as usize) {
                *seen = true;
            }
        }
        if let (Some(units), Some(with)) = (units.get_mut(item.block), with.get_mut(item.block)) {
            *units += 1;
            for (count, seen) in with.iter_mut().zip(seen) {
                *count += usize::from(seen);
            }
        }
    }
    let of = |(units, with): (&usize, &[usize; KINDS])| {
        let mut weights = [0.0; KINDS];
        for kind in critical::Kind::ALL {
            let share = with.get(kind as usize).map_or(0.0, |with| real(*with) / real((*units).max(1)));
            if let Some(place) = weights.get_mut(kind as usize) {
                *place = weight(kind) * (1.0 + SELDOM * (1.0 - share) * (1.0 - share));
            }
        }
        weights
    };
    units.iter().zip(&with).map(of).collect()
}

/// What a critical value is worth where every unit has one of its kind.
fn weight(kind: critical::Kind) -> f32 {
    match kind {
        critical::Kind::Error => 1.5,
        critical::Kind::Exit => 1.0,
        critical::Kind::Id => 0.7,
        critical::Kind::Url | critical::Kind::Version | critical::Kind::Address => 0.5,
        critical::Kind::Path | critical::Kind::Limit => 0.4,
        critical::Kind::Number | critical::Kind::Quoted => 0.3,
        critical::Kind::Date => 0.2,
    }
}

/// The begin of a prose text says what it is about.
fn lead(kind: Option<Kind>, at: usize, count: usize) -> f32 {
    let share = real(at) / real(count.max(1));
    match kind {
        Some(Kind::Prose | Kind::Html) => 0.15 * (1.0 - share),
        _ => 0.1,
    }
}

/// How well each unit answers the query, the best one 1. Words of a head count half for the units under it.
fn bm25(field: &Field, query: &str) -> Vec<f32> {
    let mut asked = Vec::new();
    words(query, |word| asked.extend(field.number(word)));
    asked.sort_unstable();
    asked.dedup();
    let count = real(field.items.iter().filter(|item| !item.brief).count());
    let weights: Vec<(u32, f32)> = asked
        .iter()
        .map(|number| {
            let among = real(field.frequency.get(*number as usize).map_or(0, |count| *count as usize));
            (*number, (1.0 + (count - among + 0.5).max(0.5) / (among + 0.5)).ln())
        })
        .collect();
    if weights.is_empty() {
        return vec![0.0; field.items.len()];
    }
    let mut weight_of = vec![0.0_f32; field.frequency.len()];
    for (number, weight) in &weights {
        if let Some(place) = weight_of.get_mut(*number as usize) {
            *place = *weight;
        }
    }
    let of = |number: u32| weight_of.get(number as usize).copied().unwrap_or_default();
    let heads: Vec<f32> = (0..field.heads.len())
        .map(|at| {
            let mut numbers = field.words_of_head(at).to_vec();
            numbers.sort_unstable();
            numbers.dedup();
            // A head that names every column names what is asked for, too; that tells the rows from each other by nothing.
            if numbers.len() > 12 { 0.0 } else { 0.5 * numbers.iter().map(|number| of(*number)).sum::<f32>() }
        })
        .collect();
    let mean = real(field.words.len()) / count.max(1.0);
    let mut scores: Vec<f32> = (0..field.items.len())
        .map(|at| {
            let terms = field.words_of(at);
            let length = 1.0 - B + B * real(terms.len()) / mean.max(1.0);
            let own: f32 = matches(terms, &of)
                .iter()
                .map(|(weight, times)| weight * times * (K1 + 1.0) / (times + K1 * length))
                .sum();
            let above: f32 = field.items.get(at).map_or(0.0, |item| {
                field.around(item.group).map(|group| heads.get(group).copied().unwrap_or_default()).sum()
            });
            own + above
        })
        .collect();
    let best = scores.iter().copied().fold(0.0, f32::max);
    if best > 0.0 {
        for score in &mut scores {
            *score /= best;
        }
    }
    scores
}

/// The asked words in a unit, each with its weight and how often it stands there.
fn matches(terms: &[Term], of: &impl Fn(u32) -> f32) -> Vec<(f32, f32)> {
    let mut found: Vec<u32> = terms.iter().map(|term| term.number).filter(|number| of(*number) > 0.0).collect();
    found.sort_unstable();
    found
        .chunk_by(|one, other| one == other)
        .map(|run| (run.first().map_or(0.0, |number| of(*number)), real(run.len())))
        .collect()
}

/// How well a unit answers the query by its words and by its meaning, the best one 1.
fn nearer(field: &Field, mut direct: Vec<f32>) -> Vec<f32> {
    for (score, item) in direct.iter_mut().zip(&field.items) {
        *score += MEANING * item.near;
    }
    let best = direct.iter().copied().fold(1.0, f32::max);
    for score in &mut direct {
        *score /= best;
    }
    direct
}

/// What the best answers name and few others do leads on: to the units that name it, too.
fn two_hop(field: &Field, direct: &[f32]) -> Vec<f32> {
    let mut best: Vec<usize> =
        (0..direct.len()).filter(|at| direct.get(*at).is_some_and(|score| *score > 0.45)).collect();
    best.sort_by(|one, other| {
        direct.get(*other).partial_cmp(&direct.get(*one)).unwrap_or(std::cmp::Ordering::Equal).then(one.cmp(other))
    });
    best.truncate(12);
    let mut hop = vec![0.0_f32; direct.len()];
    if best.is_empty() {
        return hop;
    }
    let most = (field.items.len() / 50).clamp(2, 12);
    let mut weight_of = vec![0.0_f32; field.frequency.len()];
    for at in &best {
        for term in field.words_of(*at) {
            let among = field.frequency.get(term.number as usize).map_or(0, |count| *count as usize);
            let names = term.word.length > 2 && (term.word.digits || term.word.capital);
            if names
                && (2..=most).contains(&among)
                && let Some(weight) = weight_of.get_mut(term.number as usize)
            {
                let score = direct.get(*at).copied().unwrap_or_default();
                *weight = weight.max(score / real(among).sqrt());
            }
        }
    }
    for (at, score) in hop.iter_mut().enumerate() {
        let sum: f32 = field
            .words_of(at)
            .iter()
            .map(|term| weight_of.get(term.number as usize).copied().unwrap_or_default())
            .sum();
        *score = sum.min(1.0);
    }
    hop
}

/// What stands beside a good answer often belongs to it.
fn neighbours(field: &Field, direct: &[f32]) -> Vec<f32> {
    (0..direct.len())
        .map(|at| {
            let beside = |other: Option<usize>| {
                other
                    .filter(|other| {
                        field.items.get(*other).map(|item| item.group) == field.items.get(at).map(|item| item.group)
                    })
                    .and_then(|other| direct.get(other).copied())
                    .unwrap_or_default()
            };
            beside(field.beside(at, false)).max(beside(field.beside(at, true)))
        })
        .collect()
}

/// How much of a unit is said nowhere else, between 0 and 1, beside what is usual in this text.
fn novelty(field: &Field) -> Vec<f32> {
    let raw: Vec<f32> = (0..field.items.len())
        .map(|at| {
            let terms = field.words_of(at);
            let rare = terms
                .iter()
                .filter(|term| !term.word.digits && term.word.length > 2)
                .filter(|term| field.frequency.get(term.number as usize).is_some_and(|count| *count == 1))
                .count();
            real(rare.min(6))
        })
        .collect();
    let all = field.items.iter().filter(|item| !item.brief).count();
    let mean = raw.iter().sum::<f32>() / real(all.max(1));
    raw.iter().map(|rare| ((rare - mean) / (mean + 1.5)).clamp(0.0, 1.0)).collect()
}

/// Counts as real numbers; those above 16 million lose what nobody would see.
#[allow(clippy::cast_precision_loss, reason = "a score, not a sum")]
pub(super) fn real(count: usize) -> f32 {
    count as f32
}
