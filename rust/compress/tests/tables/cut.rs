//! What is kept of tables and JSON when most of it has to go.

use omnimind_compress::{
    Kind, Policy, compress,
    forms::outline,
    outline::{Aim, Reserve, When},
    tokens,
};

use crate::values::Dice;

const COUNT: usize = 200;
const FAILED: usize = 57;
const NOTED: usize = 123;
const FAR: usize = 91;

fn rows(dice: &mut Dice) -> Vec<[String; 5]> {
    (0..COUNT)
        .map(|at| {
            let state = if at == FAILED { "failed: ConnectionResetError: peer closed" } else { "done" };
            let note = if at == NOTED { "do not retry before 2027-03-01" } else { "" };
            let ms = if at == FAR { 97_000 } else { 30 + dice.roll(20) };
            [
                format!("job-{}", dice.hex(10)),
                dice.pick(&["eu", "us", "ap"]).to_owned(),
                ms.to_string(),
                state.to_owned(),
                note.to_owned(),
            ]
        })
        .collect()
}

const NAMES: [&str; 5] = ["id", "region", "ms", "state", "note"];

fn forms(rows: &[[String; 5]]) -> Vec<(Kind, String)> {
    let object = |row: &[String; 5]| {
        let member = |(name, value): (&&str, &String)| match *name {
            "ms" => format!("\"{name}\":{value}"),
            _ => format!("\"{name}\":\"{value}\""),
        };
        format!("{{{}}}", NAMES.iter().zip(row).map(member).collect::<Vec<_>>().join(","))
    };
    let objects: Vec<String> = rows.iter().map(object).collect();
    let lines = |split: &str| {
        let all: Vec<String> = rows.iter().map(|row| row.join(split)).collect();
        format!("{}\n{}\n", NAMES.join(split), all.join("\n"))
    };
    vec![
        (Kind::Json, format!("{{\"page\":1,\"jobs\":[{}]}}", objects.join(","))),
        (Kind::JsonLines, objects.join("\n")),
        (Kind::Table, lines(",")),
        (Kind::Table, lines("\t")),
    ]
}

#[test]
fn a_row_that_tells_of_an_error_and_rows_unlike_the_others_are_reserved() {
    for (kind, text) in forms(&rows(&mut Dice::new(3))) {
        let outline = outline(kind, &text, Aim::Cut).unwrap();
        let reserve = |word: &str| {
            outline
                .units
                .iter()
                .find(|unit| unit.text.contains(word))
                .unwrap_or_else(|| panic!("{kind:?} {word}"))
                .reserve
        };
        assert_eq!(reserve("ConnectionResetError"), Some(Reserve::Error), "{kind:?}");
        assert_eq!(reserve("2027-03-01"), Some(Reserve::Outlier), "{kind:?}");
        assert_eq!(reserve("97000"), Some(Reserve::Outlier), "{kind:?}");
        let reserved = outline.units.iter().filter(|unit| unit.reserve.is_some()).count();
        assert!(reserved < COUNT / 8, "{kind:?} {reserved}");
    }
}

#[test]
fn a_row_that_goes_leaves_its_id() {
    let rows = rows(&mut Dice::new(5));
    for (kind, text) in forms(&rows) {
        let outline = outline(kind, &text, Aim::Cut).unwrap();
        let brief = |id: &str| outline.units.iter().any(|unit| unit.when == When::Instead && unit.text == id);
        assert!(rows.iter().all(|row| brief(&row[0])), "{kind:?}");
        assert!(!outline.whole().lines().any(|line| line == rows[9][0]), "{kind:?}");
        let budget = tokens::count(&text) / 2;
        let pressed = compress(&text, &Policy { budget: Some(budget), ..Policy::default() });
        let kept = rows.iter().filter(|row| pressed.text.contains(&row[0])).count();
        assert!(pressed.tokens_after <= budget && pressed.preserved, "{kind:?}");
        assert!(kept * 100 >= COUNT * 60, "{kind:?} {kept}\n{}", pressed.text);
        for word in ["ConnectionResetError: peer closed", "do not retry before 2027-03-01", "97000"] {
            assert!(pressed.text.contains(word), "{kind:?} {word}");
        }
    }
}

#[test]
fn rows_of_numbers_have_no_short_form() {
    let rows: Vec<String> = (0..60).map(|at| format!("{at},{},{}", at * 7 % 13, at * 31 % 57)).collect();
    let text = rows.join("\n");
    let outline = outline(Kind::Table, &text, Aim::Cut).unwrap();
    assert!(outline.units.iter().all(|unit| unit.when == When::Always));
}

#[test]
fn a_long_text_in_json_is_cut_by_its_sentences() {
    let dice = &mut Dice::new(8);
    let page = |at: usize| {
        let mut sentences: Vec<String> = (0..40)
            .map(|_| {
                format!(
                    "The {} of the {} was {} once more by the people of the house.",
                    dice.pick(&["roof", "door", "wall"]),
                    dice.pick(&["barn", "mill"]),
                    dice.pick(&["mended", "painted"])
                )
            })
            .collect();
        if at == 2 {
            sentences[17] = "Visitors must not stay longer than 37 days, \\\"whatever\\\" they say.".to_owned();
        }
        format!("{{\"title\":\"Page {at}\",\"text\":\"{}\"}}", sentences.join(" "))
    };
    let text = format!("{{\"pages\":[{}]}}", (0..5).map(page).collect::<Vec<_>>().join(","));
    let policy =
        Policy { budget: Some(tokens::count(&text) / 5), query: "how long may visitors stay", ..Policy::default() };
    let pressed = compress(&text, &policy);
    assert!(
        pressed.text.contains("Visitors must not stay longer than 37 days, \"whatever\" they say."),
        "{}",
        pressed.text
    );
    assert!(pressed.text.contains("title: Page 2"), "{}", pressed.text);
}

#[test]
fn an_entry_with_a_member_of_its_own_is_reserved() {
    let entry = |at: usize| {
        let own = if at == 33 { ",\"ACCESS\":\"q9Zr\"" } else { "" };
        format!(
            "\"service-{at}\":{{\"image\":\"registry/x:{}\",\"environment\":{{\"LEVEL\":\"info\",\"ZONE\":\"z{}\"{own}}}}}",
            at * 3 % 7,
            at % 5
        )
    };
    let text = format!("{{{}}}", (0..60).map(entry).collect::<Vec<_>>().join(","));
    let outline = outline(Kind::Json, &text, Aim::Cut).unwrap();
    let unit = outline.units.iter().find(|unit| unit.text.contains("q9Zr")).unwrap();
    assert_eq!(unit.reserve, Some(Reserve::Outlier));
}
