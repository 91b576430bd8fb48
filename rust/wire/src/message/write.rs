//! Writers: raw parts in, one compact message out.

use bytes::Bytes;

use crate::error::RpcError;
use crate::json::push_quoted;

const OPEN: &[u8] = b"{\"jsonrpc\":\"2.0\"";
const ID: &[u8] = b",\"id\":";
const RESULT: &[u8] = b",\"result\":";
const ERROR: &[u8] = b",\"error\":";
/// What stands after a result in a response.
pub const RESULT_END: &[u8] = b"}";

/// A request. `id_raw` and `params` are raw JSON.
pub fn request(id_raw: &[u8], method: &str, params: Option<&[u8]>) -> Bytes {
    call(Some(id_raw), method, params)
}

/// A notification. `params` is raw JSON.
pub fn notification(method: &str, params: Option<&[u8]>) -> Bytes {
    call(None, method, params)
}

/// A response with a result. Both are raw JSON.
pub fn result(id_raw: &[u8], result_raw: &[u8]) -> Bytes {
    let mut out = opened(id_raw, result_raw.len() + RESULT_END.len());
    out.extend_from_slice(result_raw);
    out.extend_from_slice(RESULT_END);
    out.into()
}

/// What stands before a result in a response; after it comes [`RESULT_END`].
pub fn result_open(id_raw: &[u8]) -> Bytes {
    opened(id_raw, 0).into()
}

/// With room for so much more, to the byte: with room to spare, what becomes of it is given a counter on the heap.
fn opened(id_raw: &[u8], more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(OPEN.len() + ID.len() + id_raw.len() + RESULT.len() + more);
    push_id(&mut out, id_raw);
    out.extend_from_slice(RESULT);
    out
}

/// A response with an error. `id_raw` is raw JSON, `null` where no id could be read.
pub fn error(id_raw: &[u8], error: &RpcError) -> Bytes {
    let data = error.data.as_ref().map_or(0, Bytes::len);
    let mut out = Vec::with_capacity(OPEN.len() + id_raw.len() + error.message.len() + data + 64);
    push_id(&mut out, id_raw);
    out.extend_from_slice(ERROR);
    error.push_json(&mut out);
    out.push(b'}');
    out.into()
}

/// True for what [`error`] has made for this id.
pub fn is_error(id_raw: &[u8], message: &[u8]) -> bool {
    let rest = message.strip_prefix(OPEN).and_then(|rest| rest.strip_prefix(ID)?.strip_prefix(id_raw));
    rest.is_some_and(|rest| rest.starts_with(ERROR))
}

fn call(id_raw: Option<&[u8]>, method: &str, params: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(
        OPEN.len() + id_raw.map_or(0, <[u8]>::len) + method.len() + params.map_or(0, <[u8]>::len) + 34,
    );
    match id_raw {
        Some(id_raw) => push_id(&mut out, id_raw),
        None => out.extend_from_slice(OPEN),
    }
    out.extend_from_slice(b",\"method\":");
    push_quoted(&mut out, method);
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
    out.into()
}

fn push_id(out: &mut Vec<u8>, id_raw: &[u8]) {
    out.extend_from_slice(OPEN);
    out.extend_from_slice(ID);
    out.extend_from_slice(id_raw);
}
