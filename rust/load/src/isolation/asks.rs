//! What is asked: the pool of questions, who asks which, and a request's bytes.

use std::io::Write;

use serde_json::{Value, json};

use super::script::Knobs;
use super::token;
use crate::chance::Chance;
use crate::message::{LEGACY, MODERN, VERSION_KEY};
use crate::plan::Era;

/// The ids everyone uses.
const IDS: [&str; 4] = ["1", r#""1""#, "0", r#""a b""#];
/// So many calls in a row burst together.
const BURST: u64 = 96;

/// Arguments that are easily taken for one another, each in spellings that mean the same.
const ARGUMENTS: [&[&str]; 12] = [
    &[r#"{"key":"k","n":1}"#, r#"{"n": 1, "key": "\u006b"}"#],
    &[r#"{"key":"k","n":"1"}"#],
    &[r#"{"key":"K","n":1}"#],
    &[r#"{"key":"k"}"#, r#"{ "key" : "k" }"#],
    &[r#"{"key":"kn1"}"#],
    &["{\"key\":\"\u{e9}\"}", r#"{"key":"\u00e9"}"#],
    &["{\"key\":\"e\u{301}\"}", r#"{"key":"e\u0301"}"#],
    &[r#"{"list":["a","bc"],"n":1}"#, r#"{"n":1,"list":["a","bc"]}"#],
    &[r#"{"list":["ab","c"],"n":1}"#],
    &[r#"{"key":null}"#],
    &[r#"{"key":""}"#],
    &["{}"],
];

/// Keys of resources.
const KEYS: [&str; 4] = ["k", "K", "k/1", "k1"];

/// The memory's level that a call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    None,
    NoStore,
    Report,
}

/// One request, and what its answer must be like.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    /// The server asked; none is the aggregate, for lists of all.
    pub(super) server: Option<String>,
    pub(super) aggregate: bool,
    /// Tool, URI or cursor, in the server's own names.
    pub(super) what: String,
    /// As they are sent.
    pub(super) arguments: String,
    /// What every mark must echo; none for a page of the aggregate, which may be any.
    pub(super) echo: Option<String>,
    pub(super) id: &'static str,
    pub(super) wish: Wish,
    pub(super) writes: bool,
}

/// The pool, with what each question's answer must echo worked out beforehand.
pub(super) struct Pool {
    servers: Vec<String>,
    arguments: Vec<(Value, &'static [&'static str])>,
}

impl Pool {
    pub(super) fn new(servers: impl Iterator<Item = String>) -> Self {
        let value = |spelled: &str| serde_json::from_str(spelled).unwrap_or(Value::Null);
        let arguments =
            ARGUMENTS.iter().map(|spellings| (spellings.first().map_or(Value::Null, |one| value(one)), *spellings));
        Self { servers: servers.collect(), arguments: arguments.collect() }
    }

    /// The `turn`-th question of the run.
    pub(super) fn pick(&self, turn: u64, knobs: Knobs, chance: &mut Chance) -> Ask {
        let server = self.servers.get(at(chance.below(self.servers.len() as u64))).cloned().unwrap_or_default();
        let mut ask = if chance.below(10_000) < knobs.writes {
            Ask { writes: true, ..self.tool(&server, "write", chance.below(ARGUMENTS.len() as u64), chance) }
        } else if chance.below(12) == 0 {
            self.burst(&server, turn / BURST, chance)
        } else if chance.below(100) < knobs.hot {
            let tool = match chance.below(16) {
                0 => "slow",
                1..=2 => "pure",
                _ => "look",
            };
            self.tool(&server, tool, chance.below(2), chance)
        } else {
            self.any(&server, chance)
        };
        ask.id = IDS.get(at(chance.below(4))).copied().unwrap_or("1");
        if chance.below(3) == 0 && ask.method != "server/discover" {
            ask = ask.of_all();
        }
        ask.wish = match chance.below(20) {
            0 => Wish::NoStore,
            1..=5 => Wish::Report,
            _ => Wish::None,
        };
        ask
    }

    fn any(&self, server: &str, chance: &mut Chance) -> Ask {
        let which = chance.below(self.arguments.len() as u64);
        match chance.below(64) {
            0..=23 => self.tool(server, "look", which, chance),
            24..=31 => self.tool(server, "pure", which, chance),
            32..=33 => self.tool(server, "slow", which % 3, chance),
            34..=35 => self.tool(server, "free", which, chance),
            36 => self.tool(server, "broken", which, chance),
            37..=43 => read(server, "private", chance),
            44..=49 => read(server, "public", chance),
            50..=53 => list("tools/list", Some(server)),
            54..=57 => list("resources/list", Some(server)),
            58 => list("resources/templates/list", Some(server)),
            59..=60 => list("prompts/list", Some(server)),
            61 => Ask {
                echo: Some(token::echo("server/discover", &Value::Null)),
                ..list("server/discover", Some(server))
            },
            62 => list("tools/list", None),
            _ => list("resources/list", None),
        }
    }

    /// What many ask at the same time, and nobody has asked before.
    fn burst(&self, server: &str, window: u64, chance: &mut Chance) -> Ask {
        let tool = if window.is_multiple_of(2) { "slow" } else { "look" };
        let arguments = json!({"burst": window});
        let echo = Some(token::echo(tool, &arguments));
        Ask { arguments: arguments.to_string(), echo, ..self.tool(server, tool, 0, chance) }
    }

    fn tool(&self, server: &str, tool: &str, which: u64, chance: &mut Chance) -> Ask {
        let Some((value, spellings)) = self.arguments.get(at(which)) else { return list("tools/list", None) };
        let spelled = spellings.get(at(chance.below(spellings.len() as u64))).copied().unwrap_or("{}");
        ask("tools/call", Some(server), tool, spelled, Some(token::echo(tool, value)))
    }
}

impl Ask {
    /// The next page of a list.
    pub(super) fn following(&self, cursor: String) -> Self {
        let echo = self.server.is_some().then(|| token::echo(self.method, &2.into()));
        Self { what: cursor, echo, wish: Wish::None, ..self.clone() }
    }

    /// The same at the endpoint of all servers.
    fn of_all(self) -> Self {
        match self.method {
            "tools/call" | "resources/read" => Self { aggregate: true, ..self },
            _ => Self { aggregate: true, server: None, echo: None, ..self },
        }
    }

    /// The path of the endpoint.
    pub(super) fn path(&self) -> String {
        match &self.server {
            Some(server) if !self.aggregate => format!("/servers/{server}/mcp"),
            _ => "/mcp".to_owned(),
        }
    }

    /// The tool or URI in the names of the endpoint.
    fn named(&self) -> String {
        match (&self.server, self.method) {
            (Some(server), "tools/call") if self.aggregate => format!("{server}__{}", self.what),
            (Some(server), "resources/read") if self.aggregate => format!("omnimind+{server}:{}", self.what),
            _ => self.what.clone(),
        }
    }

    /// As an HTTP/1.1 POST.
    pub(super) fn write(&self, era: Era, authority: &str, bearer: &str, session: Option<&str>, out: &mut Vec<u8>) {
        let named = self.named();
        let mut params = match self.method {
            "tools/call" => format!(r#""name":"{named}","arguments":{}"#, self.arguments),
            "resources/read" => format!(r#""uri":"{named}""#),
            _ if named.is_empty() => String::new(),
            _ => format!(r#""cursor":{}"#, Value::from(named.as_str())),
        };
        let meta = self.meta(era);
        if !meta.is_empty() {
            let comma = if params.is_empty() { "" } else { "," };
            params = format!(r#"{params}{comma}"_meta":{{{meta}}}"#);
        }
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"{}","params":{{{params}}}}}"#, self.id, self.method);
        let mut headers = match era {
            Era::Modern => format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {}\r\n", self.method),
            Era::Legacy => format!("MCP-Protocol-Version: {LEGACY}\r\n"),
        };
        if era == Era::Modern && matches!(self.method, "tools/call" | "resources/read") {
            headers = format!("{headers}Mcp-Name: {named}\r\n");
        }
        write_post(&self.path(), authority, bearer, session, &headers, &body, out);
    }

    fn meta(&self, era: Era) -> String {
        let mut meta = match era {
            Era::Modern => {
                format!(r#""{VERSION_KEY}":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}"#)
            }
            Era::Legacy => String::new(),
        };
        let wish = match self.wish {
            Wish::None => return meta,
            Wish::NoStore => "no-store",
            Wish::Report => "report",
        };
        let comma = if meta.is_empty() { "" } else { "," };
        meta = format!(r#"{meta}{comma}"omnimind/cache":"{wish}","omnimind/principal":"ann""#);
        meta
    }
}

/// A POST with a JSON body.
pub(super) fn write_post(
    path: &str,
    authority: &str,
    bearer: &str,
    session: Option<&str>,
    headers: &str,
    body: &str,
    out: &mut Vec<u8>,
) {
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nAuthorization: Bearer {bearer}\r\n{headers}"
    );
    if let Some(session) = session {
        let _ = write!(out, "Mcp-Session-Id: {session}\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len());
}

fn read(server: &str, kind: &str, chance: &mut Chance) -> Ask {
    let key = KEYS.get(at(chance.below(KEYS.len() as u64))).copied().unwrap_or("k");
    let uri = format!("vault:///{kind}/{key}");
    let echo = token::echo(&uri, &Value::Null);
    ask("resources/read", Some(server), &uri, "{}", Some(echo))
}

fn list(method: &'static str, server: Option<&str>) -> Ask {
    let page = if method == "resources/list" { 1.into() } else { Value::Null };
    let echo = server.map(|_| token::echo(method, &page));
    ask(method, server, "", "{}", echo)
}

fn ask(method: &'static str, server: Option<&str>, what: &str, arguments: &str, echo: Option<String>) -> Ask {
    Ask {
        method,
        server: server.map(str::to_owned),
        aggregate: false,
        what: what.to_owned(),
        arguments: arguments.to_owned(),
        echo,
        id: "1",
        wish: Wish::None,
        writes: false,
    }
}

fn at(index: u64) -> usize {
    usize::try_from(index).unwrap_or(0)
}
