//! Which columns a row of objects has: one a member, members of members as `user.login`.
//!
//! Rule: the columns stand in an order in which each row's members stand, too; that is why a row can be read back with
//! its members in the same order. A row for which that is not so does not fit and stands for itself. Members that
//! differ from row to row (labels, maps by name) stay together in one cell.

use super::{
    loose,
    parse::{At, Doc, Sort},
};

/// Members of members, no deeper.
const DEPTH: usize = 6;
/// More members than these are no columns but a map.
const WIDE: usize = 64;

/// No node.
pub(super) const NONE: At = At::MAX;

/// A name that rows have at one place.
#[derive(Debug, Default)]
struct Place<'a> {
    raw: &'a str,
    inner: Vec<usize>,
    /// How often it was an object with members, and how many members those had.
    objects: usize,
    members: usize,
    /// How often it was something else.
    others: usize,
    /// Too many different members.
    map: bool,
    /// The column of its own values, and whether its members have columns.
    column: Option<usize>,
    split: bool,
}

/// The columns of rows, and the node in each cell.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// The printed names from the row down, each as JSON prints it.
    pub(super) names: Vec<String>,
    /// Row by row, [`NONE`] where there is none.
    pub(super) cells: Vec<At>,
    /// Rows that do not fit.
    pub(super) odd: Vec<bool>,
}

struct Tree<'d, 'a> {
    doc: &'d Doc<'a>,
    places: Vec<Place<'a>>,
}

impl Columns {
    pub(super) fn of(doc: &Doc<'_>, rows: &[At]) -> Self {
        let mut tree = Tree { doc, places: vec![Place::default()] };
        for row in rows {
            tree.see(0, *row, 0);
        }
        let mut columns = Self::default();
        tree.name(0, "", &mut columns.names);
        if let Some(root) = tree.places.first_mut() {
            // Rows that are no objects, or empty ones, have no cell of their own.
            root.split = true;
        }
        let width = columns.names.len();
        for row in rows {
            let from = columns.cells.len();
            columns.cells.resize(from + width, NONE);
            let cells = columns.cells.get_mut(from..).unwrap_or_default();
            let fits = doc.sort(*row) == Sort::Object && tree.fill(0, *row, cells, &mut None).is_some();
            if !fits {
                cells.fill(NONE);
            }
            columns.odd.push(!fits);
        }
        columns
    }

    /// Of 100 cells, those that hold something.
    pub(super) fn filled(&self) -> usize {
        let full = self.cells.iter().filter(|cell| **cell != NONE).count();
        full.saturating_mul(100) / self.cells.len().max(1)
    }
}

impl Tree<'_, '_> {
    /// Counts a value, and makes places for its members.
    fn see(&mut self, place: usize, at: At, depth: usize) {
        let object = self.doc.sort(at) == Sort::Object && self.doc.node(at).is_some_and(|node| node.end > at + 1);
        let Some(this) = self.places.get_mut(place) else { return };
        if !object || depth > DEPTH {
            this.others += 1;
            return;
        }
        this.objects += 1;
        if this.map {
            return;
        }
        let doc = self.doc;
        let mut next = 0;
        for member in doc.inner(at) {
            let Some(inner) = self.place_of(place, member, next) else { return };
            next = inner.0 + 1;
            self.see(inner.1, member, depth + 1);
            if let Some(this) = self.places.get_mut(place) {
                this.members += 1;
            }
        }
    }

    /// The member's index among the places of its parent, and its place; made before the `next` one if it is new.
    fn place_of(&mut self, parent: usize, member: At, next: usize) -> Option<(usize, usize)> {
        let raw = self.doc.raw_name(member);
        let count = self.places.len();
        if let Some(found) = self.find(parent, raw, next) {
            return Some(found);
        }
        let this = self.places.get_mut(parent)?;
        if this.inner.len() >= WIDE {
            this.map = true;
            return None;
        }
        let next = next.min(this.inner.len());
        this.inner.insert(next, count);
        self.places.push(Place { raw, ..Place::default() });
        Some((next, count))
    }

    /// Looks at the `next` one first: rows are mostly alike.
    fn find(&self, parent: usize, raw: &str, next: usize) -> Option<(usize, usize)> {
        let inner = &self.places.get(parent)?.inner;
        let is = |index: &usize| {
            inner.get(*index).is_some_and(|place| self.places.get(*place).is_some_and(|place| place.raw == raw))
        };
        let index = (next..inner.len()).find(is).or_else(|| (0..next).find(is))?;
        Some((index, *inner.get(index)?))
    }

    /// Gives columns to a place and those in it.
    fn name(&mut self, at: usize, path: &str, names: &mut Vec<String>) {
        let Some(place) = self.places.get_mut(at) else { return };
        let cells = place.objects.saturating_mul(place.inner.len());
        place.split = at == 0 || (!place.map && cells > 0 && place.members.saturating_mul(2) >= cells);
        if at > 0 && (place.others > 0 || !place.split) {
            place.column = Some(names.len());
            names.push(path.to_owned());
        }
        if place.split {
            for inner in place.inner.clone() {
                let raw = self.places.get(inner).map_or("", |place| place.raw);
                let mut name = path.to_owned();
                if !name.is_empty() {
                    name.push('.');
                }
                loose::raw_name(raw, &mut name);
                self.name(inner, &name, names);
            }
        }
    }

    /// Puts a row's values into their cells; `None` if that cannot be, or not in this order.
    fn fill(&self, at: usize, value: At, cells: &mut [At], last: &mut Option<usize>) -> Option<()> {
        let place = self.places.get(at)?;
        let object = self.doc.sort(value) == Sort::Object && self.doc.node(value)?.end > value + 1;
        if object && place.split {
            let mut next = 0;
            for member in self.doc.inner(value) {
                let found = self.find(at, self.doc.raw_name(member), next)?;
                next = found.0 + 1;
                self.fill(found.1, member, cells, last)?;
            }
            return Some(());
        }
        let column = place.column?;
        if last.is_some_and(|last| last >= column) {
            return None;
        }
        *last = Some(column);
        *cells.get_mut(column)? = value;
        Some(())
    }
}
