use proptest::prelude::*;

use super::*;
use crate::{critical, linear::assert_linear};

fn read(block: &str) -> Outline<'_> {
    super::outline(block, Aim::Cut).unwrap()
}

fn units(block: &str) -> Vec<String> {
    read(block).units.iter().map(|unit| unit.text.to_string()).collect()
}

fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    sentences::split(text, |range| found.push(&text[range]));
    found
}

#[test]
fn sentences_end_where_a_reader_would_say() {
    for (text, count) in [
        ("One is here. Two is there! Is three? Yes.", 4),
        ("Mr. Smith paid approx. 5 dollars to J. R. Brown. He left.", 2),
        ("See e.g. Fig. 3 and z.B. Abs. 4 of v1.2.3 at example.com. Done.", 2),
        ("Am 3. März kam der Fluss. Niemand schlief.", 2),
        ("He said \"Stop. Go home. Now.\" and left. \"Fine.\" She stayed.", 3),
        ("Это было в 2026 г. Москва, ул. Ленина, д. 125. Потом всё кончилось.", 2),
        ("河水上涨了。村里没有人睡觉！中午大桥关闭了？", 3),
        ("他说「不要走。留下来。」然后离开了。", 2),
        ("It ends here.[12] The next one begins. (So does this.) And this…", 4),
        ("The value is 3.14 and not 2.71. It rose", 2),
    ] {
        assert_eq!(sentences(text).len(), count, "{:?}", sentences(text));
    }
}

#[test]
fn a_heading_stands_above_what_is_kept_under_it() {
    let block =
        "# Limits\n\nIntro here.\n\n## Calls\n\nA call waits. It is refused.\n\n## Empty\n\n## Rates\n\nAt most 5.\n";
    let outline = read(block);
    let at = outline.units.iter().position(|unit| unit.text == "It is refused.").unwrap();
    assert_eq!(outline.print(|unit| unit == at, |_| None, |_| None), "# Limits\n## Calls\nIt is refused.");
    assert!(outline.whole().contains("## Empty\n## Rates"), "{}", outline.whole());
    let titled = "Overview\n\nThis is what the text is about, said in a sentence.\n\nNotes\n=====\nAnd this is the rest of it.\n";
    assert_eq!(read(titled).print(|unit| unit == 1, |_| None, |_| None), "Notes\nAnd this is the rest of it.");
}

#[test]
fn points_quotes_and_lines_meant_as_lines_are_units() {
    assert_eq!(units("Bring:\n\n- a rope\n- a lamp\n  with oil\n1. light it\n").len(), 4);
    assert_eq!(
        units("> He came. He saw\n> what was left. He went.\n"),
        ["> He came.", "> He saw\n> what was left.", "> He went."]
    );
    assert_eq!(units("Name: Ann\nCity: Rome\nSince: 2019\n").len(), 3);
    let wrapped = "The river rose for three days and nobody in the village\nslept, because the bridge was closed at noon and the\nroad was under water.\n";
    assert_eq!(units(wrapped).len(), 1);
}

#[test]
fn sentences_that_differ_in_names_or_few_words_are_alike() {
    let likes: Vec<u64> = read(
        "The limit of node amber-17 is 250 requests. The limit of node birch-204 is 9 requests. \
         The bridge was closed at noon by the mayor. The bridge was closed at night by the mayor. \
         Nobody in the village slept that week.",
    )
    .units
    .iter()
    .map(|unit| unit.like)
    .collect();
    assert_eq!(likes[0], likes[1]);
    assert_eq!(likes[2], likes[3]);
    assert!(likes[0] != likes[2] && likes[4] != likes[0] && likes[4] != likes[2], "{likes:?}");
}

#[test]
fn the_few_sentences_with_values_have_to_be_kept_and_none_where_all_have_some() {
    let plain = "Nobody in the village slept that week. The bridge was closed at noon. ";
    let text = format!(
        "{}The code of the gate is v10.40.56 now. {}It costs $354.20 a day. {}",
        plain.repeat(4),
        plain.repeat(3),
        plain.repeat(4)
    );
    let kept: Vec<String> =
        read(&text).units.iter().filter(|unit| unit.reserve.is_some()).map(|unit| unit.text.to_string()).collect();
    assert_eq!(kept, ["The code of the gate is v10.40.56 now.", "It costs $354.20 a day."]);
    let linked = format!("{}See [the page](docs/limits.md) for it. {}", plain.repeat(4), plain.repeat(4));
    assert!(read(&linked).units.iter().all(|unit| unit.reserve.is_none()));
    let dense = "It cost $354.20 on 2026-03-01. Nobody paid. ".repeat(9);
    assert!(read(&dense).units.iter().all(|unit| unit.reserve.is_none()));
}

#[test]
fn a_sentence_without_end_is_cut_between_its_values() {
    let block =
        format!("so it was {}", "that on 2026-03-01 10:20:30 a quota of 250 ms held for \"one of us\", ".repeat(200));
    let outline = read(&block);
    assert!(outline.units.len() > 20);
    let values =
        |text: &str| critical::scan(text).into_iter().map(|found| text[found.range].to_owned()).collect::<Vec<_>>();
    let kept: Vec<String> = outline.units.iter().flat_map(|unit| values(&unit.text)).collect();
    assert_eq!(kept, values(&block));
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,12}",
        "([A-Z][a-z]{1,8}( [a-z]{1,8}){0,9}[.!?] ){1,4}",
        "[#>*=|`\" -]{1,4}",
        "[。！？「」《》“”]{1,3}",
        Just("7f3a9c1e-55aa-4b1c-9d2e-000000000017".to_owned()),
        Just("https://a.example/x?y=1".to_owned()),
        "(\r?\n){1,3}",
        "[0-9]{1,3}\\. ",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_text_is_read_and_units_stand_where_they_say(block in text()) {
        let outline = read(&block);
        let mut end = 0;
        for unit in &outline.units {
            prop_assert!(unit.source.start >= end, "{:?}", outline);
            end = unit.source.end;
            prop_assert!(unit.text.ends_with(block[unit.source.clone()].trim_end()));
            prop_assert!(unit.group < outline.groups.len());
        }
        let printed: String = outline.whole().split_whitespace().collect();
        // Rules and the sign of a quote that goes on are form; all else is there.
        let bare = |text: &str| text.chars().filter(|sign| sign.is_alphanumeric()).collect::<String>();
        prop_assert_eq!(bare(&printed), bare(&block));
    }

    #[test]
    fn ids_and_places_stand_as_they_stood(block in text()) {
        let printed = read(&block).whole();
        for found in critical::scan(&block) {
            if matches!(found.kind, critical::Kind::Id | critical::Kind::Url) {
                prop_assert!(printed.contains(&block[found.range.clone()]), "{:?}", &block[found.range]);
            }
        }
    }
}

#[test]
fn no_text_takes_more_than_linear_time() {
    let hostile: [fn(usize) -> String; 8] = [
        |size| "a".repeat(size),
        |size| "a. ".repeat(size / 3),
        |size| "\" ".repeat(size / 2),
        |size| "“a".repeat(size / 4),
        |size| "# a\n".repeat(size / 4),
        |size| "- a\n".repeat(size / 4),
        |size| "A.".repeat(size / 2),
        |size| ")\".".repeat(size / 3),
    ];
    assert_linear(&hostile, 4_000, |text| drop(read(text)));
}
