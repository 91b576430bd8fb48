//! Many objects alike as a table.
//!
//! A column's name may say more of its cells: `id:text` are strings that look like numbers, `labels[name,color]` are
//! arrays of objects with these members, a cell of which is `[bug,red;new,blue]`.

use super::{
    columns::{Columns, NONE},
    loose,
    parse::{At, Doc, Sort},
    text,
};
use crate::forms::grid::{Cell, Grid, Row};

/// Fewer are no table.
const MANY: usize = 3;
/// Of 100 cells so many have to hold something.
const FILLED: usize = 34;
/// Longer arrays are no rows.
const WIDE: usize = 16;

/// What the rows are called, which tells how to read them.
pub(super) const ROWS: &str = "rows";
pub(super) const ENTRIES: &str = "entries";
pub(super) const ARRAYS: &str = "arrays";
pub(super) const LINES: &str = "lines";

/// A table and what its rows are called.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) grid: Grid<'a>,
    pub(super) noun: &'static str,
}

impl<'a> Table<'a> {
    /// An array of objects or of arrays of one length, or an object of objects.
    pub(super) fn of(doc: &Doc<'a>, at: At) -> Option<Self> {
        let rows: Vec<At> = doc.inner(at).collect();
        let first = rows.first().filter(|_| rows.len() >= MANY)?;
        match (doc.sort(at), doc.sort(*first)) {
            (Sort::Array, Sort::Array) => Self::of_arrays(doc, &rows),
            (Sort::Array, _) => Self::of_objects(doc, &rows, ROWS),
            (Sort::Object, Sort::Object) if rows.iter().all(|row| doc.sort(*row) == Sort::Object) => {
                Self::of_objects(doc, &rows, ENTRIES)
            }
            _ => None,
        }
    }

    /// The values of JSON lines.
    pub(super) fn of_lines(doc: &Doc<'a>, rows: &[At]) -> Option<Self> {
        Self::of_objects(doc, rows, LINES)
    }

    fn of_objects(doc: &Doc<'a>, rows: &[At], noun: &'static str) -> Option<Self> {
        if rows.len() < MANY || rows.iter().filter(|row| doc.sort(**row) == Sort::Object).count() * 4 < rows.len() * 3 {
            return None;
        }
        let columns = Columns::of(doc, rows);
        let odd = columns.odd.iter().filter(|odd| **odd).count();
        if columns.names.is_empty() || odd * 4 > rows.len() || columns.filled() < FILLED {
            return None;
        }
        Some(Self { grid: grid(doc, rows, &columns, noun == ENTRIES), noun })
    }

    fn of_arrays(doc: &Doc<'a>, rows: &[At]) -> Option<Self> {
        let width = doc.inner(*rows.first()?).count();
        let alike = |row: &At| doc.sort(*row) == Sort::Array && doc.inner(*row).count() == width;
        if width == 0 || width > WIDE || !rows.iter().all(alike) {
            return None;
        }
        let names = (0..width).map(|index| index.to_string()).collect();
        let cells = rows.iter().flat_map(|row| doc.inner(*row)).collect();
        let columns = Columns { names, cells, odd: vec![false; rows.len()] };
        Some(Self { grid: grid(doc, rows, &columns, false), noun: ARRAYS })
    }
}

/// The cells of the columns; `named` rows have their own name in the first one.
fn grid<'a>(doc: &Doc<'a>, rows: &[At], columns: &Columns, named: bool) -> Grid<'a> {
    let mut grid = Grid { named, ..Grid::default() };
    let width = columns.names.len();
    let shapes: Vec<Shape> = (0..width)
        .map(|column| {
            Shape::of(doc, columns.cells.iter().skip(column).step_by(width).copied().filter(|at| *at != NONE))
        })
        .collect();
    if named {
        grid.names.push("name".to_owned());
    }
    for (name, shape) in columns.names.iter().zip(&shapes) {
        let mut name = name.clone();
        shape.add_to(doc, &mut name);
        grid.names.push(name);
    }
    for ((row, odd), cells) in rows.iter().zip(&columns.odd).zip(columns.cells.chunks(width)) {
        if named {
            grid.cells.push(Some(name(doc, *row)));
        }
        let filled = cells.iter().zip(&shapes).map(|(at, shape)| (*at != NONE).then(|| shape.cell(doc, *at)));
        grid.cells.extend(filled);
        let odd = odd.then(|| {
            let mut line = String::new();
            if named {
                loose::name(doc, *row, &mut line);
                line.push(':');
            }
            loose::print(doc, *row, &mut line);
            line
        });
        grid.rows.push(Row { odd, source: doc.source(*row) });
    }
    grid
}

/// The name of an entry as a cell: always a text.
fn name<'a>(doc: &Doc<'a>, at: At) -> Cell<'a> {
    let raw = doc.raw_name(at);
    match text::unescaped(raw) {
        Some(name) if text::is_plain(&name) => Cell { text: name, bare: true },
        _ => Cell { text: format!("\"{raw}\"").into(), bare: false },
    }
}

/// What is alike in all cells of a column.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Any,
    /// Strings (or null), of which some look like something else.
    Text,
    /// Arrays of objects (or null) with the members of this one.
    Objects(At),
}

impl Shape {
    fn of(doc: &Doc<'_>, cells: impl Iterator<Item = At> + Clone) -> Self {
        let all = |sort: Sort| cells.clone().all(|at| doc.sort(at) == sort || doc.sort(at) == Sort::Null);
        if all(Sort::Text) {
            let literal = cells.clone().any(|at| doc.sort(at) == Sort::Text && text::is_literal(doc.raw_value(at)));
            return if literal { Self::Text } else { Self::Any };
        }
        if !all(Sort::Array) {
            return Self::Any;
        }
        let mut elements = cells.flat_map(|at| doc.inner(at)).peekable();
        let Some(first) = elements.peek().copied() else { return Self::Any };
        let alike = |at: At| {
            doc.sort(at) == Sort::Object
                && doc.inner(at).map(|at| doc.raw_name(at)).eq(doc.inner(first).map(|at| doc.raw_name(at)))
        };
        let is_empty = doc.inner(first).next().is_none();
        if !is_empty && elements.all(alike) { Self::Objects(first) } else { Self::Any }
    }

    fn add_to(&self, doc: &Doc<'_>, name: &mut String) {
        match self {
            Self::Any => {}
            Self::Text => name.push_str(":text"),
            Self::Objects(first) => {
                name.push('[');
                for (index, member) in doc.inner(*first).enumerate() {
                    if index > 0 {
                        name.push(',');
                    }
                    loose::name(doc, member, name);
                }
                name.push(']');
            }
        }
    }

    fn cell<'a>(&self, doc: &Doc<'a>, at: At) -> Cell<'a> {
        let mut out = String::new();
        match (self, doc.sort(at)) {
            (_, Sort::Text) => {
                let said = text::unescaped(doc.raw_value(at));
                let literal = |said: &str| if *self == Self::Text { said == "null" } else { text::is_literal(said) };
                match said {
                    Some(said) if text::is_plain(&said) && !literal(&said) => return Cell { text: said, bare: true },
                    _ => loose::scalar(doc, at, &mut out, |_| false),
                }
            }
            (Self::Objects(_), Sort::Array) => {
                out.push('[');
                for (row, object) in doc.inner(at).enumerate() {
                    for (index, member) in doc.inner(object).enumerate() {
                        out.push_str(if index > 0 {
                            ","
                        } else if row > 0 {
                            ";"
                        } else {
                            ""
                        });
                        loose::print(doc, member, &mut out);
                    }
                }
                out.push(']');
            }
            (_, Sort::Array | Sort::Object) => loose::print(doc, at, &mut out),
            _ => return Cell { text: doc.raw_value(at).into(), bare: false },
        }
        Cell { text: out.into(), bare: false }
    }
}
