//! A tool's result in fewer tokens: its texts pressed to a budget, a link to what was left out, and a report.
//!
//! Pure but for the store, which has the originals before anybody hears of them. What is no text (images, links,
//! embedded resources, a declared structure) is handed on as it came.

use bytes::Bytes;
use omnimind_compress::{self as press, Hints, Outcome, Policy, mark, tokens};
use omnimind_wire::{
    Edit,
    json::{elements, find, push_quoted},
};

use super::{
    report,
    wanted::{Wanted, text_of},
};
use crate::config::Press;

/// The name of the report in an answer's `_meta`.
const META_REPORT: &str = "omnimind/compression";
/// A text so short is not worth a line about what is missing in it.
const SHORT_TOKENS: usize = 120;

/// What a result was made of.
pub(super) struct Pressed {
    /// The result.
    pub(super) result: Bytes,
    /// Of its texts.
    pub(super) tokens_before: usize,
    /// Of its texts.
    pub(super) tokens_after: usize,
}

/// Where originals are kept, and with what key marks are made.
pub(super) trait Keeps {
    /// The key of marks.
    fn key(&self) -> [u8; 32];
    /// Keeps a text for the principal; true once it is there to stay.
    fn keep(&self, text: &str) -> bool;
}

/// One text of a result.
struct Text<'a> {
    /// Where it stands in `content`.
    at: usize,
    said: std::borrow::Cow<'a, str>,
    tokens: usize,
}

/// The result in fewer tokens; none if it is short enough, if it cannot be made shorter, or if it holds what a client
/// needs to the letter. `links` says whether the client knows links to resources.
pub(super) fn shortened(result: &Bytes, wanted: &Wanted, links: bool, store: Option<&impl Keeps>) -> Option<Pressed> {
    if !wanted.named && find(result, &["structuredContent"]).ok()?.is_some() {
        return None;
    }
    let content = elements(find(result, &["content"]).ok()??).ok()?;
    let texts = texts_of(&content);
    let before: usize = texts.iter().map(|text| text.tokens).sum();
    let budget = wanted.press.budget(before)?;
    let mut after = 0;
    let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
    for text in &texts {
        let outcome = pressed(text, wanted, share_of(budget, text.tokens, before), store);
        after += outcome.as_ref().map_or(text.tokens, |outcome| outcome.tokens_after);
        outcomes.extend(outcome.map(|outcome| (text.at, outcome)));
    }
    if outcomes.is_empty() || after >= before {
        return None;
    }
    let content = rewritten(&content, &outcomes, wanted, links)?;
    let report = report::report(before, after, budget, outcomes.iter().map(|(_, outcome)| outcome));
    let edit = Edit::new(result).set(&["content"], content).set(&["_meta", META_REPORT], report.into_bytes());
    Some(Pressed { result: edit.finish().ok()?, tokens_before: before, tokens_after: after })
}

/// Whether a result may hold enough tokens at all: each takes a byte or more.
pub(super) fn may_be_long(result: &[u8], press: &Press) -> bool {
    result.len() >= press.from_tokens
}

fn texts_of<'a>(content: &[&'a [u8]]) -> Vec<Text<'a>> {
    let texts = content.iter().enumerate().filter_map(|(at, block)| Some((at, text_of(block)?)));
    texts.map(|(at, text)| Text { at, tokens: tokens::count(&text), said: text }).collect()
}

/// A text's part of the budget; short ones are left whole by the others.
fn share_of(budget: usize, tokens: usize, all: usize) -> usize {
    budget.saturating_mul(tokens) / all.max(1)
}

/// A text within its budget; without a store only what loses nothing is done.
fn pressed(text: &Text<'_>, wanted: &Wanted, budget: usize, store: Option<&impl Keeps>) -> Option<Outcome> {
    if text.tokens <= SHORT_TOKENS {
        return None;
    }
    let hints = Hints { mime: "", name: &wanted.tool };
    let policy = |budget, key| Policy {
        budget,
        query: &wanted.query,
        hints,
        key,
        gentle: wanted.gentle(),
        reader: &wanted.reader,
        encoder: None,
    };
    let outcome = store.map(|store| (store, press::compress(&text.said, &policy(Some(budget), store.key()))));
    let kept = outcome.filter(|(store, outcome)| outcome.omissions.is_empty() || store.keep(&text.said));
    let outcome = kept.map_or_else(|| press::compress(&text.said, &policy(None, [0; 32])), |(_, outcome)| outcome);
    (outcome.tokens_after < text.tokens).then_some(outcome)
}

/// The content with its texts as they are told now, and a link to each original of which something is missing.
fn rewritten(content: &[&[u8]], outcomes: &[(usize, Outcome)], wanted: &Wanted, links: bool) -> Option<Vec<u8>> {
    let mut out = vec![b'['];
    let mut push = |block: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(block);
    };
    for (at, block) in content.iter().enumerate() {
        match outcomes.iter().find(|(of, _)| *of == at) {
            Some((_, outcome)) => {
                let mut text = Vec::with_capacity(outcome.text.len() + outcome.text.len() / 8);
                push_quoted(&mut text, &outcome.text);
                push(&Edit::new(block).set(&["text"], text).finish().ok()?);
            }
            None => push(block),
        }
    }
    for (_, outcome) in outcomes.iter().filter(|(_, outcome)| links && !outcome.omissions.is_empty()) {
        push(link(outcome, &wanted.tool).as_bytes());
    }
    out.push(b']');
    Some(out)
}

fn link(outcome: &Outcome, tool: &str) -> String {
    let uri = format!("{}{}", super::URI, mark::hex(&outcome.handle));
    serde_json::json!({"type": "resource_link", "uri": uri, "name": format!("{tool}: all of it")}).to_string()
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fmt::Write as _};

    use omnimind_wire::json::as_str;

    use super::*;

    #[derive(Default)]
    struct Shelf {
        kept: RefCell<Vec<String>>,
        full: bool,
    }

    impl Keeps for Shelf {
        fn key(&self) -> [u8; 32] {
            [3; 32]
        }

        fn keep(&self, text: &str) -> bool {
            self.kept.borrow_mut().push(text.to_owned());
            !self.full
        }
    }

    fn log(lines: usize) -> String {
        (0..lines).fold(String::new(), |mut text, line| {
            let _ = writeln!(
                text,
                "2026-11-22T10:{:02}:{:02}Z INFO order {} was packed by station {} and waits for its courier, weight {} g",
                line / 60 % 60, line % 60, 40_000 + line * 7, line % 9, 300 + line * 13 % 900
            );
            if line == lines / 2 {
                text.push_str("2026-11-22T10:59:59Z ERROR refund rf_88213 failed: gateway timeout after 30 s\n");
            }
            text
        })
    }

    fn wanted() -> Wanted {
        Wanted {
            press: Press::default(),
            query: "why did the refund fail".to_owned(),
            asked: true,
            named: false,
            tool: "read_log".to_owned(),
            from: "files/read_log".to_owned(),
            reader: "context__expand".to_owned(),
        }
    }

    fn result(text: &str, more: &str) -> Bytes {
        let text = serde_json::json!({"type": "text", "text": text, "annotations": {"priority": 1}});
        format!(r#"{{"content":[{text},{{"type":"image","data":"aGk=","mimeType":"image/png"}}]{more}}}"#).into()
    }

    fn text(result: &Bytes) -> String {
        let content = elements(find(result, &["content"]).ok().flatten().unwrap_or_default()).unwrap_or_default();
        let block = content.first().copied().unwrap_or_default();
        find(block, &["text"]).ok().flatten().and_then(as_str).unwrap_or_default().into_owned()
    }

    #[test]
    fn a_long_text_is_told_in_its_share_and_the_error_stands_in_it() {
        let (original, shelf) = (log(800), Shelf::default());
        let pressed = shortened(&result(&original, ""), &wanted(), true, Some(&shelf)).unwrap();
        let told = text(&pressed.result);
        assert!(told.contains("refund rf_88213 failed: gateway timeout after 30 s"), "{told}");
        assert!(tokens::count(&told) <= tokens::count(&original) / 4);
        assert_eq!(pressed.tokens_after, tokens::count(&told));
        assert_eq!(*shelf.kept.borrow(), std::slice::from_ref(&original));
        let uri = format!("omnimind://context/{}", blake3::hash(original.as_bytes()).to_hex());
        let whole = String::from_utf8(pressed.result.to_vec()).unwrap();
        assert!(whole.contains(&format!(r#""uri":"{uri}""#)), "{whole}");
        assert!(whole.contains(r#"{"type":"image","data":"aGk=","mimeType":"image/png"}"#));
        assert!(whole.contains(r#""annotations":{"priority":1}"#));
        assert!(whole.contains(r#""omnimind/compression":{"#));
    }

    #[test]
    fn a_client_that_knows_no_links_gets_none() {
        let pressed = shortened(&result(&log(800), ""), &wanted(), false, Some(&Shelf::default())).unwrap();
        assert!(!String::from_utf8_lossy(&pressed.result).contains("resource_link"));
    }

    #[test]
    fn nothing_is_left_out_that_could_not_be_kept() {
        let original = log(800);
        for shelf in [Some(Shelf { full: true, ..Shelf::default() }), None] {
            let pressed = shortened(&result(&original, ""), &wanted(), true, shelf.as_ref()).unwrap();
            assert_eq!(press::decode(&press::lossless(&original)).as_deref(), Some(&*original));
            assert_eq!(text(&pressed.result), press::lossless(&original).text);
            assert!(!String::from_utf8_lossy(&pressed.result).contains("resource_link"));
        }
    }

    #[test]
    fn what_is_short_or_has_a_declared_structure_stays_unless_it_was_meant() {
        let shelf = Shelf::default();
        assert!(shortened(&result(&log(5), ""), &wanted(), true, Some(&shelf)).is_none());
        let structured = result(&log(800), r#","structuredContent":{"n":1}"#);
        assert!(shortened(&structured, &wanted(), true, Some(&shelf)).is_none());
        let named = Wanted { named: true, ..wanted() };
        let pressed = shortened(&structured, &named, true, Some(&shelf)).unwrap();
        assert!(String::from_utf8_lossy(&pressed.result).contains(r#""structuredContent":{"n":1}"#));
    }

    #[test]
    fn what_is_no_result_of_a_tool_is_left_alone() {
        for odd in ["{}", r#"{"content":3}"#, r#"{"content":[1,"x",{"type":"text"}]}"#, "[]"] {
            assert!(shortened(&Bytes::from(odd), &wanted(), true, Some(&Shelf::default())).is_none(), "{odd}");
        }
    }
}
