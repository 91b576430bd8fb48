//! The rows of a table read back, as JSON.

use super::{
    loose::{self, Reader},
    parse::DEPTH,
    table::{ARRAYS, ENTRIES, LINES, ROWS},
    text,
};
use crate::forms::grid::{Cell, Head};

/// A column: the members that lead to a cell, and what its cells are.
struct Column {
    /// Each with its quotes.
    path: Vec<String>,
    shape: Shape,
}

enum Shape {
    Any,
    Text,
    /// The names of the members of the objects in the arrays, with their quotes.
    Objects(Vec<String>),
}

/// Adds the value that the table says.
pub(super) fn read<'a>(head: &Head<'_>, mut line: impl FnMut() -> Option<&'a str>, out: &mut String) -> Option<()> {
    let columns: Vec<Column> = head.columns.iter().map(|column| Column::read(column.name)).collect::<Option<_>>()?;
    let (open, split, close) = match head.noun {
        ROWS | ARRAYS => ("[", ",", "]"),
        ENTRIES => ("{", ",", "}"),
        LINES => ("", "\n", ""),
        _ => return None,
    };
    out.push_str(open);
    for row in 0..head.rows {
        if row > 0 {
            out.push_str(split);
        }
        let line = line()?;
        match (line.strip_prefix('='), head.noun) {
            (Some(odd), ENTRIES) => {
                let mut reader = Reader { text: odd, at: 0 };
                reader.name(out)?;
                reader.take(b':')?;
                out.push(':');
                loose::read(odd.get(reader.at..)?, out)?;
            }
            (Some(odd), _) => loose::read(odd, out)?,
            (None, ARRAYS) => array(&columns, &head.row(line)?, out)?,
            (None, ENTRIES) => {
                let cells = head.row(line)?;
                let (name, cells) = cells.split_first()?;
                let name = name.as_ref()?;
                if name.bare {
                    text::quote(out, &name.text);
                } else {
                    loose::read(&name.text, out)?;
                }
                out.push(':');
                object(columns.get(1..)?, cells, out)?;
            }
            (None, _) => object(&columns, &head.row(line)?, out)?,
        }
    }
    out.push_str(close);
    Some(())
}

fn array(columns: &[Column], cells: &[Option<Cell<'_>>], out: &mut String) -> Option<()> {
    out.push('[');
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if at > 0 {
            out.push(',');
        }
        column.shape.value(cell.as_ref()?, out)?;
    }
    out.push(']');
    Some(())
}

/// Members of members open as their first column comes, and close when a column is not inside them.
fn object(columns: &[Column], cells: &[Option<Cell<'_>>], out: &mut String) -> Option<()> {
    let mut open: &[String] = &[];
    out.push('{');
    for (column, cell) in columns.iter().zip(cells) {
        let Some(cell) = cell else { continue };
        let (last, path) = column.path.split_last()?;
        let same = open.iter().zip(path).take_while(|(one, other)| one == other).count();
        out.extend(std::iter::repeat_n('}', open.len() - same));
        for name in path.get(same..)? {
            member(name, out);
            out.push('{');
        }
        open = path;
        member(last, out);
        column.shape.value(cell, out)?;
    }
    out.extend(std::iter::repeat_n('}', open.len() + 1));
    Some(())
}

fn member(name: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push_str(name);
    out.push(':');
}

impl Column {
    fn read(name: &str) -> Option<Self> {
        let mut reader = Reader { text: name, at: 0 };
        let mut path = vec![named(&mut reader)?];
        while reader.take(b'.').is_some() {
            path.push(named(&mut reader)?);
        }
        let rest = name.get(reader.at..)?;
        let shape = match rest {
            "" => Shape::Any,
            ":text" => Shape::Text,
            _ => {
                reader.take(b'[')?;
                let mut names = vec![named(&mut reader)?];
                while reader.take(b',').is_some() {
                    names.push(named(&mut reader)?);
                }
                (name.get(reader.at..)? == "]").then_some(Shape::Objects(names))?
            }
        };
        Some(Self { path, shape })
    }
}

fn named(reader: &mut Reader<'_>) -> Option<String> {
    let mut name = String::new();
    reader.name(&mut name)?;
    Some(name)
}

impl Shape {
    fn value(&self, cell: &Cell<'_>, out: &mut String) -> Option<()> {
        match self {
            Self::Text if cell.bare && cell.text != "null" => text::quote(out, &cell.text),
            Self::Objects(names) if cell.text.starts_with('[') => objects(names, &cell.text, out)?,
            _ => loose::read(&cell.text, out)?,
        }
        Some(())
    }
}

fn objects(names: &[String], cell: &str, out: &mut String) -> Option<()> {
    if cell == "[]" {
        out.push_str(cell);
        return Some(());
    }
    let mut reader = Reader { text: cell, at: 0 };
    let mut next = b'[';
    loop {
        out.push(if next == b'[' { '[' } else { ',' });
        reader.take(next)?;
        out.push('{');
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                reader.take(b',')?;
            }
            member(name, out);
            reader.value(out, DEPTH)?;
        }
        out.push('}');
        next = reader.peek()?;
        if next == b']' {
            out.push(']');
            return (reader.at + 1 == cell.len()).then_some(());
        }
        if next != b';' {
            return None;
        }
    }
}
