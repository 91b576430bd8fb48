//! What the owner of the level relies on.

use super::*;

const TOOL: ToolId = ToolId(1);
const LIFE: Life = Life { created_ms: 0, fresh_until_ms: 1_000, stale_until_ms: 1_000 };

fn vector() -> Vector {
    Vector::new(&[1.0, 2.0, 3.0]).unwrap()
}

fn scope(number: u8) -> Scope {
    Scope([number; 32])
}

/// What the tool says of a thing, and the key of the question.
fn answer(thing: u32) -> u128 {
    u128::from(thing) + 1
}

fn key(text: &str) -> Key {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(text.as_bytes()).to_le_bytes());
    key
}

fn thing(number: u32) -> String {
    let letter = |shift: u32| char::from(b'b' + u8::try_from(number >> shift & 15).unwrap());
    format!("lamp{}{}{}ish", letter(8), letter(4), letter(0))
}

/// Asks for a thing in one wording that is known in another; what is proposed.
fn ask(semantic: &Semantic, number: u32, dice: u64) -> Proposal {
    let (known, asked) = (format!("show the {}", thing(number)), format!("list the {}", thing(number)));
    semantic.clear(TOOL);
    semantic.insert(scope(1), TOOL, &known, &vector(), key(&known), answer(number), LIFE);
    semantic.propose(scope(1), TOOL, &asked, &vector(), dice, 0)
}

/// A level that has seen so many things asked for in both wordings.
fn taught(pairs: u32) -> Semantic {
    let semantic = Semantic::new(SemanticLimits { max_bytes: 1 << 20 });
    for number in 2_000..2_000 + 20 {
        ask(&semantic, number, 1);
    }
    for number in 0..pairs {
        let Proposal::Shadow(claim) = ask(&semantic, number, 1) else { panic!("pair {number} is not checked") };
        assert_eq!(semantic.verdict(TOOL, &claim, answer(number)), Outcome::Same);
    }
    semantic
}

const ENOUGH: u32 = 3 + 459;

#[test]
fn it_serves_after_459_pairs_of_witnessed_changes_and_not_one_earlier() {
    assert!(matches!(ask(&taught(ENOUGH - 1), 3_000, 1), Proposal::Shadow(_)));
    let semantic = taught(ENOUGH);
    let Proposal::Serve(claim) = ask(&semantic, 3_000, 1) else { panic!("it does not serve") };
    assert_eq!((claim.key, claim.similarity_milli), (key(&format!("show the {}", thing(3_000))), 1_000));
    let report = &semantic.stats().tools[0];
    assert!(report.false_upper <= DELTA && report.bands[3].serving && report.bands[3].lower >= 1.0 - DELTA);
    assert!(!report.bands[2].serving, "a band knows nothing of another");
}

#[test]
fn a_change_that_was_never_seen_is_never_served() {
    let semantic = taught(ENOUGH);
    ask(&semantic, 7, 1);
    let asked = format!("list the older {}", thing(7));
    let proposal = semantic.propose(scope(1), TOOL, &asked, &vector(), 1, 0);
    assert!(matches!(proposal, Proposal::Nothing(Why::Vetoed(Veto::Slot(_)))));
    let asked = format!("list the rusty {}", thing(7));
    assert!(matches!(semantic.propose(scope(1), TOOL, &asked, &vector(), 1, 0), Proposal::Shadow(_)));
}

#[test]
fn one_in_fifty_is_checked_for_ever() {
    let semantic = taught(ENOUGH);
    let checked = (0..1_000).filter(|dice| matches!(ask(&semantic, 9, *dice), Proposal::Shadow(_))).count();
    assert_eq!(checked, 20);
}

#[test]
fn one_mismatch_takes_the_band_back_and_its_next_try_is_longer() {
    let semantic = taught(ENOUGH);
    let Proposal::Shadow(claim) = ask(&semantic, 3_000, EXPLORE) else { panic!("it does not explore") };
    assert_eq!(semantic.verdict(TOOL, &claim, answer(1)), Outcome::Demoted);
    assert_eq!(semantic.stats().entries, 0, "what was in it is forgotten");
    assert!(matches!(ask(&semantic, 3_001, 1), Proposal::Nothing(Why::Altering)));
    let report = &semantic.stats().tools[0];
    assert!(report.bands.iter().all(|band| band.samples == 0 && !band.serving));
    assert_eq!((report.counts.demotions, report.counts.wrong), (1, 1));
    assert!(report.false_upper > DELTA, "the report does not forget");
}

#[test]
fn agreement_on_what_most_questions_get_proves_nothing() {
    let semantic = Semantic::new(SemanticLimits { max_bytes: 1 << 20 });
    for number in 0..ENOUGH + 100 {
        let (known, asked) = (format!("show the {}", thing(number)), format!("list the {}", thing(number)));
        semantic.clear(TOOL);
        semantic.insert(scope(1), TOOL, &known, &vector(), key(&known), 0, LIFE);
        match semantic.propose(scope(1), TOOL, &asked, &vector(), 1, 0) {
            Proposal::Shadow(claim) => assert_eq!(semantic.verdict(TOOL, &claim, 0), Outcome::Untelling),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_crosses_scopes_tools_or_lives() {
    let semantic = taught(ENOUGH);
    ask(&semantic, 5, 1);
    let asked = format!("list the {}", thing(5));
    let propose = |scope, tool, now_ms| semantic.propose(scope, tool, &asked, &vector(), 1, now_ms);
    assert!(matches!(propose(scope(1), TOOL, 999), Proposal::Serve(_)));
    assert_eq!(propose(scope(2), TOOL, 0), Proposal::Nothing(Why::NothingNear));
    assert_eq!(propose(scope(1), ToolId(2), 0), Proposal::Nothing(Why::NothingNear));
    assert_eq!(propose(scope(1), TOOL, 1_000), Proposal::Nothing(Why::NothingNear));
    semantic.forget(&key(&format!("show the {}", thing(5))));
    assert_eq!(propose(scope(1), TOOL, 0), Proposal::Nothing(Why::NothingNear));
}

#[test]
fn what_is_no_question_is_neither_kept_nor_compared() {
    let semantic = taught(1);
    let long = "x".repeat(LONGEST_TEXT + 1);
    semantic.clear(TOOL);
    semantic.insert(scope(1), TOOL, &long, &vector(), key("x"), 1, LIFE);
    assert_eq!(semantic.stats().entries, 0);
    assert_eq!(semantic.propose(scope(1), TOOL, &long, &vector(), 1, 0), Proposal::Nothing(Why::NoQuestion));
}
