//! Writers: raw parts in, one compact message out.

use bytes::Bytes;

use crate::error::RpcError;
use crate::json::push_quoted;

const OPEN: &[u8] = b"{\"jsonrpc\":\"2.0\"";

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
    let mut out = Vec::with_capacity(OPEN.len() + id_raw.len() + result_raw.len() + 18);
    push_id(&mut out, id_raw);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result_raw);
    out.push(b'}');
    out.into()
}

/// A response with an error. `id_raw` is raw JSON, `null` where no id could be read.
pub fn error(id_raw: &[u8], error: &RpcError) -> Bytes {
    let data = error.data.as_ref().map_or(0, Bytes::len);
    let mut out = Vec::with_capacity(OPEN.len() + id_raw.len() + error.message.len() + data + 64);
    push_id(&mut out, id_raw);
    out.extend_from_slice(b",\"error\":");
    error.push_json(&mut out);
    out.push(b'}');
    out.into()
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
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id_raw);
}
