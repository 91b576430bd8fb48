//! What a client is told of tools, where it is not the list itself: a tool that finds others, and one that calls them.
//!
//! Nothing is remembered of who was told what: which tools there are follows from the request and the configuration, so
//! a client of either era can be answered by any gateway. A call through `call_tool` becomes a call of the tool it names
//! before anything else looks at it; the tools themselves can be called by their own names all the while.

use bytes::Bytes;
use omnimind_compress::forms::tools::{find, signatures_head};
use omnimind_wire::{
    Edit, RpcError, error,
    json::{as_str, as_u64, find as member, is_null, is_object, quote},
};
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::{
    admission::Going,
    aggregate::{has_tool, pruned, these_tools, tools},
    config::ToolList,
    relay::{Client, Target},
    upstream::Failure,
};

const CALL: &str = "call_tool";
const FIND: &str = "find_tool";
/// What stands before these names where a server has a tool that is called so.
const OURS: &str = "omnimind_";
/// Tools that are found, unless the client says how many, and at most.
const FOUND: usize = 5;
const MOST_FOUND: u64 = 50;

/// What became of a request.
pub(crate) enum Told {
    /// It is answered, in the modern form.
    Answer(Bytes),
    /// It goes on, with these params.
    Params(Bytes),
}

/// Whether a request may be answered here, or be one for another tool than it names.
pub(crate) fn tells(client: &Client, method: &str) -> bool {
    match (method, client.caller.tools) {
        ("tools/list", ToolList::Pruned) => matches!(client.caller.target, Target::One(_)),
        ("tools/list" | "tools/call", list) => list.hides_tools(),
        _ => false,
    }
}

/// Answers such a request, or says what is asked of the servers.
///
/// # Errors
/// What is asked for cannot be had from the servers.
pub(crate) async fn told(client: &Client, method: &str, params: Bytes) -> Result<Told, Failure> {
    match (method, client.caller.tools, &client.caller.target) {
        ("tools/list", ToolList::Pruned, Target::One(spec)) => {
            admit(client, method, &params)?;
            pruned(client, spec, &params).await.map(Told::Answer)
        }
        ("tools/list", list, _) => listed(client, list, &params).await.map(Told::Answer),
        (_, list, _) => called(client, list, params).await,
    }
}

/// The list without the tools themselves.
async fn listed(client: &Client, list: ToolList, params: &Bytes) -> Result<Bytes, Failure> {
    admit(client, "tools/list", params)?;
    if member(params, &["cursor"]).ok().flatten().is_some_and(|raw| !is_null(raw)) {
        let message = "that cursor is not valid: this list has one page; list from the beginning".to_owned();
        return Err(Failure::Rpc(RpcError::new(error::INVALID_PARAMS, message)));
    }
    // At the endpoint of one server ours are called otherwise than its own, so these are asked for in any case.
    let (lines, more) = match (list, &client.caller.target) {
        (ToolList::Search, Target::All) => (Vec::new(), false),
        _ => tools(client, list == ToolList::Signatures).await?,
    };
    let call = name(client, CALL).await?;
    if list == ToolList::Search {
        let find = name(client, FIND).await?;
        let calls = call_tool(&call, &format!("Calls a tool that {find} told of."));
        return Ok(these_tools(client, &[find_tool(client, &find, &call), calls]));
    }
    let mut text = format!("Calls one of these tools.\n{}", signatures_head(lines.len()));
    for line in &lines {
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(line));
    }
    if more {
        text.push_str("\nThere are more, which are called by their names too.");
    }
    Ok(these_tools(client, &[call_tool(&call, &text)]))
}

fn call_tool(name: &str, description: &str) -> Bytes {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "The tool's name"},
            "arguments": {"type": "object", "description": "The tool's own arguments, by name"},
        },
        "required": ["name"],
    });
    json!({"name": name, "description": description, "inputSchema": schema}).to_string().into()
}

fn find_tool(client: &Client, name: &str, call: &str) -> Bytes {
    let whose = match &client.caller.target {
        Target::One(spec) => spec.name.clone(),
        Target::All => {
            let snapshot = client.caller.plane.snapshot.load();
            snapshot.servers.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ")
        }
    };
    let description = format!(
        "Finds tools of {whose} by what they do, and tells what arguments each takes. Call one with {call}, its name and its arguments."
    );
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What the tool is to do, in words that may stand in its name or description"},
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": FOUND},
        },
        "required": ["query"],
    });
    let hints = json!({"readOnlyHint": true, "openWorldHint": false});
    json!({"name": name, "description": description, "inputSchema": schema, "annotations": hints}).to_string().into()
}

/// A call of one of ours, or of any tool by its own name.
async fn called(client: &Client, list: ToolList, params: Bytes) -> Result<Told, Failure> {
    let tool = member(&params, &["name"]).ok().flatten().and_then(as_str).unwrap_or_default().into_owned();
    if is_ours(client, list, &tool, FIND).await? {
        return found(client, &params, member(&params, &["arguments"]).ok().flatten()).await.map(Told::Answer);
    }
    if !is_ours(client, list, &tool, CALL).await? {
        return Ok(Told::Params(params));
    }
    let said = |name| member(&params, &["arguments", name]).ok().flatten().filter(|raw| !is_null(raw));
    let Some(inner) = said("name").and_then(as_str) else {
        return Ok(Told::Answer(failed(&format!(
            "{tool} needs the name of a tool: {{\"name\": \"…\", \"arguments\": {{…}}}}"
        ))));
    };
    let arguments = said("arguments");
    if arguments.is_some_and(|raw| !is_object(raw)) {
        return Ok(Told::Answer(failed(&format!(
            "the arguments of {inner} must be an object, with a member for each"
        ))));
    }
    if is_ours(client, list, &inner, FIND).await? {
        return found(client, &params, arguments).await.map(Told::Answer);
    }
    let edit = Edit::new(&params).set(&["name"], quote(&inner)).set(&["arguments"], arguments.unwrap_or(b"{}"));
    edit.finish().map(Told::Params).map_err(|malformed| Failure::Rpc(malformed.rpc_error()))
}

/// Finds tools.
async fn found(client: &Client, params: &Bytes, arguments: Option<&[u8]>) -> Result<Bytes, Failure> {
    admit(client, "tools/call", params)?;
    let said = |name| member(arguments?, &[name]).ok().flatten().filter(|raw| !is_null(raw));
    let Some(query) = said("query").and_then(as_str).filter(|query| !query.trim().is_empty()) else {
        return Ok(failed("say in query what the tool is to do"));
    };
    let limit = match said("limit").map(as_u64) {
        None => FOUND,
        Some(Some(limit @ 1..=MOST_FOUND)) => usize::try_from(limit).unwrap_or(FOUND),
        Some(_) => return Ok(failed(&format!("limit is a whole number from 1 to {MOST_FOUND}"))),
    };
    let (tools, _) = tools(client, false).await?;
    let (count, asked) = (tools.len(), query.clone().into_owned());
    let ranked = spawn_blocking(move || {
        let texts: Vec<&str> = tools.iter().map(|tool| std::str::from_utf8(tool).unwrap_or_default()).collect();
        let best = find(&texts, &asked).into_iter().take(limit);
        best.filter_map(|at| texts.get(at)).copied().collect::<Vec<_>>().join(",\n")
    });
    let ranked = ranked.await.unwrap_or_default();
    if ranked.is_empty() {
        return Ok(said_as(
            &format!("None of {count} tools has a word of {query:?}. Try others for what it is to do."),
            false,
        ));
    }
    Ok(said_as(&format!("[{ranked}]"), false))
}

/// Asks the rates for what no call of a server's tool is.
fn admit(client: &Client, method: &str, params: &[u8]) -> Result<(), Failure> {
    let admission = &client.caller.plane.admission;
    Ok(match &client.caller.target {
        Target::One(spec) => admission.admit(Going { client, spec, method, params, request: None }),
        Target::All => admission.admit_to_all(client),
    }?)
}

/// Whether a call of this name is one of a tool of ours.
async fn is_ours(client: &Client, list: ToolList, tool: &str, own: &str) -> Result<bool, Failure> {
    let may_be = tool.ends_with(own) && (own == CALL || list == ToolList::Search);
    Ok(may_be && name(client, own).await? == tool)
}

/// What one of our tools is called at this endpoint. Names of the aggregate begin with a server's; an only server may
/// have a tool of the same name, which is its own.
async fn name(client: &Client, own: &str) -> Result<String, Failure> {
    let mut name = own.to_owned();
    if let Target::One(spec) = &client.caller.target {
        while has_tool(client, spec, &name).await? {
            name.insert_str(0, OURS);
        }
    }
    Ok(name)
}

/// The result of a call that its caller has to put otherwise.
fn failed(why: &str) -> Bytes {
    said_as(why, true)
}

fn said_as(text: &str, is_error: bool) -> Bytes {
    let content = json!([{"type": "text", "text": text}]);
    json!({"resultType": "complete", "content": content, "isError": is_error}).to_string().into()
}
