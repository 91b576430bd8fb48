//! The bytes of every request, prepared as far as they do not change from call to call.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::check;
use crate::message::{LEGACY, MODERN, VERSION_KEY};
use crate::plan::{Era, Eras, Plan, Principal, Target, ToolCall};

/// Numbers of one thread; those of another begin above.
const THREAD_BITS: u32 = 40;
const LOW: u64 = (1 << THREAD_BITS) - 1;

/// Which call: enough to write it, and to know its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) principal: usize,
    /// Its place in the mix.
    pub(crate) tool: usize,
    /// It speaks the legacy era.
    pub(crate) legacy: bool,
    /// How many calls of its principal in its era were before it, nearly.
    pub(crate) turn: usize,
    /// When its answer is no longer wanted.
    pub(crate) deadline: Option<Instant>,
}

/// All requests of one thread.
pub(crate) struct Requests {
    eras: Eras,
    tag: String,
    principals: Vec<PreparedPrincipal>,
    tools: Vec<PreparedTool>,
    weights: u64,
    request_line: String,
    names_principal: bool,
    next_number: u64,
    chance: Chance,
}

struct PreparedPrincipal {
    name: String,
    authorization: String,
}

struct PreparedTool {
    before_id: &'static str,
    before_arguments: String,
    arguments: Vec<Piece>,
    /// For the modern era and for the legacy one.
    dresses: [Dress; 2],
    weight: u64,
    deadline_ms: Option<[u64; 2]>,
    has_canary: bool,
}

/// What an era puts around a call.
struct Dress {
    headers: String,
    /// What stands in `_meta`, without its braces.
    meta: String,
}

enum Piece {
    Text(String),
    Canary,
    Number,
}

impl Requests {
    /// Requests of thread `thread` in the run named `tag`; threads never share a number.
    pub(crate) fn new(plan: &Plan, tag: &str, thread: u64) -> Self {
        let request_line = match &plan.target {
            Target::Http { authority, path } => format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\n"),
            Target::Unix { .. } => String::new(),
        };
        let tools: Vec<_> = plan.mix.iter().map(|call| PreparedTool::new(call, tag, plan.no_store)).collect();
        Self {
            eras: plan.eras,
            tag: tag.to_owned(),
            principals: plan.principals.iter().map(PreparedPrincipal::new).collect(),
            weights: tools.iter().map(|tool| tool.weight).sum(),
            tools,
            request_line,
            names_principal: matches!(&plan.target, Target::Unix { hello: Some(_), .. }),
            next_number: (thread << THREAD_BITS) + 1,
            chance: Chance::new(plan.seed ^ (thread + 1).wrapping_mul(0x00A5_A5A5)),
        }
    }

    /// The next call, which was due at that instant: principals in turn, eras too, tools by weight.
    pub(crate) fn next_call(&mut self, due: Instant) -> Call {
        let number = self.next_number;
        self.next_number += 1;
        let turn = usize::try_from(number & LOW).unwrap_or(0);
        let tool = self.pick_tool();
        let deadline = self.draw_deadline(tool).and_then(|after| due.checked_add(after));
        let principals = self.principals.len().max(1);
        let (principal, round) = (turn % principals, turn / principals);
        let (legacy, turn) = match self.eras {
            Eras::Modern => (false, round),
            Eras::Legacy => (true, round),
            Eras::Both => (round % 2 == 1, round / 2),
        };
        Call { number, principal, tool, legacy, turn, deadline }
    }

    fn draw_deadline(&mut self, tool: usize) -> Option<Duration> {
        let [least, most] = self.tools.get(tool)?.deadline_ms?;
        let more = self.chance.below(most.saturating_sub(least).saturating_add(1));
        Some(Duration::from_millis(least.saturating_add(more)))
    }

    /// Whether this number was ever given out here.
    pub(crate) fn was_sent(&self, number: u64) -> bool {
        number < self.next_number && number >> THREAD_BITS == self.next_number >> THREAD_BITS
    }

    fn pick_tool(&mut self) -> usize {
        if self.tools.len() < 2 {
            return 0;
        }
        let mut left = self.chance.below(self.weights);
        for (index, tool) in self.tools.iter().enumerate() {
            if left < tool.weight {
                return index;
            }
            left -= tool.weight;
        }
        0
    }

    /// The canary the answer must carry, where its tool returns it.
    pub(crate) fn canary(&self, call: Call) -> Option<String> {
        let tool = self.tools.get(call.tool)?;
        tool.has_canary.then(|| self.canary_text(call))
    }

    fn canary_text(&self, call: Call) -> String {
        let name = self.principals.get(call.principal).map_or("", |principal| &principal.name);
        check::canary(name, &self.tag, call.number)
    }

    /// The request as one line of JSON, without its newline.
    pub(crate) fn write_body(&self, call: Call, out: &mut Vec<u8>) {
        let Some(tool) = self.tools.get(call.tool) else { return };
        out.extend_from_slice(tool.before_id.as_bytes());
        let _ = write!(out, "{}", call.number);
        out.extend_from_slice(tool.before_arguments.as_bytes());
        for piece in &tool.arguments {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Canary => out.extend_from_slice(self.canary_text(call).as_bytes()),
                Piece::Number => drop(write!(out, "{}", call.number)),
            }
        }
        self.write_meta(call, &tool.dress(call.legacy).meta, out);
        out.extend_from_slice(b"}}");
    }

    /// A worker that was greeted with its key must be told for whom each call is, as the gateway does; callers are
    /// operators, as `local` is there.
    fn write_meta(&self, call: Call, meta: &str, out: &mut Vec<u8>) {
        let principal = self.names_principal.then(|| self.principals.get(call.principal)).flatten();
        if meta.is_empty() && principal.is_none() && call.deadline.is_none() {
            return;
        }
        out.extend_from_slice(b",\"_meta\":{");
        out.extend_from_slice(meta.as_bytes());
        let mut comma = if meta.is_empty() { "" } else { "," };
        if let Some(deadline) = call.deadline {
            let left_ms = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
            let _ = write!(out, r#"{comma}"omnimind/timeoutMs":{left_ms}"#);
            comma = ",";
        }
        if let Some(principal) = principal {
            let _ = write!(out, r#"{comma}"omnimind/principal":"{}","omnimind/role":"operator""#, principal.name);
        }
        out.push(b'}');
    }

    /// The request as an HTTP/1.1 POST; `body` is scratch space.
    pub(crate) fn write_http(&self, call: Call, session: Option<&str>, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        body.clear();
        self.write_body(call, body);
        let headers = self.tools.get(call.tool).map_or("", |tool| &tool.dress(call.legacy).headers);
        self.write_post(call.principal, headers, session, body, out);
    }

    fn write_post(&self, principal: usize, headers: &str, session: Option<&str>, body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.request_line.as_bytes());
        out.extend_from_slice(b"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n");
        out.extend_from_slice(headers.as_bytes());
        if let Some(principal) = self.principals.get(principal) {
            out.extend_from_slice(principal.authorization.as_bytes());
        }
        if let Some(session) = session {
            let _ = write!(out, "Mcp-Session-Id: {session}\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
        out.extend_from_slice(body);
    }

    /// The legacy opening, as JSON.
    pub(crate) fn initialize_body() -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"omnimind-load","version":"{}"}}}}}}"#,
            env!("CARGO_PKG_VERSION")
        )
    }

    /// What follows it.
    pub(crate) fn initialized_body() -> &'static str {
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
    }

    /// One of the two opening messages as an HTTP POST.
    pub(crate) fn write_http_opening(&self, principal: usize, body: &str, session: Option<&str>, out: &mut Vec<u8>) {
        let version = format!("MCP-Protocol-Version: {LEGACY}\r\n");
        let headers = if session.is_some() { version.as_str() } else { "" };
        self.write_post(principal, headers, session, body.as_bytes(), out);
    }

    pub(crate) fn eras(&self) -> Eras {
        self.eras
    }

    pub(crate) fn principals(&self) -> usize {
        self.principals.len()
    }
}

impl PreparedPrincipal {
    fn new(principal: &Principal) -> Self {
        let authorization = principal.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
        Self { name: principal.name.clone(), authorization: authorization.unwrap_or_default() }
    }
}

impl PreparedTool {
    fn new(call: &ToolCall, tag: &str, no_store: bool) -> Self {
        let quoted = serde_json::Value::from(call.tool.as_str()).to_string();
        Self {
            before_id: r#"{"jsonrpc":"2.0","id":"#,
            before_arguments: format!(r#","method":"tools/call","params":{{"name":{quoted},"arguments":"#),
            arguments: pieces(&call.arguments.replace("$RUN", tag), call.size_bytes),
            dresses: [Era::Modern, Era::Legacy].map(|era| Dress::new(call, era, no_store)),
            weight: call.weight.into(),
            deadline_ms: call.deadline_ms,
            has_canary: call.has_canary(),
        }
    }

    fn dress(&self, legacy: bool) -> &Dress {
        let [modern, old] = &self.dresses;
        if legacy { old } else { modern }
    }
}

impl Dress {
    fn new(call: &ToolCall, era: Era, no_store: bool) -> Self {
        let name = &call.tool;
        let (headers, meta) = match era {
            Era::Modern => (
                format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n"),
                Some(format!(
                    r#""{VERSION_KEY}":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"omnimind-load","version":"{}"}}"#,
                    env!("CARGO_PKG_VERSION")
                )),
            ),
            Era::Legacy => (format!("MCP-Protocol-Version: {LEGACY}\r\n"), None),
        };
        let class = call.class.as_ref().map(|class| {
            let class = serde_json::Value::from(class.as_str());
            format!(r#""omnimind/class":{class}"#)
        });
        let cache = no_store.then(|| r#""omnimind/cache":"no-store""#.to_owned());
        let meta: Vec<_> = [meta, class, cache].into_iter().flatten().collect();
        Self { headers, meta: meta.join(",") }
    }
}

/// Cuts a template at its placeholders.
fn pieces(template: &str, size_bytes: usize) -> Vec<Piece> {
    let padded = template.replace("$PAD", &"x".repeat(size_bytes));
    let mut pieces = Vec::new();
    let mut rest = padded.as_str();
    while let Some(at) = rest.find('$') {
        let (text, from) = rest.split_at(at);
        pieces.push(Piece::Text(text.to_owned()));
        let (piece, length) = if from.starts_with("$CANARY") {
            (Piece::Canary, "$CANARY".len())
        } else if from.starts_with("$NUMBER") {
            (Piece::Number, "$NUMBER".len())
        } else {
            (Piece::Text("$".into()), 1)
        };
        pieces.push(piece);
        rest = from.get(length..).unwrap_or("");
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces
}
