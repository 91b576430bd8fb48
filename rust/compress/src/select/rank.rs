//! BM25 over a few texts that were counted for one question: which of them answer it best.

use std::collections::HashMap;

use super::words::words;

/// How fast more of the same word stops to count, and how much a long text is held against it.
const K1: f32 = 1.2;
const B: f32 = 0.6;

/// The words of a question, each once, in order.
pub(crate) fn asked(query: &str) -> Vec<u64> {
    let mut asked = Vec::new();
    words(query, |word| asked.push(word.hash));
    asked.sort_unstable();
    asked.dedup();
    asked
}

/// What counts of one text.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    times: HashMap<u64, f32>,
    length: f32,
}

impl Counted {
    /// Counts a part of the text, each word of which says so much.
    pub(crate) fn add(&mut self, text: &str, weight: f32, asked: &[u64]) {
        words(text, |word| {
            self.length += weight;
            if asked.binary_search(&word.hash).is_ok() {
                *self.times.entry(word.hash).or_default() += weight;
            }
        });
    }
}

/// The texts that have at least one of the words, by their places, the best first.
pub(crate) fn ranked(counted: &[Counted], asked: &[u64]) -> Vec<usize> {
    let count = real(counted.len());
    let mean = counted.iter().map(|text| text.length).sum::<f32>() / count.max(1.0);
    let rarity = |word: &u64| {
        let among = real(counted.iter().filter(|text| text.times.contains_key(word)).count());
        (1.0 + (count - among + 0.5) / (among + 0.5)).ln()
    };
    let weights: Vec<(u64, f32)> = asked.iter().map(|word| (*word, rarity(word))).collect();
    let score = |text: &Counted| -> f32 {
        let norm = K1 * (1.0 - B + B * text.length / mean.max(1.0));
        let of = |(word, weight): &(u64, f32)| {
            let times = text.times.get(word).copied().unwrap_or_default();
            weight * times * (K1 + 1.0) / (times + norm)
        };
        weights.iter().map(of).sum()
    };
    let scores = counted.iter().map(score).enumerate().filter(|(_, score)| *score > 0.0);
    let mut scored: Vec<(usize, f32)> = scores.collect();
    scored.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    scored.into_iter().map(|(at, _)| at).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a score, not a sum")]
fn real(count: usize) -> f32 {
    count as f32
}
