//! How one argument of a call came from what was said before: a rule that can be applied again.
//!
//! A rule names where to look (the last call of some tool), what to pick there, and how to put it: as it is, beneath a
//! folder, or between two pieces of text. Applied to a session it gives a value or nothing; held against what was really
//! asked it gains or loses. Its chance is the share of its applications that came true, started low for rules that may
//! well be coincidence (constants, and copies of values shorter than four bytes).

use std::sync::Arc;

use super::ppm::Symbol;
use super::session::{Call, Session, beneath};
use super::value::{Arguments, VALUE_BYTES, Value};
use super::view::{Leaf, Path, View};

const AHEAD: u8 = 2;
const STEP: u64 = 1_000_000;
/// Rules that one value may suggest.
const SUGGESTIONS: usize = 6;
/// Scalars of one result that are taken for the source of a value, were there more equal ones.
const MATCHES: usize = 4;
/// Scalars that are searched for within a longer text.
const WITHIN: usize = 96;
const WITHIN_BYTES: usize = 3;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pick {
    Constant(Value),
    /// An argument of the last call of a tool.
    Argument(Symbol, Arc<str>),
    /// A number of the last call of a tool, moved on; none counts as 0.
    Step(Symbol, Arc<str>, i64),
    /// A scalar of its result.
    Field(Symbol, Path),
    /// An element of a list in its result, so many after the one last copied.
    Element {
        tool: Symbol,
        list: Path,
        ahead: u8,
        alike: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Plain,
    /// Beneath the folder that this argument of the same call named.
    Beneath(Arc<str>),
    /// Between two pieces of text.
    Within(Arc<str>, Arc<str>),
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) pick: Pick,
    form: Form,
    hits: f32,
    tries: f32,
}

impl Rule {
    fn new(pick: Pick, form: Form, copied: &Value) -> Self {
        let doubtful = matches!(pick, Pick::Constant(_)) || copied.text.len() < 4;
        Self { pick, form, hits: 1.0, tries: if doubtful { 2.0 } else { 1.0 } }
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.pick == other.pick && self.form == other.form
    }

    pub(super) fn chance(&self) -> f32 {
        (self.hits + 0.3) / (self.tries + 1.2)
    }

    pub(super) fn bytes(&self) -> usize {
        let pick = match &self.pick {
            Pick::Constant(value) => value.text.len() + 16,
            Pick::Argument(_, name) | Pick::Step(_, name, _) => name.len() + 16,
            Pick::Field(..) | Pick::Element { .. } => 0,
        };
        let form = match &self.form {
            Form::Plain => 0,
            Form::Beneath(name) => name.len() + 16,
            Form::Within(before, after) => before.len() + after.len() + 32,
        };
        size_of::<Self>() + pick + form
    }

    /// Holds the rule against what was really asked.
    pub(super) fn judge(&mut self, session: &Session, value: &Value) {
        let Some(expected) = self.apply(session, 0) else { return };
        if self.tries >= 16.0 {
            (self.hits, self.tries) = (self.hits / 2.0, self.tries / 2.0);
        }
        self.tries += 1.0;
        self.hits += f32::from(u8::from(expected == *value));
    }

    /// The value by this rule; `further` goes on in a list by so many elements more.
    pub(super) fn apply(&self, session: &Session, further: u8) -> Option<Value> {
        let (value, call) = match &self.pick {
            Pick::Constant(value) => return Some(value.clone()),
            Pick::Argument(tool, name) => {
                let call = session.call(*tool)?;
                (call.arguments.get(name)?.clone(), call)
            }
            Pick::Step(tool, name, by) => {
                let call = session.call(*tool)?;
                let now = call.arguments.get(name).map_or(Some(0), Value::as_integer)?;
                (Value::integer(now.checked_add(*by)?), call)
            }
            Pick::Field(tool, path) => {
                let call = session.call(*tool)?;
                let leaf = call.view.leaves().iter().find(|leaf| leaf.path == *path && leaf.place.is_none())?;
                (call.view.value_of(leaf), call)
            }
            Pick::Element { tool, list, ahead, alike } => {
                let call = session.call(*tool)?;
                (call.view.value_of(element(call, *list, ahead + further, *alike)?), call)
            }
        };
        match &self.form {
            Form::Plain => Some(value),
            Form::Beneath(name) => {
                let folder = call.arguments.get(name)?.as_text()?;
                Value::text(&format!("{}/{}", folder.trim_end_matches('/'), value.as_text()?))
            }
            Form::Within(before, after) => Value::text(&format!("{before}{}{after}", value.as_text()?)),
        }
    }

    pub(super) fn is_element(&self) -> bool {
        matches!(self.pick, Pick::Element { .. })
    }
}

fn element(call: &Call, list: Path, ahead: u8, alike: bool) -> Option<&Leaf> {
    let (used, mut rest) = call.after_used(list);
    match used.filter(|_| alike) {
        Some(used) => {
            let kind = ending(call.view.text_of(used));
            rest.filter(|leaf| ending(call.view.text_of(leaf)) == kind).nth(usize::from(ahead.max(1)) - 1)
        }
        None => rest.nth(usize::from(ahead.max(1)) - 1),
    }
}

/// What stands after the last dot of a name: elements that end alike are of one kind.
fn ending(text: &str) -> Option<&str> {
    let (_, ending) = text.rsplit_once('.')?;
    (ending.len() <= 8 && !ending.contains('/')).then_some(ending)
}

/// Every rule that would have given this value for an argument of this name of a call of `tool`.
pub(super) fn suggest(session: &Session, tool: Symbol, name: &Arc<str>, value: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    for call in session.calls() {
        copies(call, value, &mut rules);
    }
    if let Some(step) = stepped(session, tool, name, value) {
        rules.push(step);
    }
    if rules.is_empty() {
        rules.extend(within(session, value));
    }
    rules.truncate(SUGGESTIONS);
    rules.push(Rule::new(Pick::Constant(value.clone()), Form::Plain, value));
    rules
}

fn copies(call: &Call, value: &Value, rules: &mut Vec<Rule>) {
    let mut found = 0;
    for leaf in call.view.leaves() {
        if found == MATCHES {
            break;
        }
        if value.is(leaf.digest) {
            found += 1;
            rules.extend(picks(call, leaf).into_iter().map(|pick| Rule::new(pick, Form::Plain, value)));
        } else if View::is_text(leaf)
            && let Some(base) = beneath(value, call.view.text_of(leaf), &call.arguments)
        {
            found += 1;
            rules.extend(picks(call, leaf).into_iter().map(|pick| Rule::new(pick, Form::Beneath(base.clone()), value)));
        }
    }
    for (name, _) in call.arguments.iter().filter(|(_, argument)| *argument == value) {
        rules.push(Rule::new(Pick::Argument(call.tool, name.clone()), Form::Plain, value));
    }
}

/// The ways to pick this scalar from its result.
fn picks(call: &Call, leaf: &Leaf) -> Vec<Pick> {
    if leaf.place.is_none() {
        return vec![Pick::Field(call.tool, leaf.path)];
    }
    let (tool, list) = (call.tool, leaf.path);
    let reaches = |ahead, alike| element(call, list, ahead, alike).is_some_and(|found| found.place == leaf.place);
    let mut picks: Vec<Pick> = (1..=AHEAD)
        .filter(|ahead| reaches(*ahead, false))
        .map(|ahead| Pick::Element { tool, list, ahead, alike: false })
        .collect();
    if reaches(1, true) {
        picks.push(Pick::Element { tool, list, ahead: 1, alike: true });
    }
    picks
}

fn stepped(session: &Session, tool: Symbol, name: &Arc<str>, value: &Value) -> Option<Rule> {
    let now = session.call(tool)?.arguments.get(name).map_or(Some(0), Value::as_integer)?;
    let by = value.as_integer()?.checked_sub(now)?;
    (by != 0 && by.unsigned_abs() <= STEP).then(|| Rule::new(Pick::Step(tool, name.clone(), by), Form::Plain, value))
}

/// The longest known text that stands in this value as a word of its own.
fn within(session: &Session, value: &Value) -> Vec<Rule> {
    let Some(text) = value.as_text() else { return Vec::new() };
    let mut best: Option<(&Call, Source<'_>, usize)> = None;
    for call in session.calls().iter().take(2) {
        let arguments =
            call.arguments.iter().filter_map(|(name, known)| Some((Source::Argument(name), known.as_text()?)));
        let elements = call.view.leaves().iter().take(WITHIN).filter(|leaf| View::is_text(leaf));
        let elements = elements.map(|leaf| (Source::Leaf(leaf), call.view.text_of(leaf)));
        for (source, known) in arguments.chain(elements) {
            let longest = best.as_ref().map_or(WITHIN_BYTES - 1, |(.., len)| *len);
            if known.len() > longest && known.len() < text.len() && word_at(text, known).is_some() {
                best = Some((call, source, known.len()));
            }
        }
    }
    let Some((call, source, _)) = best else { return Vec::new() };
    let (known, picks) = match source {
        Source::Argument(name) => (
            call.arguments.get(name).and_then(Value::as_text).unwrap_or_default(),
            vec![Pick::Argument(call.tool, name.clone())],
        ),
        Source::Leaf(leaf) => (call.view.text_of(leaf), picks(call, leaf)),
    };
    let Some((before, after)) = word_at(text, known) else { return Vec::new() };
    let form = Form::Within(before.into(), after.into());
    picks.into_iter().map(|pick| Rule::new(pick, form.clone(), value)).collect()
}

enum Source<'a> {
    Argument(&'a Arc<str>),
    Leaf(&'a Leaf),
}

/// What stands before and after `word` in `text`, where it stands as a word.
fn word_at<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (before, after) = text.split_once(word)?;
    let whole = !before.ends_with(inside) && !after.starts_with(inside);
    (whole && before.len() + after.len() <= VALUE_BYTES).then_some((before, after))
}

/// Rules of one argument, by name.
pub(super) fn applied(rules: &[Rule], session: &Session, further: u8) -> Option<(Value, f32, bool)> {
    let applicable = rules.iter().filter_map(|rule| {
        let further = if rule.is_element() { further } else { 0 };
        Some((rule.apply(session, further)?, rule.chance(), rule.is_element()))
    });
    // Of equals the first: it was suggested by the more recent call.
    applicable.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Names of a call, as the shape that calls of its tool have.
pub(super) fn shape(arguments: &Arguments) -> Arc<[Arc<str>]> {
    arguments.names().cloned().collect()
}
