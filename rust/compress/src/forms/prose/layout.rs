//! What the lines of a prose text are: headings, points, quotes, lines that stand for themselves, and lines that are
//! wrapped parts of a paragraph.

use std::ops::Range;

/// A heading without a sign is no longer than this, in bytes.
const TITLE: usize = 72;
/// The level of headings without a sign: under all others.
const PLAIN_LEVEL: u8 = 9;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Blank,
    /// `---`, `===`: between parts, or under a heading.
    Rule,
    /// With its level, 1 is the outermost.
    Heading(u8),
    /// It begins with a point's sign or number.
    Point,
    /// It begins with `>`.
    Quote,
    /// Quoted code, a fence, a table's row: a line for itself.
    Single,
    /// Words.
    Plain,
}

pub(super) struct Line {
    pub(super) shape: Shape,
    /// Its bytes without the line's end.
    pub(super) range: Range<usize>,
    /// It is a rule that makes a heading of the line above it.
    pub(super) underlines: bool,
}

/// All lines of the block.
pub(super) fn read(block: &str) -> Vec<Line> {
    let mut at = 0;
    let mut lines: Vec<Line> = block
        .split('\n')
        .map(|text| {
            let range = at..at + text.len();
            at = range.end + 1;
            Line { shape: shape(text), range, underlines: false }
        })
        .collect();
    for at in 0..lines.len() {
        let before = at.checked_sub(1).and_then(|before| lines.get(before)).map(|line| line.shape);
        if let Some(level) = heading(block, before, lines.get(at..).unwrap_or_default()) {
            if let Some(line) = lines.get_mut(at) {
                line.shape = Shape::Heading(level);
            }
            if let Some(next) = lines.get_mut(at + 1).filter(|next| next.shape == Shape::Rule) {
                next.underlines = true;
            }
        }
    }
    lines
}

fn shape(text: &str) -> Shape {
    let bare = text.trim_start();
    if bare.trim_end().is_empty() {
        return Shape::Blank;
    }
    let first = bare.as_bytes().first().copied().unwrap_or_default();
    match first {
        b'#' => marked(bare).map_or(Shape::Plain, Shape::Heading),
        b'`' | b'~' if bare.starts_with("```") || bare.starts_with("~~~") => Shape::Single,
        b'=' | b'-' | b'*' | b'_' | b'~' | b'^' | b'+' if is_rule(bare, first) => Shape::Rule,
        b'>' => Shape::Quote,
        b'|' => Shape::Single,
        b'-' | b'*' | b'+' if bare.as_bytes().get(1).is_some_and(|byte| matches!(byte, b' ' | b'\t')) => Shape::Point,
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'(' if is_numbered(bare) => Shape::Point,
        _ if ["•", "◦", "‣", "·", "–", "—", "*"]
            .iter()
            .any(|sign| bare.strip_prefix(sign).is_some_and(|rest| rest.starts_with(' '))) =>
        {
            Shape::Point
        }
        _ => Shape::Plain,
    }
}

/// The level of a heading with number signs.
fn marked(bare: &str) -> Option<u8> {
    let signs = bare.bytes().take(7).take_while(|byte| *byte == b'#').count();
    let spaced = bare.as_bytes().get(signs).is_none_or(|byte| matches!(byte, b' ' | b'\t'));
    (signs < 7 && spaced).then(|| u8::try_from(signs).unwrap_or(PLAIN_LEVEL))
}

fn is_rule(bare: &str, sign: u8) -> bool {
    let bare = bare.trim_end();
    bare.len() >= 3 && bare.bytes().all(|byte| byte == sign || byte == b' ')
}

/// `3.`, `3)`, `(3)`, `a)`, `3.1.2 `.
fn is_numbered(bare: &str) -> bool {
    let inner = bare.strip_prefix('(').unwrap_or(bare);
    let count = inner.bytes().take(4).take_while(u8::is_ascii_alphanumeric).count();
    let rest = inner.as_bytes().get(count..).unwrap_or_default();
    let all_digits = inner.bytes().take(count).all(|byte| byte.is_ascii_digit());
    let closed = match rest.first() {
        Some(b')') => all_digits && count <= 3 || count == 1,
        Some(b'.') => all_digits && count <= 3 && inner.len() == bare.len(),
        _ => false,
    };
    closed && matches!(rest.get(1), Some(b' ' | b'\t'))
}

/// The level of a heading without a sign, if the first of these lines is one.
fn heading(block: &str, before: Option<Shape>, lines: &[Line]) -> Option<u8> {
    let [line, rest @ ..] = lines else { return None };
    if !matches!(line.shape, Shape::Plain | Shape::Point)
        || before.is_some_and(|shape| !matches!(shape, Shape::Blank | Shape::Rule))
    {
        return None;
    }
    let text = block.get(line.range.clone()).unwrap_or_default();
    let next = rest.first()?;
    let under = block.get(next.range.clone()).unwrap_or_default().trim_end();
    if next.shape == Shape::Rule && !under.contains(' ') && line.shape == Shape::Plain && under.len() * 3 >= text.len()
    {
        return Some(if under.starts_with('=') { 1 } else { 2 });
    }
    // A line for itself above a paragraph that is longer than it.
    let words = rest.iter().find(|line| line.shape != Shape::Blank)?;
    let stands_out = next.shape == Shape::Blank
        && matches!(words.shape, Shape::Plain | Shape::Point)
        && words.range.len() > text.len();
    (stands_out && is_title(text, line.shape)).then_some(PLAIN_LEVEL)
}

/// A short line that is no sentence.
fn is_title(text: &str, shape: Shape) -> bool {
    let text = text.trim();
    let numbered = shape == Shape::Point;
    let first = text.chars().next().unwrap_or(' ');
    text.len() <= TITLE
        && (first.is_uppercase() || u32::from(first) > 0x2e80 || numbered && first.is_ascii_digit())
        && text.chars().next_back().is_some_and(|last| last.is_alphanumeric() || matches!(last, ')' | '”' | '»'))
        && text.split_whitespace().count() <= 10
        && !text.contains([':', '=', '"', '|'])
}

/// Whether the line was ended on purpose, and not because it was full: the next word would have had room in it, or the
/// next line begins further in.
pub(super) fn breaks(block: &str, line: &Line, next: &Line, widest: usize) -> bool {
    let text = block.get(line.range.clone()).unwrap_or_default().trim_end();
    let following = block.get(next.range.clone()).unwrap_or_default();
    let bare = following.trim_start_matches([' ', '\t', '>']);
    let word = bare.split(|sign: char| sign.is_whitespace()).next().unwrap_or_default();
    let lower = bare.chars().next().is_some_and(char::is_lowercase);
    let in_the_middle = text.ends_with([',', '-', '(', '/', '，', '、']);
    let room = text.len() + 1 + word.len() + 12 < widest;
    !in_the_middle && (!lower && (room || widest < 40) || following.starts_with("    "))
}
