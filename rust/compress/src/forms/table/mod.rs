//! Tables as text: CSV and its kin, Markdown tables, columns made of spaces.
//!
//! The cells become a [`grid`]; what is needed to write each line again as it was (delimiter, quotes, where columns
//! begin) stands in one line before it. Rule: byte for byte. A line that its layout would write in another way stands
//! for itself, and a block that is not read back as it was is refused.

mod csv;
mod fixed;
mod markdown;

use std::{borrow::Cow, ops::Range};

use super::{
    grid::{self, Cell, Grid, Head, Row},
    json::{loose, text},
};
use crate::outline::{Aim, Outline};

/// Fewer rows are no table.
const MANY: usize = 3;
/// Of so many lines one may not fit.
const ODD: usize = 8;

/// How lines are made of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    Csv(csv::Style),
    Markdown(markdown::Style),
    Fixed(Vec<fixed::Stop>),
}

/// A block cut into cells.
struct Cut<'a> {
    layout: Layout,
    /// Cells of a line.
    width: usize,
    /// One a line (or more, where a cell has several lines): its bytes, and its cells.
    lines: Vec<(Range<usize>, Vec<Cow<'a, str>>)>,
}

/// What is true of all lines.
#[derive(Debug, Default)]
struct Frame {
    /// Lines end in `\r\n`.
    returns: bool,
    /// The last line has an end, too.
    ended: bool,
    /// The first line holds no names but a row.
    nameless: bool,
}

const RETURNS: &str = "; CRLF";
const ENDED: &str = "; last line ended";
const NAMELESS: &str = "; no header";

/// A table's rows as units.
pub(super) fn outline(block: &str, aim: Aim) -> Option<Outline<'_>> {
    let outline = markdown::cut(block)
        .or_else(|| csv::cut(block))
        .or_else(|| fixed::cut(block))
        .and_then(|cut| of_cells(block, &cut, aim))?;
    (aim == Aim::Cut || decode(&outline.whole())? == block).then_some(outline)
}

/// The block of which this is the whole outline.
pub(super) fn decode(printed: &str) -> Option<String> {
    let mut lines = printed.split('\n');
    let mut layout = lines.next()?;
    let mut frame = Frame::default();
    for (word, is) in [(NAMELESS, &mut frame.nameless), (ENDED, &mut frame.ended), (RETURNS, &mut frame.returns)] {
        if let Some(before) = layout.strip_suffix(word) {
            (layout, *is) = (before, true);
        }
    }
    let head = Head::read(lines.next()?)?;
    let mut rows = Vec::new();
    if !frame.nameless {
        let name = |column: &grid::Column<'_>| said(&Cell { text: column.name.to_owned().into(), bare: false });
        rows.push(Ok(head.columns.iter().map(name).collect::<Option<Vec<_>>>()?));
    }
    for _ in 0..head.rows {
        let line = lines.next()?;
        rows.push(match line.strip_prefix('=') {
            Some(odd) => Err(odd),
            None => Ok(head.row(line)?.iter().map(|cell| said(cell.as_ref()?)).collect::<Option<Vec<_>>>()?),
        });
    }
    if lines.next().is_some() {
        return None;
    }
    let lines = match layout.split_once(' ').map_or((layout, ""), |(first, rest)| (first, rest)) {
        (csv::WORD, style) => csv::write(&csv::Style::read(style)?, &rows),
        (markdown::WORD, style) => markdown::write(&markdown::Style::read(style)?, &rows),
        (fixed::WORD, stops) => fixed::write(&fixed::read(stops)?, &rows),
        _ => return None,
    };
    let end = if frame.returns { "\r\n" } else { "\n" };
    let mut out = lines.join(end);
    if frame.ended {
        out.push_str(end);
    }
    Some(out)
}

/// A line: its cells, or as it stands.
type Line<'a> = Result<Vec<String>, &'a str>;

/// What a cell or a name says.
fn said(cell: &Cell<'_>) -> Option<String> {
    match cell.text.strip_prefix('"') {
        Some(quoted) => text::unescaped(quoted.strip_suffix('"')?).map(Cow::into_owned),
        None => Some(cell.text.clone().into_owned()),
    }
}

/// The lines of a block, without their ends, and what is true of all of them.
fn lines(block: &str) -> (Vec<Range<usize>>, Frame) {
    let returns = block.contains("\r\n");
    let end = if returns { "\r\n" } else { "\n" };
    let ended = block.ends_with(end);
    let mut at = 0;
    let mut lines: Vec<Range<usize>> = block
        .split(end)
        .map(|line| {
            let range = at..at + line.len();
            at = range.end + end.len();
            range
        })
        .collect();
    if ended {
        lines.pop();
    }
    (lines, Frame { returns, ended, nameless: false })
}

fn of_cells<'a>(block: &'a str, cut: &Cut<'a>, aim: Aim) -> Option<Outline<'a>> {
    let (_, mut frame) = lines(block);
    let (first_line, first) = cut.lines.first()?;
    let width = cut.width;
    // The first line holds names if it is written as a row is, and holds nothing that is none.
    let is_name = |cell: &Cow<'_, str>| !cell.is_empty() && cell.parse::<f64>().is_err();
    let is_row = first.len() == width && cut.layout.is_line(first, block.get(first_line.clone())?);
    frame.nameless = !(is_row && first.iter().all(is_name));
    let rows = cut.lines.get(usize::from(!frame.nameless)..)?;
    let mut grid = Grid::default();
    for column in 0..width {
        let name = first.get(column).filter(|_| !frame.nameless);
        grid.names.push(name.map_or_else(|| format!("c{}", column + 1), |cell| spelled(cell)));
    }
    let mut odd = 0;
    for (source, cells) in rows {
        let line = block.get(source.clone())?;
        let fits = cells.len() == width && cut.layout.is_line(cells, line);
        if fits {
            grid.cells.extend(cells.iter().map(|cell| Some(self::cell(cell.clone()))));
        } else if line.contains('\n') {
            return None;
        } else {
            grid.cells.extend(std::iter::repeat_n(None, width));
            odd += 1;
        }
        grid.rows.push(Row { odd: (!fits).then(|| line.to_owned()), source: source.clone() });
    }
    if grid.rows.len() < MANY || width < 2 || odd * ODD > grid.rows.len() {
        return None;
    }
    let mut head = String::new();
    // Only who reads all of it back has to know how the lines were made.
    if aim == Aim::Whole {
        head.push_str(&cut.layout.head());
        for (word, is) in [(RETURNS, frame.returns), (ENDED, frame.ended), (NAMELESS, frame.nameless)] {
            head.push_str(if is { word } else { "" });
        }
        head.push('\n');
    }
    let mut outline = Outline::default();
    grid::print(&grid, "rows", aim).place(&grid, None, &head, &mut outline);
    Some(outline)
}

fn spelled(name: &str) -> String {
    if text::is_name(name) {
        return name.to_owned();
    }
    quoted(name)
}

fn cell(said: Cow<'_, str>) -> Cell<'_> {
    if said.is_empty() || (text::is_plain(&said) && loose::closed(&said).is_none()) {
        return Cell { text: said, bare: true };
    }
    Cell { text: quoted(&said).into(), bare: false }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    text::quote(&mut out, text);
    out
}

impl Layout {
    fn head(&self) -> String {
        match self {
            Self::Csv(style) => style.head(),
            Self::Markdown(style) => style.head(),
            Self::Fixed(stops) => fixed::head(stops),
        }
    }

    /// Whether these cells are written as this line. What depends on all rows is not looked at.
    fn is_line(&self, cells: &[Cow<'_, str>], line: &str) -> bool {
        match self {
            Self::Csv(style) => style.line(cells) == line,
            Self::Markdown(_) => true,
            Self::Fixed(stops) => fixed::line(stops, cells) == line,
        }
    }
}
