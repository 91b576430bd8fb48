//! Values split by a comma, a tab, a semicolon or a bar; cells in quotes where they need them, or all, or all texts.

use std::{borrow::Cow, ops::Range};

use super::{Cut, Layout, Line, MANY, lines};

pub(super) const WORD: &str = "CSV";

/// Which cells stand in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// Those that would not be read back without.
    Needed,
    All,
    /// Those that are no numbers.
    Texts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    delimiter: char,
    quotes: Quotes,
}

const DELIMITERS: [(char, &str); 4] = [(',', "by comma"), ('\t', "by tab"), (';', "by semicolon"), ('|', "by bar")];
const QUOTES: [(Quotes, &str); 3] =
    [(Quotes::Needed, ""), (Quotes::All, ", all quoted"), (Quotes::Texts, ", texts quoted")];

impl Style {
    pub(super) fn head(&self) -> String {
        let delimiter = DELIMITERS.iter().find(|one| one.0 == self.delimiter).map_or("", |one| one.1);
        let quotes = QUOTES.iter().find(|one| one.0 == self.quotes).map_or("", |one| one.1);
        format!("{WORD} {delimiter}{quotes}")
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        DELIMITERS.iter().find_map(|(delimiter, word)| {
            let rest = text.strip_prefix(word)?;
            let quotes = QUOTES.iter().find(|one| one.1 == rest)?.0;
            Some(Self { delimiter: *delimiter, quotes })
        })
    }

    pub(super) fn line(&self, cells: &[impl AsRef<str>]) -> String {
        let mut out = String::new();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                out.push(self.delimiter);
            }
            let cell = cell.as_ref();
            if self.is_quoted(cell) {
                out.push('"');
                out.push_str(&cell.replace('"', "\"\""));
                out.push('"');
            } else {
                out.push_str(cell);
            }
        }
        out
    }

    fn is_quoted(&self, cell: &str) -> bool {
        // All delimiters are ASCII.
        cell.bytes().any(|byte| char::from(byte) == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r'))
            || match self.quotes {
                Quotes::Needed => false,
                Quotes::All => true,
                Quotes::Texts => cell.parse::<f64>().is_err(),
            }
    }
}

/// Cuts by the first delimiter with which nearly all lines have as many cells as the first.
pub(super) fn cut(block: &str) -> Option<Cut<'_>> {
    DELIMITERS.iter().find_map(|(delimiter, _)| {
        let first = block.lines().next()?;
        if !first.contains(*delimiter) {
            return None;
        }
        let lines = records(block, *delimiter);
        let width = lines.first()?.1.len();
        let alike = lines.iter().filter(|line| line.1.len() == width).count();
        if width < 2 || lines.len() <= MANY || alike * 8 < lines.len() * 7 {
            return None;
        }
        let fits = |quotes: Quotes| {
            let style = Style { delimiter: *delimiter, quotes };
            let as_it_is = |line: &&(Range<usize>, Vec<Cow<'_, str>>)| {
                block.get(line.0.clone()).is_some_and(|text| style.line(&line.1) == text)
            };
            lines.iter().take(100).filter(as_it_is).count()
        };
        let quotes = QUOTES.iter().map(|one| one.0).max_by_key(|quotes| (fits(*quotes), *quotes == Quotes::Needed))?;
        Some(Cut { layout: Layout::Csv(Style { delimiter: *delimiter, quotes }), width, lines })
    })
}

/// The lines, where those with an open quote go on in the next one.
fn records(block: &str, delimiter: char) -> Vec<(Range<usize>, Vec<Cow<'_, str>>)> {
    let mut records = Vec::new();
    let mut open: Option<usize> = None;
    for line in lines(block).0 {
        let from = open.unwrap_or(line.start);
        let quotes = block.get(line.clone()).unwrap_or_default().bytes().filter(|byte| *byte == b'"').count();
        let closed = (quotes % 2 == 0) == open.is_none();
        open = if closed { None } else { Some(from) };
        if closed {
            records.push((from..line.end, cells(block.get(from..line.end).unwrap_or_default(), delimiter)));
        }
    }
    if let Some(from) = open {
        records.push((from..block.len(), Vec::new()));
    }
    records
}

fn cells(line: &str, delimiter: char) -> Vec<Cow<'_, str>> {
    let mut cells = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let quoted = text.strip_prefix('"').and_then(|inner| quoted(inner, delimiter));
        let (cell, after) = quoted.unwrap_or_else(|| {
            text.split_once(delimiter).map_or((Cow::Borrowed(text), None), |(cell, after)| (cell.into(), Some(after)))
        });
        cells.push(cell);
        rest = after;
    }
    cells
}

/// A cell after its opening quote, and what follows the delimiter.
fn quoted(text: &str, delimiter: char) -> Option<(Cow<'_, str>, Option<&str>)> {
    let mut at = 0;
    loop {
        at += text.get(at..)?.find('"')?;
        if text.as_bytes().get(at + 1) != Some(&b'"') {
            break;
        }
        at += 2;
    }
    let after = text.get(at + 1..)?;
    let after = if after.is_empty() { None } else { Some(after.strip_prefix(delimiter)?) };
    let cell = text.get(..at)?;
    Some((if cell.contains('"') { cell.replace("\"\"", "\"").into() } else { cell.into() }, after))
}

pub(super) fn write(style: &Style, lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(|line| line.as_ref().map_or_else(|odd| (*odd).to_owned(), |cells| style.line(cells))).collect()
}
