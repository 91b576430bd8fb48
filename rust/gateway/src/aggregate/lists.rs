//! Asking every server for its part of a list, and remembering what it said.
//!
//! Each list is asked for afresh; what a server said last only stands in while it is slow or gone. A server
//! that missed the patience of one list is not waited for again until its answer has come, so a hanging
//! server costs one client one wait; a child that has to be started for a principal first gets longer, or
//! the first list of a new principal would lack its tools. The shelf is kept per principal: two principals
//! may see different tools.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use omnimind_wire::{Reason, Refusal, json, names};
use parking_lot::Mutex;
use tokio::{sync::broadcast, task::JoinHandle};

use crate::{
    config::{Kind, ServerSpec},
    control::State,
    relay::{Client, Source, ask},
    upstream::{Failure, ServerView},
};

/// How long a list waits for a connection to a server, which may mean the start of a child.
const MEETING: Duration = Duration::from_secs(5);
/// And then for the server's answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Pages asked of one server for one list.
const MOST_PAGES: usize = 64;
/// Items taken from one server for one list.
const MOST_ITEMS: usize = 10_000;
/// Names remembered for one principal and list.
const MOST_NAMES: usize = 50_000;
/// An unknown name makes the servers be asked again at most this often, per principal.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A list that servers share in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl List {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The notification that says it changed.
    pub(crate) fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }

    /// The member of the result that holds the items.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Prompts => "prompt",
            Self::Resources => "resource",
            Self::Templates => "resource template",
        }
    }

    /// The member of an item that identifies it.
    fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

/// One tool, prompt, resource or template, already in the aggregate's names.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(super) raw: Bytes,
    /// The server's own name for it.
    inner: String,
    /// The aggregate's.
    outer: String,
}

/// One server's part of a list.
pub(super) struct Part {
    pub(super) server: Arc<ServerSpec>,
    pub(super) items: Arc<[Item]>,
}

/// One principal's part of one server's list: principal, server, list.
type Place = (Arc<str>, String, List);

/// What servers said last, and which names that gave.
pub(crate) struct Shelves {
    parts: Mutex<HashMap<Place, Shelf>>,
    tables: Mutex<HashMap<(Arc<str>, List), Table>>,
    late: broadcast::Sender<List>,
}

#[derive(Default)]
struct Shelf {
    items: Option<Arc<[Item]>>,
    late: Option<Late>,
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// When a server missed a list's patience. One that was still coming is asked again once it is up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Coming,
    Up,
}

#[derive(Default)]
struct Table {
    names: HashMap<String, (String, String)>,
    asked: Option<Instant>,
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Shelves {
    fn default() -> Self {
        Self { parts: Mutex::default(), tables: Mutex::default(), late: broadcast::Sender::new(16) }
    }
}

impl Shelves {
    /// Lists that changed because a slow server's part came after all.
    pub(crate) fn late(&self) -> broadcast::Receiver<List> {
        self.late.subscribe()
    }

    /// Forgets what a server said: it is gone, or another by the same name.
    pub(crate) fn forget(&self, server: &str) {
        self.parts.lock().retain(|(_, name, _), _| name != server);
        for table in self.tables.lock().values_mut() {
            table.names.retain(|_, (name, _)| name != server);
        }
    }

    fn last(&self, key: &Place) -> (Option<Arc<[Item]>>, Option<Late>) {
        self.parts.lock().get(key).map_or((None, None), |shelf| (shelf.items.clone(), shelf.late))
    }
}

/// All servers' parts of a list, in the order of the configuration.
pub(super) async fn gather(client: &Client, list: List) -> Vec<Part> {
    let views = client.caller.plane.fleet.servers().into_iter();
    join_all(views.filter(|view| is_up(view) || is_coming(view)).map(|view| part(client, list, view))).await
}

/// The server and its own name for what the aggregate calls `name`; none if no server has it.
///
/// # Errors
/// Its name says whose it may be, and that server has not been heard yet and cannot be reached now.
pub(super) async fn find(client: &Client, list: List, name: &str) -> Result<Option<(String, String)>, Refusal> {
    let key = (client.caller.principal.name.clone(), list);
    let tables = &client.caller.plane.shelves.tables;
    let asking = {
        let mut tables = tables.lock();
        let table = tables.entry(key.clone()).or_default();
        if let Some(found) = table.names.get(name) {
            return Ok(Some(found.clone()));
        }
        Arc::clone(&table.asking)
    };
    if let Some(view) = unheard(client, list, name) {
        // As long as a call of its own would wait for it.
        client.lease(&view.spec, "").await?;
        let key = (key.0.clone(), view.spec.name.clone(), list);
        let asking = Arc::clone(&client.caller.plane.shelves.parts.lock().entry(key.clone()).or_default().asking);
        let heard = async {
            let _turn = asking.lock().await;
            if unheard(client, list, name).is_some()
                && let Some(items) = ask(client.clone(), list, view.spec.clone()).await
            {
                remember(client, list, &key, &items);
            }
        };
        let _ = tokio::time::timeout(PATIENCE, heard).await;
    }
    if let Some(view) = unheard(client, list, name) {
        let detail = format!("{} has not said yet what it has", view.spec.name);
        return Err(Refusal::new(Reason::ServerUnavailable, "server", detail)
            .about(&*view.spec.name)
            .retry_after(1_000));
    }
    // One asks; whoever comes meanwhile waits for what it hears.
    let _turn = asking.lock().await;
    Ok(known_or_asked(client, list, &key, name).await)
}

/// The server that `name` may be of, by its first part, if it has not said what it has since this gateway began.
fn unheard(client: &Client, list: List, name: &str) -> Option<ServerView> {
    let shelves = &client.caller.plane.shelves;
    let may_have_it = |spec: &ServerSpec| name.strip_prefix(&*spec.name).is_some_and(|rest| rest.starts_with("__"));
    let is_unheard =
        |spec: &ServerSpec| shelves.last(&(client.caller.principal.name.clone(), spec.name.clone(), list)).0.is_none();
    let mut views = client.caller.plane.fleet.servers().into_iter();
    views.find(|view| may_have_it(&view.spec) && is_unheard(&view.spec))
}

/// What the table has for a name, after all were asked if that was not done just now.
async fn known_or_asked(client: &Client, list: List, key: &(Arc<str>, List), name: &str) -> Option<(String, String)> {
    let tables = &client.caller.plane.shelves.tables;
    let known = |table: &Table| table.names.get(name).cloned();
    {
        let tables = tables.lock();
        let table = tables.get(key)?;
        let fresh = table.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if fresh || table.names.contains_key(name) {
            return known(table);
        }
    }
    gather(client, list).await;
    let mut tables = tables.lock();
    let table = tables.get_mut(key)?;
    table.asked = Some(Instant::now());
    known(table)
}

fn is_up(view: &ServerView) -> bool {
    matches!(view.state, State::Ready | State::Degraded) || matches!(view.spec.kind, Kind::Http | Kind::Unix)
}

/// A server that will soon be up again, or for the first time since this gateway began: a list without its part
/// would tell clients that its tools are gone.
fn is_coming(view: &ServerView) -> bool {
    let soon = |ms| ms < MEETING.as_millis().try_into().unwrap_or(u64::MAX);
    view.state == State::Starting || view.state == State::Backoff && view.retry_after_ms.is_none_or(soon)
}

async fn part(client: &Client, list: List, view: ServerView) -> Part {
    let up = is_up(&view);
    let spec = view.spec;
    let key = (client.caller.principal.name.clone(), spec.name.clone(), list);
    let shelves = &client.caller.plane.shelves;
    let (last, late) = shelves.last(&key);
    let skipped = late == Some(Late::Up) || late == Some(Late::Coming) && !up;
    if skipped || !up && last.is_some() {
        return Part { server: spec, items: last.unwrap_or_default() };
    }
    let asked = ask(client.clone(), list, spec.clone());
    let mut asking = tokio::spawn(asked);
    let meeting = tokio::time::timeout(MEETING, client.lease(&spec, ""));
    let answered = match meeting.await {
        Ok(Ok(_met)) => tokio::time::timeout(PATIENCE, &mut asking).await,
        Ok(Err(_refused)) => tokio::time::timeout(Duration::ZERO, &mut asking).await,
        Err(slow) => Err(slow),
    };
    let items = match answered {
        Ok(Ok(Some(items))) => {
            remember(client, list, &key, &items);
            items
        }
        Ok(_lost) => last.unwrap_or_default(),
        Err(_slow) => {
            shelves.parts.lock().entry(key.clone()).or_default().late = Some(if up { Late::Up } else { Late::Coming });
            tokio::spawn(wait_for(client.clone(), list, key, asking));
            last.unwrap_or_default()
        }
    };
    Part { server: spec, items }
}

/// Takes a slow server's part when it comes, and says that the list changed if it did.
async fn wait_for(client: Client, list: List, key: Place, asking: JoinHandle<Option<Arc<[Item]>>>) {
    let items = asking.await.ok().flatten();
    let shelves = &client.caller.plane.shelves;
    let (last, _) = shelves.last(&key);
    match items {
        Some(items) => {
            let same =
                last.is_some_and(|last| last.iter().map(|item| &item.raw).eq(items.iter().map(|item| &item.raw)));
            remember(&client, list, &key, &items);
            if !same {
                let _ = shelves.late.send(list);
            }
        }
        None => shelves.parts.lock().entry(key).or_default().late = None,
    }
}

fn remember(client: &Client, list: List, key: &Place, items: &Arc<[Item]>) {
    let shelves = &client.caller.plane.shelves;
    {
        let mut parts = shelves.parts.lock();
        let shelf = parts.entry(key.clone()).or_default();
        shelf.items = Some(items.clone());
        shelf.late = None;
    }
    let mut tables = shelves.tables.lock();
    let table = tables.entry((key.0.clone(), list)).or_default();
    if table.names.len() + items.len() > MOST_NAMES {
        table.names.clear();
    }
    for item in items.iter() {
        table.names.entry(item.outer.clone()).or_insert_with(|| (key.1.clone(), item.inner.clone()));
    }
}

/// One server's whole list, page by page. A server without such a list has an empty one; none means that it
/// could not be asked.
async fn ask(client: Client, list: List, spec: Arc<ServerSpec>) -> Option<Arc<[Item]>> {
    let source = Source { spec: spec.clone(), rename: None };
    let mut items = Vec::new();
    let mut params = Bytes::from_static(b"{}");
    for _ in 0..MOST_PAGES {
        let result = match ask::ask(&client, &source, list.method(), params).await {
            Ok(result) => result,
            Err(Failure::Rpc(_)) => break,
            Err(Failure::Refused(_)) => return None,
        };
        let Ok(page) = json::Object::parse(&result) else { break };
        let raws = page.get(list.member()).and_then(|raw| json::elements(raw).ok()).unwrap_or_default();
        items.extend(raws.into_iter().filter_map(|raw| item(list, &spec.name, raw)));
        match page.get("nextCursor").filter(|raw| json::is_string(raw)) {
            Some(cursor) if items.len() < MOST_ITEMS => params = [b"{\"cursor\":", cursor, b"}"].concat().into(),
            _ => break,
        }
    }
    items.truncate(MOST_ITEMS);
    Some(items.into())
}

fn item(list: List, server: &str, raw: &[u8]) -> Option<Item> {
    let inner = json::as_str(json::find(raw, &[list.key()]).ok()??)?.into_owned();
    let outer = match list {
        List::Tools | List::Prompts => names::join(server, &inner),
        List::Resources | List::Templates => names::uri::wrap(server, &inner),
    };
    let mut edit = omnimind_wire::Edit::new(raw).set(&[list.key()], json::quote(&outer));
    if matches!(list, List::Tools | List::Prompts) && names::is_shortened(server, &inner, &outer) {
        // The name had to be shortened: say whose it is.
        let origin = serde_json::json!({"server": server, "name": inner}).to_string();
        edit = edit.set(&["_meta", "omnimind/name"], origin.into_bytes());
    }
    Some(Item { raw: edit.finish().ok()?, inner, outer })
}
