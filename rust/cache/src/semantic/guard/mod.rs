//! What two texts may not differ in. A veto and nothing else: what passes here is still no match.
//!
//! Rule: everything that carries meaning by itself (a [`Slot`]) must be the same in both texts and in the same order;
//! words of both texts must stand in the same order; what is left to differ is small, and is named, change by change,
//! so that [`verify`](super::verify) can ask the tool about each. A false veto costs one call; a false pass may cost
//! an answer to another question. So the guard is strict, knows no synonyms, and is not configurable.

mod reading;
mod words;

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

pub(super) use reading::Reading;
use reading::{Kind, Token};
pub use words::{filler, opposed, slot};

use super::verify::{Digest, Seen};

/// Words of a text that are compared; a longer text is no question.
const LONGEST: usize = 128;
/// Changes between two texts, and words changed in all of them.
const MOST_CHANGES: usize = 4;
const MOST_CHANGED: usize = 8;

/// What carries meaning by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A number, in figures or words; an ordinal.
    Number,
    /// What stands between quotation marks.
    Quoted,
    /// A path, an address, an identifier, a version, a sign, a word of another script.
    Literal,
    /// A capitalised word.
    Name,
    /// No, not, without…
    Negation,
    /// One of two opposites.
    Opposite,
    /// All, some, most, more, only, total…
    Quantity,
    /// From, to, by, until…
    Direction,
    /// Who, when, where, why, how.
    Question,
    /// Was, will, should…
    Tense,
    /// I, yours, this…
    Person,
    /// A month, a day, today, last.
    Time,
    /// Minutes, megabytes, lines.
    Unit,
    /// One of a kind of which there are others: a currency, a language, a format, a role.
    Kind,
}

/// Why two texts are not the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Veto {
    /// They differ in this.
    Slot(Slot),
    /// They have the same words in another order.
    Order,
    /// They have little in common.
    Unlike,
    /// One is too long to be compared.
    TooLong,
}

/// What the guard says of two texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Vetoed(Veto),
    Changed(Seen),
}

/// Compares a text that was asked before with one that is asked now. It does not matter which is which.
pub(super) fn compare(left: &Reading, right: &Reading) -> Compared {
    judge(left, right).map_or_else(Compared::Vetoed, Compared::Changed)
}

fn judge(left: &Reading, right: &Reading) -> Result<Seen, Veto> {
    if left.tokens.len().max(right.tokens.len()) > LONGEST {
        return Err(Veto::TooLong);
    }
    // One order of the two, so that nothing below can depend on which was asked first.
    let (left, right) = if left.tokens <= right.tokens { (left, right) } else { (right, left) };
    let (left, right) = (settle(left, right)?, settle(right, left)?);
    same_slots(&left, &right)?;
    same_order(&left, &right)?;
    let opposed = |one: &Token| right.iter().any(|other| words::opposed(&one.text, &other.text));
    if left.iter().any(opposed) {
        return Err(Veto::Slot(Slot::Opposite));
    }
    let common = longest_common(&left, &right);
    let changes = changes(&left, &right, &common)?;
    let kept: Vec<&Token> = common.iter().map(|(at, _)| &left[*at]).filter(|token| token.kind != Kind::Weak).collect();
    let (left, right): (Vec<&Token>, Vec<&Token>) = (left.iter().collect(), right.iter().collect());
    Ok(Seen { changes, surroundings: digest(&[&kept]), pair: either_way(&left, &right) })
}

/// Decides what a capitalised first word is, by the other text.
fn settle(of: &Reading, other: &Reading) -> Result<Vec<Token>, Veto> {
    let settled = |token: &Token| {
        if token.kind != Kind::Perhaps {
            return Ok(token.clone());
        }
        let mut same = other.tokens.iter().filter(|other| other.text.eq_ignore_ascii_case(&token.text));
        match same.find(|other| other.kind != Kind::Weak) {
            Some(Token { kind: Kind::Slot(Slot::Name), text }) => {
                Ok(Token { kind: Kind::Slot(Slot::Name), text: text.clone() })
            }
            // Both have it in the same spelling, or its capital is a change like others.
            Some(_) => Ok(Token { kind: Kind::Word, text: token.text.clone() }),
            None => Err(Veto::Slot(Slot::Name)),
        }
    };
    of.tokens.iter().map(settled).collect()
}

fn same_slots(left: &[Token], right: &[Token]) -> Result<(), Veto> {
    let slots = |tokens: &[Token]| -> Vec<(Slot, String)> {
        let slot = |token: &Token| match token.kind {
            Kind::Slot(slot) => Some((slot, token.text.clone())),
            _ => None,
        };
        tokens.iter().filter_map(slot).collect()
    };
    let (left, right) = (slots(left), slots(right));
    let differs = left.iter().zip(&right).find(|(left, right)| left != right).map(|(left, _)| left.0);
    let longer = || left.get(right.len()).or_else(|| right.get(left.len())).map(|(slot, _)| *slot);
    differs.or_else(longer).map_or(Ok(()), |slot| Err(Veto::Slot(slot)))
}

/// Words and slots that stand in both texts must stand in the same order, and as often.
fn same_order(left: &[Token], right: &[Token]) -> Result<(), Veto> {
    let stems = |tokens: &[Token]| -> Vec<String> {
        let words = tokens.iter().filter(|token| token.kind != Kind::Weak);
        words.map(|token| stem(&token.text).to_ascii_lowercase()).collect()
    };
    let (left, right) = (stems(left), stems(right));
    let (in_left, in_right): (HashSet<_>, HashSet<_>) = (left.iter().collect(), right.iter().collect());
    let mut common = left.iter().filter(|stem| in_right.contains(stem)).peekable();
    if common.peek().is_none() {
        return Err(Veto::Unlike);
    }
    if common.eq(right.iter().filter(|stem| in_left.contains(stem))) { Ok(()) } else { Err(Veto::Order) }
}

fn stem(word: &str) -> &str {
    word.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(word)
}

/// The places of a longest common subsequence.
fn longest_common(left: &[Token], right: &[Token]) -> Vec<(usize, usize)> {
    let width = right.len() + 1;
    let mut lengths = vec![0_u8; (left.len() + 1) * width];
    for (row, one) in left.iter().enumerate().rev() {
        for (column, other) in right.iter().enumerate().rev() {
            lengths[row * width + column] = if one == other {
                lengths[(row + 1) * width + column + 1] + 1
            } else {
                lengths[(row + 1) * width + column].max(lengths[row * width + column + 1])
            };
        }
    }
    let (mut row, mut column, mut common) = (0, 0, Vec::new());
    while row < left.len() && column < right.len() {
        if left[row] == right[column] {
            common.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if lengths[(row + 1) * width + column] >= lengths[row * width + column + 1] {
            row += 1;
        } else {
            column += 1;
        }
    }
    common
}

/// What stands between the common words, as digests that do not depend on the direction.
fn changes(left: &[Token], right: &[Token], common: &[(usize, usize)]) -> Result<Box<[Digest]>, Veto> {
    let (mut row, mut column, mut changed) = (0, 0, 0);
    let mut changes = Vec::new();
    for (to_row, to_column) in common.iter().copied().chain([(left.len(), right.len())]) {
        let gone: Vec<&Token> = left[row..to_row].iter().collect();
        let come: Vec<&Token> = right[column..to_column].iter().collect();
        if !gone.is_empty() || !come.is_empty() {
            changed += gone.len().max(come.len());
            changes.push(either_way(&gone, &come));
        }
        (row, column) = (to_row + 1, to_column + 1);
    }
    if changes.len() > MOST_CHANGES || changed > MOST_CHANGED {
        return Err(Veto::Unlike);
    }
    if changes.is_empty() {
        changes.push(either_way(&[], &[])); // spaces, capitals, full stops
    }
    Ok(changes.into())
}

fn either_way(left: &[&Token], right: &[&Token]) -> Digest {
    digest(&if digest(&[left]) < digest(&[right]) { [left, right] } else { [right, left] })
}

fn digest(parts: &[&[&Token]]) -> Digest {
    let mut bytes = Vec::new();
    for part in parts {
        for token in *part {
            bytes.extend_from_slice(token.text.as_bytes());
            bytes.push(u8::from(matches!(token.kind, Kind::Slot(_))));
            bytes.push(0xff);
        }
        bytes.push(0xfe); // in no UTF-8 text, as is 0xff
    }
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests;
