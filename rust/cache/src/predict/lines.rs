//! Text as a list of lines, for tools that answer in words.
//!
//! A line offers up to three readings: the whole line (`src/lib.rs`), what follows its first word (`[FILE] lib.rs`,
//! `commit 3f2a…`; lines with the same first word are one list), and what stands before its first colon
//! (`src/lib.rs:12: fn main`). The last three lines also offer their numbers under the words around them, so that
//! "... 40 more; go on with offset 60" is found again whatever the numbers are, and only where such a line stands.

use super::value::Kind;
use super::view::{ELEMENTS, Path, Sink, step};

const TAIL_LINES: usize = 3;
const TAIL_WORDS: usize = 6;

pub(super) fn see(text: &str, path: Path, sink: &mut Sink) {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut seen = 0;
    for (place, line) in (0_u16..).zip(lines.clone().take(ELEMENTS)) {
        seen += 1;
        read(line, path, place, sink);
    }
    sink.list(seen);
    for line in lines.rev().take(TAIL_LINES) {
        if line.starts_with("...") || line.starts_with('…') {
            sink.more();
        }
        read_tail(line, path, sink);
    }
}

fn read(line: &str, path: Path, place: u16, sink: &mut Sink) {
    sink.push(step(path, b"line"), Some(place), Kind::Text, line);
    if let Some((first, rest)) = line.split_once(char::is_whitespace) {
        let first = without_digits(first);
        sink.push(step(step(path, b"after"), first.as_bytes()), Some(place), Kind::Text, rest.trim_start());
    }
    if let Some((name, _)) = line.split_once(':')
        && name.len() > 2
        && !name.contains(char::is_whitespace)
    {
        sink.push(step(path, b"before"), Some(place), Kind::Text, name);
    }
}

fn read_tail(line: &str, path: Path, sink: &mut Sink) {
    let start = line.match_indices(char::is_whitespace).rev().nth(TAIL_WORDS - 1).map_or(0, |(at, _)| at + 1);
    let Some(words) = line.get(start..) else { return };
    let numbers =
        words.split(|letter: char| !letter.is_ascii_digit()).filter(|number| (1..=18).contains(&number.len()));
    let around = step(step(path, b"tail"), without_digits(words).as_bytes());
    for (which, number) in (0_u8..8).zip(numbers) {
        if number == "0" || !number.starts_with('0') {
            sink.push(step(around, &[which]), None, Kind::Number, number);
        }
    }
}

/// The words with every number as one mark.
fn without_digits(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter.is_ascii_digit() {
            true if out.ends_with('#') => {}
            true => out.push('#'),
            false => out.push(letter),
        }
    }
    out
}
