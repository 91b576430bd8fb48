//! The containers around a place in the text: what they hold, and which keys were there before.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
};

use super::COMPARED_KEYS;
use crate::names::{BLOCKS, RESOURCE, Shape};

/// What a content block says it is, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Link,
    Resource,
    ToolResult,
    Other,
}

impl Block {
    pub(super) fn named(kind: &str) -> Self {
        match kind {
            "resource_link" => Self::Link,
            "resource" => Self::Resource,
            "tool_result" => Self::ToolResult,
            _ => Self::Other,
        }
    }
}

/// One container that is open.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) object: bool,
    /// The type of a block, once it was said.
    pub(super) block: Option<Block>,
    shape: Option<Shape>,
    serial: u64,
    noted: usize,
}

impl Level {
    pub(super) fn new(object: bool, shape: Option<Shape>, serial: u64) -> Self {
        // One may stand where there could be many.
        let shape = match shape {
            Some(Shape::Each(inner)) if object => Some(*inner),
            shape => shape,
        };
        Self { object, block: None, shape, serial, noted: 0 }
    }

    /// The shape of an element, or of the member with this key.
    pub(super) fn inner(&self, key: &[u8]) -> Option<Shape> {
        match self.shape? {
            Shape::Each(inner) if !self.object => Some(*inner),
            Shape::Fields(fields) if self.object => {
                fields.iter().find(|(name, _)| name.as_bytes() == key).map(|(_, inner)| *inner)
            }
            Shape::Values(inner) if self.object => Some(*inner),
            Shape::Block if self.object => self.of_block(key),
            _ => None,
        }
    }

    /// What a member of a block is, if the block is of the type that has it, or does not say yet.
    fn of_block(&self, key: &[u8]) -> Option<Shape> {
        let (shape, of) = match key {
            b"uri" => (Shape::Uri, Block::Link),
            b"resource" => (RESOURCE, Block::Resource),
            b"content" => (BLOCKS, Block::ToolResult),
            _ => return None,
        };
        self.block.is_none_or(|block| block == of).then_some(shape)
    }

    /// True where a string is the type of a block.
    pub(super) fn is_block_type(&self, key: &[u8]) -> bool {
        self.object && matches!(self.shape, Some(Shape::Block)) && key == b"type"
    }
}

/// Keys of the objects that are open, by keyed digests, so that no one can choose two that are alike.
#[derive(Debug, Default)]
pub(super) struct Compared {
    digests: HashSet<u64>,
    order: Vec<u64>,
    objects: u64,
    keys: RandomState,
}

impl Compared {
    /// A number for an object that opens.
    pub(super) fn open(&mut self) -> u64 {
        self.objects += 1;
        self.objects
    }

    /// Notes a key; false if its object had it before.
    pub(super) fn note(&mut self, level: &mut Level, key: &[u8]) -> bool {
        if self.order.len() >= COMPARED_KEYS {
            return true;
        }
        let digest = self.keys.hash_one((level.serial, key));
        if !self.digests.insert(digest) {
            return false;
        }
        self.order.push(digest);
        level.noted += 1;
        true
    }

    /// Forgets the keys of an object that closes.
    pub(super) fn close(&mut self, level: &Level) {
        let kept = self.order.len().saturating_sub(level.noted);
        for digest in self.order.drain(kept..) {
            self.digests.remove(&digest);
        }
    }
}
