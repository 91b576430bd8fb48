use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::tokens;

fn lines(count: usize) -> String {
    (1..=count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "line {number} says ünï {}", number * 7919 % 1000);
        text
    })
}

fn text(original: &str, part: &Part<'_>) -> String {
    expand(original, part, None).unwrap().text
}

fn values(original: &str, path: &str) -> Vec<String> {
    text(original, &Part::JsonPath(path)).lines().map(str::to_owned).collect()
}

fn grep(pattern: &str, context: usize) -> Part<'_> {
    Part::Grep { pattern, context, within: (1, usize::MAX) }
}

#[test]
fn lines_are_given_with_their_ends_and_join_to_the_whole() {
    for original in ["a\nb\r\n\nc", "a\n\n", "\n", "one"] {
        let count = original.split_inclusive('\n').count();
        let joined: String = (1..=count).map(|line| text(original, &Part::Lines(line, line))).collect();
        assert_eq!(joined, original);
        assert_eq!(text(original, &Part::Lines(1, usize::MAX)), original);
    }
    let refused = |first, last| expand("a\nb\n", &Part::Lines(first, last), None).unwrap_err().to_string();
    for (first, last) in [(0, 1), (3, 9), (2, 1)] {
        assert_eq!(refused(first, last), "there are no such lines: ask for lines between 1 and 2");
    }
    assert_eq!(expand("", &Part::Lines(1, 1), None), Err(Unreadable::NoSuchLines(0)));
    assert_eq!(expand("", &Part::All, Some(0)).unwrap(), Expanded::default());
}

#[test]
fn bytes_are_widened_to_whole_characters_and_it_is_said() {
    let original = "aüb€c";
    let bytes = |range| expand(original, &Part::Bytes(range), None);
    assert_eq!(bytes(0..1).unwrap().widened, None);
    let widened = bytes(2..5).unwrap();
    assert_eq!((&*widened.text, widened.widened), ("üb€", Some(1..7)));
    assert_eq!(bytes(7..99).unwrap().text, "c");
    assert_eq!(bytes(9..99), Err(Unreadable::NoSuchBytes(8)));
}

#[test]
fn what_is_too_long_ends_at_a_line_and_says_what_comes_next_until_all_is_read() {
    let original = lines(500);
    for most in [25, 100, 1_000] {
        let (mut part, mut read) = (Part::All, String::new());
        loop {
            let expanded = expand(&original, &part, Some(most)).unwrap();
            assert!(expanded.tokens <= most && expanded.tokens == tokens::count(&expanded.text));
            assert!(expanded.text.ends_with('\n') && expanded.shown > 0);
            read += &expanded.text;
            match expanded.next {
                Some(Place::Lines(first, last)) => part = Part::Lines(first, last),
                Some(Place::Bytes(range)) => panic!("{range:?}"),
                None => break,
            }
        }
        assert_eq!(read, original);
    }
}

#[test]
fn a_line_that_is_too_long_ends_between_two_characters() {
    let original = format!("{{\"ключ\":\"{}\"}}", "значение ".repeat(3_000));
    let (mut part, mut read) = (Part::All, String::new());
    while let Some(Place::Bytes(range)) = {
        let expanded = expand(&original, &part, Some(2_000)).unwrap();
        assert!(!expanded.text.is_empty() && expanded.tokens <= 2_000);
        assert!(expanded.next.is_none() || expanded.tokens > 1_900, "{} tokens", expanded.tokens);
        read += &expanded.text;
        expanded.next
    } {
        part = Part::Bytes(range);
    }
    assert_eq!(read, original);
    assert_eq!(expand("two words", &Part::All, Some(0)).unwrap().next, Some(Place::Bytes(0..9)));
}

#[test]
fn grep_prints_numbers_texts_and_what_stands_around() {
    let original = "zero\nERROR one\r\ntwo\nthree\nfour\nERROR five\nsix\nERROR seven\n";
    assert_eq!(text(original, &grep("^ERROR", 0)), "2:ERROR one\n6:ERROR five\n8:ERROR seven\n");
    let around = "1-zero\n2:ERROR one\n3-two\n--\n5-four\n6:ERROR five\n7-six\n8:ERROR seven\n";
    assert_eq!(text(original, &grep("ERROR", 1)), around);
    assert_eq!(text(original, &grep("(?i)error (one|seven)$", 0)), "2:ERROR one\n8:ERROR seven\n");
    let later = Part::Grep { pattern: "ERROR", context: 2, within: (7, 99) };
    assert_eq!(text(original, &later), "7-six\n8:ERROR seven\n");
    let none = expand(original, &grep("nothing", 3), Some(10)).unwrap();
    assert_eq!((none.found, none.next), (0, None));
}

#[test]
fn grep_ends_at_a_match_and_goes_on_from_the_next() {
    let original = lines(1_000);
    let (mut within, mut found, mut calls) = ((1, usize::MAX), String::new(), 0);
    loop {
        let part = Part::Grep { pattern: "says .* \\d*3$", context: 0, within };
        let expanded = expand(&original, &part, Some(300)).unwrap();
        assert!(expanded.tokens <= 300);
        found += &expanded.text;
        calls += 1;
        match expanded.next {
            Some(Place::Lines(first, last)) => within = (first, last),
            next => break assert_eq!(next, None),
        }
    }
    assert_eq!(found, text(&original, &grep("says .* \\d*3$", 0)));
    assert!(calls > 3 && found.lines().count() == 100);
    let long = format!("short\n{}\n", "x1 ".repeat(2_000));
    let begun = expand(&long, &grep("x1", 0), Some(50)).unwrap();
    assert!(begun.text.starts_with("2:x1 x1") && begun.tokens <= 50);
    assert_eq!((begun.found, begun.shown, begun.next), (1, 1, Some(Place::Bytes(6..6_007))));
}

#[test]
fn a_pattern_takes_linear_time_or_is_refused_with_the_reason() {
    let original = "a".repeat(200_000);
    assert_eq!(text(&original, &grep("(a+)+(a*)*b", 0)), "");
    for (pattern, why) in [("(a", "unclosed group"), (r"(\w{500}){500}", "say it shorter"), (r"(a)\1", "backreference")]
    {
        let refused = expand("a", &grep(pattern, 0), None).unwrap_err().to_string();
        assert!(refused.starts_with("the pattern cannot be used: ") && refused.contains(why), "{refused}");
    }
}

#[test]
fn a_query_finds_the_passages_that_answer_it() {
    let mut original = lines(300);
    original += "\nThe refund of order 4711 failed\nbecause the card had expired.\n\n";
    original += &lines(300);
    let best = expand(&original, &Part::Query("why did the refunds fail, expired cards?"), Some(200)).unwrap();
    assert!(best.text.contains("[L301-304]\n\nThe refund of order 4711 failed\nbecause"), "{}", best.text);
    assert!(best.tokens <= 200);
    let small = expand(&original, &Part::Query("refund"), Some(6)).unwrap();
    assert!(small.tokens <= 6 && small.shown == 1 && small.next.is_some());
    let nothing = expand(&original, &Part::Query("zebra"), None).unwrap();
    assert_eq!((&*nothing.text, nothing.found), ("", 0));
    assert_eq!(expand(&original, &Part::Query("?!"), None), Err(Unreadable::NoWords));
}

/// The example of RFC 9535, with numbers and escapes that are not how one would print them.
const STORE: &str = r#"{ "store": { "book": [
 { "category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95 },
 { "category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.990 },
 { "category": "fiction", "author": "Herman Melville", "title": "Moby D\u0069ck", "isbn": "0-553-21311-3", "price": 8.99e0 },
 { "category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99 }
 ], "bicycle": { "color": "red", "price": 399 } } }"#;

#[test]
fn a_path_gives_the_bytes_of_the_original() {
    let found = |path| values(STORE, path);
    assert_eq!(found("$.store.book[2].title"), [r#""Moby D\u0069ck""#]);
    assert_eq!(found("$..price"), ["8.95", "12.990", "8.99e0", "22.99", "399"]);
    assert_eq!(found("$.store.book[*].author").len(), 4);
    assert_eq!(found("$['store'][\"bicycle\"]['color']"), [r#""red""#]);
    assert_eq!(found("$..book[-1].author"), [r#""J. R. R. Tolkien""#]);
    assert_eq!(found("$..book[0,1].price"), ["8.95", "12.990"]);
    assert_eq!(found("$..book[:2].price"), ["8.95", "12.990"]);
    assert_eq!(found("$..book[::-2].price"), ["22.99", "12.990"]);
    assert_eq!(found("$..book[?@.isbn].price"), ["8.99e0", "22.99"]);
    assert_eq!(found("$..book[?@.price < 10].price"), ["8.95", "8.99e0"]);
    assert_eq!(found("$..book[?@.title == 'Moby Dick'].price"), ["8.99e0"]);
    assert_eq!(found("$..book[?search(@.author, '^J') || @.price >= 12.99 && !@.isbn].price"), ["12.990", "22.99"]);
    assert_eq!(found("$..book[?match(@.category, 'fic.*') && length(@.title) > 15].price"), ["22.99"]);
    assert_eq!(found("$.store[?count(@[*]) == 4]").len(), 6, "the array, line ends and all");
    assert_eq!(found("$..book[?@.price == value($..book[0].price)].price"), ["8.95"]);
    assert_eq!(found("$..nothing"), Vec::<String>::new());
    assert_eq!(text(STORE, &Part::JsonPath("$")), STORE);
}

#[test]
fn what_is_not_there_and_what_is_null_differ_and_long_numbers_are_exact() {
    let original = r#"[{"a":null},{"b":1},{"a":9007199254740993},{"a":9007199254740992},{"a":[1,{"x":2.0}]},{"a":[1.0,{"x":2}]},{"a":"null"}]"#;
    let found = |path| values(original, path);
    assert_eq!(found("$[?@.a == null]"), [r#"{"a":null}"#]);
    assert_eq!(found("$[?@.a == @.zz]"), [r#"{"b":1}"#]);
    assert_eq!(found("$[?@.a == 9007199254740993].a"), ["9007199254740993"]);
    assert_eq!(found("$[?@.a > 9007199254740992].a"), ["9007199254740993"]);
    assert_eq!(found("$[?@.a <= 'null'].a"), [r#""null""#]);
    assert_eq!(found("$[?@.a == $[4].a].a").len(), 1);
    assert_eq!(found("$[?@.a[0] == 1.0]").len(), 2);
}

#[test]
fn one_value_a_line_is_an_array_of_them() {
    let original = "{\"id\":1,\"level\":\"info\"}\n\n  {\"id\":2,\"level\":\"error\"}  \r\n[3]";
    assert_eq!(values(original, "$[?@.level == 'error'].id"), ["2"]);
    assert_eq!(values(original, "$[-1]"), ["[3]"]);
    assert_eq!(values(original, "$[0:2].id"), ["1", "2"]);
    assert_eq!(expand("{\"id\":1}\nno json", &Part::JsonPath("$"), None), Err(Unreadable::NotJson));
    assert_eq!(expand("", &Part::JsonPath("$"), None), Err(Unreadable::NotJson));
    assert_eq!(expand(&"[".repeat(100_000), &Part::JsonPath("$"), None), Err(Unreadable::NotJson));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(expand(&deep, &Part::JsonPath("$"), None), Err(Unreadable::NotJson));
}

#[test]
fn many_values_end_at_a_value_and_say_where_the_next_one_stands() {
    let original = format!("[{}]", (0..500).map(|id| format!("{{\"id\":{id}}}")).collect::<Vec<_>>().join(", "));
    let some = expand(&original, &Part::JsonPath("$[*].id"), Some(40)).unwrap();
    assert!(some.tokens <= 40 && some.shown > 10 && some.found == 500);
    let Some(Place::Bytes(next)) = some.next else { panic!("{:?}", some.next) };
    assert_eq!(original[next], some.shown.to_string());
    let whole = expand(&original, &Part::JsonPath("$"), Some(40)).unwrap();
    assert!(whole.text.len() > 40 && original.starts_with(&whole.text) && whole.shown == 1);
}

#[test]
fn a_path_that_is_none_is_refused_at_its_place() {
    for (path, why) in [
        ("", "`$`, the root is expected at character 1"),
        ("$.", "a name"),
        ("$.1a", "a name"),
        ("$ ", "at character 2"),
        ("$[01]", "leading zeros"),
        ("$[-0]", "leading zeros"),
        ("$[9007199254740992]", "whole number"),
        ("$['a]", "a quote"),
        ("$[?@.a]]", "at character 8"),
        ("$[?@.a == ]", "at character 11"),
        ("$[?@.* == 1]", "a path to one value"),
        ("$[?length(@.a)]", "a comparison"),
        ("$[?match(@.a, @.b)]", "a quoted pattern"),
        ("$[?search(@.a, '(')]", "unclosed group"),
        ("$[?count(1) == 1]", "a path"),
        ("$[?!@.a == 1]", "at character 9"),
        ("$[]", "a filter"),
    ] {
        let refused = expand("[]", &Part::JsonPath(path), None).unwrap_err().to_string();
        assert!(refused.contains(why), "{path}: {refused}");
    }
    let deep = format!("${}", "[?(@".repeat(3_000));
    assert!(matches!(expand("[]", &Part::JsonPath(&deep), None), Err(Unreadable::Path(_))));
    let nots = format!("$[?{}@.a]", "!(".repeat(1_000));
    assert!(matches!(expand("[]", &Part::JsonPath(&nots), None), Err(Unreadable::Path(_))));
}

#[test]
fn a_path_that_visits_everything_again_and_again_is_refused() {
    let original = format!("[{}1{}]", "[".repeat(60), "]".repeat(60));
    let wide = format!("[{}]", "1,".repeat(20_000) + "1");
    for (original, path) in [
        (&original, format!("${}", "[0,0]".repeat(60))),
        (&original, format!("${}", "..*".repeat(60))),
        (&wide, "$[?count($..*) > 1]".to_owned()),
        (&wide, format!("$[{}0]", "*,".repeat(200))),
    ] {
        assert_eq!(expand(original, &Part::JsonPath(&path), None), Err(Unreadable::TooManySteps), "{path:.40}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_fits_is_a_begin_of_what_was_asked_for_and_the_rest_follows(original in "(\\PC{0,30}\n){0,12}\\PC{0,40}", most in 0_usize..40, first in 0_usize..14, more in 0_usize..14) {
        for part in [Part::All, Part::Lines(first, first + more), Part::Bytes(first * 7..(first + more) * 7)] {
            let Ok(whole) = expand(&original, &part, None) else { continue };
            prop_assert!(original.contains(&whole.text));
            let cut = expand(&original, &part, Some(most)).unwrap();
            prop_assert!(whole.text.starts_with(&cut.text) && cut.tokens <= most);
            prop_assert_eq!(cut.tokens, tokens::count(&cut.text));
            let rest = match cut.next {
                None => String::new(),
                Some(Place::Lines(first, last)) => text(&original, &Part::Lines(first, last)),
                Some(Place::Bytes(range)) => text(&original, &Part::Bytes(range)),
            };
            prop_assert_eq!(cut.text + &rest, whole.text);
        }
    }

    #[test]
    fn nothing_is_too_odd_to_be_asked(original in "\\PC{0,60}|[\\[\\]{}\",:0-9a ]{0,40}", asked in "\\$?[\\]\\[$@.*?()'\"a-z0-9:,<=!&|-]{0,25}", most in prop::option::of(0_usize..30)) {
        for part in [Part::JsonPath(&asked), grep(&asked, 2), Part::Query(&asked)] {
            if let Ok(expanded) = expand(&original, &part, most) {
                prop_assert!(expanded.tokens <= most.unwrap_or(usize::MAX));
            }
        }
    }
}
