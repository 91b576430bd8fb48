//! What is to be heard of on one connection, and how far that has come.

use std::{collections::BTreeMap, sync::Arc};

use omnimind_wire::{
    Era,
    json::{as_bool, find},
};
use tokio::time::Instant;

use super::{Hold, What};
use crate::{
    relay::listen::Filter,
    upstream::{Negotiated, Unasked},
};

/// Resources subscribed to on one connection, and the length of all their URIs.
pub(super) const MOST_URIS: usize = 1_024;
const MOST_URI_BYTES: usize = 256 << 10;

/// How far it has come with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It cannot be heard of.
    Never,
    /// Nobody wants to hear of it.
    Idle,
    /// The server is to be asked.
    Wanted,
    /// It is heard of.
    Heard,
}

/// A resource somebody wants to hear of.
#[derive(Debug, Clone, Copy)]
struct Wish {
    until: Instant,
    standing: Standing,
}

/// What is to be heard of on one connection.
#[derive(Debug)]
pub(super) struct Wishes {
    era: Era,
    /// Of tools, prompts and resources, in this order.
    lists: [Standing; 3],
    /// Updates of resources.
    updates: bool,
    uris: BTreeMap<Arc<str>, Wish>,
    uri_bytes: usize,
    trusted: bool,
    data: bool,
}

impl Wishes {
    /// None, of a server that promised this.
    pub(super) fn new(negotiated: &Negotiated, trusted: bool) -> Self {
        let promised = |kind: &str, what: &str| {
            let path = ["capabilities", kind, what];
            find(&negotiated.result, &path).ok().flatten().and_then(as_bool) == Some(true)
        };
        let list = |kind: &str| if promised(kind, "listChanged") { Standing::Idle } else { Standing::Never };
        Self {
            era: negotiated.era,
            lists: ["tools", "prompts", "resources"].map(list),
            updates: promised("resources", "subscribe"),
            uris: BTreeMap::new(),
            uri_bytes: 0,
            trusted,
            data: false,
        }
    }

    /// True if there is nothing that could be heard of.
    pub(super) fn is_hopeless(&self) -> bool {
        !self.trusted && !self.updates && self.lists.iter().all(|standing| *standing == Standing::Never)
    }

    /// Wants to hear of something; says whether it is heard of, and whether there is something new to ask.
    pub(super) fn want(&mut self, what: What<'_>, until: Instant, unasked: Unasked, now: Instant) -> (Hold, bool) {
        match what {
            What::Tools => self.list(0, unasked),
            What::Prompts => self.list(1, unasked),
            What::Resources => self.list(2, unasked),
            // A legacy worker says of its data that it changed; its subscriptions are its clients'.
            What::Resource(_) if self.trusted && self.era == Era::Legacy => self.data(),
            What::Resource(uri) => self.resource(uri, until, unasked, now),
            What::Data => self.data(),
        }
    }

    fn data(&mut self) -> (Hold, bool) {
        self.data |= self.trusted;
        (if self.trusted { Hold::Heard } else { Hold::Deaf }, false)
    }

    fn list(&mut self, which: usize, unasked: Unasked) -> (Hold, bool) {
        let Some(standing) = self.lists.get_mut(which).filter(|standing| **standing != Standing::Never) else {
            return (Hold::Deaf, false);
        };
        if self.era == Era::Legacy {
            return match unasked {
                Unasked::Heard => {
                    *standing = Standing::Heard;
                    (Hold::Heard, false)
                }
                Unasked::NotYet => (Hold::Opening, false),
                Unasked::Never => (Hold::Deaf, false),
            };
        }
        match standing {
            Standing::Heard => (Hold::Heard, false),
            Standing::Wanted => (Hold::Opening, false),
            // One subscription for all lists.
            Standing::Idle | Standing::Never => {
                self.lists.iter_mut().filter(|one| **one == Standing::Idle).for_each(|one| *one = Standing::Wanted);
                (Hold::Opening, true)
            }
        }
    }

    fn resource(&mut self, uri: &str, until: Instant, unasked: Unasked, now: Instant) -> (Hold, bool) {
        if !self.updates || unasked == Unasked::Never {
            return (Hold::Deaf, false);
        }
        if let Some(wish) = self.uris.get_mut(uri) {
            wish.until = wish.until.max(until);
            return match wish.standing {
                Standing::Heard => (Hold::Heard, false),
                Standing::Never => (Hold::Deaf, false),
                Standing::Idle | Standing::Wanted => (Hold::Opening, false),
            };
        }
        let has_room = |wishes: &Self| wishes.uris.len() < MOST_URIS && wishes.uri_bytes + uri.len() <= MOST_URI_BYTES;
        if !has_room(self) {
            self.tidy(now);
            if !has_room(self) {
                return (Hold::Full, false);
            }
        }
        self.uri_bytes += uri.len();
        self.uris.insert(uri.into(), Wish { until, standing: Standing::Wanted });
        (Hold::Opening, true)
    }

    /// Forgets resources whose time is over; true if there were any.
    pub(super) fn tidy(&mut self, now: Instant) -> bool {
        let before = self.uris.len();
        self.uris.retain(|_, wish| wish.until > now);
        self.uri_bytes = self.uris.keys().map(|uri| uri.len()).sum();
        self.uris.len() < before
    }

    /// True if there is something to ask the server for.
    pub(super) fn is_wanting(&self) -> bool {
        self.lists.contains(&Standing::Wanted) || self.uris.values().any(|wish| wish.standing == Standing::Wanted)
    }

    /// All that is to be heard of, as a subscription has it.
    pub(super) fn filter(&self) -> Filter {
        let [tools, prompts, resources] =
            self.lists.map(|standing| matches!(standing, Standing::Wanted | Standing::Heard));
        let uris = self.uris.iter().filter(|(_, wish)| wish.standing != Standing::Never);
        Filter { tools, prompts, resources, uris: uris.map(|(uri, _)| Arc::clone(uri)).collect(), rest: false }
    }

    /// Resources that are to be heard of, and whether they are.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&Arc<str>, bool)> {
        let uris = self.uris.iter().filter(|(_, wish)| wish.standing != Standing::Never);
        uris.map(|(uri, wish)| (uri, wish.standing == Standing::Heard))
    }

    /// The server keeps `honoured` of what it was asked for.
    pub(super) fn honour(&mut self, asked: &Filter, honoured: &Filter) {
        let said =
            [(asked.tools, honoured.tools), (asked.prompts, honoured.prompts), (asked.resources, honoured.resources)];
        for (standing, (_, kept)) in self.lists.iter_mut().zip(said).filter(|(_, (asked, _))| *asked) {
            *standing = if kept { Standing::Heard } else { Standing::Never };
        }
        for uri in &asked.uris {
            self.settle(uri, honoured.uris.contains(uri));
        }
    }

    /// The server will or will not say when this resource is updated.
    pub(super) fn settle(&mut self, uri: &str, honoured: bool) {
        if let Some(wish) = self.uris.get_mut(uri) {
            wish.standing = if honoured { Standing::Heard } else { Standing::Never };
        }
    }

    /// The server will have no subscriptions to resources.
    pub(super) fn refuse_updates(&mut self) {
        self.updates = false;
        self.uris.clear();
        self.uri_bytes = 0;
    }

    /// If anything was heard, it is no more, and nothing is wanted until somebody wants it anew.
    pub(super) fn lose(&mut self) -> bool {
        if !self.hears_what_is_said() {
            return false;
        }
        self.lists.iter_mut().filter(|one| **one != Standing::Never).for_each(|one| *one = Standing::Idle);
        self.uris.clear();
        self.uri_bytes = 0;
        true
    }

    /// The server cannot be subscribed to.
    pub(super) fn resign(&mut self) {
        if self.era == Era::Modern {
            self.lists = [Standing::Never; 3];
        }
        self.refuse_updates();
    }

    /// True if anything is heard.
    pub(super) fn hears(&self) -> bool {
        self.data || self.hears_what_is_said()
    }

    fn hears_what_is_said(&self) -> bool {
        self.lists.contains(&Standing::Heard) || self.uris.values().any(|wish| wish.standing == Standing::Heard)
    }

    /// True if all that the other hears is heard here.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let heard = |standing: Standing| standing == Standing::Heard;
        (self.data || !other.data)
            && other.lists.iter().zip(&self.lists).all(|(theirs, ours)| heard(*ours) || !heard(*theirs))
            && other
                .uris
                .iter()
                .filter(|(_, wish)| heard(wish.standing))
                .all(|(uri, _)| self.uris.get(uri).is_some_and(|wish| heard(wish.standing)))
    }
}
