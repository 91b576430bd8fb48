//! Markdown tables: cells between bars, a line of dashes under the names, cells padded or not.

use std::borrow::Cow;

use super::{Cut, Layout, Line, MANY, lines};

pub(super) const WORD: &str = "Markdown";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    pad: Pad,
    /// The line of dashes, as it stands.
    rule: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pad {
    /// `|a|b|`
    No,
    /// `| a | b |`
    One,
    /// To the widest cell of the column, on its right.
    Even,
}

const PADS: [(Pad, &str); 3] = [(Pad::No, "tight"), (Pad::One, "spaced"), (Pad::Even, "padded")];

impl Style {
    pub(super) fn head(&self) -> String {
        let pad = PADS.iter().find(|one| one.0 == self.pad).map_or("", |one| one.1);
        format!("{WORD} {pad} {}", self.rule)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let (pad, rule) = text.split_once(' ')?;
        let pad = PADS.iter().find(|one| one.1 == pad)?.0;
        Some(Self { pad, rule: rule.to_owned() })
    }
}

/// Cuts at bars that no backslash stands before.
pub(super) fn cut(block: &str) -> Option<Cut<'_>> {
    let (ranges, _) = lines(block);
    let line = |at: usize| ranges.get(at).and_then(|range| block.get(range.clone()));
    let rule = line(1)?;
    let is_rule = rule.starts_with('|') && rule.contains('-') && rule.bytes().all(|byte| b"|-: ".contains(&byte));
    if !is_rule || ranges.len() < MANY + 2 {
        return None;
    }
    let mut cut = Vec::new();
    for (at, range) in ranges.into_iter().enumerate().filter(|(at, _)| *at != 1) {
        let line = block.get(range.clone())?;
        let Some(cells) = cells(line) else {
            if at == 0 {
                return None;
            }
            cut.push((range, Vec::new()));
            continue;
        };
        cut.push((range, cells));
    }
    let width = cut.first()?.1.len();
    let rows: Vec<Line<'_>> = cut
        .iter()
        .map(|(range, cells)| {
            if cells.len() == width {
                Ok(cells.iter().map(|cell| cell.clone().into_owned()).collect())
            } else {
                Err(block.get(range.clone()).unwrap_or_default())
            }
        })
        .collect();
    let matches = |pad: Pad| {
        let style = Style { pad, rule: rule.to_owned() };
        let lines = write(&style, &rows);
        let same = |at: usize| {
            let range = cut.get(at).map(|one| one.0.clone());
            let written = if at == 0 { lines.first() } else { lines.get(at + 1) };
            range.and_then(|range| block.get(range)) == written.map(String::as_str)
        };
        (0..cut.len()).all(same).then_some(style)
    };
    let style = PADS.iter().find_map(|one| matches(one.0))?;
    Some(Cut { layout: Layout::Markdown(style), width, lines: cut })
}

fn cells(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = Vec::new();
    let mut from = 0;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        if byte == b'|' && !escaped {
            cells.push(inner.get(from..at)?.trim_matches(' ').into());
            from = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    cells.push(inner.get(from..)?.trim_matches(' ').into());
    Some(cells)
}

pub(super) fn write(style: &Style, lines: &[Line<'_>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for cells in lines.iter().filter_map(|line| line.as_ref().ok()) {
        widths.resize(widths.len().max(cells.len()), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = Vec::with_capacity(lines.len() + 1);
    for (at, line) in lines.iter().enumerate() {
        if at == 1 {
            out.push(style.rule.clone());
        }
        out.push(match line {
            Err(odd) => (*odd).to_owned(),
            Ok(cells) => row(style.pad, cells, &widths),
        });
    }
    out
}

fn row(pad: Pad, cells: &[String], widths: &[usize]) -> String {
    let mut out = String::from("|");
    for (cell, width) in cells.iter().zip(widths) {
        let (before, after) = match pad {
            Pad::No => ("", 0),
            Pad::One => (" ", 1),
            Pad::Even => (" ", 1 + width.saturating_sub(cell.chars().count())),
        };
        out.push_str(before);
        out.push_str(cell);
        out.extend(std::iter::repeat_n(' ', after));
        out.push('|');
    }
    out
}
