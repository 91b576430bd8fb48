//! The filter of a path, read: comparisons, tests and functions, joined by `&&`, `||` and `!`.

use regex_automata::meta::Regex;

use super::path::{Query, Reader, Segment, Selector};
use crate::expand::{Unreadable, grep};

/// What a value has to be.
pub(super) enum Test {
    Any(Vec<Test>),
    Every(Vec<Test>),
    Not(Box<Test>),
    Compare(Operand, Comparison, Operand),
    Exists(Query),
    /// `search`, and with a pattern for the whole text `match`.
    Matches(Operand, Regex),
}

#[derive(Clone, Copy)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    NotMore,
    More,
    NotLess,
}

pub(super) enum Operand {
    Text(String),
    /// As it was written.
    Number(String),
    True,
    False,
    Null,
    /// The value that a path leads to: one at most.
    At(Query),
    Length(Box<Operand>),
    Count(Query),
    /// `value(..)`: the value if the path leads to exactly one.
    Only(Query),
}

impl Reader<'_> {
    /// What stands behind a `?`.
    pub(super) fn any(&mut self) -> Result<Test, Unreadable> {
        let mut tests = vec![self.every()?];
        while self.follows("||") {
            tests.push(self.every()?);
        }
        Ok(Test::Any(tests))
    }

    fn every(&mut self) -> Result<Test, Unreadable> {
        let mut tests = vec![self.basic()?];
        while self.follows("&&") {
            tests.push(self.basic()?);
        }
        Ok(Test::Every(tests))
    }

    fn follows(&mut self, sign: &str) -> bool {
        self.blank();
        let is_there = self.takes(sign);
        if is_there {
            self.blank();
        }
        is_there
    }

    fn basic(&mut self) -> Result<Test, Unreadable> {
        if self.takes("!") {
            self.blank();
            let negated = if self.peek() == Some('(') { self.paren()? } else { self.comparison_or_test(true)? };
            return Ok(Test::Not(Box::new(negated)));
        }
        if self.peek() == Some('(') { self.paren() } else { self.comparison_or_test(false) }
    }

    fn paren(&mut self) -> Result<Test, Unreadable> {
        self.needs("(")?;
        self.blank();
        let test = self.deeper(Self::any)?;
        self.needs(")")?;
        Ok(test)
    }

    fn comparison_or_test(&mut self, negated: bool) -> Result<Test, Unreadable> {
        for (name, whole) in [("match", true), ("search", false)] {
            if self.takes(&format!("{name}(")) {
                return self.deeper(|reader| reader.matches(whole));
            }
        }
        let from = self.at;
        let left = self.deeper(Self::operand)?;
        self.blank();
        if !negated && let Some(comparison) = self.comparison() {
            self.blank();
            let right = self.deeper(Self::operand)?;
            return Ok(Test::Compare(self.single(left)?, comparison, self.single(right)?));
        }
        let Operand::At(query) = left else {
            self.at = from;
            return Err(self.expected("a comparison, a path or `match` or `search`"));
        };
        Ok(Test::Exists(query))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        use Comparison::{Equal, Less, More, NotLess, NotMore, Unequal};
        let signs = [("==", Equal), ("!=", Unequal), ("<=", NotMore), (">=", NotLess), ("<", Less), (">", More)];
        signs.into_iter().find(|(sign, _)| self.takes(sign)).map(|(_, comparison)| comparison)
    }

    /// What is compared is one value, so its path must not lead to several.
    fn single(&self, operand: Operand) -> Result<Operand, Unreadable> {
        if let Operand::At(query) = &operand {
            let is_single = |segment: &Segment| {
                !segment.descendants && matches!(segment.selectors[..], [Selector::Name(_) | Selector::Index(_)])
            };
            if !query.segments.iter().all(is_single) {
                return Err(self.expected("before this, a path to one value, of names and numbers only,"));
            }
        }
        Ok(operand)
    }

    fn matches(&mut self, whole: bool) -> Result<Test, Unreadable> {
        self.blank();
        let operand = self.operand()?;
        let text = self.single(operand)?;
        self.needs(",")?;
        self.blank();
        if !matches!(self.peek(), Some('"' | '\'')) {
            return Err(self.expected("a quoted pattern"));
        }
        let pattern = self.quoted()?;
        self.needs(")")?;
        let pattern = if whole { format!(r"\A(?:{pattern})\z") } else { pattern };
        Ok(Test::Matches(text, grep::compiled(&pattern)?))
    }

    fn operand(&mut self) -> Result<Operand, Unreadable> {
        if let Some(sign @ ('$' | '@')) = self.peek() {
            self.at += 1;
            return Ok(Operand::At(self.segments(sign == '$')?));
        }
        match self.peek() {
            Some('"' | '\'') => return Ok(Operand::Text(self.quoted()?)),
            Some('-' | '0'..='9') => return self.number(),
            _ => {}
        }
        let from = self.at;
        let word = self.run(|sign| sign.is_ascii_alphanumeric() || sign == '_').to_owned();
        let operand = match &*word {
            "true" => return Ok(Operand::True),
            "false" => return Ok(Operand::False),
            "null" => return Ok(Operand::Null),
            "length" | "count" | "value" if self.takes("(") => {
                self.blank();
                let inner = self.deeper(Self::operand)?;
                match (&*word, inner) {
                    ("length", inner) => Operand::Length(Box::new(self.single(inner)?)),
                    ("count", Operand::At(query)) => Operand::Count(query),
                    ("value", Operand::At(query)) => Operand::Only(query),
                    _ => return Err(self.expected("before this, a path")),
                }
            }
            _ => {
                self.at = from;
                return Err(self.expected("a path, a value or a function (length, count, value, match, search)"));
            }
        };
        self.needs(")")?;
        Ok(operand)
    }

    fn number(&mut self) -> Result<Operand, Unreadable> {
        let from = self.at;
        let written = self.run(|sign| sign.is_ascii_digit() || matches!(sign, '-' | '+' | '.' | 'e' | 'E')).to_owned();
        if serde_json::from_str::<f64>(&written).is_ok() {
            return Ok(Operand::Number(written));
        }
        self.at = from;
        Err(self.expected("a number"))
    }
}
