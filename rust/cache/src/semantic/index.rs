//! What was asked before, and the key its answer is kept under: searched by direction, in one scope only.
//!
//! Rule: a search sees the rows of its own scope and no others, whatever they resemble. At most [`PER_SCOPE`] rows a
//! scope and one bound of bytes over all; the oldest goes first. A search compares with every row: at this size that
//! costs less than any index would, finds the true nearest, and has no parameter to set wrongly.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::vector::{self, Vector};
use super::{Scope, ToolId};
use crate::{Freshness, Key, Life};

/// Rows a scope may have.
pub const PER_SCOPE: usize = 10_000;
/// Bytes a row counts for beside its text and its vector: the row, its three places in maps.
const ROW_BYTES: usize = 320;

/// One text that was asked.
pub(super) struct Row {
    pub(super) text: Box<str>,
    pub(super) key: Key,
    pub(super) answer: u128,
    life: Life,
    length: f32,
    age: u64,
}

/// The rows of one scope; `vectors` holds `dimensions` bytes a row, in the same order.
struct Rows {
    dimensions: usize,
    vectors: Vec<i8>,
    rows: Vec<Row>,
    by_text: HashMap<u64, usize>,
}

type Place = (ToolId, Scope);

/// All rows.
pub(super) struct Index {
    max_bytes: usize,
    bytes: usize,
    next_age: u64,
    scopes: HashMap<Place, Rows>,
    by_age: BTreeMap<u64, (Place, u64)>,
    by_key: HashMap<Key, u64>,
}

impl Index {
    pub(super) fn new(max_bytes: usize) -> Self {
        let (scopes, by_age, by_key) = Default::default();
        Self { max_bytes, bytes: 0, next_age: 0, scopes, by_age, by_key }
    }

    /// Rows and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.by_age.len(), self.bytes)
    }

    /// The fresh rows nearest to the vector, nearest first, none below `floor`; the text itself is not its own
    /// neighbour.
    pub(super) fn nearest<const N: usize>(
        &self,
        place: &Place,
        text: &str,
        vector: &Vector,
        floor: f32,
        now_ms: u64,
    ) -> Vec<(f32, &Row)> {
        let Some(rows) = self.scopes.get(place).filter(|rows| rows.dimensions == vector.values().len()) else {
            return Vec::new();
        };
        let mut best: Vec<(f32, &Row)> = Vec::with_capacity(N + 1);
        for (row, values) in rows.rows.iter().zip(rows.vectors.chunks_exact(rows.dimensions)) {
            if row.life.state(now_ms) != Freshness::Fresh {
                continue;
            }
            let similarity = vector::cosine(vector, values, row.length);
            let low = if best.len() < N { floor } else { best[N - 1].0 };
            if similarity < low || *row.text == *text {
                continue;
            }
            let at = best.partition_point(|(other, _)| *other >= similarity);
            best.insert(at, (similarity, row));
            best.truncate(N);
        }
        best
    }

    /// Keeps a text; one that is known in this scope is kept anew.
    pub(super) fn insert(&mut self, place: Place, text: &str, vector: &Vector, key: Key, answer: u128, life: Life) {
        let weight = weight(text, vector.values().len());
        if weight > self.max_bytes {
            return;
        }
        let name = xxh3_64(text.as_bytes());
        self.forget(&key);
        self.remove(&place, name);
        if self.scopes.get(&place).is_some_and(|rows| rows.dimensions != vector.values().len()) {
            self.clear(|other| *other == place); // another encoder's rows
        }
        if let Some(oldest) = self.scopes.get(&place).filter(|rows| rows.rows.len() >= PER_SCOPE).and_then(Rows::oldest)
        {
            self.remove(&place, oldest);
        }
        while self.bytes + weight > self.max_bytes {
            let Some((place, name)) = self.by_age.first_key_value().map(|(_, row)| *row) else { break };
            self.remove(&place, name);
        }
        let age = self.next_age;
        self.next_age += 1;
        self.bytes += weight;
        self.by_age.insert(age, (place, name));
        self.by_key.insert(key, age);
        let rows = self.scopes.entry(place).or_insert_with(|| Rows::new(vector.values().len()));
        rows.by_text.insert(name, rows.rows.len());
        rows.rows.push(Row { text: text.into(), key, answer, life, length: vector.length(), age });
        rows.vectors.extend_from_slice(vector.values());
    }

    /// Forgets the row of this key.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some((place, name)) = self.by_key.get(key).and_then(|age| self.by_age.get(age)).copied() {
            self.remove(&place, name);
        }
    }

    /// Forgets all rows of some places.
    pub(super) fn clear(&mut self, which: impl Fn(&Place) -> bool) {
        let gone: Vec<Place> = self.scopes.keys().filter(|place| which(place)).copied().collect();
        for rows in gone.iter().filter_map(|place| self.scopes.remove(place)) {
            for row in &rows.rows {
                self.by_age.remove(&row.age);
                self.by_key.remove(&row.key);
                self.bytes -= weight(&row.text, rows.dimensions);
            }
        }
    }

    fn remove(&mut self, place: &Place, name: u64) {
        let Some(rows) = self.scopes.get_mut(place) else { return };
        let Some(row) = rows.take(name) else { return };
        self.by_age.remove(&row.age);
        self.by_key.remove(&row.key);
        self.bytes -= weight(&row.text, rows.dimensions);
        if rows.rows.is_empty() {
            self.scopes.remove(place);
        }
    }
}

impl Rows {
    fn new(dimensions: usize) -> Self {
        Self { dimensions, vectors: Vec::new(), rows: Vec::new(), by_text: HashMap::new() }
    }

    fn oldest(&self) -> Option<u64> {
        self.rows.iter().min_by_key(|row| row.age).map(|row| xxh3_64(row.text.as_bytes()))
    }

    /// Takes a row out; the last one moves to its place.
    fn take(&mut self, name: u64) -> Option<Row> {
        let at = self.by_text.remove(&name)?;
        let row = self.rows.swap_remove(at);
        let last = self.rows.len() * self.dimensions;
        self.vectors.copy_within(last.., at * self.dimensions);
        self.vectors.truncate(last);
        if let Some(moved) = self.rows.get(at) {
            self.by_text.insert(xxh3_64(moved.text.as_bytes()), at);
        }
        Some(row)
    }
}

fn weight(text: &str, dimensions: usize) -> usize {
    text.len() + dimensions + ROW_BYTES
}
