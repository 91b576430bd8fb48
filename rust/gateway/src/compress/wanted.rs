//! Whose results are told shorter, and how short: decided by the file, by the client's own word, never by a guess.
//!
//! A tool that the file names is what the file says. Otherwise the client's budget for this call counts
//! (`_meta["omnimind/budgetTokens"]`), then what the file says of the server, then of the client. Without a word for
//! this very tool or call, what a client may need to the letter stays: the answers of tools that change something, of
//! calls that ask for a range, and whatever has a structure that was declared.
//!
//! What a client wants to know is what it says (`_meta["omnimind/query"]`), else what it asked the tool, if that is a
//! question; else what its principal looked for in originals lately ([`recent`](super::recent)).

use std::borrow::Cow;

use bytes::Bytes;
use omnimind_wire::{
    Object,
    json::{as_str, as_u64, elements, find, find_checked},
    names,
};
use tokio::time::Instant;

use super::recent::words_of;
use crate::{
    config::{Press, ServerSpec},
    relay::{Client, Target, known_word},
};

const META_BUDGET: &str = "omnimind/budgetTokens";
const META_QUERY: &str = "omnimind/query";
/// Arguments that ask for a part of something: who asks for lines 10 to 20 wants these. How many is no part: a log's
/// `lines` or a search's `limit` only say how much there may be.
const RANGES: [&str; 13] = [
    "offset",
    "head",
    "tail",
    "range",
    "line_range",
    "start_line",
    "end_line",
    "startLine",
    "endLine",
    "view_range",
    "first_line",
    "last_line",
    "byte_range",
];
/// Arguments that ask for something whatever they say; any other asks if it is a text of a few words.
const QUESTIONS: [&str; 16] = [
    "query",
    "queries",
    "q",
    "question",
    "search",
    "search_term",
    "term",
    "terms",
    "topic",
    "pattern",
    "regex",
    "grep",
    "filter",
    "keyword",
    "keywords",
    "prompt",
];
const FEW_WORDS: usize = 3;
/// The most that is read of a query, in bytes.
const LONGEST_QUERY: usize = 4_096;
/// The server and the tool that read what was left out.
const READER: [&str; 2] = ["context", "expand"];

/// How one call's result is to be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(super) press: Press,
    /// What the client wants to know.
    pub(super) query: String,
    /// That is known, not only guessed from where the tool looks.
    pub(super) asked: bool,
    /// This tool or this call was meant, so a declared structure keeps nobody from it.
    pub(super) named: bool,
    pub(super) tool: String,
    /// Server and tool, for the store.
    pub(super) from: String,
    /// The tool of this endpoint that reads what is left out; empty if there is none.
    pub(super) reader: String,
}

impl Wanted {
    /// Prose keeps half: nobody knows what will be asked of it, and nobody named a number of tokens.
    pub(super) fn gentle(&self) -> bool {
        !self.asked && self.press.budget_tokens.is_none()
    }
}

/// Hears what a principal looks for in what was left out.
pub(crate) fn hear(client: &Client, spec: &ServerSpec, method: &str, params: &Bytes) {
    if !spec.first_party || spec.name != READER[0] || method != "tools/call" {
        return;
    }
    if find_checked(params, "name").and_then(as_str).is_none_or(|tool| tool != READER[1]) {
        return;
    }
    let said = |name| find(params, &["arguments", name]).ok().flatten().and_then(as_str);
    let recent = &client.caller.plane.compress.recent;
    let now = Instant::now();
    for words in [said("query"), said("grep").map(|pattern| words_of(&pattern).into())].into_iter().flatten() {
        recent.note(client.principal(), &words, now);
    }
}

/// Whether anything of this server may be told shorter to this client without its own word.
pub(crate) fn may_be(client: &Client, spec: &ServerSpec) -> bool {
    spec.compress.press.is_some()
        || !spec.compress.tools.is_empty()
        || client.caller.plane.snapshot.load().compress.contains_key(&**client.principal())
}

/// What is wanted of a call's result, if anything. `params` are in the server's names, `meta` is what the client sent.
pub(crate) fn wanted(
    client: &Client,
    spec: &ServerSpec,
    method: &str,
    params: &Bytes,
    meta: Option<&[u8]>,
) -> Option<Wanted> {
    if method != "tools/call" {
        return None;
    }
    let said = |key| meta.and_then(|meta| find(meta, &[key]).ok().flatten());
    let budget = said(META_BUDGET).and_then(as_u64).and_then(|tokens| usize::try_from(tokens).ok());
    if budget.is_none() && !may_be(client, spec) {
        return None;
    }
    let tool = find_checked(params, "name").and_then(as_str)?;
    // What was left out before is asked for here, to the letter.
    if spec.first_party && tool == READER[1] {
        return None;
    }
    let arguments = find_checked(params, "arguments");
    let (press, named) = match (spec.compress.tools.get(&*tool), budget) {
        (Some(None), _) => return None,
        (Some(Some(press)), _) => (within(*press, budget), true),
        (None, Some(budget)) => {
            (Press { share: 1.0, budget_tokens: Some(budget.max(1)), from_tokens: budget.saturating_add(1) }, true)
        }
        (None, None) => {
            let snapshot = client.caller.plane.snapshot.load();
            let press = spec.compress.press.or_else(|| snapshot.compress.get(&**client.principal()).copied())?;
            let reads = known_word(client, spec, &tool).is_none_or(|word| word.read_only);
            if !reads || arguments.is_some_and(asks_for_a_range) {
                return None;
            }
            (press, false)
        }
    };
    let asked = said(META_QUERY).and_then(as_str).filter(|query| !query.trim().is_empty());
    let (query, asked) = match asked {
        Some(query) => (cut(&query, LONGEST_QUERY).to_owned(), true),
        None => match said_to_the_tool(arguments) {
            said if said.asks => (said.words, true),
            said => {
                let recent = client.caller.plane.compress.recent.words(client.principal(), Instant::now());
                (format!("{recent} {}", said.words), !recent.is_empty())
            }
        },
    };
    let from = format!("{}/{tool}", spec.name);
    let reader = reader(client).unwrap_or_default();
    Some(Wanted { press, query, asked, named, tool: tool.into_owned(), from, reader })
}

/// The tool that reads what was left out, where the endpoint has one.
fn reader(client: &Client) -> Option<String> {
    let Target::All = client.caller.target else { return None };
    let snapshot = client.caller.plane.snapshot.load();
    let is_there = snapshot.servers.iter().any(|spec| spec.first_party && spec.name == READER[0]);
    is_there.then(|| names::join(READER[0], READER[1]))
}

/// The operator's word, and the client's budget as one more bound.
fn within(press: Press, budget: Option<usize>) -> Press {
    let bound = [press.budget_tokens, budget].into_iter().flatten().min();
    Press { budget_tokens: bound, ..press }
}

fn asks_for_a_range(arguments: &[u8]) -> bool {
    Object::parse(arguments).is_ok_and(|object| RANGES.iter().any(|name| object.get(name).is_some()))
}

/// What the tool was asked.
#[derive(Default)]
struct Said {
    /// The texts among its arguments.
    words: String,
    /// They are a question, not only the name of a place.
    asks: bool,
}

fn said_to_the_tool(arguments: Option<&[u8]>) -> Said {
    let mut said = Said::default();
    if let Some(arguments) = arguments {
        said.collect("", arguments);
    }
    said
}

impl Said {
    fn collect(&mut self, name: &str, value: &[u8]) {
        if self.words.len() >= LONGEST_QUERY {
            return;
        }
        if let Some(text) = as_str(value) {
            let words = text.split_whitespace().take(FEW_WORDS).count();
            self.asks |= words >= FEW_WORDS || words > 0 && QUESTIONS.contains(&name);
            self.words.push_str(cut(&text, LONGEST_QUERY));
            self.words.push(' ');
        } else if let Ok(object) = Object::parse(value) {
            object.iter().for_each(|member| self.collect(&member.key, member.value));
        } else if let Ok(items) = elements(value) {
            for item in items {
                self.collect(name, item);
            }
        }
    }
}

/// As much of a text as fits in so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=text.len().min(most)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// The text as it is, owned where it has to be.
pub(super) fn text_of(block: &[u8]) -> Option<Cow<'_, str>> {
    let is_text = find(block, &["type"]).ok().flatten().and_then(as_str).is_some_and(|kind| kind == "text");
    if is_text { find(block, &["text"]).ok().flatten().and_then(as_str) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_made_of_the_texts_among_the_arguments() {
        let words = |arguments: Option<&str>| said_to_the_tool(arguments.map(str::as_bytes)).words;
        let arguments = r#"{"path":"a.log","n":3,"deep":{"words":["red","blue"]},"on":true}"#;
        assert_eq!(words(Some(arguments)), "a.log red blue ");
        assert_eq!(words(None), "");
        assert!(words(Some(&format!("[{}]", vec!["\"абв\""; 9_000].join(",")))).len() < LONGEST_QUERY + 10);
    }

    #[test]
    fn a_place_is_no_question() {
        let asks = |arguments: &str| said_to_the_tool(Some(arguments.as_bytes())).asks;
        for place in [r#"{"path":"/var/log/a b.log"}"#, r#"{"lines":30}"#, "{}", r#"{"query":" "}"#, "[]"] {
            assert!(!asks(place), "{place}");
        }
        for question in [r#"{"query":"refund"}"#, r#"{"task":{"of":["why did it fail"]}}"#, r#"{"terms":["a"]}"#] {
            assert!(asks(question), "{question}");
        }
    }

    #[test]
    fn prose_is_spared_where_nobody_asked_and_nobody_named_a_number_of_tokens() {
        let wanted = |asked, budget_tokens| Wanted {
            press: Press { budget_tokens, ..Press::default() },
            query: String::new(),
            asked,
            named: false,
            tool: String::new(),
            from: String::new(),
            reader: String::new(),
        };
        assert!(wanted(false, None).gentle());
        assert!(!wanted(true, None).gentle() && !wanted(false, Some(500)).gentle());
    }

    #[test]
    fn who_asks_for_a_range_is_known_by_the_arguments() {
        assert!(asks_for_a_range(br#"{"path":"x","head":10}"#));
        assert!(!asks_for_a_range(br#"{"path":"x","limit":10}"#));
        assert!(!asks_for_a_range(b"[]"));
    }

    #[test]
    fn a_clients_budget_lowers_what_the_operator_says_and_never_raises_it() {
        let press = Press { budget_tokens: Some(500), ..Press::default() };
        assert_eq!(within(press, Some(200)).budget_tokens, Some(200));
        assert_eq!(within(press, Some(900)).budget_tokens, Some(500));
        assert_eq!(within(Press::default(), Some(900)).budget_tokens, Some(900));
    }
}
