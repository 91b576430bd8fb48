//! A page of one server's list, in the server's own words; or a stretch of it that was kept.
//!
//! Items stay where they stand in the text that came; an item is looked into when it is shown. A stretch is a copy:
//! what is kept holds on to nothing else.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use omnimind_wire::{Edit, Malformed, json};

use super::{
    list::List,
    told::{Form, Told},
};

/// A place in one server's list: so many items into the page of a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// None asks for the server's first page. The empty cursor is one like any other.
    pub(super) cursor: Option<Arc<str>>,
    /// Items of that page that the client has.
    pub(super) had: usize,
}

impl Spot {
    pub(super) fn is_start(&self) -> bool {
        self.cursor.is_none() && self.had == 0
    }
}

/// A page, or a stretch of one.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// The cursor it was asked with.
    cursor: Option<Arc<str>>,
    /// Items of the server's page that come before these.
    before: usize,
    text: Bytes,
    items: Arc<[Range<u32>]>,
    /// More items of the server's page come after these.
    goes_on: bool,
    /// The cursor of the server's next page.
    next: Option<Arc<str>>,
    /// What was made of the items.
    told: Arc<Told>,
}

impl Page {
    /// What a server answered; whatever is no list has no items.
    pub(super) fn read(list: List, cursor: Option<Arc<str>>, result: &Bytes) -> Self {
        let (object, items) = json::Object::parse_with_elements(result, list.member()).ok().unzip();
        let items = items.unwrap_or_default();
        let spans = items.iter().map_while(|item| span(result, item)).collect();
        let next = object.as_ref().and_then(|object| object.get("nextCursor"));
        let next: Option<Arc<str>> = next.and_then(json::as_str).map(Into::into);
        // A cursor that leads to its own page leads nowhere.
        let next = next.filter(|next| Some(next) != cursor.as_ref());
        Self { cursor, before: 0, text: result.clone(), items: spans, goes_on: false, next, told: Arc::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// What it takes to keep it.
    pub(super) fn bytes(&self) -> usize {
        self.text.len().saturating_add(self.items.len().saturating_mul(size_of::<Range<u32>>()))
    }

    /// Whether the item at this place is here.
    pub(super) fn has(&self, spot: &Spot) -> bool {
        spot.cursor == self.cursor && spot.had >= self.before && spot.had < self.end()
    }

    /// Whether the list begins here.
    pub(super) fn is_first(&self) -> bool {
        self.cursor.is_none() && self.before == 0
    }

    /// Whether the list ends here.
    pub(super) fn is_last(&self) -> bool {
        !self.goes_on && self.next.is_none()
    }

    /// The cursor of the server's next page.
    pub(super) fn next(&self) -> Option<&Arc<str>> {
        self.next.as_ref()
    }

    /// The items after the first `had` of the server's page.
    pub(super) fn items(&self, had: usize) -> impl Iterator<Item = &[u8]> {
        self.items.iter().skip(had.saturating_sub(self.before)).map(|span| self.raw(span))
    }

    /// The same items, each as it came and as it is told.
    pub(super) fn told(&self, form: Form, had: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let made = self.told.of(form, self.items.iter().map(|span| self.raw(span)));
        let items = self.items.iter().map(|span| self.raw(span)).enumerate().skip(had.saturating_sub(self.before));
        items.map(move |(at, raw)| (raw, made.and_then(|made| made.get(at)).map_or(raw, |told| told)))
    }

    /// What the server said, with these items in place of its own.
    pub(super) fn with(&self, list: List, items: &[&[u8]]) -> Result<Bytes, Malformed> {
        if items.is_empty() {
            return Ok(self.text.clone());
        }
        let array = [&b"["[..], &items.join(&b','), b"]"].concat();
        Edit::new(&self.text).set(&[list.member()], array).finish()
    }

    /// Whether it is word for word the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.cursor == other.cursor
            && self.before == other.before
            && self.goes_on == other.goes_on
            && self.next == other.next
            && self.items.len() == other.items.len()
            && self.items(0).zip(other.items(0)).all(|(one, other)| one == other)
    }

    /// Where the list goes on for a client that has the first `had` items of the server's page.
    pub(super) fn after(&self, had: usize) -> Option<Spot> {
        if had < self.end() || self.goes_on {
            return Some(Spot { cursor: self.cursor.clone(), had });
        }
        self.next.clone().map(|next| Spot { cursor: Some(next), had: 0 })
    }

    /// A copy of the items after the first `had`, of at most so many and so many bytes.
    pub(super) fn stretch(&self, had: usize, items: usize, bytes: usize) -> Self {
        let skipped = had.saturating_sub(self.before);
        let first = self.items.get(skipped).map_or(0, |span| span.start);
        let fits = |(index, span): &(usize, &Range<u32>)| {
            let spans = index.saturating_add(1).saturating_mul(size_of::<Range<u32>>());
            (span.end.saturating_sub(first) as usize).saturating_add(spans) <= bytes
        };
        let rest = self.items.iter().skip(skipped);
        let kept: Vec<_> = rest.take(items).enumerate().take_while(fits).map(|(_, span)| span).collect();
        let last = kept.last().map_or(first, |span| span.end);
        Self {
            cursor: self.cursor.clone(),
            before: self.before.saturating_add(skipped),
            text: Bytes::copy_from_slice(self.raw(&(first..last))),
            goes_on: self.goes_on || skipped.saturating_add(kept.len()) < self.items.len(),
            items: kept.iter().map(|span| span.start.saturating_sub(first)..span.end.saturating_sub(first)).collect(),
            next: self.next.clone(),
            told: Arc::default(),
        }
    }

    fn end(&self) -> usize {
        self.before.saturating_add(self.items.len())
    }

    fn raw(&self, span: &Range<u32>) -> &[u8] {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// Where a part of a text stands in it.
fn span(text: &Bytes, part: &[u8]) -> Option<Range<u32>> {
    let span = json::span_in(text, part)?;
    Some(u32::try_from(span.start).ok()?..u32::try_from(span.end).ok()?)
}

#[cfg(test)]
impl Page {
    /// The page of a cursor, with so many items of so many bytes.
    pub(super) fn made(cursor: &str, items: u32, bytes: u32) -> Self {
        let spans = (0..items).map(|number| number * bytes..(number + 1) * bytes).collect();
        let text = vec![0; (items * bytes) as usize].into();
        Self {
            cursor: Some(cursor.into()),
            before: 0,
            text,
            items: spans,
            goes_on: false,
            next: None,
            told: Arc::default(),
        }
    }
}
