//! Lines that a pattern matches, as grep prints them.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use regex_automata::{meta::Regex, util::syntax};

use super::{Expanded, Place, Unreadable, cut, lines::Lines};

/// A pattern that becomes larger than this is refused: it bounds what one character can cost.
const COMPILED_BYTES: usize = 1 << 20;
const NESTED: u32 = 50;

/// A regular expression of a stranger.
pub(super) fn compiled(pattern: &str) -> Result<Regex, Unreadable> {
    let limits = Regex::config().nfa_size_limit(Some(COMPILED_BYTES));
    let built = Regex::builder().configure(limits).syntax(syntax::Config::new().nest_limit(NESTED)).build(pattern);
    built.map_err(|error| {
        Unreadable::Pattern(match (error.size_limit(), error.syntax_error()) {
            (Some(_), _) => format!("it becomes larger than {COMPILED_BYTES} bytes; say it shorter"),
            (None, Some(why)) => why.to_string(),
            (None, None) => error.to_string(),
        })
    })
}

/// All lines that match, with those around them.
pub(super) fn matching(
    original: &str,
    pattern: &str,
    context: usize,
    within: (usize, usize),
    max_tokens: Option<usize>,
) -> Result<Expanded, Unreadable> {
    let regex = compiled(pattern)?;
    let lines = Lines::of(original);
    let last = within.1.min(lines.count());
    if lines.count() > 0 && (within.0 == 0 || within.0 > last) {
        return Err(Unreadable::NoSuchLines(lines.count()));
    }
    let matches: Vec<usize> = (within.0..=last).filter(|number| regex.is_match(lines.line(*number))).collect();
    let mut printed = 0;
    let blocks = matches.iter().enumerate().map(|(at, number)| {
        // Lines behind a match go up to the next one: no line is printed twice.
        let before_next = matches.get(at + 1).map_or(last, |next| next - 1);
        let first = number.saturating_sub(context).max(within.0).max(printed + 1);
        let is_apart = context > 0 && printed > 0 && first > printed + 1;
        printed = number.saturating_add(context).min(before_next);
        block(&lines, first..=printed, *number, is_apart)
    });
    let (text, tokens, shown) = cut::joined(blocks, max_tokens);
    let next = matches.get(shown).map(|next| Place::Lines(*next, last));
    // Not even the first match fits whole: it can be read by its bytes.
    let begun = if shown == 0 { matches.first() } else { None };
    let Some(number) = begun else {
        return Ok(Expanded { text, tokens, found: matches.len(), shown, next, widened: None });
    };
    let (kept, tokens) = cut::prefix(&text, max_tokens);
    let next = Some(Place::Bytes(lines.range(*number, *number)?));
    Ok(Expanded {
        text: text.get(..kept).unwrap_or_default().to_owned(),
        tokens,
        found: matches.len(),
        shown: 1,
        next,
        widened: None,
    })
}

fn block(lines: &Lines<'_>, range: RangeInclusive<usize>, matched: usize, is_apart: bool) -> String {
    let mut out = String::new();
    if is_apart {
        out.push_str("--\n");
    }
    for number in range {
        let sign = if number == matched { ':' } else { '-' };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{number}{sign}{}", lines.line(number));
    }
    out
}
