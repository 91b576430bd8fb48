//! All lines in fewer tokens: templates once, then a line each, in order: its time, its template, its values.
//!
//! ```text
//! 2 templates of lines; below, a line is its time (none: as above it), its template, what stands for each {}; ...
//! A: {t} INFO [{}] store: wrote block {} in {}
//! B: {t} WARN [gc] store: slow
//! # 2026-11-21 {t}
//! 10:00:01,234 A worker-3 blk_77 12ms
//! 10:00:01,301 B
//! ```
//!
//! Rule: values stand whole and as they are, each in its own line. The only thing taken out of a value is the date
//! (and zone) of the line's time: it stands once, as `# `, before the first line that has it, and the time of day stays
//! whole. What cannot be read back to the byte is printed as it was: every line is read back as it is written, by the
//! same [`Reader`] that decodes.

use std::{fmt::Write as _, ops::Range};

use super::{
    alarm::{self, Grade},
    pieces::{What, closing},
    shape::{Line, Log, Template},
    units::{Units, unit_begin, unit_mark},
};
use crate::tokens;

/// What stands for a value and for a time in a template: the first pair that the block does not have. A unit goes into
/// the sign for its value: `{ ms}`.
const MARKS: [[&str; 2]; 4] = [["{}", "{t}"], ["<>", "<t>"], ["<*>", "<time>"], ["⟨⟩", "⟨t⟩"]];

/// A line that begins like one of ours, but is none.
const AS_IT_WAS: char = '\\';
const DATE: &str = "# ";
/// Errors are few if they are no more than one in so many lines.
const LOUD: usize = 50;

fn head(marks: [&str; 2], templates: usize) -> String {
    let [value, time] = marks;
    format!(
        "{templates} templates of lines; below, a line is its time {time} (none: that of the line above; dates after \
         #), its template, what stands for each {value} or {}; other lines are as they were",
        unit_mark(value, " unit")
    )
}

/// The block by templates; `None` if no template would save anything.
pub(super) fn encode(log: &Log<'_>) -> Option<String> {
    let free = |marks: &&[&'static str; 2]| {
        !marks.iter().any(|mark| log.block.contains(mark)) && !log.block.contains(&unit_begin(marks[0]))
    };
    let marks = *MARKS.iter().find(free)?;
    let uses: Vec<Option<Use>> = chosen(log, marks);
    let count = uses.iter().flatten().count();
    if count == 0 {
        return None;
    }
    let mut out = head(marks, count);
    for used in uses.iter().flatten() {
        let _ = write!(out, "\n{}: {}", used.name, used.printed);
    }
    let templates = uses.iter().flatten().map(|used| parts(&used.printed, marks)).collect();
    let mut writer = Writer { log, marks, reader: Reader::new(marks, templates), out, line: String::new() };
    for line in &log.lines {
        writer.line(line, uses.get(line.template).and_then(Option::as_ref));
    }
    Some(writer.out)
}

/// What [`encode`] was given.
pub(super) fn decode(printed: &str) -> Option<String> {
    let (first, rest) = printed.split_once('\n')?;
    let count: usize = first.split(' ').next()?.parse().ok()?;
    let marks = *MARKS.iter().find(|marks| head(**marks, count) == first)?;
    let mut lines = rest.split('\n');
    let mut templates = Vec::new();
    for at in 0..count {
        let template = lines.next()?.strip_prefix(name(at).as_str())?.strip_prefix(": ")?;
        templates.push(parts(template, marks));
    }
    let mut reader = Reader::new(marks, templates);
    let mut out = String::with_capacity(printed.len() * 3);
    let mut begun = false;
    for line in lines {
        if reader.date(line) {
            continue;
        }
        if begun {
            out.push('\n');
        }
        begun = true;
        if !reader.fill(line, &mut out) {
            out.push_str(line.strip_prefix(AS_IT_WAS).unwrap_or(line));
        }
    }
    begun.then_some(out)
}

/// A template that is worth its line.
struct Use {
    name: String,
    printed: String,
    /// Which pieces are printed in each line, each with the unit behind it.
    places: Vec<(usize, String)>,
}

fn chosen(log: &Log<'_>, marks: [&str; 2]) -> Vec<Option<Use>> {
    let varying = varying(log);
    let few = log.lines.len() / LOUD;
    let mut used = 0;
    let each = log.templates.iter().zip(varying);
    each.map(|(template, places)| {
        // A few lines of errors are read as they are.
        let loud = || log.model(template).is_some_and(|model| alarm::in_words(log, model) == Grade::Error);
        if template.lines <= few && loud() {
            return None;
        }
        let use_of = Use::of(log, template, &places, name(used), marks)?;
        used += 1;
        Some(use_of)
    })
    .collect()
}

/// For each template the values that are not the same in all its lines.
fn varying(log: &Log<'_>) -> Vec<Vec<usize>> {
    let mut varies: Vec<Vec<bool>> = log.templates.iter().map(|template| vec![false; template.values.len()]).collect();
    for line in &log.lines {
        let (Some(template), Some(varies)) = (log.templates.get(line.template), varies.get_mut(line.template)) else {
            continue;
        };
        let Some(model) = log.model(template) else { continue };
        for (place, varies) in template.values.iter().zip(varies).filter(|(_, varies)| !**varies) {
            *varies = log.value(line, *place) != log.value(model, *place);
        }
    }
    let each = log.templates.iter().zip(varies);
    each.map(|(template, varies)| {
        template.values.iter().zip(varies).filter(|(_, varies)| *varies).map(|(place, _)| *place).collect()
    })
    .collect()
}

impl Use {
    fn of(log: &Log<'_>, template: &Template, places: &[usize], name: String, marks: [&str; 2]) -> Option<Self> {
        if template.lines < 2 {
            return None;
        }
        let [value, time] = marks;
        let model = log.model(template)?;
        let text = log.text(model);
        let mut printed = String::new();
        let mut filled = String::new();
        let mut kept = Vec::new();
        let units = Units::of(text, value);
        let mut at = 0;
        for (place, piece) in log.pieces(model).iter().enumerate() {
            let (start, end) = (piece.start as usize, piece.end as usize);
            if piece.what != What::Time && places.binary_search(&place).is_err() {
                continue;
            }
            printed.push_str(text.get(at..start)?);
            at = end;
            if piece.what == What::Time {
                printed.push_str(time);
                continue;
            }
            // Up to the next value.
            let next = places.get(places.partition_point(|other| *other <= place));
            let bound =
                next.and_then(|next| log.pieces(model).get(*next)).map_or(text.len(), |next| next.start as usize);
            let unit = units.behind(end, bound).to_owned();
            printed.push_str(&unit_mark(value, &unit));
            at += unit.len();
            filled.extend([" ", piece.of(text), &unit]);
            kept.push((place, unit));
        }
        printed.push_str(text.get(at..)?);
        let clock = model.stamp.as_ref().and_then(|stamp| text.get(stamp.clock.clone())).unwrap_or_default();
        let short = tokens::count(&format!("{clock} {name}{filled}"));
        let saved = tokens::count(text).saturating_sub(short).saturating_mul(template.lines);
        (saved > tokens::count(&printed) + 4).then_some(Self { name, printed, places: kept })
    }
}

struct Writer<'w, 'a> {
    log: &'w Log<'a>,
    marks: [&'static str; 2],
    reader: Reader,
    out: String,
    /// The line in the making; then what it reads as.
    line: String,
}

impl Writer<'_, '_> {
    fn line(&mut self, line: &Line, used: Option<&Use>) {
        if !used.is_some_and(|used| self.by_template(line, used)) {
            self.as_it_was(self.log.text(line));
        }
    }

    /// False, and nothing printed, if it would not read as it was.
    fn by_template(&mut self, line: &Line, used: &Use) -> bool {
        let begun = self.out.len();
        let clock = self.reader.clock.clone();
        let text = self.log.text(line);
        if let Some(stamp) = &line.stamp {
            self.write_time(text, stamp.whole.clone(), stamp.clock.clone());
        }
        let from = self.out.len();
        self.out.push('\n');
        if let Some(stamp) = &line.stamp
            && let Some(now) = text.get(stamp.clock.clone())
            && now != self.reader.clock
        {
            self.out.push_str(now);
            self.out.push(' ');
        }
        self.out.push_str(&used.name);
        for (place, unit) in &used.places {
            self.out.extend([" ", self.log.value(line, *place), unit]);
        }
        self.line.clear();
        let printed = self.out.get(from + 1..).unwrap_or_default();
        if self.reader.fill(printed, &mut self.line) && self.line == text {
            return true;
        }
        // The date, if one was printed, holds for the lines that follow; the time does not.
        self.out.truncate(if from > begun { from } else { begun });
        self.reader.clock = clock;
        false
    }

    /// The date of this line, if it is another than before.
    fn write_time(&mut self, text: &str, whole: Range<usize>, clock: Range<usize>) {
        let before = text.get(whole.start..clock.start).unwrap_or_default();
        let behind = text.get(clock.end..whole.end).unwrap_or_default();
        if self.reader.before == before && self.reader.behind == behind {
            return;
        }
        let from = self.out.len() + 1;
        let _ = write!(self.out, "\n{DATE}{before}{}{behind}", self.marks[1]);
        let printed = self.out.get(from..).unwrap_or_default();
        self.reader.date(printed);
    }

    fn as_it_was(&mut self, text: &str) {
        self.out.push('\n');
        self.line.clear();
        let clock = self.reader.clock.clone();
        if text.starts_with(AS_IT_WAS) || text.starts_with(DATE) || self.reader.fill(text, &mut self.line) {
            self.reader.clock = clock;
            self.out.push(AS_IT_WAS);
        }
        self.out.push_str(text);
    }
}

enum Part {
    Text(String),
    /// With its unit.
    Value(String),
    Time,
}

/// A template as it is printed, taken apart at its marks.
fn parts(printed: &str, marks: [&str; 2]) -> Vec<Part> {
    let mut parts = Vec::new();
    let [value, time] = marks;
    let begin = unit_begin(value);
    let closing = value.chars().next_back().unwrap_or_default();
    let mut rest = printed;
    loop {
        let unit = |at: usize| {
            let from = at + begin.len() - 1;
            let unit = rest.get(from..)?.split_once(closing)?.0;
            Some((at, begin.len() - 1 + unit.len() + closing.len_utf8(), Part::Value(unit.to_owned())))
        };
        let next = [
            rest.find(value).map(|at| (at, value.len(), Part::Value(String::new()))),
            rest.find(time).map(|at| (at, time.len(), Part::Time)),
            rest.find(&begin).and_then(unit),
        ];
        let next = next.into_iter().flatten().min_by_key(|(at, ..)| *at);
        let Some((at, length, part)) = next else { break };
        parts.push(Part::Text(rest.get(..at).unwrap_or_default().to_owned()));
        parts.push(part);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

/// Reads lines that were printed by template.
struct Reader {
    marks: [&'static str; 2],
    templates: Vec<Vec<Part>>,
    /// What stands before and behind the time of day.
    before: String,
    behind: String,
    clock: String,
}

impl Reader {
    fn new(marks: [&'static str; 2], templates: Vec<Vec<Part>>) -> Self {
        Self { marks, templates, before: String::new(), behind: String::new(), clock: String::new() }
    }

    /// Takes the date of the lines that follow, if the line is one.
    fn date(&mut self, line: &str) -> bool {
        let Some((before, behind)) = line.strip_prefix(DATE).and_then(|date| date.split_once(self.marks[1])) else {
            return false;
        };
        before.clone_into(&mut self.before);
        behind.clone_into(&mut self.behind);
        true
    }

    /// Appends the line that this stands for; false, and nothing appended, if it is not one of ours.
    fn fill(&mut self, line: &str, out: &mut String) -> bool {
        let length = out.len();
        let filled = self.filled(line, out).is_some();
        if !filled {
            out.truncate(length);
        }
        filled
    }

    fn filled(&mut self, line: &str, out: &mut String) -> Option<()> {
        let (first, rest) = word(line);
        let (clock, template, mut rest) = match number(first).and_then(|at| self.templates.get(at)) {
            Some(template) => (None, template, rest),
            None if is_clock(first) => {
                let (second, rest) = word(rest?);
                (Some(first), self.templates.get(number(second)?)?, rest)
            }
            None => return None,
        };
        let mut timed = false;
        for part in template {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Time => {
                    timed = true;
                    out.push_str(&self.before);
                    out.push_str(clock.unwrap_or(&self.clock));
                    out.push_str(&self.behind);
                }
                Part::Value(unit) => {
                    let (value, next) = value(rest?)?;
                    out.extend([value, unit]);
                    rest = match unit.strip_prefix(' ') {
                        Some(unit) => match next?.strip_prefix(unit)? {
                            "" => None,
                            behind => Some(behind.strip_prefix(' ')?),
                        },
                        None => next,
                    };
                }
            }
        }
        if rest.is_some() || clock.is_some() && !timed {
            return None;
        }
        if let Some(clock) = clock {
            clock.clone_into(&mut self.clock);
        }
        Some(())
    }
}

/// What stands before the first space, and behind it.
fn word(text: &str) -> (&str, Option<&str>) {
    text.split_once(' ').map_or((text, None), |(word, rest)| (word, Some(rest)))
}

/// The first value: to the closing quote, or to the next space.
fn value(text: &str) -> Option<(&str, Option<&str>)> {
    if !text.starts_with('"') {
        return Some(word(text)).filter(|(value, _)| !value.is_empty());
    }
    let end = closing(text.as_bytes(), 0)? + 1;
    let (value, rest) = text.split_at_checked(end)?;
    if rest.is_empty() { Some((value, None)) } else { Some((value, Some(rest.strip_prefix(' ')?))) }
}

fn is_clock(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b','))
}

/// The name of a template: A to Z, AA to ZZ, and so on. Behind a space most are one token.
pub(in crate::forms) fn name(at: usize) -> String {
    let mut letters = Vec::new();
    let mut left = at + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'A' + u8::try_from(left % 26).unwrap_or(0)));
        left /= 26;
    }
    letters.iter().rev().collect()
}

/// The template of this name.
pub(in crate::forms) fn number(name: &str) -> Option<usize> {
    if name.is_empty() || name.len() > 6 || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Some(name.bytes().fold(0, |sum, byte| sum * 26 + usize::from(byte - b'A') + 1) - 1)
}
