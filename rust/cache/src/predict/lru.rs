//! A map from a number to anything, that forgets what was not touched for longest. Every operation is O(1).
//!
//! A slab of nodes, linked by index from the newest to the oldest, beside a hash map from key to index: no pointer, no
//! reference count, and a full map forgets exactly its oldest entry.

use std::collections::HashMap;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Lru<T> {
    places: HashMap<u64, u32>,
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
}

#[derive(Debug)]
struct Node<T> {
    key: u64,
    value: Option<T>,
    newer: u32,
    older: u32,
}

impl<T> Lru<T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), nodes: Vec::new(), free: Vec::new(), newest: NONE, oldest: NONE }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Looks without touching.
    pub(super) fn peek(&self, key: u64) -> Option<&T> {
        self.node(*self.places.get(&key)?)?.value.as_ref()
    }

    /// Looks, and makes the entry the newest.
    pub(super) fn touch(&mut self, key: u64) -> Option<&mut T> {
        let place = *self.places.get(&key)?;
        self.unlink(place);
        self.link_newest(place);
        self.nodes.get_mut(place as usize)?.value.as_mut()
    }

    /// Puts an entry and makes it the newest; gives back what stood there.
    pub(super) fn insert(&mut self, key: u64, value: T) -> Option<T> {
        if let Some(there) = self.touch(key) {
            return Some(std::mem::replace(there, value));
        }
        let node = Node { key, value: Some(value), newer: NONE, older: NONE };
        let place = if let Some(place) = self.free.pop() {
            if let Some(empty) = self.nodes.get_mut(place as usize) {
                *empty = node;
            }
            place
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
        };
        self.places.insert(key, place);
        self.link_newest(place);
        None
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        let place = self.places.remove(&key)?;
        self.unlink(place);
        self.free.push(place);
        self.nodes.get_mut(place as usize)?.value.take()
    }

    /// Forgets what was not touched for longest.
    pub(super) fn remove_oldest(&mut self) -> Option<T> {
        let key = self.node(self.oldest)?.key;
        self.remove(key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().filter_map(|node| node.value.as_ref())
    }

    fn node(&self, place: u32) -> Option<&Node<T>> {
        self.nodes.get(place as usize)
    }

    fn unlink(&mut self, place: u32) {
        let Some((newer, older)) = self.node(place).map(|node| (node.newer, node.older)) else { return };
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, place: u32) {
        let before = self.newest;
        if let Some(node) = self.nodes.get_mut(place as usize) {
            (node.newer, node.older) = (NONE, before);
        }
        match self.nodes.get_mut(before as usize) {
            Some(node) => node.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_forgets_in_the_order_in_which_entries_were_last_touched(
            steps in prop::collection::vec((0..4_u8, 0..12_u64), 1..200),
        ) {
            let mut lru = Lru::new();
            let mut model: Vec<(u64, usize)> = Vec::new(); // oldest first
            for (number, (step, key)) in steps.into_iter().enumerate() {
                let at = model.iter().position(|entry| entry.0 == key);
                match step {
                    0 => {
                        let before = at.map(|at| model.remove(at).1);
                        model.push((key, number));
                        prop_assert_eq!(lru.insert(key, number), before);
                    }
                    1 => {
                        if let Some(at) = at {
                            let entry = model.remove(at);
                            model.push(entry);
                        }
                        prop_assert_eq!(lru.touch(key).copied(), at.map(|_| model[model.len() - 1].1));
                    }
                    2 => prop_assert_eq!(lru.remove(key), at.map(|at| model.remove(at).1)),
                    _ => {
                        let oldest = (!model.is_empty()).then(|| model.remove(0).1);
                        prop_assert_eq!(lru.remove_oldest(), oldest);
                    }
                }
                prop_assert_eq!(lru.len(), model.len());
                prop_assert!(model.iter().all(|&(key, value)| lru.peek(key) == Some(&value)));
            }
        }
    }
}
