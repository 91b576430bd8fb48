//! Which rows have to be kept: those that tell of an error, those that are not like the others, the first, the last.

use std::collections::HashSet;

use super::{Cell, Grid};
use crate::{
    critical::{self, Kind},
    forms::json::text,
    outline::Reserve,
};

/// Fewer rows than these have nothing usual to differ from.
const FEW: usize = 12;
/// Median deviations from the median that make a number an outlier.
const FAR: f64 = 8.0;
/// Of so many rows one may be kept as an outlier, and [`SOME`] in any case.
const SHARE: usize = 16;
const SOME: usize = 6;
/// A column with more different words than this has no rare one, unless nearly all rows say the same.
const WORDS: usize = 12;

/// The reserve of each row, given as it is printed.
pub(super) fn of_rows(grid: &Grid<'_>, printed: &[String]) -> Vec<Option<Reserve>> {
    let rows = grid.rows.len();
    let mut reserves = vec![None; rows];
    for edge in [0, rows.saturating_sub(1)] {
        set(&mut reserves, edge, Reserve::Edge);
    }
    let mut found: Vec<(f64, usize)> = Vec::new();
    let words: Vec<Words<'_>> = (0..grid.names.len()).map(|column| words(grid, column).unwrap_or_default()).collect();
    errors(grid, printed, &words, &mut reserves, &mut found);
    if rows < FEW {
        return reserves;
    }
    for (column, words) in words.iter().enumerate() {
        far(grid, column, &mut found);
        rare(grid, column, words, &mut found);
        unlike(grid, column, &mut found);
    }
    found.extend(grid.rows.iter().enumerate().filter(|(_, row)| row.odd.is_some()).map(|(at, _)| (f64::MAX, at)));
    found.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut left = (rows / SHARE).max(SOME);
    for (_, row) in found {
        let free = |reserve: &Option<Reserve>| !matches!(reserve, Some(Reserve::Error | Reserve::Outlier));
        if left > 0 && reserves.get(row).is_some_and(free) {
            set(&mut reserves, row, Reserve::Outlier);
            left -= 1;
        }
    }
    reserves
}

fn set(reserves: &mut [Option<Reserve>], row: usize, reserve: Reserve) {
    if let Some(place) = reserves.get_mut(row) {
        *place = Some(reserve);
    }
}

/// Rows that tell of an error, if most do not: the first of each is reserved, the others differ from the rest.
fn errors(
    grid: &Grid<'_>,
    printed: &[String],
    words: &[Words<'_>],
    reserves: &mut [Option<Reserve>],
    found: &mut Vec<(f64, usize)>,
) {
    let mut failed = vec![false; grid.rows.len()];
    for (text, failed) in printed.iter().zip(&mut failed) {
        *failed = critical::scan(text).iter().any(|found| found.kind == Kind::Error);
    }
    for row in words.iter().flatten().filter(|(word, _)| is_error(word)).flat_map(|(_, rows)| rows) {
        if let Some(failed) = failed.get_mut(*row) {
            *failed = true;
        }
    }
    let all: Vec<usize> = failed.iter().enumerate().filter(|(_, failed)| **failed).map(|(row, _)| row).collect();
    if all.len() * 4 > grid.rows.len().max(8) {
        return;
    }
    let mut seen = HashSet::new();
    for row in all {
        let words = printed.get(row).map_or(0, |text| plain_words(text));
        if seen.insert(words) {
            set(reserves, row, Reserve::Error);
        } else {
            found.push((f64::MAX, row));
        }
    }
}

/// Whether a cell's word is one that a level or a state has where something failed.
fn is_error(word: &str) -> bool {
    word.len() <= 24 && critical::scan(&format!("level={word}")).iter().any(|found| found.kind == Kind::Error)
}

/// A hash of the words of a row that hold no digit: what it says, without ids, times and numbers.
fn plain_words(row: &str) -> u64 {
    let word = |word: &&str| word.len() > 2 && !word.bytes().any(|byte| byte.is_ascii_digit());
    row.split(|sign: char| !sign.is_alphanumeric())
        .filter(word)
        .fold(7, |sum: u64, word| sum.wrapping_mul(31).wrapping_add(text::hash(word.as_bytes())))
}

/// The different words of a column, each with the rows that say it.
type Words<'g> = Vec<(&'g str, Vec<usize>)>;

/// `None` if the words are many. Few words are faster looked through than looked up.
fn words<'g>(grid: &'g Grid<'_>, column: usize) -> Option<Words<'g>> {
    let mut words: Words<'_> = Vec::new();
    for (row, cell) in grid.column(column) {
        let word = said(cell.as_ref());
        if let Some(seen) = words.iter_mut().find(|seen| seen.0 == word) {
            seen.1.push(row);
        } else if words.len() < WORDS {
            words.push((word, vec![row]));
        } else {
            return None;
        }
    }
    Some(words)
}

fn said<'g>(cell: Option<&'g Cell<'_>>) -> &'g str {
    cell.map_or("~", |cell| cell.text.as_ref())
}

/// Numbers far from the column's median, by how far.
fn far(grid: &Grid<'_>, column: usize, found: &mut Vec<(f64, usize)>) {
    let mut numbers: Vec<(f64, usize)> = Vec::new();
    let mut others = 0_usize;
    for (row, cell) in grid.column(column) {
        let Some(cell) = cell else { continue };
        match cell.text.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => numbers.push((number, row)),
            None => others += 1,
        }
        if others > FEW && others > numbers.len() {
            return;
        }
    }
    if numbers.len() < FEW || others * 4 > numbers.len() {
        return;
    }
    let median = median(numbers.iter().map(|(number, _)| *number));
    let deviation = self::median(numbers.iter().map(|(number, _)| (number - median).abs()));
    if deviation == 0.0 {
        // Most say the same: those that do not count like rare words, if they are few.
        let other: Vec<usize> =
            numbers.iter().filter(|one| one.0.total_cmp(&median).is_ne()).map(|one| one.1).collect();
        if !other.is_empty() && is_rare(other.len(), numbers.len()) {
            found.extend(other.into_iter().map(|row| (FAR, row)));
        }
        return;
    }
    let scale = deviation * 1.4826;
    found.extend(numbers.iter().map(|(number, row)| ((number - median).abs() / scale, *row)).filter(|far| far.0 > FAR));
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    let middle = numbers.len() / 2;
    if numbers.is_empty() { 0.0 } else { *numbers.select_nth_unstable_by(middle, f64::total_cmp).1 }
}

/// What few rows say where nearly all say the same, or in a column of few words; by how few.
fn rare(grid: &Grid<'_>, column: usize, words: &Words<'_>, found: &mut Vec<(f64, usize)>) {
    let rows = grid.rows.len();
    if let Some(usual) = super::usual(grid, column).filter(|usual| usual.count * 5 >= rows * 4) {
        let others = rows - usual.count;
        if others * 16 <= rows.max(SOME * 16) {
            let exceptions = grid.column(column).filter(|(_, cell)| *cell != usual.cell);
            found.extend(exceptions.map(|(row, _)| (real(rows) / real(others), row)));
            return;
        }
    }
    for (_, seen) in words.iter().filter(|(_, seen)| is_rare(seen.len(), rows)) {
        let weight = real(rows) / real(seen.len());
        found.extend(seen.iter().map(|row| (weight, *row)));
    }
}

/// Cells that are something else than nearly all others: of another type, or with other members.
fn unlike(grid: &Grid<'_>, column: usize, found: &mut Vec<(f64, usize)>) {
    let rows = grid.rows.len();
    let of = |cell: &Option<Cell<'_>>| cell.as_ref().map_or(0, shape);
    let mut shapes: Vec<(u64, usize)> = Vec::new();
    for (_, cell) in grid.column(column) {
        let shape = of(cell);
        if let Some(seen) = shapes.iter_mut().find(|seen| seen.0 == shape) {
            seen.1 += 1;
        } else if shapes.len() < WORDS {
            shapes.push((shape, 1));
        } else {
            return;
        }
    }
    let Some((usual, most)) = shapes.into_iter().max_by_key(|seen| seen.1) else { return };
    let others = rows - most;
    if others > 0 && others * 16 <= rows.max(SOME * 16) {
        let unlike = grid.column(column).filter(|(_, cell)| of(cell) != usual);
        found.extend(unlike.map(|(row, _)| (real(rows) / real(others), row)));
    }
}

/// Equal for cells of one type; for objects, if they have the same members.
fn shape(cell: &Cell<'_>) -> u64 {
    let text = cell.text.as_bytes();
    match text.first() {
        Some(b'{') => {
            let names = text.split(|byte| matches!(byte, b'{' | b',' | b'[' | b';'));
            names.fold(1, |sum: u64, name| match name.iter().position(|byte| *byte == b':') {
                Some(end) => sum.wrapping_mul(31).wrapping_add(text::hash(name.get(..end).unwrap_or_default())),
                None => sum,
            })
        }
        Some(b'[') => 2,
        _ if text::number(text) == Some(text.len()) => 3,
        _ => 4,
    }
}

fn is_rare(count: usize, rows: usize) -> bool {
    count <= (rows / 50).max(1)
}

/// Rows as a real number; above 2^53 of them nobody would see what is lost.
#[allow(clippy::cast_precision_loss, reason = "a weight, not a sum")]
fn real(count: usize) -> f64 {
    count as f64
}
