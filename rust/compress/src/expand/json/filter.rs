//! Whether a value passes a filter. What is not there equals nothing but what is not there either.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::test::{Comparison, Operand, Test};
use super::tree::Kind;
use super::walk::Walk;
use crate::expand::Unreadable;

/// Bytes of text that are matched in the time of one step.
const BYTES_A_STEP: usize = 64;

/// What is compared.
enum Value<'a> {
    Text(Cow<'a, str>),
    /// As it is written.
    Number(Cow<'a, str>),
    /// `true`, `false`, `null`.
    Word(Kind),
    /// An array or an object.
    Node(usize),
}

/// Whether the test holds for a value.
pub(super) fn holds(walk: &Walk<'_>, test: &Test, current: usize) -> Result<bool, Unreadable> {
    walk.step(1)?;
    match test {
        Test::Any(tests) => some(tests, |test| holds(walk, test, current)),
        Test::Every(tests) => Ok(!some(tests, |test| holds(walk, test, current).map(|it| !it))?),
        Test::Not(test) => Ok(!holds(walk, test, current)?),
        Test::Exists(query) => Ok(!walk.query(query, current)?.is_empty()),
        Test::Matches(operand, regex) => match value(walk, operand, current)? {
            Some(Value::Text(text)) => {
                walk.step(text.len() / BYTES_A_STEP)?;
                Ok(regex.is_match(text.as_bytes()))
            }
            _ => Ok(false),
        },
        Test::Compare(left, comparison, right) => {
            let (left, right) = (value(walk, left, current)?, value(walk, right, current)?);
            let less = |one, other| order(one, other) == Some(Ordering::Less);
            Ok(match comparison {
                Comparison::Equal => equal(walk, left.as_ref(), right.as_ref())?,
                Comparison::Unequal => !equal(walk, left.as_ref(), right.as_ref())?,
                Comparison::Less => less(left.as_ref(), right.as_ref()),
                Comparison::More => less(right.as_ref(), left.as_ref()),
                Comparison::NotMore => {
                    less(left.as_ref(), right.as_ref()) || equal(walk, left.as_ref(), right.as_ref())?
                }
                Comparison::NotLess => {
                    less(right.as_ref(), left.as_ref()) || equal(walk, left.as_ref(), right.as_ref())?
                }
            })
        }
    }
}

fn some(tests: &[Test], mut holds: impl FnMut(&Test) -> Result<bool, Unreadable>) -> Result<bool, Unreadable> {
    for test in tests {
        if holds(test)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn value<'a>(walk: &Walk<'a>, operand: &'a Operand, current: usize) -> Result<Option<Value<'a>>, Unreadable> {
    Ok(match operand {
        Operand::Text(text) => Some(Value::Text(Cow::Borrowed(text))),
        Operand::Number(written) => Some(Value::Number(Cow::Borrowed(written))),
        Operand::True => Some(Value::Word(Kind::True)),
        Operand::False => Some(Value::Word(Kind::False)),
        Operand::Null => Some(Value::Word(Kind::Null)),
        Operand::At(query) | Operand::Only(query) => match walk.query(query, current)?[..] {
            [node] => of(walk, node)?,
            _ => None,
        },
        Operand::Count(query) => Some(Value::Number(Cow::Owned(walk.query(query, current)?.len().to_string()))),
        Operand::Length(operand) => {
            let length = match value(walk, operand, current)? {
                Some(Value::Text(text)) => Some(text.chars().count()),
                Some(Value::Node(node)) => Some(walk.tree.children(node).count()),
                _ => None,
            };
            walk.step(length.unwrap_or_default() / BYTES_A_STEP)?;
            length.map(|length| Value::Number(Cow::Owned(length.to_string())))
        }
    })
}

fn of<'a>(walk: &Walk<'a>, node: usize) -> Result<Option<Value<'a>>, Unreadable> {
    let raw = walk.tree.raw(node);
    Ok(match walk.tree.kind(node) {
        Kind::Text => {
            walk.step(raw.len() / BYTES_A_STEP)?;
            walk.tree.string(node).map(Value::Text)
        }
        Kind::Number => Some(Value::Number(Cow::Borrowed(raw))),
        Kind::Object | Kind::Array => Some(Value::Node(node)),
        word => Some(Value::Word(word)),
    })
}

fn equal(walk: &Walk<'_>, one: Option<&Value<'_>>, other: Option<&Value<'_>>) -> Result<bool, Unreadable> {
    Ok(match (one, other) {
        (None, None) => true,
        (Some(Value::Text(one)), Some(Value::Text(other))) => one == other,
        (Some(Value::Number(_)), Some(Value::Number(_))) => order(one, other) == Some(Ordering::Equal),
        (Some(Value::Word(one)), Some(Value::Word(other))) => one == other,
        (Some(Value::Node(one)), Some(Value::Node(other))) => {
            let read = |node: usize| serde_json::from_str::<serde_json::Value>(walk.tree.raw(node)).ok();
            walk.step(walk.tree.all(*one).len().saturating_add(walk.tree.all(*other).len()))?;
            read(*one).is_some_and(|one| Some(one) == read(*other))
        }
        _ => false,
    })
}

fn order(one: Option<&Value<'_>>, other: Option<&Value<'_>>) -> Option<Ordering> {
    match (one?, other?) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => {
            // Whole numbers are compared as such: a long id is not the same as the one after it.
            match (one.parse::<i128>(), other.parse::<i128>()) {
                (Ok(one), Ok(other)) => Some(one.cmp(&other)),
                _ => one.parse::<f64>().ok()?.partial_cmp(&other.parse::<f64>().ok()?),
            }
        }
        _ => None,
    }
}
