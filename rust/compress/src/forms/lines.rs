//! Text of no kind that we know: a unit a line, printed as it is.

use std::borrow::Cow;

use crate::outline::{Group, Outline, Unit};

pub(super) fn outline(block: &str) -> Outline<'_> {
    let mut at = 0;
    let units = block
        .split('\n')
        .map(|line| {
            let source = at..at + line.len();
            at = source.end + 1;
            Unit::new(0, Cow::Borrowed(line), source)
        })
        .collect();
    Outline { groups: vec![Group::default()], units }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_lines_printed_are_the_text(text in "(\\PC{0,12}|\r?\n){0,20}") {
            prop_assert_eq!(outline(&text).whole(), text);
        }
    }
}
