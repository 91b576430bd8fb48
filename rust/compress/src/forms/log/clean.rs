//! Lines as a terminal would show them.

use std::borrow::Cow;

/// Without colours, and of a line that was written over and over (a progress bar) only what stood there last.
pub(super) fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(['\r', '\x1b']) {
        return text;
    }
    let lines = text.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        without_colours(line.rsplit('\r').next().unwrap_or(line))
    });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// Without the sequences that begin with ESC and `[` and end with a letter.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        out.push_str(rest.get(..at).unwrap_or_default());
        let behind = rest.get(at + 2..).unwrap_or_default();
        let length = behind.bytes().take_while(|byte| (b' '..b'@').contains(byte)).count();
        rest = behind.get(length..).unwrap_or_default();
        rest = rest.strip_prefix(|last: char| ('@'..='~').contains(&last)).unwrap_or(rest);
    }
    out.push_str(rest);
    out
}
