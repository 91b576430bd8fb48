use std::fmt::Write as _;

use super::*;
use crate::{Policy, compress, tokens};

/// Words of one line point the same way, all others each their own.
struct Small;

const SAME: [&str; 6] = [
    "customer buyer client",
    "money reimbursement repayment",
    "gets receives obtains",
    "unhappy dissatisfied displeased",
    "noisy loud",
    "cellar basement",
];

impl Encoder for Small {
    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let line = SAME.iter().find(|line| line.split(' ').any(|word| word == text));
        let of = crate::select::field::hash(line.unwrap_or(&text));
        let mut direction = vec![0.0; 64];
        for turn in 0..4 {
            let at = usize::try_from(of >> (turn * 6) & 63).ok()?;
            *direction.get_mut(at)? += if of >> (turn + 40) & 1 == 0 { 1.0 } else { -1.0 };
        }
        Some(direction)
    }

    fn weigh<'a>(&self, word: &'a str) -> Weight<'a> {
        match word {
            "two" | "before" | "after" | "all" => Weight::Own(word),
            "it" | "they" => Weight::Pointing(word),
            "from" | "to" => Weight::Leading,
            "the" | "a" | "is" | "of" | "at" | "that" | "in" | "his" => Weight::Light,
            _ => Weight::Plain,
        }
    }

    fn is_opposed(&self, one: &str, other: &str) -> bool {
        one.strip_suffix(other).or_else(|| other.strip_suffix(one)).is_some_and(|before| before == "un")
    }
}

const SAID: [&str; 3] = [
    "The unhappy customer of amber-lagoon-77 gets money in the shop.",
    "The dissatisfied buyer of amber-lagoon-77 receives reimbursement in the shop.",
    "At amber-lagoon-77 the displeased client obtains repayment in the shop.",
];

/// Sentences among others that say something else each.
fn text(sentences: &[&str]) -> String {
    const NOUNS: [&str; 11] =
        ["river", "bridge", "mill", "tower", "market", "orchard", "harbor", "chapel", "meadow", "ferry", "quarry"];
    let noun = |at: usize| NOUNS[at % NOUNS.len()];
    let mut text = String::from("# Shops\n\n");
    for (at, sentence) in sentences.iter().enumerate() {
        for other in (at * 6)..(at * 6 + 6) {
            let (one, two, three) = (noun(other), noun(other * 3 + 1), noun(other / 11 + other * 5 + 2));
            let _ = write!(text, "The {one} by the {two} was painted again, and the {three} with it. ");
        }
        text.push_str(sentence);
        text.push_str("\n\n");
    }
    text
}

fn pressed(text: &str, query: &str) -> crate::Outcome {
    let budget = Some(tokens::count(text) / 3);
    compress(text, &Policy { budget, query, encoder: Some(&Small), ..Policy::default() })
}

fn merges(one: &str, other: &str) -> bool {
    // A third sentence, so that no word stands in these two only.
    pressed(&text(&[one, other]), one).text.contains(" alike]")
}

#[test]
fn what_is_said_three_times_stands_there_once_with_how_often_and_the_rest_is_marked() {
    let text = text(&SAID);
    let outcome = pressed(&text, "amber-lagoon-77");
    let stands = |said: &&str| outcome.text.contains(&format!("{said} […2 alike]"));
    assert_eq!(SAID.iter().filter(|said| outcome.text.contains(**said)).count(), 1, "{}", outcome.text);
    assert_eq!(SAID.iter().filter(|said| stands(said)).count(), 1, "{}", outcome.text);
    for said in SAID.iter().filter(|said| !stands(said)) {
        let at = text.find(said).unwrap();
        let gone = outcome.omissions.iter().any(|gap| gap.bytes.start <= at && at + said.len() <= gap.bytes.end);
        assert!(gone, "{said}");
    }
    assert!(outcome.tokens_after <= tokens::count(&text) / 3);
    assert_eq!(pressed(&text, "amber-lagoon-77"), outcome);
}

#[test]
fn the_wording_that_is_nearest_to_the_query_stands_for_the_others() {
    for (query, at) in [("the customer gets money in the shop", 0), ("at a shop obtains", 2)] {
        let outcome = pressed(&text(&SAID), query);
        assert!(outcome.text.contains(&format!("{} […2 alike]", SAID[at])), "{}", outcome.text);
    }
}

#[test]
fn without_an_encoder_nothing_is_merged_and_what_fits_is_not_touched() {
    let text = text(&SAID);
    let budget = Some(tokens::count(&text) / 3);
    assert!(!compress(&text, &Policy { budget, ..Policy::default() }).text.contains(" alike]"));
    let policy = Policy { budget: Some(tokens::count(&text)), encoder: Some(&Small), ..Policy::default() };
    assert_eq!(compress(&text, &policy).text, text);
}

#[test]
fn what_differs_in_something_that_counts_is_not_merged() {
    assert!(merges(SAID[0], SAID[1]), "or else this test says nothing");
    for (one, other) in [
        ("amber-lagoon-77", "amber-lagoon-78"),
        ("gets", "never gets"),
        ("gets", "gets two"),
        ("gets", "must not get"),
        ("in the shop", "before the shop"),
        ("customer", "\"gold\" customer"),
        ("shop", "shop on 2026-03-01"),
        ("in the shop", "in the shop of Rome"),
        ("The unhappy", "They say the unhappy"),
        ("money in the shop", "money in the noisy loud cellar basement of the shop"),
    ] {
        let changed = SAID[0].replacen(one, other, 1);
        assert_ne!(changed, SAID[0]);
        assert!(!merges(&changed, SAID[1]), "{changed}");
        assert!(!merges(SAID[1], &changed), "{changed}");
    }
    assert!(!merges("The noisy customer hates the cellar.", "The noisy customer hates the garden."), "one word");
    assert!(!merges(SAID[0], &SAID[1].replace("dissatisfied", "happy")), "turned");
    let calls = "The noisy customer calls the unhappy waiter before noon.";
    assert!(!merges(calls, "The noisy waiter calls the unhappy customer before noon."), "who calls whom");
}

#[test]
fn the_same_under_another_heading_is_something_else() {
    let text = text(&SAID[..2]).replace(SAID[1], &format!("\n\n# Banks\n\n{}", SAID[1]));
    assert!(!pressed(&text, "amber-lagoon-77").text.contains(" alike]"));
}

#[test]
fn a_question_in_other_words_finds_its_sentence() {
    let said = "The loud machine stands in the basement behind a grey curtain.";
    // So that none of its words is new.
    let places = ["loud garden", "red basement", "old attic", "big attic", "red garden", "odd garden", "big garden"];
    let other = |place: &str| {
        let (what, place) = place.split_once(' ').unwrap();
        said.replace("loud", what).replace("basement", place)
    };
    let mut all = places.map(other).to_vec();
    all.insert(5, said.to_owned());
    let text = text(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let asked = "noisy cellar";
    let budget = Some(tokens::count(&text) / 9);
    let with = |encoder| compress(&text, &Policy { budget, query: asked, encoder, ..Policy::default() }).text;
    let (found, lost) = (with(Some(&Small as &dyn Encoder)), with(None));
    assert!(found.contains(said) && !lost.contains(said), "{found}\n\n{lost}");
}
