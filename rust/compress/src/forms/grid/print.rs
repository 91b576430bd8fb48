//! A table printed: what is common goes to the head, and the separator is the one that costs the fewest tokens.

use super::{Cell, Grid, SEPARATORS, keys, reserve, usual};
use crate::{
    forms::json::text,
    outline::{Aim, Group, Outline, Reserve, Unit, When},
    tokens,
};

/// Rows looked at to choose a separator.
const SAMPLE: usize = 24;
/// What is said in fewer rows than this is not said in the head: a head has to be read, too.
const MANY: usize = 3;

/// The head's and the rows' text.
#[derive(Debug, Default)]
pub(in crate::forms) struct Printed {
    head: String,
    rows: Vec<String>,
    /// The rows in short: what they are called by.
    briefs: Vec<String>,
    reserves: Vec<Option<Reserve>>,
}

/// How a column is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// Cell by cell.
    Each,
    /// Once, in the head: it is the cell of this row in all rows.
    All(usize),
    /// Cell by cell, and nothing where it is the cell of this row.
    Most(usize),
}

/// Prints a table whose rows are called `noun`.
pub(in crate::forms) fn print(grid: &Grid<'_>, noun: &str, aim: Aim) -> Printed {
    let fills = fills(grid);
    let sample: Vec<usize> = (0..SAMPLE.min(grid.rows.len()))
        .filter_map(|at| at.checked_mul(grid.rows.len()).map(|place| place / SAMPLE.min(grid.rows.len())))
        .collect();
    let cost = |split: char| {
        let mut text = String::new();
        for row in &sample {
            row_text(grid, &fills, *row, split, aim, &mut text);
            text.push('\n');
        }
        tokens::count(&text)
    };
    // The head of one column does not show what splits it.
    let choice = if grid.names.len() > 1 { SEPARATORS.as_slice() } else { &['|'] };
    let split = choice.iter().copied().min_by_key(|split| cost(*split)).unwrap_or('|');
    let rows: Vec<String> = (0..grid.rows.len())
        .map(|row| {
            let mut text = String::new();
            row_text(grid, &fills, row, split, aim, &mut text);
            text
        })
        .collect();
    if aim == Aim::Whole {
        return Printed { head: head(grid, &fills, &[], split, noun), rows, ..Printed::default() };
    }
    let keys = keys::of(grid, &rows);
    let brief = |row: usize| {
        let cells = keys.iter().map(|column| grid.row(row).get(*column).and_then(Option::as_ref));
        let mut text = String::new();
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                text.push(split);
            }
            cell_text(cell, |sign| sign == split, split != ' ', &mut text);
        }
        text
    };
    let briefs = if keys.is_empty() { Vec::new() } else { (0..grid.rows.len()).map(brief).collect() };
    let reserves = reserve::of_rows(grid, &rows);
    Printed { head: head(grid, &fills, &keys, split, noun), rows, briefs, reserves }
}

impl Printed {
    /// Adds the table to an outline, under a head that begins with `before`.
    pub(in crate::forms) fn place(
        self,
        grid: &Grid<'_>,
        parent: Option<usize>,
        before: &str,
        outline: &mut Outline<'_>,
    ) {
        let group = outline.groups.len();
        outline.groups.push(Group { parent, head: format!("{before}{}", self.head).into() });
        let mut reserves = self.reserves.into_iter();
        let mut briefs = self.briefs.into_iter();
        for (text, row) in self.rows.into_iter().zip(&grid.rows) {
            let reserve = reserves.next().flatten();
            let like = text::masked(text.as_bytes());
            let unit = Unit { reserve, like, ..Unit::new(group, text.into(), row.source.clone()) };
            outline.units.push(unit);
            if let Some(text) = briefs.next().filter(|_| row.odd.is_none()) {
                let unit = Unit { when: When::Instead, line: 1, ..Unit::new(group, text.into(), row.source.clone()) };
                outline.units.push(unit);
            }
        }
    }
}

fn head(grid: &Grid<'_>, fills: &[Fill], keys: &[usize], split: char, noun: &str) -> String {
    let mut head = format!("{} {noun}; ", grid.rows.len());
    if !keys.is_empty() {
        let names: Vec<&str> = keys.iter().filter_map(|at| grid.names.get(*at)).map(String::as_str).collect();
        head.push_str("cut rows: ");
        head.push_str(&names.join(split.encode_utf8(&mut [0; 4])));
        head.push_str(" only, several after …; ");
    }
    if fills.iter().any(|fill| matches!(fill, Fill::All(_))) {
        head.push_str("(x=y): y in every row, not repeated; ");
    }
    if fills.iter().any(|fill| matches!(fill, Fill::Most(_))) {
        head.push_str(if split == ' ' { "x=y: y where - or nothing; " } else { "x=y: y where blank or nothing; " });
    }
    if (0..fills.len()).any(|column| grid.column(column).any(|(_, cell)| cell.is_none())) {
        head.push_str("~: none; ");
    }
    if grid.rows.iter().any(|row| row.odd.is_some()) {
        head.push_str("=: other columns; ");
    }
    head.push_str("columns: ");
    for (at, (name, fill)) in grid.names.iter().zip(fills).enumerate() {
        if at > 0 {
            head.push(split);
        }
        let value = |row: usize| grid.row(row).get(at).and_then(Option::as_ref);
        match fill {
            Fill::Each => head.push_str(name),
            Fill::All(row) => {
                head.push('(');
                head.push_str(name);
                head.push('=');
                cell_text(value(*row), |sign| sign == ')', true, &mut head);
                head.push(')');
            }
            Fill::Most(row) => {
                head.push_str(name);
                head.push('=');
                cell_text(value(*row), |sign| SEPARATORS.contains(&sign), true, &mut head);
            }
        }
    }
    head
}

/// What is usual at the end of a row is not said; but where rows may also be printed in short, enough of it that these
/// look different.
fn row_text(grid: &Grid<'_>, fills: &[Fill], row: usize, split: char, aim: Aim, out: &mut String) {
    if let Some(odd) = grid.rows.get(row).and_then(|row| row.odd.as_ref()) {
        out.push('=');
        out.push_str(odd);
        return;
    }
    let mut first = true;
    let (mut said, mut spare) = (out.len(), false);
    for (at, (cell, fill)) in grid.row(row).iter().zip(fills).enumerate() {
        let usual = match fill {
            Fill::All(_) => continue,
            Fill::Each => None,
            Fill::Most(row) => grid.row(*row).get(at),
        };
        if !first {
            out.push(split);
        }
        if usual != Some(cell) {
            cell_text(cell.as_ref(), |sign| sign == split, split != ' ' && usual.is_none(), out);
        } else if split == ' ' {
            out.push('-');
        }
        if first || usual != Some(cell) {
            (said, spare) = (out.len(), aim == Aim::Cut);
        } else if std::mem::take(&mut spare) {
            said = out.len();
        }
        first = false;
    }
    out.truncate(said);
}

/// Adds a cell, in quotes if one of its signs `ends` it, or if it is empty and that is not `blank`.
fn cell_text(cell: Option<&Cell<'_>>, ends: impl Fn(char) -> bool, blank: bool, out: &mut String) {
    let Some(cell) = cell else {
        out.push('~');
        return;
    };
    let text = cell.text.as_ref();
    if cell.bare && (text == "-" || text.contains(ends) || (text.is_empty() && !blank)) {
        text::quote(out, text);
    } else {
        out.push_str(text);
    }
}

fn fills(grid: &Grid<'_>) -> Vec<Fill> {
    let mut fills: Vec<Fill> = (0..grid.names.len()).map(|column| fill(grid, column)).collect();
    if fills.iter().all(|fill| matches!(fill, Fill::All(_)))
        && let Some(first) = fills.first_mut()
    {
        *first = Fill::Each;
    }
    fills
}

fn fill(grid: &Grid<'_>, column: usize) -> Fill {
    let Some(usual) = usual(grid, column).filter(|usual| usual.rows >= MANY) else { return Fill::Each };
    if usual.count == usual.rows {
        Fill::All(usual.row)
    } else if usual.count >= usual.rows - usual.rows / 4 && usual.count > MANY {
        Fill::Most(usual.row)
    } else {
        Fill::Each
    }
}
