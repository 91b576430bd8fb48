//! What shows no bounds of its own: paragraphs, each judged by how its lines look, and neighbours joined.

use std::ops::Range;

use super::{
    Part, columns,
    line::{self, Look},
    spans::Finder,
};
use crate::{Kind, policy::Hints};

/// The bytes of a long line.
const LONG_LINE: usize = 1_000;

/// Lines of one kind; `firm` if a structure said so and not the look of them.
struct Piece {
    kind: Kind,
    lines: Range<usize>,
    firm: bool,
}

pub(super) fn judge(text: &str, lines: &[Range<usize>], hints: &Hints<'_>) -> Vec<Part> {
    let pieces = joined(absorbed(joined(pieces(text, lines)), hints));
    let last = pieces.len().saturating_sub(1);
    let bytes = |piece: &Piece| {
        let start = lines.get(piece.lines.start).map_or(0, |line| line.start);
        let end = piece.lines.end.checked_sub(1).and_then(|at| lines.get(at)).map_or(start, |line| line.end);
        start..end
    };
    pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| {
            let range = bytes(piece);
            // To leave one of such lines out is to leave out nearly all: what a program prints of a list, say. They are
            // chosen from as prose is, sentence by sentence.
            let long = piece.kind == Kind::Text && range.len() >= LONG_LINE * piece.lines.len();
            let kind = if long { Kind::Prose } else { piece.kind };
            Part { kind, range: range.start..if at == last { text.len() } else { range.end } }
        })
        .collect()
}

/// All lines, in order, each in one piece.
fn pieces(text: &str, lines: &[Range<usize>]) -> Vec<Piece> {
    let mut finder = Finder::new(text, lines);
    let mut pieces = Vec::new();
    let (mut at, mut free) = (0, 0);
    while at < lines.len() {
        let Some(span) = finder.at(at) else {
            at += 1;
            continue;
        };
        paragraphs(&finder, free..span.lines.start, &mut pieces);
        let kind = span.kind.unwrap_or_else(|| fenced(&finder, span.lines.clone(), text, lines));
        at = span.lines.end;
        // The line that closes a fence must not open the next one.
        free = at;
        at += usize::from(span.kind.is_none());
        pieces.push(Piece { kind, lines: span.lines, firm: true });
    }
    paragraphs(&finder, free..lines.len(), &mut pieces);
    pieces
}

/// What stands between fences, if its begin does not say.
fn fenced(finder: &Finder<'_>, inner: Range<usize>, text: &str, lines: &[Range<usize>]) -> Kind {
    let bytes =
        lines.get(inner.start).zip(lines.get(inner.end - 1)).map_or(0..0, |(first, last)| first.start..last.end);
    if let Some(kind) = text.get(bytes).and_then(super::json::whole) {
        return kind;
    }
    let mut kinds = Vec::new();
    paragraphs(finder, inner.clone(), &mut kinds);
    let most = kinds.iter().max_by_key(|piece| piece.lines.len()).map(|piece| piece.kind);
    let told = finder.line(inner.start.saturating_sub(1)).trim_start_matches(['`', '~']).trim();
    match most {
        Some(kind @ (Kind::Log | Kind::Trace | Kind::Build | Kind::Search | Kind::Table | Kind::Html)) => kind,
        Some(kind) if told.is_empty() || told == "text" || told == "txt" => kind,
        _ => Kind::Code,
    }
}

/// Judges lines between blank ones; blank lines go with those before them.
fn paragraphs(finder: &Finder<'_>, lines: Range<usize>, pieces: &mut Vec<Piece>) {
    let mut start = lines.start;
    let mut looks = Vec::new();
    let mut ended = false;
    for at in lines.clone() {
        let look = line::look(finder.line(at));
        if ended && look != Look::Blank {
            pieces.push(Piece { kind: kind(finder, start..at, &looks), lines: start..at, firm: false });
            (start, ended) = (at, false);
            looks.clear();
        }
        ended |= look == Look::Blank && !looks.is_empty();
        if look != Look::Blank {
            looks.push(look);
        }
    }
    if start < lines.end {
        pieces.push(Piece { kind: kind(finder, start..lines.end, &looks), lines: start..lines.end, firm: false });
    }
}

fn kind(finder: &Finder<'_>, lines: Range<usize>, looks: &[Look]) -> Kind {
    let count = |look: Look| looks.iter().filter(|other| **other == look).count();
    let most = |found: usize, percent: usize| found > 0 && found * 100 >= looks.len() * percent;
    let traces = count(Look::TraceHead) + count(Look::Frame);
    let (logs, words) = (count(Look::Log), count(Look::Words));
    let (builds, settings) = (count(Look::Build), count(Look::Setting));
    let code = count(Look::Code) + settings;
    // What has times of day in its columns is no log, if a line of names stands above them.
    if looks.len() > 3 && line::is_header(finder.line(lines.start)) && is_table(finder, lines.clone()) {
        Kind::Table
    } else if most(count(Look::Hit), 60) {
        Kind::Search
    } else if most(logs, 50) {
        Kind::Log
    } else if traces > 1 && most(traces, 30) || looks.first() == Some(&Look::TraceHead) && looks.len() < 4 {
        Kind::Trace
    } else if builds > 0 && most(builds + count(Look::Shown), 30) {
        Kind::Build
    } else if most(count(Look::Tag), 50) {
        Kind::Html
    } else if looks.len() > 1 && is_table(finder, lines.clone()) {
        Kind::Table
    } else if most(logs, 25) {
        Kind::Log
    } else if settings > 1 && most(settings + comments(finder, lines), 80) {
        // Comments are no headings where settings stand under them.
        Kind::Code
    } else if most(code, 50) || looks.len() > 2 && most(code, 40) && !most(words, 40) {
        Kind::Code
    } else if most(words + count(Look::Markdown), 50) {
        Kind::Prose
    } else {
        Kind::Text
    }
}

/// Lines that begin with the sign of a comment.
fn comments(finder: &Finder<'_>, lines: Range<usize>) -> usize {
    lines.filter(|at| finder.line(*at).trim_start().starts_with(['#', ';'])).count()
}

fn is_table(finder: &Finder<'_>, lines: Range<usize>) -> bool {
    let filled: Vec<&str> = lines.map(|at| finder.line(at)).filter(|line| !line.trim().is_empty()).collect();
    columns::are_table(&filled)
}

/// Gives what is small and vague to the kind that most of the text is of.
fn absorbed(pieces: Vec<Piece>, hints: &Hints<'_>) -> Vec<Piece> {
    let Some((kind, share)) = dominant(&pieces, hints) else { return pieces };
    let takes = |other: Kind| match kind {
        // What a test runner shows of the source may look like columns.
        Kind::Build if other == Kind::Table => true,
        Kind::Log | Kind::Build => matches!(
            other,
            Kind::Text | Kind::Prose | Kind::Trace | Kind::Code | Kind::Build | Kind::Log | Kind::Search | Kind::Html
        ),
        Kind::Trace => matches!(other, Kind::Text | Kind::Code | Kind::Prose | Kind::Build),
        Kind::Code => matches!(other, Kind::Text | Kind::Prose | Kind::Build | Kind::Table | Kind::Log | Kind::Html),
        Kind::Search => matches!(other, Kind::Text | Kind::Code | Kind::Build),
        Kind::Prose => matches!(other, Kind::Text),
        Kind::Html => matches!(other, Kind::Text | Kind::Prose | Kind::Code),
        _ => false,
    };
    pieces
        .into_iter()
        .map(|piece| {
            let gives = !piece.firm && takes(piece.kind) && (share >= 50 || piece.lines.len() < 4);
            Piece { kind: if gives { kind } else { piece.kind }, ..piece }
        })
        .collect()
}

/// The kind of most lines, and how many in a hundred.
fn dominant(pieces: &[Piece], hints: &Hints<'_>) -> Option<(Kind, usize)> {
    let mut kinds: Vec<(Kind, usize)> = Vec::new();
    for piece in pieces {
        // A trace in a log is a part of the log.
        match kinds.iter_mut().find(|(kind, _)| *kind == piece.kind) {
            Some((_, lines)) => *lines += piece.lines.len(),
            None => kinds.push((piece.kind, piece.lines.len())),
        }
    }
    let all: usize = kinds.iter().map(|(_, lines)| lines).sum();
    let vague = matches!(kinds.as_slice(), [(Kind::Text, _)]);
    if let Some(kind) = told(hints).filter(|_| vague) {
        return Some((kind, 100));
    }
    let firm_kinds = |kind: Kind| matches!(kind, Kind::Text | Kind::Json | Kind::Diff | Kind::Table);
    let (kind, lines) =
        kinds.into_iter().filter(|(kind, _)| !firm_kinds(*kind)).max_by_key(|(kind, lines)| (*lines, *kind))?;
    (lines * 100 >= all * 30).then_some((kind, lines * 100 / all.max(1)))
}

/// What the file's or the tool's name says.
fn told(hints: &Hints<'_>) -> Option<Kind> {
    let extension = hints.name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "rs" | "py" | "js" | "ts" | "tsx" | "jsx" | "go" | "java" | "kt" | "c" | "h" | "cc" | "cpp" | "cs" | "rb"
        | "php" | "sh" | "swift" | "scala" | "lua" | "sql" | "toml" | "yaml" | "yml" => Some(Kind::Code),
        "md" | "rst" | "txt" if !hints.name.contains("log") => Some(Kind::Prose),
        "log" => Some(Kind::Log),
        _ => None,
    }
}

fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match out.last_mut().filter(|last| last.kind == piece.kind && !(last.kind == Kind::Json && last.firm)) {
            Some(last) => {
                last.lines.end = piece.lines.end;
                last.firm |= piece.firm;
            }
            None => out.push(piece),
        }
    }
    out
}
