//! What the press promises, for any text, query and budget.

use omnimind_compress::{Kind, Outcome, Policy, compress, decode, lossless, report::Form, tokens};

/// Two bytes of budget, one of the query's length, the query, the text. The budget is met, the count is true, the same
/// comes out twice, and what is not there is said; without a budget everything is read back.
pub fn press(raw: &[u8]) {
    let [low, high, length, rest @ ..] = raw else { return };
    let (query, text) = rest.split_at(usize::from(*length).min(rest.len()));
    let (query, text) = (String::from_utf8_lossy(query), String::from_utf8_lossy(text));
    let budget = usize::from(u16::from_le_bytes([*low, *high]));
    let policy = Policy { budget: Some(budget), query: &query, ..Policy::default() };
    let outcome = compress(&text, &policy);
    assert!(outcome.tokens_after <= budget, "{} tokens of {budget}", outcome.tokens_after);
    accounted(&text, &outcome);
    assert_eq!(outcome, compress(&text, &policy));
    let cut = outcome.blocks.iter().any(|block| block.form == Form::Cut);
    assert_eq!(outcome.preserved, outcome.missing.is_empty(), "what is missing is said");
    assert!(outcome.preserved || cut, "nothing is missing where nothing was cut");

    let whole = lossless(&text);
    assert!(whole.preserved && whole.tokens_after <= whole.tokens_before);
    accounted(&text, &whole);
    let read = decode(&whole).expect("a text that was not cut");
    let json = |kind| matches!(kind, Kind::Json | Kind::JsonLines | Kind::Tools);
    if !whole.blocks.iter().any(|block| block.form == Form::Whole && json(block.kind)) {
        assert_eq!(read, text);
    }
}

/// The counts are those of the texts, and the blocks, with a line end between two, are all of the original.
fn accounted(text: &str, outcome: &Outcome) {
    assert_eq!(outcome.tokens_before, tokens::count(text));
    assert_eq!(outcome.tokens_after, tokens::count(&outcome.text));
    let mut at = 0;
    for block in &outcome.blocks {
        assert_eq!(block.bytes.start, at);
        assert!(outcome.text.get(block.printed.clone()).is_some());
        at = block.bytes.end + 1;
    }
    assert_eq!(at, text.len() + 1);
    for gap in &outcome.omissions {
        assert!(gap.lines.0 >= 1 && gap.lines.0 <= gap.lines.1 && text.get(gap.bytes.clone()).is_some());
    }
}
