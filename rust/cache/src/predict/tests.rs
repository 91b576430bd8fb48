use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const ANN: Caller = Caller { principal: 1, session: 10 };
const BOB: Caller = Caller { principal: 2, session: 20 };

/// A call as a test says it.
#[derive(Clone)]
struct Said {
    tool: &'static str,
    arguments: String,
    result: String,
    read_only: bool,
}

fn said(tool: &'static str, arguments: impl Into<String>, result: impl Into<String>) -> Said {
    Said { tool, arguments: arguments.into(), result: result.into(), read_only: true }
}

impl Said {
    fn observed(&self) -> Observed<'_> {
        Observed {
            server: 7,
            tool: self.tool,
            arguments: self.arguments.as_bytes(),
            read_only: self.read_only,
            ok: true,
            result: Some(self.result.as_bytes()),
            took_ms: 10.0,
            cached: false,
        }
    }
}

fn predictor() -> Predictor {
    Predictor::new(PredictLimits::default())
}

/// Observes them one after the other, a second apart; what is predicted after the last one.
fn watch(predictor: &Predictor, caller: Caller, calls: &[Said], now_ms: &mut u64) -> Vec<Prediction> {
    let mut predictions = Vec::new();
    for call in calls {
        *now_ms += 1_000;
        predictor.arrived(caller, &call.observed(), *now_ms);
        predictions = predictor.observe(caller, &call.observed(), *now_ms);
    }
    predictions
}

fn texts(predictions: &[Prediction]) -> Vec<String> {
    predictions.iter().map(|found| format!("{} {}", found.tool, String::from_utf8_lossy(&found.arguments))).collect()
}

fn folder(name: &str, files: &[&str]) -> Said {
    let lines: Vec<String> = files.iter().map(|file| format!("[FILE] {file}")).collect();
    let text = serde_json::to_string(&format!("[DIR] old\n{}\n[DIR] {name}-more", lines.join("\n"))).unwrap();
    said(
        "list_directory",
        format!(r#"{{"path":"/{name}"}}"#),
        format!(r#"{{"content":[{{"type":"text","text":{text}}}]}}"#),
    )
}

fn file(path: &str) -> Said {
    said("read_text_file", format!(r#"{{"path":"{path}"}}"#), r#"{"content":[{"type":"text","text":"words"}]}"#)
}

/// A session that lists a folder and reads its first files in their order.
fn reading(name: &str, files: &[&str], read: usize) -> Vec<Said> {
    let read = files.iter().take(read).map(|name_of| file(&format!("/{name}/{name_of}")));
    std::iter::once(folder(name, files)).chain(read).collect()
}

#[test]
fn after_a_listing_its_first_files_are_expected_and_after_a_file_the_next_one() {
    let (predictor, mut now_ms) = (predictor(), 0);
    for name in ["a", "b", "c", "d"] {
        watch(&predictor, ANN, &reading(name, &["x.rs", "y.rs", "z.rs"], 3), &mut now_ms);
    }
    let listed = watch(&predictor, ANN, &reading("e", &["new.rs", "newer.rs", "newest.rs"], 0), &mut now_ms);
    assert_eq!(texts(&listed)[0], r#"read_text_file {"path":"/e/new.rs"}"#);
    assert!(listed[0].reason == Reason::Listed && listed[0].probability > 0.5);
    let read = watch(&predictor, ANN, &[file("/e/new.rs")], &mut now_ms);
    assert_eq!(texts(&read)[0], r#"read_text_file {"path":"/e/newer.rs"}"#);
}

#[test]
fn the_next_page_of_the_protocols_cursor_needs_no_learning() {
    let (predictor, mut now_ms) = (predictor(), 0);
    let page = said("resources/list", "{}", r#"{"resources":[{"uri":"a:1"}],"nextCursor":"c/2"}"#);
    let found = watch(&predictor, ANN, &[page], &mut now_ms);
    assert_eq!(texts(&found), [r#"resources/list {"cursor":"c/2"}"#]);
    assert_eq!(found[0].reason, Reason::NextPage);
    for last in [r#"{"resources":[]}"#, r#"{"resources":[],"nextCursor":null}"#] {
        assert!(watch(&predictor, ANN, &[said("resources/list", "{}", last)], &mut now_ms).is_empty(), "{last}");
    }
    let empty = said("tools/list", "{}", r#"{"tools":[],"nextCursor":""}"#);
    assert_eq!(texts(&watch(&predictor, ANN, &[empty], &mut now_ms)), [r#"tools/list {"cursor":""}"#]);
}

#[test]
fn pages_that_nobody_turns_are_not_turned_ahead_for_long() {
    let (predictor, mut now_ms) = (predictor(), 0);
    let mut found = Vec::new();
    for number in 0..6 {
        let result = format!(r#"{{"resources":[],"nextCursor":"{number}"}}"#);
        let arguments = format!(r#"{{"of":{number}}}"#);
        found = watch(&predictor, ANN, &[said("resources/list", arguments, result), file("/x")], &mut now_ms);
        found.retain(|prediction| prediction.reason == Reason::NextPage);
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_tools_own_cursor_is_learned_wherever_it_stands() {
    let inside =
        |number: u32| format!(r#"{{"structuredContent":{{"rows":[{number}],"page":{{"token":"t{number}"}}}}}}"#);
    let as_text = |number: u32| {
        let text = serde_json::to_string(&format!("row {number}\n... go on with offset {}", number * 10)).unwrap();
        format!(r#"{{"content":[{{"type":"text","text":{text}}}]}}"#)
    };
    let (predictor, mut now_ms) = (predictor(), 0);
    for round in 0..4 {
        let start = 100 * round;
        let mut calls = vec![said("query", format!(r#"{{"q":"{round}"}}"#), inside(start))];
        for page in 0..6 {
            let arguments = format!(r#"{{"q":"{round}","token":"t{}"}}"#, start + page);
            calls.push(said("query", arguments, inside(start + page + 1)));
        }
        calls.extend((0..6).map(|page| said("rows", format!(r#"{{"offset":{}}}"#, page * 10), as_text(page + 1))));
        watch(&predictor, ANN, &calls, &mut now_ms);
    }
    let pages =
        [said("query", r#"{"q":"new"}"#, inside(901)), said("query", r#"{"q":"new","token":"t901"}"#, inside(902))];
    let found = watch(&predictor, ANN, &pages, &mut now_ms);
    assert!(texts(&found).contains(&r#"query {"q":"new","token":"t902"}"#.to_owned()), "{:?}", texts(&found));
    let rows = [said("rows", r#"{"offset":0}"#, as_text(1)), said("rows", r#"{"offset":10}"#, as_text(7))];
    let found = watch(&predictor, ANN, &rows, &mut now_ms);
    assert!(texts(&found).contains(&r#"rows {"offset":70}"#.to_owned()), "{:?}", texts(&found));
}

#[test]
fn nothing_that_one_principal_wrote_or_read_is_ever_predicted_for_another() {
    let predictor = predictor();
    let mut now_ms = 0;
    let round = |canary: &str, number: u32| {
        let rows = format!(
            r#"{{"structuredContent":{{"ids":["{canary}-{number}","{canary}-{number}b"],"next_offset":{}}}}}"#,
            40 + number
        );
        vec![
            said("list", format!(r#"{{"of":"{canary}","key":"{canary}-key","limit":7}}"#), rows),
            said("get", format!(r#"{{"id":"{canary}-{number}","key":"{canary}-key"}}"#), "{}"),
            said("get", format!(r#"{{"id":"{canary}-{number}b","key":"{canary}-key"}}"#), "{}"),
        ]
    };
    let mut own = 0;
    for number in 0..30 {
        for (caller, canary, other) in [(ANN, "ann", "bob"), (BOB, "bob", "ann")] {
            for call in round(canary, number) {
                let found = watch(&predictor, caller, &[call], &mut now_ms);
                own += found.iter().filter(|_| number > 3).count();
                assert!(texts(&found).iter().all(|text| !text.contains(other)), "{:?}", texts(&found));
            }
        }
    }
    assert!(own > 50, "there was nothing to cross: {own}");
    // One who has learned nothing is told nothing, whatever the others do.
    let cat = Caller { principal: 3, session: ANN.session };
    let found = watch(&predictor, cat, &round("cat", 1), &mut now_ms);
    assert!(found.is_empty(), "{:?}", texts(&found));
}

#[test]
fn what_others_do_changes_nothing_of_what_is_predicted_for_one() {
    let alone = predictor();
    let crowded = predictor();
    let mut now_ms = 0;
    for number in 0..40 {
        let calls = reading(&format!("f{}", number % 9), &["x.rs", "y.rs", "z.rs"], 1 + number % 3);
        for call in calls {
            let other = Caller { principal: 9, session: ANN.session };
            let noise = [file(&format!("/noise/{number}")), folder("noise", &["q"])];
            watch(&crowded, other, &noise, &mut now_ms);
            let before = now_ms;
            let expected = watch(&alone, ANN, std::slice::from_ref(&call), &mut now_ms);
            now_ms = before;
            assert_eq!(watch(&crowded, ANN, &[call], &mut now_ms), expected);
        }
    }
}

#[test]
fn a_tool_that_changes_something_is_never_predicted() {
    let (predictor, mut now_ms) = (predictor(), 0);
    for number in 0..20 {
        let write = Said { read_only: false, ..said("write", format!(r#"{{"path":"/a/{number}"}}"#), "{}") };
        let found = watch(&predictor, ANN, &[file(&format!("/a/{number}"))], &mut now_ms);
        assert!(found.iter().all(|prediction| &*prediction.tool != "write"), "{found:?}");
        watch(&predictor, ANN, &[write], &mut now_ms);
    }
}

#[test]
fn what_was_just_answered_is_predicted_again_only_after_a_write() {
    let (predictor, mut now_ms) = (predictor(), 0);
    let status = || said("status", r#"{"of":"all"}"#, r#"{"structuredContent":{"state":"well"}}"#);
    let write = Said { read_only: false, ..said("write", r#"{"path":"/a"}"#, "{}") };
    let mut found = Vec::new();
    for _ in 0..8 {
        assert!(watch(&predictor, ANN, &[status()], &mut now_ms).is_empty());
        found = watch(&predictor, ANN, std::slice::from_ref(&write), &mut now_ms);
    }
    assert_eq!(texts(&found), [r#"status {"of":"all"}"#]);
}

#[test]
fn hostile_results_neither_stop_it_nor_make_it_grow() {
    let limits =
        PredictLimits { principals: 3, bytes_per_principal: 128 * 1024, contexts: 64, ..PredictLimits::default() };
    let predictor = Predictor::new(limits);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(120), "}".repeat(120));
    let mut huge = String::from(r#"{"structuredContent":{"rows":["#);
    for number in 0..4_000 {
        let _ = write!(huge, "\"{}{number}\",", "x".repeat(9));
    }
    huge.push_str("1]}}");
    let long_line = serde_json::to_string(&"word ".repeat(12_000)).unwrap();
    let text = format!(r#"{{"content":[{{"type":"text","text":{long_line}}}]}}"#);
    let results =
        [deep, deep_object, huge, text, "{".into(), String::new(), "\u{feff}{}".into(), r#"{"nextCursor":7}"#.into()];
    for number in 0..400_u64 {
        let caller = Caller { principal: number % 5, session: number };
        let result = &results[usize::try_from(number).unwrap() % results.len()];
        let long = "v".repeat(usize::try_from(number).unwrap() % 600);
        let arguments = format!(r#"{{"a{number}":"{long}","b":[{number}],"c":{{"d":null}}}}"#);
        let tool = format!("tool-{number}");
        let said = said("", arguments, result);
        let call = Observed { tool: &tool, ..said.observed() };
        predictor.observe(caller, &call, number);
        let bound = limits.principals * (limits.bytes_per_principal + 64 * 224 + 112 * 1024);
        assert!(predictor.bytes() <= bound, "{} after {number}", predictor.bytes());
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[a-c/\\n: #0-2\\[\\]{}\"é…]{0,12}".prop_map(Into::into),
    ];
    scalar.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("(content|structuredContent|text|nextCursor|more|[a-c])", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => json().prop_map(|value| value.to_string().into_bytes()),
        2 => (json(), any::<prop::sample::Index>()).prop_map(|(value, cut)| {
            let text = value.to_string().into_bytes();
            text[..cut.index(text.len() + 1)].to_vec()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
}

#[derive(Debug, Clone)]
struct Noise {
    session: u64,
    tool: u8,
    arguments: Vec<u8>,
    result: Vec<u8>,
    flags: u8,
    took_ms: f32,
    after_ms: u32,
}

fn noise() -> impl Strategy<Value = Noise> {
    (0..3_u64, 0..4_u8, bytes(), bytes(), any::<u8>(), any::<f32>(), 0..20_000_u32).prop_map(
        |(session, tool, arguments, result, flags, took_ms, after_ms)| Noise {
            session,
            tool,
            arguments,
            result,
            flags,
            took_ms,
            after_ms,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("OMNIMIND_FULL").is_some() { 5_000 } else { 40 }))]

    #[test]
    fn whatever_is_said_every_prediction_is_an_object_for_a_tool_that_was_seen_and_tickets_add_up(
        calls in prop::collection::vec(noise(), 1..40),
    ) {
        let budget = BudgetLimits { wasted_share: 0.9, ..BudgetLimits::default() };
        let predictor = Predictor::new(PredictLimits { caution: 0.01, budget, ..PredictLimits::default() });
        let (mut now_ms, mut flights) = (1_000_000, Vec::new());
        for noise in calls {
            now_ms += u64::from(noise.after_ms);
            let caller = Caller { principal: noise.session % 2, session: noise.session };
            let tool = ["a", "b", "c", "d"][usize::from(noise.tool)];
            let call = Observed {
                server: u32::from(noise.flags & 0x01),
                tool,
                arguments: &noise.arguments,
                read_only: noise.flags & 0x06 != 0,
                ok: noise.flags & 0x18 != 0,
                result: (noise.flags & 0x60 != 0).then_some(&noise.result),
                took_ms: noise.took_ms,
                cached: noise.flags & 0x80 != 0,
            };
            for ticket in predictor.arrived(caller, &call, now_ms).cancel {
                predictor.cancelled(caller, ticket, noise.took_ms, now_ms);
            }
            for prediction in predictor.observe(caller, &call, now_ms) {
                let arguments: serde_json::Value = serde_json::from_slice(&prediction.arguments).unwrap();
                prop_assert!(arguments.is_object());
                prop_assert!((0.0..=1.0).contains(&prediction.probability));
                if let Ok(ticket) = predictor.begin(caller, &prediction, now_ms) {
                    flights.push((caller, ticket));
                }
            }
            if noise.flags & 0x08 != 0 {
                for (caller, ticket) in flights.drain(..) {
                    predictor.finished(caller, ticket, noise.took_ms, now_ms);
                }
            }
        }
        let stats = predictor.stats(now_ms + 100_000);
        prop_assert_eq!(stats.issued, stats.used + stats.wasted + stats.cancelled);
        prop_assert!(stats.useful_ms.is_finite() && stats.wasted_ms.is_finite());
    }
}
