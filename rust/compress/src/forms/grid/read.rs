//! A printed table read back into cells.

use std::borrow::Cow;

use super::{Cell, SEPARATORS};
use crate::forms::json::loose;

/// A column as its head tells it.
#[derive(Debug)]
pub(in crate::forms) struct Column<'a> {
    /// The name as it is printed.
    pub(in crate::forms) name: &'a str,
    fill: Fill<'a>,
}

#[derive(Debug)]
enum Fill<'a> {
    Each,
    All(Option<Cell<'a>>),
    Most(Option<Cell<'a>>),
}

/// The head of a table.
#[derive(Debug)]
pub(in crate::forms) struct Head<'a> {
    /// How many rows follow.
    pub(in crate::forms) rows: usize,
    /// What the rows are called.
    pub(in crate::forms) noun: &'a str,
    pub(in crate::forms) columns: Vec<Column<'a>>,
    split: char,
}

impl<'a> Head<'a> {
    /// Reads `350 rows; …columns: …`.
    pub(in crate::forms) fn read(text: &'a str) -> Option<Self> {
        let (rows, rest) = text.split_once(' ')?;
        let (noun, rest) = rest.split_once("; ")?;
        let mut rest = match rest.find("columns: ") {
            Some(at) => rest.get(at + "columns: ".len()..)?,
            None => return None,
        };
        let mut columns = Vec::new();
        let mut split = None;
        loop {
            let (column, after) = column(rest, split)?;
            columns.push(column);
            let Some(next) = after.chars().next() else { break };
            if !SEPARATORS.contains(&next) || split.is_some_and(|split| split != next) {
                return None;
            }
            split = Some(next);
            rest = after.get(1..)?;
        }
        Some(Self { rows: rows.parse().ok()?, noun, columns, split: split.unwrap_or('|') })
    }

    /// The cells of a row, those that the head tells among them.
    pub(in crate::forms) fn row<'r>(&self, line: &'r str) -> Option<Vec<Option<Cell<'r>>>>
    where
        'a: 'r,
    {
        let mut rest = Some(line);
        let mut cells = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            if let Fill::All(cell) = &column.fill {
                cells.push(cell.clone());
                continue;
            }
            let text = match (rest, &column.fill) {
                (Some(text), _) => text,
                // A row need not say what is usual at its end.
                (None, Fill::Most(usually)) => {
                    cells.push(usually.clone());
                    continue;
                }
                (None, _) => return None,
            };
            let length = loose::closed(text).unwrap_or_else(|| text.find(self.split).unwrap_or(text.len()));
            let (cell, after) = text.split_at_checked(length)?;
            rest = if after.is_empty() { None } else { Some(after.strip_prefix(self.split)?) };
            let usual = cell == if self.split == ' ' { "-" } else { "" };
            cells.push(match &column.fill {
                Fill::Most(usually) if usual => usually.clone(),
                _ => self::cell(cell),
            });
        }
        rest.is_none().then_some(cells)
    }
}

fn cell(text: &str) -> Option<Cell<'_>> {
    let bare = !matches!(text.as_bytes().first(), Some(b'"' | b'[' | b'{'));
    (text != "~").then_some(Cell { text: Cow::Borrowed(text), bare })
}

/// A column at the begin of `text`, and what follows it.
fn column(text: &str, split: Option<char>) -> Option<(Column<'_>, &str)> {
    let (in_all, text) = text.strip_prefix('(').map_or((false, text), |text| (true, text));
    let name_end = name_end(text, if in_all { &[] } else { &SEPARATORS })?;
    let (name, rest) = text.split_at_checked(name_end)?;
    let Some(value) = rest.strip_prefix('=') else {
        return (!in_all).then_some((Column { name, fill: Fill::Each }, rest));
    };
    let end = loose::closed(value).or_else(|| {
        let is_end = |sign: char| match split {
            _ if in_all => sign == ')',
            Some(split) => sign == split,
            None => SEPARATORS.contains(&sign),
        };
        Some(value.find(is_end).unwrap_or(value.len()))
    })?;
    let (value, rest) = value.split_at_checked(end)?;
    let fill = cell(value);
    if in_all {
        return Some((Column { name, fill: Fill::All(fill) }, rest.strip_prefix(')')?));
    }
    Some((Column { name, fill: Fill::Most(fill) }, rest))
}

/// Where a name ends: at a separator or `=`, outside quotes and brackets.
fn name_end(text: &str, separators: &[char]) -> Option<usize> {
    let mut at = 0;
    while let Some(sign) = text.get(at..)?.chars().next() {
        if matches!(sign, '"' | '[' | '{') {
            at += loose::closed(text.get(at..)?)?;
        } else if sign == '=' || separators.contains(&sign) {
            return Some(at);
        } else {
            at += sign.len_utf8();
        }
    }
    Some(at)
}
