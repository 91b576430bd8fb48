//! Columns made of spaces, as `ls -l`, `ps`, `df` and `kubectl get` print them.
//!
//! A column begins at one place, or ends at one; a cell that is too long pushes the next one a space (or two) away.

use std::{borrow::Cow, ops::Range};

use super::{Cut, Layout, Line, MANY, ODD, lines};

pub(super) const WORD: &str = "Columns";
/// Lines looked at to find the columns, and one more than the columns there may be.
const SAMPLE: usize = 200;
const MOST: usize = 64;

/// Where a column stands, in characters from the line's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop {
    at: usize,
    /// It ends there; otherwise it begins there.
    right: bool,
    /// Spaces before it, at least.
    gap: usize,
}

pub(super) fn head(stops: &[Stop]) -> String {
    let gap = stops.last().map_or(1, |stop| stop.gap);
    let mut out = format!("{WORD} {gap} apart, at");
    for stop in stops {
        out.push_str(if stop.right { " >" } else { " " });
        out.push_str(&stop.at.to_string());
    }
    out
}

pub(super) fn read(text: &str) -> Option<Vec<Stop>> {
    let (gap, stops) = text.split_once(" apart, at ")?;
    let gap = gap.parse().ok()?;
    let stop = |text: &str| {
        let right = text.strip_prefix('>');
        // No line is so wide that its columns stand further out.
        let at = right.unwrap_or(text).parse().ok().filter(|at| *at < 100_000)?;
        Some(Stop { at, right: right.is_some(), gap })
    };
    stops.split(' ').map(stop).collect()
}

pub(super) fn line(stops: &[Stop], cells: &[impl AsRef<str>]) -> String {
    let mut out = String::new();
    let mut length = 0_usize;
    for (index, (stop, cell)) in stops.iter().zip(cells).enumerate() {
        let cell = cell.as_ref();
        let count = cell.chars().count();
        let from = if stop.right { stop.at.saturating_sub(count) } else { stop.at };
        let least = if index == 0 { 0 } else { length + stop.gap };
        let from = from.max(least);
        out.extend(std::iter::repeat_n(' ', from - length));
        out.push_str(cell);
        length = from + count;
    }
    out
}

pub(super) fn write(stops: &[Stop], lines: &[Line<'_>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.as_ref().map_or_else(|odd| (*odd).to_owned(), |cells| self::line(stops, cells)))
        .collect()
}

/// Cuts at two spaces or more, or at one or more, into as many cells as the first line has or as nearly all lines have
/// at least, whichever makes more lines fit.
pub(super) fn cut(block: &str) -> Option<Cut<'_>> {
    let (ranges, _) = lines(block);
    if ranges.len() <= MANY {
        return None;
    }
    let sample = ranges.get(..ranges.len().min(SAMPLE))?;
    let mut best: Option<((bool, usize), usize, usize)> = None;
    // At equal count the wider gap is the later one: fewer texts are torn.
    for gap in [1, 2] {
        let counts: Vec<usize> = sample
            .iter()
            .map(|range| words(block.get(range.clone()).unwrap_or_default(), gap, usize::MAX).len())
            .collect();
        let first = counts.first().copied();
        for width in [common(counts), first].into_iter().flatten().filter(|width| (2..MOST).contains(width)) {
            let (stops, lines) = with(block, sample, gap, width);
            let fits = lines.iter().filter(|row| is_row(&stops, row, block)).count();
            let worth = (fits * ODD >= lines.len() * (ODD - 1), fits * width);
            if best.is_none_or(|best| worth >= best.0) {
                best = Some((worth, gap, width));
            }
        }
    }
    let (_, gap, width) = best?;
    let (stops, lines) = with(block, &ranges, gap, width);
    Some(Cut { layout: Layout::Fixed(stops), width, lines })
}

/// The words of the lines, each with its place, and the columns' stops.
type Words<'a> = Vec<(Range<usize>, Vec<Cow<'a, str>>)>;

fn with<'a>(block: &'a str, ranges: &[Range<usize>], gap: usize, width: usize) -> (Vec<Stop>, Words<'a>) {
    let text = |range: &Range<usize>| block.get(range.clone()).unwrap_or_default();
    let rows: Vec<Vec<(usize, &str)>> = ranges.iter().map(|range| words(text(range), gap, width)).collect();
    let full = || rows.iter().filter(|row| row.len() == width);
    let stops = (0..width)
        .map(|column| {
            let begins = full().filter_map(|row| row.get(column)).map(|cell| cell.0);
            let ends = full().filter_map(|row| row.get(column)).map(|cell| cell.0 + cell.1.chars().count());
            let (begin, begin_count) = commonest(begins);
            let (end, end_count) = commonest(ends);
            let right = end_count > begin_count;
            Stop { at: if right { end } else { begin }, right, gap }
        })
        .collect();
    let cells = |row: &Vec<(usize, &'a str)>| row.iter().map(|cell| Cow::Borrowed(cell.1)).collect();
    (stops, ranges.iter().zip(&rows).map(|(range, row)| (range.clone(), cells(row))).collect())
}

fn is_row(stops: &[Stop], row: &(Range<usize>, Vec<Cow<'_, str>>), block: &str) -> bool {
    row.1.len() == stops.len() && block.get(row.0.clone()).is_some_and(|text| line(stops, &row.1) == text)
}

/// The number of words that nine lines of ten have at least.
fn common(mut counts: Vec<usize>) -> Option<usize> {
    counts.sort_unstable();
    counts.get(counts.len() / 10).copied()
}

/// The words of a line, `gap` spaces or more apart, with the character at which each begins; the last of `width` words
/// goes on to the line's end.
fn words(line: &str, gap: usize, width: usize) -> Vec<(usize, &str)> {
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut begin: Option<(usize, usize)> = None;
    let mut spaces = 0;
    for (count, (at, sign)) in line.char_indices().enumerate() {
        if sign == ' ' {
            spaces += 1;
            continue;
        }
        if let Some((from, first)) = begin.filter(|_| spaces >= gap && words.len() + 1 < width) {
            words.push((first, line.get(from..at - spaces).unwrap_or_default()));
            begin = None;
        }
        begin = begin.or(Some((at, count)));
        spaces = 0;
    }
    if let Some((from, first)) = begin {
        words.push((first, line.get(from..line.len() - spaces).unwrap_or_default()));
    }
    words
}

/// The number that comes most often, and how often.
fn commonest(numbers: impl Iterator<Item = usize>) -> (usize, usize) {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    let runs = numbers.chunk_by(|one, other| one == other).filter_map(|run| Some((*run.first()?, run.len())));
    runs.max_by_key(|run| (run.1, std::cmp::Reverse(run.0))).unwrap_or((0, 0))
}
