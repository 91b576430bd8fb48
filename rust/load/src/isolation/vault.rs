//! A server whose every answer says for whom it was made: what the isolation run asks.
//!
//! One process is several servers, each on a socket of its own. With a key it is like a worker of ours: it believes
//! the principal that it is told, and names the file that an answer depends on. Without one it is a stranger's, and
//! knows its callers by their connection alone. Its version is the length of a file, one byte longer with every
//! write: an answer that is older than an acknowledged write shows.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use super::token::{self, NONE, Token};
use crate::chance::Chance;
use crate::message::{Envelope, LEGACY, MODERN, VERSION_KEY};

/// How long the answer to `slow` takes: what took so long is kept on disk at once.
const SLOW: Duration = Duration::from_millis(25);
const TTL_MS: u64 = 60_000;
/// The error of the tool that always fails.
pub(super) const BROKEN: i64 = -1_050;
/// A cursor that was given to somebody else.
pub(super) const CROSSED_CURSOR: i64 = -1_051;

/// One server of the process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its name, which stands in every answer: the server's, a dash, and which one of it.
    pub name: String,
    /// Where it listens.
    pub socket: PathBuf,
    /// The line that opens a connection, for one of ours.
    #[serde(default)]
    pub key: Option<String>,
    /// The file whose length is the version.
    pub data: PathBuf,
    /// It says that everything is for everyone, which is not so.
    #[serde(default)]
    pub lies: bool,
}

/// Serves all of them until the task is dropped; `ready` is called when all listen. Runs in a `LocalSet`.
///
/// # Errors
/// If a socket cannot be bound, or a listener fails.
pub async fn serve_vault(instances: Vec<Instance>, ready: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let connections = Rc::new(Cell::new(0));
    let mut serving = tokio::task::JoinSet::new();
    for instance in instances {
        std::fs::File::options().append(true).create(true).open(&instance.data)?;
        let listener = UnixListener::bind(&instance.socket)?;
        serving.spawn_local(accept(listener, Rc::new(instance), Rc::clone(&connections)));
    }
    ready()?;
    match serving.join_next().await {
        Some(outcome) => outcome.map_err(io::Error::other)?,
        None => Ok(()),
    }
}

async fn accept(listener: UnixListener, instance: Rc<Instance>, connections: Rc<Cell<u64>>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        connections.set(connections.get() + 1);
        let caller = Rc::new(Caller { instance: Rc::clone(&instance), connection: connections.get() });
        tokio::task::spawn_local(async move {
            // A connection that breaks is its client's business.
            let _ = caller.serve(stream).await;
        });
    }
}

/// One connection.
struct Caller {
    instance: Rc<Instance>,
    connection: u64,
}

/// Answers waiting to be written.
#[derive(Default)]
struct Outbox {
    lines: RefCell<Vec<u8>>,
    filled: Notify,
}

impl Outbox {
    fn put(&self, answer: &Value) {
        let mut lines = self.lines.borrow_mut();
        let _ = writeln!(lines, "{answer}");
        self.filled.notify_one();
    }
}

/// What is asked, as far as a vault looks.
struct Asked<'a> {
    method: &'a str,
    params: Value,
    modern: bool,
    who: String,
}

/// When an answer is made and when it is sent.
#[derive(Clone, Copy)]
struct Pauses {
    before: Duration,
    after: Duration,
}

impl Caller {
    async fn serve(self: &Rc<Self>, stream: UnixStream) -> io::Result<()> {
        let (mut reader, mut writer) = stream.into_split();
        let outbox = Rc::new(Outbox::default());
        let source = Rc::clone(&outbox);
        let writing = tokio::task::spawn_local(async move {
            loop {
                let lines = source.lines.take();
                if lines.is_empty() {
                    source.filled.notified().await;
                } else if writer.write_all(&lines).await.is_err() {
                    return;
                }
            }
        });
        let mut chance = Chance::new(self.connection);
        let mut bytes = BytesMut::with_capacity(16 * 1024);
        let mut greeted = self.instance.key.is_none();
        let outcome = 'open: loop {
            while let Some(end) = memchr(b'\n', &bytes) {
                let line = bytes.split_to(end);
                bytes.advance(1);
                if !greeted {
                    if self.instance.key.as_deref().map(str::as_bytes) != Some(&line[..]) {
                        break 'open Ok(());
                    }
                    greeted = true;
                } else if !line.trim_ascii().is_empty() {
                    self.take(&line, &mut chance, &outbox);
                }
            }
            bytes.reserve(16 * 1024);
            match reader.read_buf(&mut bytes).await {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        writing.abort();
        outcome
    }

    fn take(self: &Rc<Self>, line: &[u8], chance: &mut Chance, outbox: &Rc<Outbox>) {
        let Some(envelope) = Envelope::parse(line) else { return };
        let (Some(id), Some(method)) = (envelope.id, envelope.method.as_deref()) else { return };
        let id: Value = serde_json::from_str(id.get()).unwrap_or(Value::Null);
        let raw = envelope.params.map_or("{}", serde_json::value::RawValue::get);
        let params: Value = serde_json::from_str(raw).unwrap_or(Value::Null);
        let modern = memmem::find(raw.as_bytes(), VERSION_KEY.as_bytes()).is_some();
        let asked = Asked { method, who: self.who(&params), params, modern };
        let pauses = pauses(&asked, chance);
        if pauses.before.is_zero() && pauses.after.is_zero() {
            return outbox.put(&reply(&id, self.answer(&asked)));
        }
        let (caller, outbox, method) = (Rc::clone(self), Rc::clone(outbox), method.to_owned());
        let Asked { who, params, .. } = asked;
        tokio::task::spawn_local(async move {
            tokio::time::sleep(pauses.before).await;
            let answer = caller.answer(&Asked { method: &method, params, modern, who });
            tokio::time::sleep(pauses.after).await;
            outbox.put(&reply(&id, answer));
        });
    }

    /// Who asks, as far as this server can know.
    fn who(&self, params: &Value) -> String {
        if self.instance.key.is_none() {
            return format!("c{}", self.connection);
        }
        let meta = &params["_meta"];
        let principal = meta["omnimind/principal"].as_str().unwrap_or("nobody");
        token::told(principal, meta["omnimind/role"] == "operator")
    }

    fn answer(&self, asked: &Asked<'_>) -> Result<Value, Value> {
        let whole = |mut result: Value| {
            if asked.modern {
                result["resultType"] = "complete".into();
            }
            Ok(result)
        };
        match asked.method {
            "tools/call" => whole(self.call(asked)?),
            "resources/read" => {
                let uri = asked.params["uri"].as_str().unwrap_or_default();
                let public = uri.contains("/public/");
                let mark = self.mark(asked, public, true, &token::echo(uri, &Value::Null));
                let contents = json!([{"uri": uri, "mimeType": "text/plain", "text": text(&mark)}]);
                whole(self.scoped(asked, public, json!({"contents": contents})))
            }
            "tools/list" => whole(self.list(asked, self.is_stranger(), "tools", tools)),
            "prompts/list" => whole(self.list(
                asked,
                self.is_stranger(),
                "prompts",
                |mark| json!([{"name": "canary", "description": mark}]),
            )),
            "resources/templates/list" => whole(self.list(
                asked,
                true,
                "resourceTemplates",
                |mark| json!([{"uriTemplate": "vault:///private/{key}", "name": "canary", "description": mark}]),
            )),
            "resources/list" => self.resources(asked).and_then(whole),
            "server/discover" => {
                let mark = self.mark(asked, false, false, &token::echo(asked.method, &Value::Null));
                let about = json!({"supportedVersions": [MODERN], "capabilities": capabilities(),
                    "instructions": mark, "_meta": {"io.modelcontextprotocol/serverInfo": info()}});
                whole(self.scoped(asked, false, about))
            }
            "initialize" => {
                Ok(json!({"protocolVersion": LEGACY, "capabilities": capabilities(), "serverInfo": info()}))
            }
            "ping" => Ok(json!({})),
            _ => Err(json!({"code": -32601, "message": "Method not found"})),
        }
    }

    fn call(&self, asked: &Asked<'_>) -> Result<Value, Value> {
        let tool = asked.params["name"].as_str().unwrap_or_default();
        let empty = json!({});
        let arguments = asked.params.get("arguments").unwrap_or(&empty);
        let echo = token::echo(tool, arguments);
        let depends = match tool {
            "write" => {
                let grown = std::fs::File::options().append(true).open(&self.instance.data);
                grown
                    .and_then(|mut file| file.write_all(b"."))
                    .map_err(|error| json!({"code": -32603, "message": error.to_string()}))?;
                None
            }
            "look" => self.depends(),
            "pure" | "slow" => Some(json!([])),
            "free" => None,
            "broken" => {
                let message = self.mark(asked, false, false, &echo);
                return Err(json!({"code": BROKEN, "message": message}));
            }
            _ => return Err(json!({"code": -32602, "message": "Unknown tool"})),
        };
        let mark = self.mark(asked, false, matches!(tool, "look" | "write" | "free"), &echo);
        let mut result = json!({"content": [{"type": "text", "text": text(&mark)}]});
        if let Some(depends) = depends.filter(|_| self.instance.key.is_some()) {
            result["_meta"] = json!({"omnimind/depends": depends});
        }
        Ok(result)
    }

    /// What an answer with a version depends on. The stamp of a file that only grows is never that of an older one,
    /// so that nothing need be left out for being written a moment ago.
    fn depends(&self) -> Option<Value> {
        let found = std::fs::metadata(&self.instance.data).ok()?;
        let ns = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest;
        Some(json!([{
            "path": self.instance.data, "inode": found.ino(), "size": found.size(),
            "mtime_ns": ns(found.mtime(), found.mtime_nsec()), "ctime_ns": ns(found.ctime(), found.ctime_nsec()),
        }]))
    }

    /// The list in two pages. A cursor names whom it was given to, so that one that crosses shows.
    fn resources(&self, asked: &Asked<'_>) -> Result<Value, Value> {
        let own = format!("{};{}", self.instance.name, asked.who);
        let cursor = asked.params.get("cursor").and_then(Value::as_str);
        let page = match cursor {
            None => 1,
            Some(cursor) if cursor == own => 2,
            // That of an earlier connection of the same caller is one too: strangers cannot tell.
            Some(_) if self.instance.key.is_none() => 2,
            Some(cursor) if !cursor.starts_with(&format!("{};", self.instance.name)) => {
                return Err(json!({"code": -32602, "message": "Unknown cursor"}));
            }
            Some(_) => return Err(json!({"code": CROSSED_CURSOR, "message": "crossed cursor"})),
        };
        let mark = self.mark(asked, false, true, &token::echo(asked.method, &page.into()));
        let mut result = json!({"resources": [
            {"uri": format!("vault:///private/list{page}"), "name": "canary", "description": mark}]});
        if page == 1 {
            result["nextCursor"] = own.into();
        }
        Ok(self.scoped(asked, false, result))
    }

    fn list(&self, asked: &Asked<'_>, public: bool, member: &str, items: impl Fn(&str) -> Value) -> Value {
        let mark = self.mark(asked, public, false, &token::echo(asked.method, &Value::Null));
        self.scoped(asked, public, json!({member: items(&mark)}))
    }

    /// True for one whose lists really are for everyone.
    fn is_stranger(&self) -> bool {
        self.instance.key.is_none()
    }

    fn mark(&self, asked: &Asked<'_>, public: bool, versioned: bool, echo: &str) -> String {
        let version = match std::fs::metadata(&self.instance.data) {
            Ok(found) if versioned => found.size().to_string(),
            _ => NONE.to_owned(),
        };
        let who = if public && !self.instance.lies { NONE } else { &asked.who };
        let era = if asked.modern { "m" } else { "l" };
        Token { instance: &self.instance.name, who, era, version: &version, echo }.text()
    }

    fn scoped(&self, asked: &Asked<'_>, public: bool, mut result: Value) -> Value {
        if asked.modern {
            result["ttlMs"] = TTL_MS.into();
            result["cacheScope"] = if public || self.instance.lies { "public" } else { "private" }.into();
        }
        if self.instance.key.is_some() && asked.method != "server/discover" {
            result["_meta"] = json!({"omnimind/depends": self.depends()});
        }
        result
    }
}

fn reply(id: &Value, answer: Result<Value, Value>) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    }
}

fn pauses(asked: &Asked<'_>, chance: &mut Chance) -> Pauses {
    let mut some = |one_in: u64| {
        let short = Duration::from_micros(500 + chance.below(2_500));
        if chance.below(one_in) == 0 { short } else { Duration::ZERO }
    };
    match asked.params["name"].as_str() {
        Some("slow") => Pauses { before: Duration::ZERO, after: SLOW },
        Some("write") => Pauses { before: some(2), after: some(2) },
        _ => Pauses { before: Duration::ZERO, after: some(3) },
    }
}

fn tools(mark: &str) -> Value {
    let schema = json!({"type": "object"});
    let reads = json!({"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false});
    let tool = |name: &str| json!({"name": name, "inputSchema": schema, "annotations": reads});
    let mut tools: Vec<Value> = ["look", "pure", "slow", "free", "broken"].map(tool).into();
    tools.push(json!({"name": "write", "inputSchema": schema}));
    // Not in the tools that are called: what is said of those is the same for all.
    tools.push(json!({"name": "canary", "description": mark, "inputSchema": schema}));
    tools.into()
}

/// A mark in a text that is worth packing.
fn text(mark: &str) -> String {
    let mut text = String::with_capacity(1_024);
    for row in 0..16 {
        let _ = writeln!(text, "row {row:02} of the ledger: opened, counted, closed");
    }
    text + mark
}

fn capabilities() -> Value {
    json!({"tools": {}, "resources": {}, "prompts": {}})
}

fn info() -> Value {
    json!({"name": "vault", "version": env!("CARGO_PKG_VERSION")})
}
