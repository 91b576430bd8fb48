//! What two sentences must share to say the same: values, names, negations, limits, opposites, those of a kind in one
//! order.
//!
//! A veto and nothing else, and strict: what is merged in vain costs a reader a call, what is not merged some tokens.
//! Words that both have must stand in the same order (who calls whom is told by nothing else), one sentence must not
//! say more than the other, and one word in the place of one other is taken for another thing, not for another word.

use super::{
    Weight,
    words::{Words, dot, has_digit, lower, split},
};
use crate::{
    critical::{self, Found, Kind},
    select::field::hash,
};

/// How near what the sentences do not share must be, as a cosine.
const REST: f32 = 0.3;

/// A sentence, as it is compared.
pub(super) struct Reading {
    /// What must be the same, by kind: a name and a date are not taken for each other wherever they stand.
    fixed: Vec<(u8, u64)>,
    /// The other words, in order.
    plain: Vec<Plain>,
    /// It speaks of something said before.
    points: bool,
}

#[derive(Clone, Copy)]
struct Plain {
    /// Equal for one and many.
    stem: u64,
    number: u32,
    /// It has a capital that may be that of a name.
    opens: bool,
}

/// The kinds of what is fixed beside those of critical values.
const WORD: u8 = 100;
const NAME: u8 = 101;

enum Part {
    Fixed(u8, u64),
    Leading(u64),
    Plain(Plain),
}

impl Reading {
    /// When a line of a log was written is no part of what it says.
    pub(super) fn of(words: &Words<'_>, text: &str, is_log: bool) -> Self {
        let is_stamp = |found: &Found| {
            is_log
                && found.kind == Kind::Date
                && !text.get(..found.range.start).unwrap_or_default().contains(char::is_alphabetic)
        };
        // What an error says is read word by word.
        let (found, _): (Vec<_>, Vec<_>) =
            critical::scan(text).into_iter().partition(|found| found.kind != Kind::Error);
        let stamp = found.iter().take_while(|found| is_stamp(found)).last().map_or(0, |found| found.range.end);
        let found: Vec<_> = found.into_iter().filter(|found| found.range.start >= stamp).collect();
        let mut small = String::new();
        let mut parts: Vec<(usize, Part)> = Vec::new();
        for value in &found {
            lower(text.get(value.range.clone()).unwrap_or_default(), &mut small);
            let spelled =
                if value.kind == Kind::Limit { &small } else { text.get(value.range.clone()).unwrap_or_default() };
            parts.push((value.range.start, Part::Fixed(value.kind as u8, hash(spelled))));
        }
        let mut values = found.iter().filter(|found| found.kind != Kind::Quoted).peekable();
        let mut covered = stamp;
        let mut points = false;
        let mut first = true;
        split(text, |at, word| {
            let opens = first;
            first = false;
            while let Some(value) = values.next_if(|value| value.range.start <= at) {
                covered = covered.max(value.range.end);
            }
            if at < covered {
                return;
            }
            lower(word, &mut small);
            let part = match words.encoder.weigh(&small) {
                _ if has_digit(word) => Part::Fixed(NAME, hash(word)),
                Weight::Own(spelled) => Part::Fixed(WORD, hash(spelled)),
                Weight::Pointing(spelled) => {
                    points |= opens;
                    Part::Fixed(WORD, hash(spelled))
                }
                Weight::Leading => Part::Leading(hash(&small)),
                Weight::Light => return,
                Weight::Plain => plain(words, word, &small, opens),
            };
            parts.push((at, part));
        });
        parts.sort_by_key(|(at, _)| *at);
        let mut reading = Self { fixed: Vec::new(), plain: Vec::new(), points };
        let mut leading = 0;
        for (_, part) in parts {
            let before = std::mem::take(&mut leading);
            match part {
                Part::Fixed(kind, fixed) => reading.fixed.push((kind, fixed ^ before)),
                Part::Leading(word) => leading = word,
                Part::Plain(plain) => reading.plain.push(plain),
            }
        }
        reading.fixed.sort_by_key(|(kind, _)| *kind);
        reading
    }

    /// Whether nothing says that the other means something else.
    pub(super) fn may_be(&self, other: &Self, words: &Words<'_>) -> bool {
        if self.points || other.points || self.fixed != other.fixed {
            return false;
        }
        let ((shared, rest), (others_shared, others_rest)) = (self.beside(other), other.beside(self));
        if shared != others_shared {
            return false;
        }
        let (less, more) = (rest.len().min(others_rest.len()), rest.len().max(others_rest.len()));
        if more == 0 {
            return true;
        }
        let is_name = |plain: &Plain| plain.opens;
        if more == 1 || 2 * more > 3 * less || rest.iter().chain(&others_rest).any(is_name) {
            return false;
        }
        let text = |plain: &Plain| words.text(plain.number);
        let turned = |one: &Plain| others_rest.iter().any(|other| words.encoder.is_opposed(text(one), text(other)));
        if rest.iter().any(turned) {
            return false;
        }
        let sum = |rest: &[Plain]| words.sum(&rest.iter().map(|plain| plain.number).collect::<Vec<_>>());
        dot(&sum(&rest), &sum(&others_rest)) >= REST
    }

    /// The words that the other has, too, in order, and those that it has not.
    fn beside(&self, other: &Self) -> (Vec<u64>, Vec<Plain>) {
        let has = |plain: &&Plain| other.plain.iter().any(|its| its.stem == plain.stem);
        let (shared, rest): (Vec<&Plain>, Vec<&Plain>) = self.plain.iter().partition(has);
        (shared.into_iter().map(|plain| plain.stem).collect(), rest.into_iter().copied().collect())
    }
}

/// A word that others may stand for; a name, if it has a capital where no sentence begins.
fn plain(words: &Words<'_>, word: &str, small: &str, opens: bool) -> Part {
    let capital = word.starts_with(char::is_uppercase);
    let spelled_large = capital && word.chars().skip(1).any(char::is_uppercase);
    match words.number(small) {
        Some(number) if !spelled_large && (opens || !capital) => {
            let stem = small.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(small);
            Part::Plain(Plain { stem: hash(stem), number, opens: opens && capital })
        }
        // A word that was too long, or one too many, is compared letter by letter.
        _ => Part::Fixed(NAME, hash(word)),
    }
}
