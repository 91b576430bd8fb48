//! Which units are kept: what has to be, then what is worth most for its tokens, until the budget is spent or only the
//! same again is left.
//!
//! What a unit is worth falls with what is kept already: a critical value counts once, and a unit like a kept one
//! hardly at all. So the best is taken again and again, and a unit's worth is looked at anew when it comes up (it can
//! only have fallen, but for its cost: a mark is saved where a gap closes, so neighbours of what was kept are offered
//! anew). What a unit costs is exact but for what happens at its seams: its tokens, the heads that it is the first to
//! need, the mark that it adds or saves.

pub(crate) mod field;
pub(crate) mod rank;
mod score;
pub(crate) mod words;

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::outline::Reserve;
use field::{Field, Item};
use score::{Scores, real};

/// Of the budget, in percent, at most for what answers the query best, before what is reserved for the form's sake.
const QUERY_FIRST: usize = 45;
/// What is worth less than this says nothing new.
const FLOOR: f32 = 0.12;

/// A choice of units, and what it costs.
pub(crate) struct Choice<'a> {
    field: &'a Field,
    scores: Scores,
    kept: Vec<bool>,
    /// In the order in which they were kept.
    order: Vec<usize>,
    /// Kept because they had to be.
    forced: usize,
    /// By critical value: how often it was kept.
    covered: Vec<u32>,
    /// By unit's likeness: how many were kept.
    likes: field::Known<u32>,
    /// By group: how many units under it are kept.
    open: Vec<u32>,
    /// By group: a unit that sums it up is kept.
    summed: Vec<bool>,
    heap: BinaryHeap<(u32, Reverse<usize>)>,
    spent: usize,
    room: usize,
    /// As `room`, for what neither has to be kept nor answers the query.
    comfort: usize,
}

impl<'a> Choice<'a> {
    /// The first choice, for so many tokens, and so many for what need not be kept.
    pub(crate) fn new(field: &'a Field, query: &str, (room, comfort): (usize, usize)) -> Self {
        let scores = Scores::of(field, query);
        let mut choice = Self {
            field,
            scores,
            kept: vec![false; field.items.len()],
            order: Vec::new(),
            forced: 0,
            covered: vec![0; field.value_frequency.len()],
            likes: field::Known::default(),
            open: vec![0; field.heads.len()],
            summed: vec![false; field.heads.len()],
            heap: BinaryHeap::new(),
            // Nothing kept is one gap in each block.
            spent: field.blocks.iter().sum(),
            room,
            comfort,
        };
        choice.reserve(|reserve| reserve == Reserve::Error, room);
        choice.answer();
        for reserves in ORDER {
            choice.reserve(|reserve| reserves.contains(&reserve), room);
        }
        choice.forced = choice.order.len();
        choice.offer_all();
        choice.fill();
        choice
    }

    /// Whether a unit is kept.
    pub(crate) fn keeps(&self, at: usize) -> bool {
        self.kept.get(at).copied().unwrap_or_default()
    }

    /// Whether the units of a group, of all blocks, are summed up.
    pub(crate) fn is_summed(&self, at: usize) -> bool {
        self.item(at).is_some_and(|item| self.summed.get(item.group).copied().unwrap_or_default())
    }

    /// What had to be kept and is not, unless something like it is.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (usize, Reserve)> + '_ {
        self.field
            .items
            .iter()
            .enumerate()
            .filter(|(at, item)| !self.keeps(*at) && !self.is_said_otherwise(*at, item))
            .filter_map(|(at, item)| Some((at, item.reserve.filter(|reserve| *reserve != Reserve::Edge)?)))
    }

    /// What is said in full need not be said in short; nor in full, where it is enough to say it in short.
    fn is_said_otherwise(&self, at: usize, item: &Item) -> bool {
        if item.brief {
            return at.checked_sub(1).is_some_and(|full| self.keeps(full));
        }
        self.field.brief_of(at).and_then(|brief| self.item(brief)).is_some_and(|brief| brief.reserve.is_some())
    }

    /// Gives up what was kept last until so many tokens are free.
    pub(crate) fn shrink(&mut self, tokens: usize) {
        let goal = self.spent.saturating_sub(tokens);
        while self.spent > goal {
            let Some(at) = self.order.pop() else { break };
            if self.keeps(at) {
                self.drop(at);
            }
        }
        self.room = self.spent;
        self.comfort = self.comfort.min(self.spent);
        self.forced = self.forced.min(self.order.len());
    }

    /// Keeps more, for so many tokens, and so many for what need not be kept. False if there is nothing more to say.
    pub(crate) fn grow(&mut self, tokens: usize, comfort: usize) -> bool {
        let before = self.order.len();
        self.room = self.spent.saturating_add(tokens);
        self.comfort = self.spent.saturating_add(comfort);
        self.reserve(|reserve| reserve != Reserve::Edge, self.room);
        self.offer_all();
        self.fill();
        self.order.len() > before
    }

    /// How many are kept.
    pub(crate) fn count(&self) -> usize {
        self.order.len()
    }

    fn item(&self, at: usize) -> Option<&'a Item> {
        self.field.items.get(at)
    }

    /// Neither kept nor said by another.
    fn may_keep(&self, at: usize) -> bool {
        !self.keeps(at) && self.item(at).is_some_and(|item| !item.merged)
    }

    /// Keeps what is reserved, the worthiest first.
    fn reserve(&mut self, wanted: impl Fn(Reserve) -> bool, room: usize) {
        let mut all: Vec<(u32, usize)> = (0..self.kept.len())
            .filter(|at| !self.keeps(*at) && self.item(*at).is_some_and(|item| item.reserve.is_some_and(&wanted)))
            .map(|at| (((RESERVED + self.gain(at)) / (real(self.cost(at)) + 4.0)).to_bits(), at))
            .collect();
        all.sort_by_key(|(worth, at)| (Reverse(*worth), *at));
        for (_, at) in all {
            self.keep_if_it_fits(at, room);
        }
    }

    /// Keeps what answers the query best.
    fn answer(&mut self) {
        let limit = self.spent + self.room.saturating_sub(self.spent).saturating_mul(QUERY_FIRST) / 100;
        let mut all: Vec<(u32, usize)> = (0..self.kept.len())
            .filter_map(|at| self.scores.query.get(at).filter(|score| **score > 0.5).map(|score| (score.to_bits(), at)))
            .collect();
        all.sort_by_key(|(score, at)| (Reverse(*score), *at));
        for (_, at) in all {
            // The same again is not a second answer.
            let brief = self.item(at).is_some_and(|item| item.brief);
            if !brief && self.may_keep(at) && self.gain(at) > QUERY_GAIN {
                self.keep_if_it_fits(at, limit);
            }
        }
    }

    fn offer_all(&mut self) {
        self.heap.clear();
        let all: Vec<(u32, Reverse<usize>)> =
            (0..self.kept.len()).filter(|at| self.may_keep(*at)).map(|at| (self.worth(at).0, Reverse(at))).collect();
        self.heap = BinaryHeap::from(all);
    }

    /// Keeps what is worth most for its tokens as long as anything fits.
    fn fill(&mut self) {
        while let Some((told, Reverse(at))) = self.heap.pop() {
            if self.keeps(at) {
                continue;
            }
            let (worth, gain) = self.worth(at);
            if worth < told && self.heap.peek().is_some_and(|(next, _)| *next > worth) {
                self.heap.push((worth, Reverse(at)));
                continue;
            }
            if gain < FLOOR {
                continue;
            }
            let room = if gain < STRONG { self.comfort } else { self.room };
            if self.keep_if_it_fits(at, room) {
                for beside in [self.field.beside(at, false), self.field.beside(at, true)].into_iter().flatten() {
                    if self.may_keep(beside) {
                        self.heap.push((self.worth(beside).0, Reverse(beside)));
                    }
                }
            }
        }
    }

    /// What a unit is worth for its tokens, as bits that compare as the number does; and its worth.
    fn worth(&self, at: usize) -> (u32, f32) {
        let gain = self.gain(at);
        let cost = self.cost(at).max(1);
        // Not quite by the token: a short unit is worth less of a mark and of a reader's time than its tokens say.
        ((gain / (real(cost) + 4.0)).max(0.0).to_bits(), gain)
    }

    fn gain(&self, at: usize) -> f32 {
        let base = self.scores.base.get(at).copied().unwrap_or_default();
        let brief = self.item(at).is_some_and(|item| item.brief);
        if brief && at.checked_sub(1).is_some_and(|before| self.keeps(before)) {
            return 0.0;
        }
        let values: f32 = self
            .field
            .values_of(at)
            .iter()
            .map(|value| match self.covered.get(value.number as usize) {
                Some(0) => self.scores.value(self.item(at), value.kind),
                _ => 0.0,
            })
            .sum();
        if brief {
            return BRIEF + values.min(VALUES_AT_MOST);
        }
        let alike = self.item(at).and_then(|item| self.likes.get(&item.like)).copied().unwrap_or_default();
        let again = match alike {
            0 => 1.0,
            1 => 0.5,
            2 => 0.35,
            _ => 0.2,
        };
        let edge = if self.item(at).is_some_and(|item| item.reserve == Some(Reserve::Edge)) { EDGE } else { 0.0 };
        (base + edge) * again + values.min(VALUES_AT_MOST)
    }

    /// What keeping a unit would cost: its tokens, the heads and the label it needs, a mark more or less.
    fn cost(&self, at: usize) -> usize {
        let Some(item) = self.item(at) else { return 0 };
        if item.brief && at.checked_sub(1).is_some_and(|before| self.keeps(before)) {
            // It stays kept where it is not printed, for the case that the longer one is given up again.
            return 0;
        }
        let heads: usize = self
            .field
            .around(item.group)
            .take_while(|group| self.open.get(*group).is_none_or(|open| *open == 0))
            .filter_map(|group| self.field.heads.get(group))
            .map(|head| head.cost)
            .sum();
        let label = item.label.filter(|label| !self.keeps(*label)).map_or(0, |label| self.field.cost(label));
        let (before, after) = self.marks(at);
        let saved =
            self.field.brief_of(at).filter(|brief| self.keeps(*brief)).map_or(0, |brief| self.field.cost(brief));
        (item.cost + heads + label + after).saturating_sub(before + saved)
    }

    /// What marks around a unit cost while it is left out, and once it is kept.
    fn marks(&self, at: usize) -> (usize, usize) {
        let Some(item) = self.item(at) else { return (0, 0) };
        if item.sums_up || self.summed.get(item.group).copied().unwrap_or_default() {
            return (0, 0);
        }
        let gap = |beside: Option<usize>| {
            beside.is_some_and(|beside| self.is_gone(beside) && self.item(beside).is_some_and(|item| !item.sums_up))
        };
        // What is said in short stands in for the unit before it.
        let stands_for = if item.brief { at.saturating_sub(1) } else { at };
        let gaps = usize::from(gap(self.field.beside(stands_for, false)))
            + usize::from(gap(self.field.beside(stands_for, true)));
        let mark = item.mark;
        (if self.is_gone(stands_for) { mark } else { gaps * mark }, gaps * mark)
    }

    /// Neither kept nor said in short.
    fn is_gone(&self, at: usize) -> bool {
        !self.keeps(at) && self.field.brief_of(at).is_none_or(|brief| !self.keeps(brief))
    }

    fn keep_if_it_fits(&mut self, at: usize, room: usize) -> bool {
        if self.keeps(at) {
            return true;
        }
        if self.spent.saturating_add(self.cost(at)) > room {
            return false;
        }
        if let Some(label) = self.item(at).and_then(|item| item.label).filter(|label| !self.keeps(*label)) {
            self.keep(label);
        }
        self.keep(at);
        self.close_gaps(at, room);
        true
    }

    /// A gap that costs no more than its mark is none.
    fn close_gaps(&mut self, at: usize, room: usize) {
        let mark = self.item(at).map_or(0, |item| item.mark);
        for forward in [false, true] {
            let mut gap = Vec::new();
            let mut cost = 0;
            let mut next = self.field.beside(at, forward);
            while let Some(beside) = next.filter(|beside| self.is_gone(*beside)) {
                cost += if self.may_keep(beside) { self.field.cost(beside) } else { mark + 1 };
                gap.push(beside);
                if cost > mark {
                    break;
                }
                next = self.field.beside(beside, forward);
            }
            if cost <= mark && self.spent.saturating_add(cost) <= room {
                for beside in gap {
                    self.keep(beside);
                }
            }
        }
    }

    fn keep(&mut self, at: usize) {
        let Some(item) = self.item(at) else { return };
        self.spent = self.spent.saturating_add(self.cost(at));
        if let Some(kept) = self.kept.get_mut(at) {
            *kept = true;
        }
        self.order.push(at);
        self.count_in(at, item, true);
    }

    fn drop(&mut self, at: usize) {
        let Some(item) = self.item(at) else { return };
        if let Some(kept) = self.kept.get_mut(at) {
            *kept = false;
        }
        self.count_in(at, item, false);
        self.spent = self.spent.saturating_sub(self.cost(at));
    }

    fn count_in(&mut self, at: usize, item: &Item, more: bool) {
        let step = |count: &mut u32| *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
        for value in self.field.values_of(at) {
            self.covered.get_mut(value.number as usize).map(step);
        }
        step(self.likes.entry(item.like).or_default());
        for group in self.field.around(item.group) {
            self.open.get_mut(group).map(step);
        }
        if item.sums_up
            && let Some(summed) = self.summed.get_mut(item.group)
        {
            *summed = more;
        }
    }
}

/// What is reserved, in the order in which it is kept; the worthiest first of those that stand together.
const ORDER: [&[Reserve]; 5] = [
    &[Reserve::Template, Reserve::Rare],
    &[Reserve::Changed],
    &[Reserve::Signature],
    &[Reserve::Outlier],
    &[Reserve::Heading],
];
/// What the first and the last of many are worth beside what they say: they are kept if there is room.
const EDGE: f32 = 0.8;
/// What a reserved unit is worth beside what it says: where not all fit, the short ones are the more.
const RESERVED: f32 = 3.0;
/// What is worth this answers the query.
const STRONG: f32 = 2.5;
/// What a unit that is said in short is worth, beside the values in it.
const BRIEF: f32 = 0.5;
/// A second answer is worth at least this.
const QUERY_GAIN: f32 = 1.0;
/// However many values stand in a unit, they count so much.
const VALUES_AT_MOST: f32 = 4.0;
