//! Places for things that come and go, each named by a key that is never given twice.
//!
//! The rule: a key finds its own thing or nothing. It holds the place and a number that rises with every insertion, so
//! the key of a thing that has left finds nothing, whoever has its place now. An emptied slab gives its memory back.
//!
//! Cost: a place is the thing and 8 bytes; every step takes the same time whatever the number of things.

/// The name of a thing in its slab. The number comes round after 2^32 insertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    number: u32,
    place: u32,
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    next_number: u32,
}

#[derive(Debug)]
struct Place<T> {
    number: u32,
    thing: Option<T>,
}

/// Places that are kept for the next crowd when the last one has left.
const KEPT: usize = 64;

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), next_number: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len().saturating_sub(self.free.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the thing in. The callers bound how many there are; a slab of 2^32 would share its last place.
    pub(crate) fn insert(&mut self, thing: T) -> Key {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let new = Place { number, thing: Some(thing) };
        if let Some(place) = self.free.pop() {
            if let Some(old) = self.places.get_mut(place as usize) {
                *old = new;
            }
            return Key { number, place };
        }
        self.places.push(new);
        let place = u32::try_from(self.places.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Key { number, place }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key.place as usize).filter(|place| place.number == key.number)?.thing.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places.get_mut(key.place as usize).filter(|place| place.number == key.number)?.thing.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.place as usize).filter(|place| place.number == key.number)?;
        let thing = place.thing.take()?;
        self.free.push(key.place);
        if self.is_empty() && self.places.len() > KEPT {
            self.places = Vec::new();
            self.free = Vec::new();
        }
        Some(thing)
    }
}
