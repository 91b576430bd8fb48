//! JSON is what parses.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::Kind;

/// The kind of a text that is one JSON value, an object or an array.
pub(super) fn whole(text: &str) -> Option<Kind> {
    let bare = text.trim();
    if !matches!(bare.as_bytes(), [b'{', .., b'}'] | [b'[', .., b']']) || !parses(bare) {
        return None;
    }
    Some(if is_tools(bare) { Kind::Tools } else { Kind::Json })
}

fn parses(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A `tools/list` result, bare or within the answer it came in: items with a name and the schema of what goes in.
fn is_tools(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Answer {
        result: Option<List>,
        tools: Option<Vec<Tool>>,
    }
    #[derive(serde::Deserialize)]
    struct List {
        tools: Option<Vec<Tool>>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tool {
        #[serde(rename = "name")]
        _name: serde::de::IgnoredAny,
        #[serde(rename = "inputSchema")]
        _input_schema: serde::de::IgnoredAny,
    }
    if !text.contains("\"tools\"") || !text.contains("\"inputSchema\"") {
        return false;
    }
    let Ok(answer) = serde_json::from_str::<Answer>(text) else { return false };
    answer.tools.or(answer.result.and_then(|list| list.tools)).is_some_and(|tools| !tools.is_empty())
}

/// At least two lines, nine of ten of them JSON objects or arrays.
pub(super) fn are_lines(text: &str, lines: &[Range<usize>]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    let filled =
        lines.iter().filter_map(|range| text.get(range.clone())).map(str::trim).filter(|line| !line.is_empty());
    for line in filled {
        if is_value(line) {
            good += 1;
        } else {
            bad += 1;
            // With so many failures at the begin nobody needs to read on.
            if bad > 20 && bad * 9 > good {
                return false;
            }
        }
    }
    good >= 2 && bad * 9 <= good
}

/// A line that is an object or an array by itself.
pub(super) fn is_value(line: &str) -> bool {
    matches!(line.as_bytes(), [b'{', .., b'}'] | [b'[', .., b']']) && parses(line)
}

/// The length of the JSON value that a text begins with, if it ends where a line does. What a failed try has read is
/// taken off `allowance`.
pub(super) fn leading(text: &str, allowance: &mut usize) -> Option<usize> {
    if *allowance == 0 {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let read = stream.next()?;
    let end = stream.byte_offset();
    let rest = text.get(end..)?;
    let tail = rest.find('\n').map_or(rest, |at| rest.get(..at).unwrap_or_default());
    if read.is_ok() && tail.trim().is_empty() {
        return Some(end + tail.len());
    }
    let failed_at = read.err().map_or(end, |error| lines_before(text, error.line()));
    *allowance = allowance.saturating_sub(failed_at.max(16));
    None
}

/// The bytes of the first `count` lines.
fn lines_before(text: &str, count: usize) -> usize {
    text.split_inclusive('\n').take(count).map(str::len).sum()
}
