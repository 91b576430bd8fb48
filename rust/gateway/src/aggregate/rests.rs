//! What of a server's page has not been asked for yet.
//!
//! A server's page may be longer than ours. The rest is kept beside the cursor, so that a client that reads on does
//! not make the server send it all again; it is worth nothing else. The rules: at most so many rests and bytes
//! a principal and in all; what nobody has used for half a minute is freed; whoever comes later asks the server. Nobody
//! finds a rest but a client that would have got the same answer: the same principal, session, era and capabilities.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use omnimind_wire::Era;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::{list::List, page::Page, page::Spot};
use crate::{config::ServerSpec, relay::Client};

/// Live work behind a cursor that nobody uses ends after this.
pub(crate) const UNUSED: Duration = Duration::from_secs(30);
/// Rests of one principal.
const MOST_EACH: usize = 8;
/// And their bytes.
pub(super) const BYTES_EACH: usize = 8 << 20;
/// Bytes of all.
const BYTES_ALL: usize = 32 << 20;

/// Whose page it is, and which.
#[derive(Debug, Clone)]
pub(super) struct Key {
    principal: Arc<str>,
    operator: bool,
    session: Option<Arc<str>>,
    era: Era,
    capabilities: Bytes,
    spec: Arc<ServerSpec>,
    list: List,
    cursor: Option<Arc<str>>,
}

impl Key {
    pub(super) fn of(client: &Client, list: List, spec: &Arc<ServerSpec>, spot: &Spot) -> Self {
        Self {
            principal: client.principal().clone(),
            operator: client.is_operator(),
            session: client.session.as_ref().map(|session| session.key.clone()),
            era: client.era,
            capabilities: client.capabilities.clone(),
            spec: spec.clone(),
            list,
            cursor: spot.cursor.clone(),
        }
    }

    /// The same question of the same client; a server that was configured anew is another.
    fn is(&self, other: &Self) -> bool {
        self.list == other.list
            && self.cursor == other.cursor
            && self.principal == other.principal
            && self.operator == other.operator
            && self.session == other.session
            && self.era == other.era
            && self.capabilities == other.capabilities
            && (Arc::ptr_eq(&self.spec, &other.spec) || self.spec == other.spec)
    }
}

#[derive(Debug)]
struct Rest {
    key: Key,
    page: Page,
    used: Instant,
}

/// All rests.
#[derive(Debug, Default)]
pub(crate) struct Rests(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    rests: HashMap<Arc<str>, Vec<Rest>>,
    /// Somebody waits to free them.
    is_watched: bool,
}

impl Rests {
    /// The stretch in which the client goes on.
    pub(super) fn find(&self, key: &Key, spot: &Spot) -> Option<Page> {
        let mut held = self.0.lock();
        let rest = held.rests.get_mut(&key.principal)?.iter_mut().find(|rest| rest.key.is(key))?;
        if !rest.page.has(spot) {
            return None;
        }
        rest.used = Instant::now();
        Some(rest.page.clone())
    }

    /// Keeps what comes after the first `had` items of a page, as far as there is room for it.
    pub(super) fn keep(self: &Arc<Self>, mut key: Key, page: &Page, had: usize) {
        let page = page.stretch(had, usize::MAX, BYTES_EACH);
        // What the message of this request brought is not held on to.
        key.capabilities = Bytes::copy_from_slice(&key.capabilities);
        let mut held = self.0.lock();
        let own = held.rests.entry(key.principal.clone()).or_default();
        own.retain(|rest| !rest.key.is(&key));
        if page.len() > 0 {
            own.push(Rest { key, page, used: Instant::now() });
        }
        while own.len() > MOST_EACH || bytes(own) > BYTES_EACH {
            drop_oldest(own);
        }
        while held.rests.values().map(|rests| bytes(rests)).sum::<usize>() > BYTES_ALL {
            let Some(most) = held.rests.values_mut().max_by_key(|rests| bytes(rests)) else { break };
            drop_oldest(most);
        }
        if !std::mem::replace(&mut held.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// How many there are, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let held = self.0.lock();
        (held.rests.values().map(Vec::len).sum(), held.rests.values().map(|rests| bytes(rests)).sum())
    }

    /// Frees what was not used for too long; when to look again, if anything is left.
    fn free(&self, now: Instant) -> Option<Instant> {
        let mut held = self.0.lock();
        held.rests.retain(|_, rests| {
            rests.retain(|rest| now.duration_since(rest.used) < UNUSED);
            !rests.is_empty()
        });
        let due = held.rests.values().flatten().map(|rest| rest.used + UNUSED).min();
        held.is_watched = due.is_some();
        due
    }
}

/// Frees rests when their time comes, for as long as there are any.
async fn watch(rests: Weak<Rests>) {
    while let Some(due) = rests.upgrade().and_then(|rests| rests.free(Instant::now())) {
        sleep_until(due).await;
    }
}

fn bytes(rests: &[Rest]) -> usize {
    rests.iter().map(|rest| rest.page.bytes()).sum()
}

fn drop_oldest(rests: &mut Vec<Rest>) {
    let oldest = rests.iter().enumerate().min_by_key(|(_, rest)| rest.used).map(|(index, _)| index);
    oldest.map(|index| rests.swap_remove(index));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    const MIB: u32 = 1 << 20;

    fn key(principal: &str, cursor: &str) -> Key {
        let spec = json!({"name": "one", "kind": "unix", "tier": "medium"});
        Key {
            principal: principal.into(),
            operator: false,
            session: None,
            era: Era::Modern,
            capabilities: Bytes::from_static(b"{}"),
            spec: Arc::new(serde_json::from_value(spec).unwrap()),
            list: List::Resources,
            cursor: Some(cursor.into()),
        }
    }

    fn at(cursor: &str, had: usize) -> Spot {
        Spot { cursor: Some(cursor.into()), had }
    }

    /// The bytes of a rest and of its index.
    fn sized(items: usize, bytes: usize) -> usize {
        items * (bytes + size_of::<std::ops::Range<u32>>())
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_principal_eight_rests_are_kept_and_the_one_unused_for_longest_goes() {
        let rests = Arc::new(Rests::default());
        for number in 0..8 {
            rests.keep(key("ann", &number.to_string()), &Page::made(&number.to_string(), 10, 10), 5);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(rests.find(&key("ann", "0"), &at("0", 5)).is_some());
        rests.keep(key("ann", "8"), &Page::made("8", 10, 10), 5);
        assert_eq!(rests.size(), (8, 8 * sized(5, 10)), "what comes before a rest is not kept");
        let kept = |number: &str| rests.find(&key("ann", number), &at(number, 5)).is_some();
        assert!(kept("0") && !kept("1") && kept("2") && kept("8"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_is_kept_as_far_as_there_is_room_for_it() {
        let rests = Arc::new(Rests::default());
        rests.keep(key("ann", "c"), &Page::made("c", 20, MIB), 1);
        assert_eq!(rests.size().0, 1);
        assert!(rests.size().1 <= BYTES_EACH);
        let page = rests.find(&key("ann", "c"), &at("c", 1)).unwrap();
        assert_eq!((page.len(), page.after(8)), (7, Some(at("c", 8))), "more of the same page comes after it");
        assert!(rests.find(&key("ann", "c"), &at("c", 8)).is_none());
        assert!(rests.find(&key("ann", "c"), &at("c", 0)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn all_principals_keep_no_more_than_four_may_and_who_keeps_most_gives_way() {
        let rests = Arc::new(Rests::default());
        rests.keep(key("small", "c"), &Page::made("c", 2, MIB), 0);
        for number in 0..9 {
            rests.keep(key(&format!("p{number}"), "c"), &Page::made("c", 7, MIB), 0);
            assert!(rests.size().1 <= BYTES_ALL, "{:?}", rests.size());
        }
        assert_eq!(rests.size().0, 5);
        assert!(rests.find(&key("small", "c"), &at("c", 0)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_differs_in_anything_that_an_answer_depends_on_finds_nothing() {
        let rests = Arc::new(Rests::default());
        rests.keep(key("ann", "c"), &Page::made("c", 2, 2), 0);
        let found = |change: fn(&mut Key)| {
            let mut key = key("ann", "c");
            change(&mut key);
            rests.find(&key, &at("c", 0)).is_some()
        };
        assert!(found(|_| {}), "an equal one does");
        assert!(!found(|key| key.principal = "bob".into()));
        assert!(!found(|key| key.operator = true));
        assert!(!found(|key| key.session = Some("s".into())));
        assert!(!found(|key| key.era = Era::Legacy));
        assert!(!found(|key| key.capabilities = Bytes::from_static(b"{\"roots\":{}}")));
        assert!(!found(|key| key.list = List::Templates));
        assert!(!found(|key| key.cursor = None));
        assert!(!found(|key| Arc::make_mut(&mut key.spec).url = Some("http://other".into())));
    }
}
