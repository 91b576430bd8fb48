//! What servers said last of their lists, and the names that gave: by principal, who may each see another list.
//!
//! Both are bounded. What was said stands in for a server that is slow or gone, so a first page of it is enough; of
//! a list with more names than are remembered, whoever resolves one of the others asks the server.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::broadcast, time::Instant};

use super::{list::List, page::Page, rests::Rests};
use crate::relay::Client;

/// Bytes of one server's list that are remembered.
const MOST_BYTES: usize = 1 << 20;
/// Tools are described at length.
const MOST_BYTES_OF_TOOLS: usize = 8 << 20;
/// Names remembered of one server's list.
pub(super) const MOST_NAMES: usize = 10_000;
/// Names that an unknown one is compared with, what they must have in common with it in percent, and how many are told.
const MOST_COMPARED: usize = 2_000;
const LIKE: usize = 55;
const MOST_LIKE: usize = 3;
/// An unknown name makes the servers be asked again at most this often, per principal.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One principal's view of one kind of list.
type Corner = (Arc<str>, List);

/// What servers said last, and what is kept of their pages.
pub(crate) struct Shelves {
    corners: Mutex<HashMap<Corner, HashMap<String, Shelf>>>,
    searches: Mutex<HashMap<Corner, Search>>,
    late: broadcast::Sender<List>,
    /// Rests of servers' pages.
    pub(crate) rests: Arc<Rests>,
}

#[derive(Default)]
struct Shelf {
    said: Option<Arc<[Page]>>,
    late: Option<Late>,
    asking: Arc<tokio::sync::Mutex<()>>,
    /// The aggregate's name to the server's own.
    names: HashMap<String, String>,
    /// The list has more names than these.
    has_more: bool,
}

/// All servers are asked for a name that none is known to have.
#[derive(Default)]
struct Search {
    last: Option<Instant>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// When a server missed a list's patience. One that was still coming is asked again once it is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Coming,
    Up,
}

impl Default for Shelves {
    fn default() -> Self {
        Self {
            corners: Mutex::default(),
            searches: Mutex::default(),
            late: broadcast::Sender::new(16),
            rests: Arc::default(),
        }
    }
}

impl Shelves {
    /// Lists that changed because a slow server's part came after all.
    pub(crate) fn late(&self) -> broadcast::Receiver<List> {
        self.late.subscribe()
    }

    /// Forgets what a server said: it is gone, or another by the same name.
    pub(crate) fn forget(&self, server: &str) {
        for shelves in self.corners.lock().values_mut() {
            shelves.remove(server);
        }
    }

    /// What a server said last, and whether it missed the patience of a list since.
    pub(super) fn last(&self, client: &Client, list: List, server: &str) -> (Option<Arc<[Page]>>, Option<Late>) {
        let corners = self.corners.lock();
        let shelf = corners.get(&corner(client, list)).and_then(|shelves| shelves.get(server));
        shelf.map_or((None, None), |shelf| (shelf.said.clone(), shelf.late))
    }

    /// Takes what a server says of its list, from the beginning. Returned is the same, with what was made of it before if
    /// the server said it before.
    pub(super) fn remember(&self, client: &Client, list: List, server: &str, pages: Vec<Page>) -> Arc<[Page]> {
        let (last, _) = self.last(client, list, server);
        let last = last.filter(|last| are_same(last, &pages, Page::is));
        let said: Arc<[Page]> = last.clone().unwrap_or_else(|| remembered(list, &pages).into());
        self.on(client, list, server, |shelf| {
            shelf.late = None;
            if last.is_some() && shelf.said.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &said)) {
                return;
            }
            shelf.said = Some(said.clone());
            let all_known = pages.iter().all(|page| shelf.learn(list, server, page, 0, usize::MAX));
            shelf.has_more = !(all_known && pages.last().is_none_or(Page::is_last));
        });
        // Of a long list less is remembered than was said.
        if are_same(&said, &pages, |one, other| one.len() == other.len()) { said } else { pages.into() }
    }

    /// A page of the list as it is remembered, if the server says it again.
    pub(super) fn again(&self, client: &Client, list: List, server: &str, page: &Page) -> Option<Page> {
        let (last, _) = self.last(client, list, server);
        last?.iter().find(|known| known.is(page)).cloned()
    }

    /// Names that are like one that nobody has, the likest first.
    pub(super) fn like(&self, client: &Client, list: List, name: &str) -> Vec<String> {
        let corners = self.corners.lock();
        let shelves = corners.get(&corner(client, list)).into_iter().flatten();
        let names = shelves.flat_map(|(_, shelf)| &shelf.names).take(MOST_COMPARED);
        let wanted = pairs(name);
        let mut near: Vec<(usize, &String)> = names
            .map(|(outer, inner)| (likeness(&wanted, &pairs(outer)).max(likeness(&wanted, &pairs(inner))), outer))
            .filter(|(likeness, _)| *likeness >= LIKE)
            .collect();
        near.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
        near.into_iter().take(MOST_LIKE).map(|(_, name)| name.clone()).collect()
    }

    /// Takes the names of items of a page that is not the first.
    pub(super) fn learn(&self, client: &Client, list: List, server: &str, page: &Page, had: usize, items: usize) {
        self.on(client, list, server, |shelf| shelf.learn(list, server, page, had, items));
    }

    /// Marks a server that missed the patience of a list; false if it was marked.
    pub(super) fn mark_late(&self, client: &Client, list: List, server: &str, late: Late) -> bool {
        self.on(client, list, server, |shelf| shelf.late.replace(late).is_none())
    }

    /// A server that was late did not answer in the end.
    pub(super) fn never_came(&self, client: &Client, list: List, server: &str) {
        self.on(client, list, server, |shelf| shelf.late = None);
    }

    /// A server that was late has answered, and otherwise than before.
    pub(super) fn tell_late(&self, list: List) {
        let _ = self.late.send(list);
    }

    /// The server and its own name for what the aggregate calls `name`.
    pub(super) fn known(&self, client: &Client, list: List, name: &str) -> Option<(String, String)> {
        let corners = self.corners.lock();
        let shelves = corners.get(&corner(client, list))?;
        let found = |(server, shelf): (&String, &Shelf)| Some((server.clone(), shelf.names.get(name)?.clone()));
        let likely = name.split_once("__").and_then(|(server, _)| shelves.get_key_value(server)).and_then(found);
        likely.or_else(|| shelves.iter().find_map(found))
    }

    /// Whether a server's list has names that are not remembered.
    pub(super) fn has_more(&self, client: &Client, list: List, server: &str) -> bool {
        self.on(client, list, server, |shelf| shelf.has_more)
    }

    /// Who holds this asks a server what it has; others wait for what that brings.
    pub(super) fn asking(&self, client: &Client, list: List, server: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.on(client, list, server, |shelf| shelf.asking.clone())
    }

    /// Who holds this asks all servers for a name.
    pub(super) fn search(&self, client: &Client, list: List) -> Arc<tokio::sync::Mutex<()>> {
        self.searches.lock().entry(corner(client, list)).or_default().turn.clone()
    }

    /// Whether all servers were asked for a name just now.
    pub(super) fn was_searched(&self, client: &Client, list: List) -> bool {
        let searches = self.searches.lock();
        let last = searches.get(&corner(client, list)).and_then(|search| search.last);
        last.is_some_and(|last| last.elapsed() < ASK_AGAIN)
    }

    pub(super) fn searched(&self, client: &Client, list: List) {
        self.searches.lock().entry(corner(client, list)).or_default().last = Some(Instant::now());
    }

    fn on<T>(&self, client: &Client, list: List, server: &str, act: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut corners = self.corners.lock();
        act(corners.entry(corner(client, list)).or_default().entry(server.to_owned()).or_default())
    }
}

impl Shelf {
    /// Learns names while there is room for them; true if there was.
    fn learn(&mut self, list: List, server: &str, page: &Page, had: usize, items: usize) -> bool {
        if !list.is_named() {
            return true;
        }
        for (inner, outer) in page.items(had).take(items).filter_map(|raw| list.names(server, raw)) {
            if self.names.len() >= MOST_NAMES && !self.names.contains_key(&outer) {
                return false;
            }
            self.names.insert(outer, inner);
        }
        true
    }
}

fn corner(client: &Client, list: List) -> Corner {
    (client.principal().clone(), list)
}

fn are_same(one: &[Page], other: &[Page], is: impl Fn(&Page, &Page) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is(one, other))
}

/// The pairs of neighbouring letters of a name, in order.
fn pairs(name: &str) -> Vec<[u8; 2]> {
    let name = name.to_ascii_lowercase();
    let mut pairs: Vec<[u8; 2]> = name.as_bytes().windows(2).filter_map(|pair| pair.try_into().ok()).collect();
    pairs.sort_unstable();
    pairs
}

/// How much two names have in common, in percent of both.
fn likeness(one: &[[u8; 2]], other: &[[u8; 2]]) -> usize {
    let (mut rest, mut shared) = (other, 0_usize);
    for pair in one {
        rest = rest.get(rest.partition_point(|of| of < pair)..).unwrap_or_default();
        if let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == pair) {
            (rest, shared) = (after, shared.saturating_add(1));
        }
    }
    shared.saturating_mul(200).checked_div(one.len().saturating_add(other.len())).unwrap_or_default()
}

/// As much of what was said as a page of ours may show.
fn remembered(list: List, pages: &[Page]) -> Vec<Page> {
    let (mut room, mut bytes) = (list.room(), if list == List::Tools { MOST_BYTES_OF_TOOLS } else { MOST_BYTES });
    let mut kept = Vec::new();
    for page in pages {
        let stretch = page.stretch(0, room, bytes);
        room = room.saturating_sub(stretch.len());
        bytes = bytes.saturating_sub(stretch.bytes());
        let is_whole = stretch.len() == page.len();
        kept.push(stretch);
        if !is_whole {
            break;
        }
    }
    kept
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use omnimind_wire::{Limits, Message};

    use super::*;
    use crate::{
        aggregate::told::Form,
        config::{Class, Role, ToolList},
        control::Outbox,
        plane::Plane,
        principal::Principal,
        relay::{Caller, Target},
    };

    fn client(principal: &str) -> Client {
        let snapshot = serde_json::json!({
            "version": "1", "state_dir": "/", "keys": [], "auth": {"required": true}, "servers": []
        });
        let plane = Plane::new(1, serde_json::from_value(snapshot).unwrap(), Arc::new(Outbox::new().unwrap()));
        let operation = plane.metrics.operation(std::time::Instant::now());
        let principal =
            Principal { name: principal.into(), tenant: principal.into(), class: Class::Normal, role: Role::User };
        let caller = Caller {
            plane: Arc::new(plane),
            principal: Arc::new(principal),
            target: Target::All,
            tools: ToolList::Pruned,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            operation,
        };
        let request = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#);
        let Ok(Message::Request(request)) = Message::parse(request, &Limits::default()) else { panic!("a request") };
        Client::modern(caller, &request)
    }

    fn said(description: &str) -> Vec<Page> {
        let text = format!(r#"{{"tools":[{{"name":"a","description":"{description}","inputSchema":{{}}}}]}}"#);
        vec![Page::read(List::Tools, None, &text.into())]
    }

    fn pruned(pages: &[Page]) -> *const u8 {
        pages[0].told(Form::Pruned, 0).next().unwrap().1.as_ptr()
    }

    #[tokio::test]
    async fn what_was_made_of_a_list_stays_while_its_server_says_the_same_and_is_one_principals() {
        let (shelves, ann, bob) = (Shelves::default(), client("ann"), client("bob"));
        let first = pruned(&shelves.remember(&ann, List::Tools, "one", said("Does a")));
        let again = shelves.remember(&ann, List::Tools, "one", said("Does a"));
        assert_eq!(pruned(&again), first);
        assert_eq!(
            shelves.again(&ann, List::Tools, "one", &said("Does a")[0]).map(|page| pruned(&[page])),
            Some(first)
        );
        assert_ne!(pruned(&shelves.remember(&bob, List::Tools, "one", said("Does a"))), first);
        assert!(shelves.again(&bob, List::Tools, "two", &said("Does a")[0]).is_none());
        let changed = shelves.remember(&ann, List::Tools, "one", said("Does b"));
        assert!(changed[0].told(Form::Pruned, 0).all(|(_, told)| String::from_utf8_lossy(told).contains("Does b")));
        assert!(shelves.again(&ann, List::Tools, "one", &said("Does a")[0]).is_none());
        shelves.forget("one");
        assert!(shelves.again(&ann, List::Tools, "one", &said("Does b")[0]).is_none());
    }

    #[test]
    fn names_are_alike_by_what_they_have_in_common() {
        let like = |one, other| likeness(&pairs(one), &pairs(other));
        assert_eq!((like("read_file", "read_file"), like("read", "Xopy"), like("", "")), (100, 0, 0));
        assert!(like("read_fiel", "read_file") >= LIKE && like("send", "read_file") < LIKE);
        assert_eq!(like("aaaa", "aa"), 50, "each pair counts once");
    }
}
