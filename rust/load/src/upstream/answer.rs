//! One message in, at most one out. Pure, and the only place that knows the protocol on this side.

use std::borrow::Cow;
use std::io::Write;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::{Envelope, LEGACY, MODERN, VERSION_KEY};
use crate::plan::Eras;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answered at once.
    Now,
    /// The answer to a tool call: it may be held back for the delay asked for.
    Call,
    /// The answer to `initialize`: a session begins.
    Session,
    /// Nothing to say: a notification, or an answer to nobody.
    Nothing,
    /// It was asked how many calls it answered; nothing was written.
    Count,
    /// An error was written; over HTTP it has this status.
    Refused(u16),
}

const TOOL: &str = r#"{"name":"echo","description":"Returns its text.","inputSchema":{"type":"object","properties":{"text":{"type":"string"},"pad":{"type":"integer"}},"required":["text"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;
const SERVER: &str = concat!(r#"{"name":"near-free","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
/// Asked over HTTP, it says how many calls were answered until then: a second opinion on a generator's own count.
const COUNT: &str = "near-free/calls";
/// A longer answer is not made.
const MOST_PAD: usize = 16 << 20;
const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EchoArguments<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
    /// So many bytes more than the text itself.
    #[serde(default)]
    pad: usize,
}

#[derive(Deserialize)]
struct InitializeParams<'a> {
    #[serde(rename = "protocolVersion", borrow)]
    version: Cow<'a, str>,
}

/// Appends the answer to `message`, without a newline.
pub fn answer(message: &[u8], eras: Eras, out: &mut Vec<u8>) -> Answer {
    let Some(envelope) = Envelope::parse(message) else {
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#);
        return Answer::Refused(400);
    };
    let (Some(id), Some(method)) = (envelope.id, envelope.method.as_deref()) else { return Answer::Nothing };
    let id = id.get();
    let params = envelope.params.map_or("", RawValue::get);
    let modern = memmem::find(params.as_bytes(), VERSION_KEY.as_bytes()).is_some();
    match (method, eras) {
        ("tools/call", _) => call(id, params, modern, out),
        ("server/discover", Eras::Modern | Eras::Both) => {
            let body = format!(r#""supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}}"#);
            result(id, &cacheable(&body, true), true, out)
        }
        ("initialize", Eras::Legacy | Eras::Both) => initialize(id, params, out),
        ("initialize", Eras::Modern) => {
            let data = format!(r#","data":{{"supported":["{MODERN}"],"requested":"{LEGACY}"}}"#);
            error(id, -32022, "Unsupported protocol version", &data, 400, out)
        }
        ("tools/list", _) => result(id, &cacheable(&format!(r#""tools":[{TOOL}]"#), modern), modern, out),
        (COUNT, _) => Answer::Count,
        ("ping", Eras::Legacy | Eras::Both) => result(id, "", false, out),
        _ => error(id, -32601, "Method not found", "", if modern { 404 } else { 200 }, out),
    }
}

fn call(id: &str, params: &str, modern: bool, out: &mut Vec<u8>) -> Answer {
    let Ok(call) = serde_json::from_str::<CallParams<'_>>(params) else {
        return error(id, -32602, "Invalid params", "", 200, out);
    };
    if call.name != "echo" {
        return error(id, -32602, "Unknown tool", "", 200, out);
    }
    let arguments = call.arguments.map_or("{}", RawValue::get);
    // The text goes back in the very escapes it came in; other arguments go back as their own JSON text.
    let text = match serde_json::from_str::<EchoArguments<'_>>(arguments) {
        Ok(echo) if echo.text.get().starts_with('"') => padded(echo.text.get(), echo.pad),
        _ => Cow::Owned(serde_json::Value::from(arguments).to_string()),
    };
    let _ = write!(out, r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#);
    if modern {
        out.extend_from_slice(br#""resultType":"complete","#);
    }
    let _ = write!(out, r#""content":[{{"type":"text","text":{text}}}]"#);
    if modern {
        let _ = write!(out, r#","_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}"#);
    }
    out.extend_from_slice(b"}}");
    Answer::Call
}

/// A string literal with so many bytes more in it: a small question may have a large answer.
fn padded(text: &str, bytes: usize) -> Cow<'_, str> {
    match text.strip_suffix('"') {
        Some(open) if bytes > 0 => Cow::Owned(format!("{open}{}\"", "x".repeat(bytes.min(MOST_PAD)))),
        _ => Cow::Borrowed(text),
    }
}

fn initialize(id: &str, params: &str, out: &mut Vec<u8>) -> Answer {
    let asked = serde_json::from_str::<InitializeParams<'_>>(params).ok();
    let known = |version: &&str| asked.as_ref().is_some_and(|asked| asked.version == **version);
    let version = LEGACY_VERSIONS.iter().find(|version| known(version)).unwrap_or(&LEGACY);
    let body = format!(r#""protocolVersion":"{version}","capabilities":{{"tools":{{}}}},"serverInfo":{SERVER}"#);
    result(id, &body, false, out);
    Answer::Session
}

fn cacheable(body: &str, modern: bool) -> String {
    if modern { format!(r#"{body},"ttlMs":60000,"cacheScope":"public""#) } else { body.to_owned() }
}

fn result(id: &str, body: &str, modern: bool, out: &mut Vec<u8>) -> Answer {
    let modern_head = if modern { r#""resultType":"complete","# } else { "" };
    let meta =
        if modern { format!(r#","_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}"#) } else { String::new() };
    let _ = write!(out, r#"{{"jsonrpc":"2.0","id":{id},"result":{{{modern_head}{body}{meta}}}}}"#);
    Answer::Now
}

fn error(id: &str, code: i32, message: &str, data: &str, status: u16, out: &mut Vec<u8>) -> Answer {
    let _ = write!(out, r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"{data}}}}}"#);
    Answer::Refused(status)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, Eras, answer};

    fn ask(message: &Value, eras: Eras) -> (Answer, Value) {
        let mut out = Vec::new();
        let outcome = answer(message.to_string().as_bytes(), eras, &mut out);
        (outcome, serde_json::from_slice(&out).unwrap_or(Value::Null))
    }

    fn modern_meta() -> Value {
        json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}})
    }

    #[test]
    fn a_call_returns_its_text_and_id_unchanged() {
        for (id, text) in [(json!(7), "plain"), (json!("a\"b"), "quote \" line \n ü \u{1F600}")] {
            let message = json!({"jsonrpc": "2.0", "method": "tools/call", "id": id,
                "params": {"arguments": {"text": text}, "name": "echo"}});
            let (outcome, reply) = ask(&message, Eras::Both);
            assert_eq!(outcome, Answer::Call);
            assert_eq!((&reply["id"], &reply["result"]["content"][0]["text"]), (&id, &json!(text)));
            assert_eq!(reply["result"].get("resultType"), None);
        }
    }

    #[test]
    fn a_call_may_ask_for_more_than_it_says() {
        let message = json!({"jsonrpc": "2.0", "method": "tools/call", "id": 1,
            "params": {"arguments": {"text": "a", "pad": 3}, "name": "echo"}});
        assert_eq!(ask(&message, Eras::Both).1["result"]["content"][0]["text"], json!("axxx"));
    }

    #[test]
    fn an_id_among_the_arguments_is_not_the_id() {
        let message = json!({"method": "tools/call", "params": {"name": "echo", "arguments": {"id": 1, "text": "x"}},
            "jsonrpc": "2.0", "id": 2});
        assert_eq!(ask(&message, Eras::Both).1["id"], json!(2));
    }

    #[test]
    fn modern_requests_get_modern_results() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": modern_meta()}});
        let (_, reply) = ask(&message, Eras::Both);
        assert_eq!(reply["result"]["resultType"], json!("complete"));
        assert_eq!(reply["result"]["tools"][0]["name"], json!("echo"));
        assert_eq!(reply["result"]["cacheScope"], json!("public"));
    }

    #[test]
    fn an_upstream_of_one_era_refuses_the_opening_of_the_other() {
        let discover =
            json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": modern_meta()}});
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}});
        assert_eq!(ask(&discover, Eras::Legacy).1["error"]["code"], json!(-32601));
        assert_eq!(ask(&initialize, Eras::Modern).1["error"]["code"], json!(-32022));
        let (outcome, reply) = ask(&initialize, Eras::Legacy);
        assert_eq!((outcome, &reply["result"]["protocolVersion"]), (Answer::Session, &json!("2025-06-18")));
    }

    #[test]
    fn a_notification_is_not_answered_and_nonsense_is_refused() {
        let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(ask(&message, Eras::Both).0, Answer::Nothing);
        let mut out = Vec::new();
        assert_eq!(answer(b"{", Eras::Both, &mut out), Answer::Refused(400));
    }
}
