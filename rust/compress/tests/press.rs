//! What the press promises, over mixed texts: the budget, the same bytes each time, nothing lost without one.
#![allow(clippy::unwrap_used, reason = "a test may")]

use omnimind_compress::{Kind, Outcome, Policy, compress, decode, lossless, mark, report::Form, tokens};
use proptest::prelude::*;

fn within(budget: usize, query: &str, text: &str) -> Outcome {
    compress(text, &Policy { budget: Some(budget), query, ..Policy::default() })
}

/// A log in which one line of six hundred matters.
fn log() -> String {
    (0..600)
        .map(|at| match at {
            234 => {
                "2026-03-01 10:20:34 ERROR payments refund 7f3a9c1e-55aa-4b1c-9d2e-000000000017 failed: ledger closed\n"
                    .to_owned()
            }
            _ => format!(
                "2026-03-01 10:{:02}:{:02} INFO http GET /orders/{} 200 in {} ms\n",
                at / 60,
                at % 60,
                at * 7,
                at % 31
            ),
        })
        .collect()
}

#[test]
fn the_line_that_is_asked_for_is_kept_and_its_gap_is_marked() {
    let text = log();
    let before = tokens::count(&text);
    let outcome = within(before / 4, "why did the refund fail?", &text);
    assert_eq!(outcome.tokens_before, before);
    assert!(outcome.tokens_after <= before / 4);
    assert_eq!(outcome.tokens_after, tokens::count(&outcome.text));
    assert!(outcome.text.contains("7f3a9c1e-55aa-4b1c-9d2e-000000000017"), "{}", outcome.text);
    let legend = outcome.text.lines().next().unwrap();
    assert!(mark::verify_legend(legend, &outcome.handle, &[0; 32]), "{legend}");
    assert!(!outcome.omissions.is_empty());
}

#[test]
fn rows_that_a_program_printed_on_one_line_are_chosen_from_and_not_all_left_out() {
    let row = |at: usize| format!("{{'id': {at}, 'town': 'Turku', 'state': 'paid', 'euro': {}.5}}", at * 7);
    let text = format!("[{}]", (0..80).map(row).collect::<Vec<_>>().join(", "));
    let before = tokens::count(&text);
    let outcome = within(before / 4, "SELECT * FROM orders WHERE town = 'Turku'", &text);
    assert!(outcome.tokens_after <= before / 4);
    assert!(outcome.tokens_after >= before / 10, "{}", outcome.text);
}

#[test]
fn what_fits_is_left_whole() {
    let text = "One.\nTwo.\n";
    let outcome = within(100, "", text);
    assert_eq!((outcome.text.as_str(), outcome.preserved, outcome.omissions.len()), (text, true, 0));
}

#[test]
fn sentences_that_say_nearly_the_same_become_one_with_their_number() {
    let sentence = |at: usize| match at {
        31 => "The north gate stays shut until the bridge has been mended. ".to_owned(),
        _ => format!("Node {at} of the fleet answered the probe within {} ms on its first try. ", at * 7),
    };
    let text: String = (0..60).map(|at| sentence(at) + if at % 6 == 5 { "\n\n" } else { "" }).collect();
    let outcome = within(tokens::count(&text) / 4, "when does the gate open?", &text);
    assert!(outcome.text.contains("until the bridge has been mended."), "{}", outcome.text);
    let shown = outcome.text.matches("answered the probe").count();
    let counted = outcome.text.split("(+").nth(1).and_then(|rest| rest.split(" alike)").next()).unwrap();
    assert_eq!(shown + counted.parse::<usize>().unwrap(), 59, "{}", outcome.text);
    assert!(outcome.text.contains("[…"), "a mark says where they stood");
    assert!(shown <= 12, "{}", outcome.text);
}

#[test]
fn a_diff_whose_changes_are_there_has_lost_nothing_critical() {
    let hunk = |at: usize| {
        let around = "     The ledger keeps what was agreed, and work went on as it does every week.\n";
        format!(
            "@@ -{at}0,8 +{at}0,8 @@ def keep():\n{}-    limit_{at} = {at}5\n+    limit_{at} = {at}777\n{}",
            around.repeat(3),
            around.repeat(4)
        )
    };
    let text: String = (1..30).map(hunk).collect();
    let text = format!("diff --git a/a.py b/a.py\nindex 1111111..2222222 100644\n--- a/a.py\n+++ b/a.py\n{text}");
    let outcome = within(tokens::count(&text) / 4, "", &text);
    assert!(outcome.preserved, "{:?}", outcome.missing);
    for at in 1..30 {
        assert!(outcome.text.contains(&format!("{at}5\n+    limit_{at} = {at}777")), "{}", outcome.text);
    }
    let too_small = within(tokens::count(&text) / 20, "", &text);
    assert!(!too_small.preserved && !too_small.missing.is_empty());
}

#[test]
fn what_a_compiler_says_is_kept_before_the_source_that_it_shows() {
    let error = |at: usize| {
        let line = format!("let value_{at} = convert(input_{at}, other_{at}).await.unwrap_or_default();");
        format!(
            "error[E0{at}08]: wrong thing number {at}\n --> src/main.rs:{at}:4\n  |\n{at} | {line}\n  |     ^^^^ expected `u{at}`\n  |\n{at} | {line}\n\n"
        )
    };
    let text: String = (1..7).map(error).collect();
    let outcome = within(tokens::count(&text) / 3, "", &text);
    for at in 1..7 {
        assert!(outcome.text.contains(&format!("error[E0{at}08]: wrong thing number {at}")), "{}", outcome.text);
    }
}

#[test]
fn blank_lines_of_a_build_are_not_summed_up() {
    let text: Vec<String> =
        (0..60).map(|at| format!("Compiling part-{at} v1.{at}.0\n\nwarning: unused `x{at}`\n\n")).collect();
    let text = text.concat();
    let outcome = within(tokens::count(&text) / 4, "", &text);
    assert!(!outcome.text.lines().any(|line| line.trim_end().ends_with('×')), "{}", outcome.text);
}

#[test]
fn even_a_budget_of_one_token_is_met() {
    for budget in [0, 1, 2, 3, 5, 7, 8, 9, 12, 20, 33, 60, 99] {
        let outcome = within(budget, "refund", &log());
        assert!(outcome.tokens_after <= budget, "{budget}: {}", outcome.text);
        assert!(!outcome.omissions.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_text_breaks_the_promise_of_the_budget(text in mixed(), budget in 0_usize..400, query in "(\\PC{0,6} ?){0,3}") {
        let outcome = within(budget, &query, &text);
        prop_assert!(outcome.tokens_after <= budget, "{}", outcome.text);
        prop_assert_eq!(outcome.tokens_after, tokens::count(&outcome.text));
        prop_assert_eq!(outcome.tokens_before, tokens::count(&text));
        prop_assert_eq!(&outcome, &within(budget, &query, &text));
    }

    #[test]
    fn without_a_budget_everything_is_read_back(text in mixed()) {
        let outcome = lossless(&text);
        prop_assert!(outcome.tokens_after <= outcome.tokens_before);
        let read = decode(&outcome).unwrap();
        // Of JSON the value is read back, not the blanks between its parts.
        let json = outcome.blocks.iter().any(|block| matches!(block.kind, Kind::Json | Kind::JsonLines) && block.form == Form::Whole);
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        if json {
            prop_assert_eq!(bare(&read), bare(&text));
        } else {
            prop_assert_eq!(read, text);
        }
    }
}

/// Pieces of documents, put together.
fn mixed() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "(\\PC{0,12}\r?\n){0,4}",
        "([A-Z][a-z]{2,8}( [a-z]{2,8}){3,9}\\.( |\n)){1,6}",
        "(2026-0[1-9]-[0-2][1-9] 1[0-9]:[0-5][0-9]:00 (INFO|WARN|ERROR) [a-z]{3,6} id=[a-f0-9]{8}\n){2,9}",
        Just("```python\ndef f(x):\n    return x\n```\n".to_owned()),
        Just("{\n  \"a\": [1, 2, 3],\n  \"b\": {\"c\": \"d\"}\n}\n".to_owned()),
        Just("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n".to_owned()),
        "(src/[a-z]{3,5}\\.rs:[1-9][0-9]{0,2}:    let [a-z]{1,4} = [0-9]{1,4};\n){2,6}",
        "name,age,city\n([a-z]{3,6},[1-9][0-9],[A-Z][a-z]{3,6}\n){3,8}",
        "\\| a \\| b \\|\n\\|---\\|---\\|\n(\\| [a-z]{1,5} \\| [0-9]{1,4} \\|\n){1,6}",
        Just(
            "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad\n".to_owned()
        ),
        "[ \t\r\n]{0,6}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}
