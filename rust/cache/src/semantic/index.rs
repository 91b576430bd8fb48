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
    list: Vec<Row>,
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
        for (row, values) in rows.list.iter().zip(rows.vectors.chunks_exact(rows.dimensions)) {
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
        if let Some(oldest) = self.scopes.get(&place).filter(|rows| rows.list.len() >= PER_SCOPE).and_then(Rows::oldest)
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
        rows.by_text.insert(name, rows.list.len());
        rows.list.push(Row { text: text.into(), key, answer, life, length: vector.length(), age });
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
            for row in &rows.list {
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
        if rows.list.is_empty() {
            self.scopes.remove(place);
        }
    }
}

impl Rows {
    fn new(dimensions: usize) -> Self {
        Self { dimensions, vectors: Vec::new(), list: Vec::new(), by_text: HashMap::new() }
    }

    fn oldest(&self) -> Option<u64> {
        self.list.iter().min_by_key(|row| row.age).map(|row| xxh3_64(row.text.as_bytes()))
    }

    /// Takes a row out; the last one moves to its place.
    fn take(&mut self, name: u64) -> Option<Row> {
        let at = self.by_text.remove(&name)?;
        let row = self.list.swap_remove(at);
        let last = self.list.len() * self.dimensions;
        self.vectors.copy_within(last.., at * self.dimensions);
        self.vectors.truncate(last);
        if let Some(moved) = self.list.get(at) {
            self.by_text.insert(xxh3_64(moved.text.as_bytes()), at);
        }
        Some(row)
    }
}

fn weight(text: &str, dimensions: usize) -> usize {
    text.len() + dimensions + ROW_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Life = Life { created_ms: 0, fresh_until_ms: 100, stale_until_ms: 200 };

    fn place(scope: u8) -> Place {
        (ToolId(1), Scope([scope; 32]))
    }

    fn key(number: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn vector(angle: u32) -> Vector {
        let angle = f64::from(angle) / 100.0;
        #[allow(clippy::cast_possible_truncation)]
        Vector::new(&[angle.cos() as f32, angle.sin() as f32]).unwrap()
    }

    fn put(index: &mut Index, scope: u8, number: u32) {
        index.insert(place(scope), &format!("text {number}"), &vector(number), key(number), 0, LIFE);
    }

    fn near(index: &Index, scope: u8, number: u32, now_ms: u64) -> Vec<Key> {
        let near = index.nearest::<3>(&place(scope), "asked", &vector(number), 0.9, now_ms);
        assert!(near.is_sorted_by(|one, other| one.0 >= other.0));
        near.into_iter().map(|(_, row)| row.key).collect()
    }

    #[test]
    fn the_nearest_fresh_rows_of_one_scope_are_found_in_order() {
        let mut index = Index::new(1 << 20);
        (0..100).for_each(|number| put(&mut index, 1, number));
        put(&mut index, 2, 777);
        let found = near(&index, 1, 50, 0);
        assert_eq!(found[0], key(50));
        assert!(found[1..].iter().all(|found| [key(49), key(51)].contains(found)), "{found:?}");
        assert_eq!(near(&index, 1, 200, 0), [] as [Key; 0]);
        assert_eq!(near(&index, 3, 50, 0), [] as [Key; 0]);
        assert_eq!(near(&index, 1, 50, 100), [] as [Key; 0], "stale ones are no longer proposed");
        let itself = index.nearest::<3>(&place(1), "text 50", &vector(50), 0.9, 0);
        assert!(itself.iter().all(|(_, row)| row.key != key(50)));
    }

    #[test]
    fn bytes_stay_within_the_bound_and_the_oldest_go_first() {
        let mut index = Index::new(10 * weight("text 10", 2));
        (10..99).for_each(|number| {
            put(&mut index, u8::from(number % 2 == 0), number);
            assert!(index.bytes <= index.max_bytes);
        });
        assert_eq!(index.size().0, 10);
        assert_eq!(near(&index, 1, 98, 0), [key(98), key(96), key(94)]);
        assert!(near(&index, 1, 10, 0).is_empty());
        (89..99).for_each(|number| index.forget(&key(number)));
        assert_eq!(index.size(), (0, 0));
        assert!(index.scopes.is_empty() && index.by_age.is_empty() && index.by_key.is_empty());
    }

    #[test]
    fn a_scope_holds_so_many_rows_and_no_more() {
        let mut index = Index::new(1 << 30);
        let most = u32::try_from(PER_SCOPE).unwrap();
        (0..most + 2).for_each(|number| put(&mut index, 1, number));
        put(&mut index, 2, most + 2);
        assert_eq!(index.size().0, PER_SCOPE + 1);
        assert!(!index.by_key.contains_key(&key(1)) && index.by_key.contains_key(&key(2)));
    }

    #[test]
    fn a_text_or_a_key_is_kept_once_and_another_encoder_starts_anew() {
        let mut index = Index::new(1 << 20);
        index.insert(place(1), "one", &vector(1), key(1), 0, LIFE);
        index.insert(place(1), "one", &vector(1), key(2), 0, LIFE);
        index.insert(place(1), "two", &vector(1), key(2), 0, LIFE);
        assert_eq!(index.size().0, 1);
        assert_eq!(near(&index, 1, 1, 0), [key(2)]);
        index.insert(place(1), "three", &Vector::new(&[1.0, 2.0, 3.0]).unwrap(), key(3), 0, LIFE);
        assert_eq!(index.size().0, 1);
        assert_eq!(near(&index, 1, 1, 0), [] as [Key; 0]);
        index.clear(|place| place.0 == ToolId(1));
        assert_eq!(index.size(), (0, 0));
    }
}
