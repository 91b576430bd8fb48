//! A list that is nearly always empty or has one element, which needs no allocation.

use std::{iter::Chain, option, vec};

/// Few things, in the order they came.
pub(super) struct Few<T> {
    first: Option<T>,
    others: Vec<T>,
}

impl<T> Few<T> {
    /// None.
    pub(super) fn new() -> Self {
        Self { first: None, others: Vec::new() }
    }

    /// One more.
    #[inline]
    pub(super) fn push(&mut self, thing: T) {
        match self.first {
            None => self.first = Some(thing),
            Some(_) => self.others.push(thing),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = Chain<option::IntoIter<T>, vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}
