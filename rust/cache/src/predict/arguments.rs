//! What the next call says: rules learned by watching, one set for each pair of calls.
//!
//! A *link* is (tool of the last call, how it ended, tool of the next call); beside it stands the link from anything to
//! the next tool, for pairs not seen before. A link keeps which arguments such calls name (their *shapes*), for each
//! argument at most eight rules (see `rule.rs`), and how often its best guess was right as a whole: the rules of one
//! call are not independent, so their chances are not multiplied; the weakest counts, corrected by that record.
//!
//! Everything here belongs to one principal: constants, steps and pieces of text are values that it wrote.

use std::sync::Arc;

use super::rule::{Rule, applied, shape, suggest};
use super::session::Session;
use super::value::Arguments;

const SHAPES: usize = 4;
const RULES: usize = 8;
const NAMES: usize = 32;
const DECAY: f32 = 0.9;
/// How much the record of a link must weigh to outweigh its rules.
const RECORD: f32 = 3.0;

#[derive(Debug, Default)]
pub(super) struct Link {
    shapes: Vec<(Arc<[Arc<str>]>, f32)>,
    rules: Vec<(Arc<str>, Vec<Rule>)>,
    right: f32,
    judged: f32,
    learned: u32,
}

/// Arguments that the next call may have.
#[derive(Debug)]
pub(super) struct Guess {
    pub(super) arguments: Arguments,
    pub(super) chance: f32,
    /// An element of a list is among them.
    pub(super) listed: bool,
}

impl Link {
    /// Learns from a call that came, before the session takes it in.
    pub(super) fn learn(&mut self, session: &Session, tool: u64, arguments: &Arguments) {
        self.learned = self.learned.saturating_add(1);
        self.learn_shape(arguments);
        for (name, value) in arguments.iter() {
            let Some(rules) = self.rules_of(name) else { continue };
            for rule in rules.iter_mut() {
                rule.judge(session, value);
            }
            for found in suggest(session, tool, name, value) {
                if rules.iter().any(|rule| rule.same(&found)) {
                    continue;
                }
                if rules.len() == RULES {
                    let weakest = rules.iter().enumerate().min_by(|a, b| a.1.chance().total_cmp(&b.1.chance()));
                    if let Some(at) = weakest.map(|(at, _)| at) {
                        rules.remove(at);
                    }
                }
                rules.push(found);
            }
        }
    }

    /// Whether the best guess of this link was the call that came.
    pub(super) fn judge(&mut self, right: bool) {
        self.right = self.right * DECAY + f32::from(u8::from(right));
        self.judged = self.judged * DECAY + 1.0;
    }

    pub(super) fn is_known(&self) -> bool {
        self.learned >= 2
    }

    /// The best guess, and the one after it where a list goes on.
    pub(super) fn guess(&self, session: &Session) -> Vec<Guess> {
        let total: f32 = self.shapes.iter().map(|(_, count)| count).sum();
        let best = self
            .shapes
            .iter()
            .filter_map(|(names, count)| Some((names, self.fill(names, session, 0, count / (total + 0.3))?)))
            .max_by(|a, b| a.1.chance.total_cmp(&b.1.chance));
        let Some((names, mut first)) = best else { return Vec::new() };
        let weakest = first.chance;
        first.chance = (self.right + RECORD * weakest) / (self.judged + RECORD);
        let second = first.listed.then(|| self.fill(names, session, 1, weakest)).flatten().map(|mut second| {
            second.chance = first.chance * first.chance;
            second
        });
        std::iter::once(first).chain(second).collect()
    }

    fn fill(&self, names: &[Arc<str>], session: &Session, further: u8, chance: f32) -> Option<Guess> {
        let mut guess = Guess { arguments: Arguments::default(), chance, listed: false };
        for name in names {
            let (_, rules) = self.rules.iter().find(|(of, _)| of == name)?;
            let (value, chance, listed) = applied(rules, session, further)?;
            guess.arguments.set(name.clone(), value);
            guess.chance = guess.chance.min(chance);
            guess.listed |= listed;
        }
        Some(guess)
    }

    fn learn_shape(&mut self, arguments: &Arguments) {
        for (_, count) in &mut self.shapes {
            *count *= DECAY;
        }
        let names = shape(arguments);
        if let Some((_, count)) = self.shapes.iter_mut().find(|(known, _)| *known == names) {
            *count += 1.0;
            return;
        }
        if self.shapes.len() == SHAPES {
            let rarest = self.shapes.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(at, _)| at);
            if let Some(at) = rarest {
                self.shapes.swap_remove(at);
            }
        }
        self.shapes.push((names, 1.0));
    }

    fn rules_of(&mut self, name: &Arc<str>) -> Option<&mut Vec<Rule>> {
        let at = match self.rules.iter().position(|(of, _)| of == name) {
            Some(at) => at,
            None if self.rules.len() < NAMES => {
                self.rules.push((name.clone(), Vec::new()));
                self.rules.len() - 1
            }
            None => return None,
        };
        self.rules.get_mut(at).map(|(_, rules)| rules)
    }

    pub(super) fn bytes(&self) -> usize {
        let names = |(names, _): &(Arc<[Arc<str>]>, f32)| names.len() * 16 + 48;
        let rules =
            |(name, rules): &(Arc<str>, Vec<Rule>)| name.len() + 64 + rules.iter().map(Rule::bytes).sum::<usize>();
        self.shapes.iter().map(names).sum::<usize>()
            + self.rules.iter().map(rules).sum::<usize>()
            + size_of::<Self>()
            + 64
    }
}
