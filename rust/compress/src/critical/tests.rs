use proptest::prelude::*;

use super::*;
use crate::linear::assert_linear;

fn found(text: &str) -> Vec<(Kind, &str)> {
    scan(text).into_iter().map(|found| (found.kind, text.get(found.range).unwrap())).collect()
}

/// Each of these, in a sentence, is one find of that kind, as a whole.
fn are(kind: Kind, values: &[&str]) {
    for value in values {
        let text = format!("We saw {value} there.");
        assert_eq!(found(&text), [(kind, *value)], "{text}");
    }
}

fn are_nothing(texts: &[&str]) {
    for text in texts {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn every_kind_has_a_name_of_its_own_and_its_place() {
    let names: std::collections::HashSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    assert!(Kind::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at));
}

#[test]
fn what_stands_in_a_line_is_found_in_its_order() {
    assert_eq!(
        found("quota of 250 ms on 10.0.0.1:8080, see /var/log/app.log:12 since 2026-11-22"),
        [
            (Kind::Number, "250 ms"),
            (Kind::Address, "10.0.0.1:8080"),
            (Kind::Path, "/var/log/app.log:12"),
            (Kind::Date, "2026-11-22"),
        ]
    );
}

#[test]
fn generated_names_are_ids_and_names_in_code_are_not() {
    are(
        Kind::Id,
        &[
            "7f3a9c1e-55aa-4b1c-9d2e-000000000017",
            "9fceb02d0ae598e95dc970b74767f19372d61af8",
            "1f3e9ab",
            "0xdeadbeef",
            "INC0012345",
            "CVE-2026-1234",
            "AMV-18114",
            "01HZX3KQ8N5T7V9W2Y4B6D8F0G",
            "gQ038h35daKnO4",
            "22uX1ETGPBmpK7",
            "aB3dE9xZ",
            "web-7d4b9c6f5-x2x9z",
            "i-0abc123def456",
            "#48213",
        ],
    );
    are_nothing(&[
        "get_user_name(userId, Base64Encoder, Http2Server4)",
        "utf8Decode sha256Sum x86_64 getX86Reg isO8601Date",
        "The decade facade was added.",
        "UTF-8 SHA-256",
        "client and/or server, either/or, 24/7",
    ]);
}

#[test]
fn numbers_count_with_a_unit_a_fraction_or_from_a_thousand_on() {
    are(Kind::Number, &["250 ms", "12.07 %", "$354,728.47", "1234 requests", "16 GiB", "3.5", "7436", "1,5 kg", "€20"]);
    are_nothing(&["step 3 of 12", "two or 5 of them", "chapter 7"]);
}

#[test]
fn dates_places_and_versions_are_found_whole() {
    are(
        Kind::Date,
        &[
            "2026-03-01",
            "2026-03-01T10:20:30.123Z",
            "10:20:30",
            "1 March 2026",
            "Mar 3, 2026",
            "3. März 2026",
            "01.03.2026",
        ],
    );
    are(
        Kind::Path,
        &["/srv/uploads/indigo-tundra-9137.tar.zst", "src/main.rs:12:5", "C:\\\\Users\\\\ann\\\\a.txt", "config.yaml"],
    );
    are(Kind::Url, &["https://a.example/x?y=1&z=2", "postgres://db.internal:5432/app"]);
    are(Kind::Version, &["v10.40.56", "1.2.3-rc.1", "v3"]);
    are(Kind::Address, &["10.0.0.1", "10.0.0.0/8", "ann@a.example", "2001:db8::1", "db.internal:5432"]);
}

#[test]
fn limits_errors_and_ends_are_known_in_several_languages() {
    for (text, kind, value) in [
        ("It must not be shared.", Kind::Limit, "must not"),
        ("Es sind höchstens so viele.", Kind::Limit, "höchstens"),
        ("Нельзя ждать.", Kind::Limit, "Нельзя"),
        ("вы не более", Kind::Limit, "не более"),
        ("密码必须保密", Kind::Limit, "必须"),
        ("ERROR: disk full", Kind::Error, "ERROR: disk full"),
        ("java.io.IOException: gone", Kind::Error, "java.io.IOException: gone"),
        ("it said: connection refused by peer", Kind::Error, "connection refused by peer"),
        ("ошибка: нет места", Kind::Error, "ошибка: нет места"),
        ("数据库连接失败", Kind::Error, "失败"),
        ("process ended, exit code 137", Kind::Exit, "137"),
        ("退出码：137", Kind::Exit, "137"),
    ] {
        assert!(found(text).contains(&(kind, value)), "{text}: {:?}", found(text));
    }
    for text in ["0 errors were found", "errors: 0", "without error handling in place", "the Error type of the crate"] {
        assert!(found(text).iter().all(|(kind, _)| *kind != Kind::Error), "{text}: {:?}", found(text));
    }
}

#[test]
fn the_last_word_of_a_sentence_is_known_as_any_other() {
    assert_eq!(found("They may not. We never."), [(Kind::Limit, "may not"), (Kind::Limit, "never")]);
    assert_eq!(found("ValueError: x"), [(Kind::Error, "ValueError: x")]);
}

fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "\\PC{0,6}",
        "[a-zA-Z]{1,9}[ .,:;]",
        "[0-9]{1,6}[ .,:;%/-]",
        "[\"'`“”«»「」(){}\\[\\]]{1,2}",
        "[./:@\\\\#$~+_-]{1,3}",
        "(error|must not|exit code|не более|必须|失败|März|ms|€|https://|v)[ :]?",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn finds_are_parts_of_the_text_in_order_and_never_cross(text in any_text()) {
        let finds = scan(&text);
        for found in &finds {
            prop_assert!(text.get(found.range.clone()).is_some_and(|value| !value.is_empty()), "{:?}", found);
        }
        for (at, one) in finds.iter().enumerate() {
            for other in &finds[at + 1..] {
                prop_assert!(one.range.start <= other.range.start);
                let apart = one.range.end <= other.range.start;
                let within = other.range.end <= one.range.end && matches!(one.kind, Kind::Error | Kind::Quoted);
                prop_assert!(apart || within, "{:?} {:?}", one, other);
            }
        }
    }
}

#[test]
fn no_text_takes_more_than_linear_time() {
    let hostile: [fn(usize) -> String; 12] = [
        |size| "a".repeat(size),
        |size| "1".repeat(size),
        |size| "1.".repeat(size / 2),
        |size| "a/".repeat(size / 2),
        |size| "\"a ".repeat(size / 3),
        |size| "«a".repeat(size / 3),
        |size| "error ".repeat(size / 6),
        |size| "no more than ".repeat(size / 13),
        |size| "https://a".repeat(size / 9),
        |size| "12:".repeat(size / 3),
        |size| "a@".repeat(size / 2),
        |size| "不".repeat(size / 3),
    ];
    assert_linear(&hostile, 6_000, |text| drop(scan(text)));
}
