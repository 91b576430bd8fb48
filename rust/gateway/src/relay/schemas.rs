//! Arguments that travel as headers too (`x-mcp-header`): which they are, by server and tool.
//!
//! And beside them what a trusted server says of its tools: which may run twice, which only read.
//!
//! Learned from every `tools/list` that passes, and asked for once where a call comes first. Over HTTP a modern
//! upstream compares header and argument itself and only needs the headers; behind a pipe nobody else would,
//! so it is done here. For a legacy client of a modern HTTP server the headers are made here.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use memchr::memmem;
use omnimind_wire::{
    Era, MODERN_VERSION, Object, bridge,
    headers::{PARAM_PREFIX, ParamHeader, check_params, mirror_params, param_headers},
    json::{as_bool, as_str, elements, find},
};
use parking_lot::RwLock;
use tokio::time::Instant;

use super::{
    Client, Source,
    client::{self, NAME_HEADER},
};
use crate::{
    config::{Kind, ServerSpec, Sharing},
    upstream::{Call, Failure, Lease},
};

/// Most views kept of one server; when there are more, all are learned anew.
const MOST_VIEWS: usize = 1_024;
/// Most annotated tools of one view.
const MOST_TOOLS: usize = 1_024;
/// Pages read, and time taken, to learn a server's tools.
const MOST_PAGES: usize = 50;
const LEARNED_IN: Duration = Duration::from_secs(5);

type Expected = Arc<[ParamHeader]>;
type Tools = HashMap<Box<str>, Expected>;
type Views = HashMap<Box<str>, Tools>;
/// What trusted servers say of their tools, by server and by whose view of it.
type Words = HashMap<Box<str>, HashMap<Box<str>, HashMap<Box<str>, Word>>>;

/// What a server says of one tool; what it leaves out is taken for the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the protocol's four hints")]
pub(crate) struct Word {
    /// It changes nothing.
    pub(crate) read_only: bool,
    /// It changes nothing more when repeated.
    pub(crate) idempotent: bool,
    /// It may destroy something; means nothing where it only reads.
    pub(crate) destructive: bool,
    /// It depends on nothing but the server.
    pub(crate) closed_world: bool,
    /// Of all the server says of it.
    pub(crate) digest: u64,
}

impl Word {
    fn read(raw: &[u8]) -> Self {
        let hint = |name| find(raw, &["annotations", name]).ok().flatten().and_then(as_bool);
        let digest = blake3::hash(raw);
        Self {
            read_only: hint("readOnlyHint") == Some(true),
            idempotent: hint("idempotentHint") == Some(true),
            destructive: hint("destructiveHint") == Some(true),
            closed_world: hint("openWorldHint") == Some(false),
            digest: digest.as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes),
        }
    }
}

/// Annotated tools, by server and by whose view of it.
#[derive(Default)]
pub(crate) struct Schemas {
    servers: RwLock<HashMap<Box<str>, Views>>,
    words: RwLock<Words>,
    /// How often anything was said of tools, or forgotten.
    heard: AtomicU64,
}

/// Whose view: all share that of a shared server.
struct View<'a> {
    server: &'a str,
    whose: &'a str,
}

/// What is known of a server's tools.
enum Known {
    Nothing,
    NoneAnnotated,
    Some,
}

impl Schemas {
    fn known(&self, view: &View<'_>) -> Known {
        match self.servers.read().get(view.server).and_then(|views| views.get(view.whose)) {
            None => Known::Nothing,
            Some(tools) if tools.is_empty() => Known::NoneAnnotated,
            Some(_) => Known::Some,
        }
    }

    fn expected(&self, view: &View<'_>, tool: &str) -> Option<Expected> {
        self.servers.read().get(view.server)?.get(view.whose)?.get(tool).cloned()
    }

    fn word(&self, view: &View<'_>, tool: &str) -> Option<Word> {
        self.words.read().get(view.server)?.get(view.whose)?.get(tool).copied()
    }

    /// A number that is another whenever what is known of tools may be.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Acquire)
    }

    fn keep_words(&self, view: &View<'_>, tools: impl Iterator<Item = (String, Word)>) {
        let mut servers = self.words.write();
        self.heard.fetch_add(1, Release);
        let views = servers.entry(view.server.into()).or_default();
        if views.len() >= MOST_VIEWS && !views.contains_key(view.whose) {
            views.clear();
        }
        let known = views.entry(view.whose.into()).or_default();
        for (tool, word) in tools {
            if known.len() < MOST_TOOLS || known.contains_key(&*tool) {
                known.insert(tool.into(), word);
            }
        }
    }

    /// Forgets what a server said of its tools: it may say something else from now on.
    pub(crate) fn forget_words(&self, server: &str) {
        let mut words = self.words.write();
        self.heard.fetch_add(1, Release);
        words.remove(server);
    }

    /// Forgets a server.
    pub(crate) fn forget(&self, server: &str) {
        self.servers.write().remove(server);
        self.forget_words(server);
    }

    fn keep(&self, view: &View<'_>, tools: Vec<(String, Expected)>) {
        let mut servers = self.servers.write();
        let views = servers.entry(view.server.into()).or_default();
        if views.len() >= MOST_VIEWS && !views.contains_key(view.whose) {
            views.clear();
        }
        let known = views.entry(view.whose.into()).or_default();
        for (tool, expected) in tools {
            if expected.is_empty() {
                known.remove(&*tool);
            } else if known.len() < MOST_TOOLS {
                known.insert(tool.into(), expected);
            }
        }
    }
}

/// The headers a call goes up with; for a modern client also the check that its headers say what its arguments say.
pub(crate) async fn headers(
    client: &Client,
    source: &Source,
    lease: &Lease,
    method: &str,
    params: &Bytes,
) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    if method != "tools/call" {
        return Ok(Vec::new());
    }
    let spec = &source.spec;
    let over_http = spec.kind == Kind::Http && lease.negotiated().era == Era::Modern;
    let silent = is_silent(client);
    match (client.era, over_http) {
        (Era::Modern, true) if !silent => Ok(forwarded(client, source)),
        (Era::Legacy, false) => Ok(Vec::new()),
        (Era::Modern, false) if silent => Ok(Vec::new()),
        (era, _) => {
            let Some(expected) = expected(client, spec, lease, params).await else { return Ok(Vec::new()) };
            let arguments = find(params, &["arguments"]).ok().flatten();
            if era == Era::Legacy || silent {
                return Ok(mirrored(&expected, arguments));
            }
            let headers = &client.caller.headers;
            check_params(&expected, arguments, &|name| client::values(headers, name)).map_err(Failure::Rpc)?;
            Ok(Vec::new())
        }
    }
}

/// True if the client was not told the schemas that ask for headers, and sends none: who calls a tool of a list that hides
/// it is in the place of a legacy client.
fn is_silent(client: &Client) -> bool {
    let argument = |name: &HeaderName| name.as_str().starts_with(PARAM_PREFIX);
    client.caller.tools.hides_tools() && !client.caller.headers.keys().any(argument)
}

/// Remembers what a list of tools that passes says.
pub(crate) fn learn(client: &Client, spec: &ServerSpec, method: &str, result: &[u8]) {
    if method != "tools/list" {
        return;
    }
    let (schemas, view) = (&client.caller.plane.sessions.schemas, view(client, spec));
    if spec.trusts_annotations() {
        schemas.keep_words(&view, words(result).into_iter());
    }
    let annotates = memmem::find(result, b"x-mcp-header").is_some();
    match schemas.known(&view) {
        // Most servers annotate nothing; their lists need not be read.
        Known::NoneAnnotated if !annotates => {}
        Known::Nothing if !annotates => schemas.keep(&view, Vec::new()),
        _ => schemas.keep(&view, annotated(result)),
    }
}

/// True if a trusted server says that this call may run twice. Asks it, if it has not said so yet.
pub(super) async fn is_repeatable(client: &Client, spec: &Arc<ServerSpec>, lease: &Lease, params: &[u8]) -> bool {
    let Some(tool) = find(params, &["name"]).ok().flatten().and_then(as_str) else { return false };
    let word = match known_word(client, spec, &tool) {
        None => heard_word(client, spec, lease, &tool).await,
        known => known,
    };
    word.is_some_and(|word| word.read_only || word.idempotent)
}

/// What a trusted server said of a tool, if it has spoken of it.
pub(crate) fn known_word(client: &Client, spec: &ServerSpec, tool: &str) -> Option<Word> {
    client.caller.plane.sessions.schemas.word(&view(client, spec), tool)
}

/// Asks a server what it says of a tool; none if it does not list it in time.
pub(crate) async fn heard_word(client: &Client, spec: &Arc<ServerSpec>, lease: &Lease, tool: &str) -> Option<Word> {
    let (schemas, view) = (&client.caller.plane.sessions.schemas, view(client, spec));
    let pages = pages(client, spec, lease);
    let heard = tokio::time::timeout(LEARNED_IN, pages).await.unwrap_or_default();
    schemas.keep_words(&view, heard.iter().flat_map(|page| words(page)));
    schemas.word(&view, tool)
}

/// The tools of a list, and what is said of them.
fn words(result: &[u8]) -> Vec<(String, Word)> {
    let tools = find(result, &["tools"]).ok().flatten().and_then(|raw| elements(raw).ok()).unwrap_or_default();
    let named = |raw: &[u8]| find(raw, &["name"]).ok().flatten().and_then(as_str).map(std::borrow::Cow::into_owned);
    tools.into_iter().filter_map(|raw| Some((named(raw)?, Word::read(raw)))).collect()
}

fn view<'a>(client: &'a Client, spec: &'a ServerSpec) -> View<'a> {
    View { server: &spec.name, whose: if spec.sessions == Sharing::Shared { "*" } else { client.principal() } }
}

/// The headers a tool's call has, once the server's tools are known.
async fn expected(client: &Client, spec: &Arc<ServerSpec>, lease: &Lease, params: &[u8]) -> Option<Expected> {
    let (schemas, view) = (&client.caller.plane.sessions.schemas, view(client, spec));
    match schemas.known(&view) {
        Known::NoneAnnotated => return None,
        Known::Some => {}
        Known::Nothing => {
            // A server that does not list its tools in time has none with annotations, until a list passes.
            let tools = tokio::time::timeout(LEARNED_IN, listed(client, spec, lease)).await.unwrap_or_default();
            schemas.keep(&view, tools);
        }
    }
    schemas.expected(&view, &find(params, &["name"]).ok().flatten().and_then(as_str)?)
}

async fn listed(client: &Client, spec: &Arc<ServerSpec>, lease: &Lease) -> Vec<(String, Expected)> {
    pages(client, spec, lease).await.iter().flat_map(|page| annotated(page)).collect()
}

/// A server's list of tools, page by page.
async fn pages(client: &Client, spec: &Arc<ServerSpec>, lease: &Lease) -> Vec<Bytes> {
    let info = (!client.info.is_empty()).then_some(&client.info[..]);
    let meta = match lease.negotiated().era {
        Era::Modern => bridge::request_meta(MODERN_VERSION, info, Some(&client.capabilities), None),
        Era::Legacy => b"{}".to_vec(),
    };
    let mut pages = Vec::new();
    let mut cursor = Vec::new();
    for _ in 0..MOST_PAGES {
        let mut params = b"{\"_meta\":".to_vec();
        params.extend_from_slice(&meta);
        if !cursor.is_empty() {
            params.extend_from_slice(b",\"cursor\":");
            params.extend_from_slice(&cursor);
        }
        params.push(b'}');
        let call = Call {
            id: Bytes::from_static(b"0"),
            method: "tools/list".into(),
            params: params.into(),
            headers: Vec::new(),
            operator: false,
            idle: Some(spec.idle_timeout()),
            deadline: Some(Instant::now() + LEARNED_IN),
            trace: None,
        };
        let Ok(page) = lease.call(call).finish().await else { break };
        let next = find(&page, &["nextCursor"]).ok().flatten().filter(|raw| *raw != b"null").map(<[u8]>::to_vec);
        pages.push(page);
        match next {
            Some(next) if next != cursor => cursor = next,
            _ => break,
        }
    }
    pages
}

/// The tools of a list with the headers their schemas ask for; invalid annotations ask for none.
fn annotated(result: &[u8]) -> Vec<(String, Expected)> {
    let Some(tools) = find(result, &["tools"]).ok().flatten().and_then(|raw| elements(raw).ok()) else {
        return Vec::new();
    };
    let mut found = Vec::with_capacity(tools.len());
    for raw in tools {
        let Ok(tool) = Object::parse(raw) else { continue };
        let Some(name) = tool.get_str("name") else { continue };
        let expected = tool.get("inputSchema").and_then(|schema| param_headers(schema).ok()).unwrap_or_default();
        found.push((name.into_owned(), expected.into()));
    }
    found
}

/// The headers of a modern client that repeat its arguments; its `Mcp-Name` too, which has been compared with the
/// body, where the server knows the tool by the same name.
fn forwarded(client: &Client, source: &Source) -> Vec<(HeaderName, HeaderValue)> {
    let headers = &client.caller.headers;
    let same_name = source.rename.is_none() && !client.caller.tools.hides_tools();
    let repeats = |name: &HeaderName| name.as_str().starts_with(PARAM_PREFIX) || (same_name && *name == NAME_HEADER);
    let parameters = headers.iter().filter(|(name, _)| repeats(name));
    parameters.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn mirrored(expected: &[ParamHeader], arguments: Option<&[u8]>) -> Vec<(HeaderName, HeaderValue)> {
    let pair = |(name, value): (String, String)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?))
    };
    mirror_params(expected, arguments).into_iter().filter_map(pair).collect()
}
