//! Rows and columns in the fewest tokens that still read as a table: names once, what every row says once.
//!
//! `350 rows; (x=y): y in every row, not repeated; x=y: y where blank or nothing; columns: id|name|(status=ok)|state=open`, and then
//! a row a line: `17|web|` and the like. The rule that makes it readable back: a cell either is closed by itself (a
//! string in quotes, a bracket) or holds no separator; `~` is a member that is not there; a row that does not fit the
//! columns stands after a `=`.

mod keys;
mod print;
mod read;
mod reserve;

use std::{borrow::Cow, ops::Range};

pub(super) use print::print;
pub(super) use read::{Column, Head};

/// What a table may be split by, the plainest first.
const SEPARATORS: [char; 4] = ['|', ',', '\t', ' '];

/// One cell as it is printed, without regard to the separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) text: Cow<'a, str>,
    /// A text that may stand without quotes, if it holds no separator. Otherwise it is closed by itself or a literal.
    pub(super) bare: bool,
}

#[derive(Debug, Default)]
pub(super) struct Grid<'a> {
    /// The first column holds the names of the rows.
    pub(super) named: bool,
    /// The columns' names, as they are printed: without a separator outside quotes and brackets, not begun by a `(`.
    pub(super) names: Vec<String>,
    /// Row by row; `None` is no such member. Rows that do not fit have cells too, all `None`.
    pub(super) cells: Vec<Option<Cell<'a>>>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Row {
    /// What is printed after `=`, if the row does not fit.
    pub(super) odd: Option<String>,
    pub(super) source: Range<usize>,
}

impl<'a> Grid<'a> {
    fn row(&self, row: usize) -> &[Option<Cell<'a>>] {
        let width = self.names.len();
        row.checked_mul(width).and_then(|from| self.cells.get(from..from.checked_add(width)?)).unwrap_or_default()
    }

    /// The cells of a column, those of rows that do not fit left out.
    fn column(&self, column: usize) -> impl Iterator<Item = (usize, &Option<Cell<'a>>)> {
        let width = self.names.len();
        let cells = self.cells.iter().skip(column).step_by(width.max(1));
        cells.enumerate().filter(|(row, _)| self.rows.get(*row).is_some_and(|row| row.odd.is_none()))
    }
}

/// What most rows say in a column.
struct Usual<'g, 'a> {
    cell: &'g Option<Cell<'a>>,
    /// A row that says it.
    row: usize,
    /// How many do, and of how many.
    count: usize,
    rows: usize,
}

/// The cell of more than half of the rows, if there is one, is the last one standing when each other cell takes one
/// of the same kind with it.
fn usual<'g, 'a>(grid: &'g Grid<'a>, column: usize) -> Option<Usual<'g, 'a>> {
    let mut standing: Option<(usize, &Option<Cell<'_>>)> = None;
    let mut lead = 0_usize;
    let mut rows = 0_usize;
    for (row, cell) in grid.column(column) {
        rows += 1;
        match standing {
            Some((_, other)) if other == cell => lead += 1,
            Some(_) if lead > 0 => lead -= 1,
            _ => (standing, lead) = (Some((row, cell)), 1),
        }
    }
    let (row, _) = standing?;
    let cell = grid.row(row).get(column)?;
    let count = grid.column(column).filter(|(_, other)| *other == cell).count();
    Some(Usual { cell, row, count, rows })
}
