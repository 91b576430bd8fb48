//! What rows are called by: the columns of a row that are worth keeping where the row is not.
//!
//! Those with ids, two at most; without any, the shortest column of names. A name is what begins with a letter, is
//! no address, and stands in one row only.

use std::collections::HashSet;

use super::{Cell, Grid};
use crate::critical;

/// Rows looked at.
const SAMPLE: usize = 48;
/// Fewer rows are kept whole or not at all.
const FEW: usize = 8;
/// Columns of ids that are named.
const IDS: usize = 2;
/// Bytes of a cell that may name a row.
const LONG: usize = 96;
/// Of a hundred bytes of rows, so many at most are worth to be printed alone.
const SHARE: usize = 75;

/// The columns; none if the rows would hardly be shorter.
pub(super) fn of(grid: &Grid<'_>, rows: &[String]) -> Vec<usize> {
    if grid.rows.len() < FEW {
        return Vec::new();
    }
    let step = grid.rows.len().div_ceil(SAMPLE);
    let sample: Vec<&[Option<Cell<'_>>]> = (0..grid.rows.len())
        .step_by(step)
        .filter(|at| grid.rows.get(*at).is_some_and(|row| row.odd.is_none()))
        .map(|at| grid.row(at))
        .collect();
    let columns: Vec<Column> = (0..grid.names.len()).filter_map(|at| Column::of(&sample, at)).collect();
    let mut keys: Vec<usize> = columns.iter().filter(|column| column.ids).map(|column| column.at).take(IDS).collect();
    if keys.is_empty() {
        keys.extend(
            columns.iter().filter(|column| column.names).min_by_key(|column| column.bytes).map(|column| column.at),
        );
    }
    if grid.named && !keys.contains(&0) {
        keys.insert(0, 0);
    }
    let bytes: usize = sample
        .iter()
        .map(|row| keys.iter().filter_map(|at| row.get(*at)?.as_ref()).map(|cell| cell.text.len() + 1).sum::<usize>())
        .sum();
    let all: usize = rows.iter().step_by(step).map(|row| row.len() + 1).sum();
    if bytes.saturating_mul(100) <= all.saturating_mul(SHARE) { keys } else { Vec::new() }
}

/// A column that could name rows.
struct Column {
    at: usize,
    /// Of all cells.
    bytes: usize,
    /// Most cells hold an id.
    ids: bool,
    /// They begin with a letter.
    names: bool,
}

impl Column {
    /// `None` if the cells are long, often not there, or say the same.
    fn of(sample: &[&[Option<Cell<'_>>]], at: usize) -> Option<Self> {
        let cells: Vec<&str> = sample
            .iter()
            .filter_map(|row| row.get(at)?.as_ref())
            .map(|cell| cell.text.as_ref())
            .filter(|text| !text.is_empty() && text.len() <= LONG && !text.starts_with(['[', '{']))
            .collect();
        let distinct: HashSet<&str> = cells.iter().copied().collect();
        let most = |count: usize| count * 10 >= sample.len() * 9;
        if cells.is_empty() || !most(distinct.len()) {
            return None;
        }
        let holds_id = |text: &&&str| critical::scan(text).iter().any(|found| found.kind == critical::Kind::Id);
        let ids = most(cells.iter().filter(holds_id).count());
        let is_name = |text: &&&str| text.chars().next().is_some_and(char::is_alphabetic) && !text.contains("://");
        let names = most(cells.iter().filter(is_name).count());
        (ids || names).then(|| Self { at, bytes: cells.iter().map(|text| text.len()).sum(), ids, names })
    }
}
