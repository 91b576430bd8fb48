//! What is printed without loss is read back to the byte, and has every critical value as it was.

use omnimind_compress::{Kind, critical, forms, outline::Aim, tokens};
use proptest::prelude::*;

use crate::{
    logs::{STYLES, make},
    texts::{self, TEXTS},
};

const KINDS: [Kind; 5] = [Kind::Log, Kind::Build, Kind::Trace, Kind::Diff, Kind::Search];

/// Reads the block in the form of this kind and back; the printed text, if the form takes the block.
fn back(kind: Kind, block: &str) -> Option<String> {
    let printed = forms::outline(kind, block, Aim::Whole)?.whole();
    assert_eq!(forms::decode(kind, &printed).as_deref(), Some(block), "{kind:?}");
    Some(printed)
}

fn with_crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn texts_of_all_kinds_are_read_back_and_critical_values_stand_as_they_were() {
    for (kind, make) in TEXTS {
        let text = make(5, 200);
        for text in [with_crlf(&text), text] {
            let Some(printed) = back(*kind, &text) else { continue };
            for found in critical::scan(&text) {
                if matches!(found.kind, critical::Kind::Id | critical::Kind::Url | critical::Kind::Address) {
                    let value = &text[found.range];
                    assert!(printed.contains(value), "{kind:?}: {value}");
                }
            }
        }
    }
}

#[test]
fn ids_of_logs_stand_as_they_were() {
    for (seed, style) in STYLES.iter().enumerate() {
        let text = make(style, 300, 3 + seed as u64).text;
        let printed = back(Kind::Log, &text).unwrap();
        // The level and date of klog, "I1121", are taken for an id, and are none.
        let ids = critical::scan(&text).into_iter().filter(|found| found.kind == critical::Kind::Id);
        for found in ids.filter(|found| found.range.len() > 5) {
            assert!(printed.contains(&text[found.range.clone()]), "{}: {}", style.name, &text[found.range]);
        }
    }
}

#[test]
fn each_kind_takes_fewer_tokens() {
    for (kind, make) in TEXTS {
        let text = make(9, 300);
        let before = tokens::count(&text);
        let after = back(*kind, &text).map_or(before, |printed| tokens::count(&printed));
        println!("{kind:?} {before} {after} {:.1} %", 100.0 * after as f64 / before as f64);
        assert!(after * 100 <= before * texts::GOAL[texts::place(*kind)], "{kind:?} {after} of {before}");
    }
}

/// Parts of lines that the forms look for, and such that look like what the forms print.
fn odd_lines() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "2026-11-21 10:00:01 ",
            "Nov 21 10:00:02 ",
            "# 2026-11-21 {t}",
            "10:00:01 A ",
            "A ",
            "B x",
            "{} ",
            "{t} ",
            "\\",
            "@A",
            "@A 2",
            "\tat a.b.C(D.java:3)",
            "  File \"a.py\", line 3, in f",
            "Caused by: x",
            "... 3 more",
            "INFO wrote block blk_123 in 12ms",
            "INFO wrote block blk_9 in 7ms",
            "ERROR x",
            "src/a.rs:12:",
            "src/a.rs-13-",
            "--",
            "src/a.rs",
            "12:",
            "12-",
            "diff --git a/x b/x",
            "index 12ab..34cd 100644",
            "--- a/x",
            "+++ b/x",
            "@@ -1,2 +1,3 @@ f",
            "@@ -1 +1 @@",
            "@@ -9,99999999999 +1 @@",
            "+x",
            "-y",
            " z",
            "* x 1..2",
            "[ 12%] Building x",
            "\x1b[32mok\x1b[0m",
            "10 %\r20 %\r",
            "用户123登录",
            "ошибка 5",
            "\r",
            "\t",
            "\"",
            "\"a b\" ",
            "=",
            "user=root ",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_lines_are_read_back_by_any_form(lines in prop::collection::vec(odd_lines(), 0..30), times in 1_usize..4) {
        let block = vec![lines.join("\n"); times].join("\n");
        for kind in KINDS {
            back(kind, &block);
        }
    }

    #[test]
    fn cut_units_cover_their_lines_and_nothing_twice(lines in prop::collection::vec(odd_lines(), 0..30)) {
        let block = lines.join("\n");
        for kind in KINDS {
            let Some(outline) = forms::outline(kind, &block, Aim::Cut) else { continue };
            let mut sources: Vec<_> = outline.units.iter().map(|unit| unit.source.clone()).filter(|s| !s.is_empty()).collect();
            sources.sort_by_key(|source| source.start);
            prop_assert!(sources.windows(2).all(|two| two[0].end <= two[1].start), "{kind:?} {sources:?}");
            prop_assert!(sources.iter().all(|source| block.get(source.clone()).is_some()), "{kind:?}");
            prop_assert!(outline.units.iter().all(|unit| unit.group < outline.groups.len()), "{kind:?}");
        }
    }
}

#[test]
fn a_number_and_its_unit_stand_beside_each_other_in_every_line() {
    let line = |at: usize| match at % 3 {
        0 => format!("2026-03-01 10:00:{at:02} INFO limit of shop-{at} is now {} requests, mind it\n", 5_883 + at),
        1 => format!("2026-03-01 10:00:{at:02} INFO threshold of shop-{at} is now {at}.07 %\n"),
        _ => format!("2026-03-01 10:00:{at:02} INFO request {at} finished in {} ms\n", 3 * at),
    };
    for brackets in ["", "{ x", "{} < y", "{}<> <* z"] {
        let text = format!("{brackets}\n{}", (0..60).map(line).collect::<String>());
        let printed = back(Kind::Log, &text).unwrap();
        for value in ["5883 requests", "5940 requests", "1.07 %", "58.07 %", "6 ms", "177 ms"] {
            assert!(printed.lines().any(|line| line.contains(value)), "{value}: {printed}");
        }
        assert!(tokens::count(&printed) * 10 < tokens::count(&text) * 8, "{printed}");
    }
}
