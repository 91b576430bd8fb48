//! Where a path leads, in a bounded number of steps: a path of a stranger could visit everything again and again.

use std::cell::Cell;

use super::filter;
use super::path::{Query, Segment, Selector};
use super::tree::{Kind, Tree};
use crate::expand::Unreadable;

/// Values looked at; some tenths of a second.
const STEPS: usize = 4_000_000;

/// A text that is walked, and how far one may still go.
pub(super) struct Walk<'a> {
    pub(super) tree: &'a Tree<'a>,
    steps: Cell<usize>,
}

/// What a path leads to from the root.
pub(super) fn nodes(tree: &Tree<'_>, query: &Query) -> Result<Vec<usize>, Unreadable> {
    Walk { tree, steps: Cell::new(STEPS) }.query(query, 0)
}

impl Walk<'_> {
    /// Counts steps, until there have been too many.
    pub(super) fn step(&self, count: usize) -> Result<(), Unreadable> {
        self.steps.set(self.steps.get().checked_sub(count).ok_or(Unreadable::TooManySteps)?);
        Ok(())
    }

    pub(super) fn query(&self, query: &Query, current: usize) -> Result<Vec<usize>, Unreadable> {
        let mut found = vec![if query.absolute { 0 } else { current }];
        for segment in &query.segments {
            let mut next = Vec::new();
            for node in found {
                self.segment(segment, node, &mut next)?;
            }
            found = next;
        }
        Ok(found)
    }

    fn segment(&self, segment: &Segment, node: usize, found: &mut Vec<usize>) -> Result<(), Unreadable> {
        let visited = if segment.descendants { self.tree.all(node) } else { node..node + 1 };
        for node in visited {
            for selector in &segment.selectors {
                self.step(1)?;
                self.select(selector, node, found)?;
            }
        }
        Ok(())
    }

    fn select(&self, selector: &Selector, node: usize, found: &mut Vec<usize>) -> Result<(), Unreadable> {
        let kind = self.tree.kind(node);
        match (selector, kind) {
            (Selector::Name(name), Kind::Object) => {
                for child in self.tree.children(node) {
                    self.step(1)?;
                    if self.tree.is_named(child, name) {
                        found.push(child);
                        break;
                    }
                }
            }
            (Selector::All, _) => {
                for child in self.tree.children(node) {
                    self.step(1)?;
                    found.push(child);
                }
            }
            (Selector::Index(index), Kind::Array) => {
                let children = self.children(node)?;
                let at = usize::try_from(*index)
                    .ok()
                    .or_else(|| children.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?));
                found.extend(at.and_then(|at| children.get(at)));
            }
            (Selector::Slice(start, end, step), Kind::Array) => {
                let children = self.children(node)?;
                found.extend(slice(children.len(), *start, *end, *step).filter_map(|at| children.get(at)));
            }
            (Selector::Filter(test), _) => {
                for child in self.tree.children(node) {
                    self.step(1)?;
                    if filter::holds(self, test, child)? {
                        found.push(child);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn children(&self, node: usize) -> Result<Vec<usize>, Unreadable> {
        let children: Vec<usize> = self.tree.children(node).collect();
        self.step(children.len())?;
        Ok(children)
    }
}

/// The places of a slice, as the standard counts them.
fn slice(length: usize, start: Option<i64>, end: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let placed = |at: i64| if at >= 0 { at } else { length.saturating_add(at) };
    let forward = step >= 0;
    let (low, high) = if forward { (0, length) } else { (-1, length - 1) };
    let first = start.map_or(if forward { 0 } else { length - 1 }, placed).clamp(low, high);
    let last = end.map_or(if forward { length } else { -1 }, |end| placed(end).clamp(low, high));
    let is_inside = move |at: i64| if forward { at < last } else { at > last };
    let begin = (step != 0 && is_inside(first)).then_some(first);
    std::iter::successors(begin, move |at| at.checked_add(step).filter(|at| is_inside(*at)))
        .filter_map(|at| usize::try_from(at).ok())
}
