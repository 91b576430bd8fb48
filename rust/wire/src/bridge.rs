//! Translations between the eras: pure functions from raw JSON to raw JSON.
//!
//! What one era has and the other lacks is added with the most careful default or taken away; everything else passes
//! byte for byte.

use bytes::Bytes;

use crate::edit::Edit;
use crate::era::MODERN_VERSIONS;
use crate::error::{
    HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, MISSING_CAPABILITY, RESOURCE_NOT_FOUND_LEGACY, RpcError,
    UNSUPPORTED_VERSION, URL_ELICITATION,
};
use crate::headers::{
    META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_SERVER_INFO, META_SUBSCRIPTION, META_VERSION,
};
use crate::json::{Malformed, Object, as_str, elements, find, is_array, is_null, is_object, push_quoted, quote};

/// The methods whose results the modern era lets caches keep.
pub const CACHEABLE: [&str; 6] =
    ["server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];

/// True for the methods whose results the modern era lets caches keep.
pub fn is_cacheable(method: &str) -> bool {
    CACHEABLE.contains(&method)
}

/// A legacy server's result for a modern client: `resultType`, for cacheable methods `ttlMs` and `cacheScope` where
/// they are absent, `_meta` with the server's info.
/// A result that is no object is passed as it is, `null` counts as `{}`.
pub fn result_to_modern(method: &str, result: &[u8], server_info: Option<&[u8]>) -> Result<Bytes, Malformed> {
    if !is_object(result) && !is_null(result) {
        return Ok(Bytes::copy_from_slice(result));
    }
    let object = if is_null(result) { None } else { Some(Object::parse(result)?) };
    let lacks = |key: &str| object.as_ref().is_none_or(|object| object.get(key).is_none());
    let mut edit = Edit::new(result);
    if lacks("resultType") {
        edit = edit.set(&["resultType"], &b"\"complete\""[..]);
    }
    if is_cacheable(method) {
        for (key, value) in [("ttlMs", &b"0"[..]), ("cacheScope", &b"\"private\""[..])] {
            if lacks(key) {
                edit = edit.set(&[key], value);
            }
        }
    }
    if let Some(info) = server_info
        && find(result, &["_meta", META_SERVER_INFO])?.is_none()
    {
        edit = edit.set(&["_meta", META_SERVER_INFO], info);
    }
    edit.finish()
}

/// A modern server's result for a legacy client: what that era does not know is taken away, `structuredContent` only
/// where it is no object.
pub fn result_to_legacy(method: &str, result: &[u8]) -> Result<Bytes, Malformed> {
    if !is_object(result) {
        return Ok(Bytes::copy_from_slice(result));
    }
    let mut edit = Edit::new(result).remove(&["resultType"]).remove_pruned(&["_meta", META_SERVER_INFO]);
    if is_cacheable(method) {
        edit = edit.remove(&["ttlMs"]).remove(&["cacheScope"]);
    }
    if method == "tools/call" && find(result, &["structuredContent"])?.is_some_and(|content| !is_object(content)) {
        edit = edit.remove(&["structuredContent"]);
    }
    if method == "tools/list"
        && let Some(tools) = legacy_tools(result)?
    {
        edit = edit.set(&["tools"], tools);
    }
    edit.finish()
}

/// The tools without the output schemas that do not say they describe an object; none if all may stay. Legacy clients
/// refuse the whole list for one of them,
/// and what such a schema describes is not sent to them anyway.
fn legacy_tools(result: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(tools) = find(result, &["tools"])?.filter(|tools| is_array(tools)) else { return Ok(None) };
    if memchr::memmem::find(tools, b"utputSchema").is_none() {
        return Ok(None);
    }
    let mut out = vec![b'['];
    let mut changed = false;
    for tool in elements(tools)? {
        if out.len() > 1 {
            out.push(b',');
        }
        let foreign = match find(tool, &["outputSchema"])? {
            Some(schema) => find(schema, &["type"])?.and_then(as_str).as_deref() != Some("object"),
            None => false,
        };
        if foreign {
            out.extend_from_slice(&Edit::new(tool).remove(&["outputSchema"]).finish()?);
        } else {
            out.extend_from_slice(tool);
        }
        changed |= foreign;
    }
    out.push(b']');
    Ok(changed.then_some(out))
}

/// A legacy server's error for a modern client: a resource that is not there is -32602 with `data.uri`, and -32042 is
/// no more.
pub fn error_to_modern(method: &str, params: Option<&[u8]>, error: RpcError) -> RpcError {
    match error.code {
        RESOURCE_NOT_FOUND_LEGACY if method == "resources/read" => {
            let uri = params.and_then(|params| find(params, &["uri"]).ok().flatten());
            let data = match (&error.data, uri) {
                (Some(data), Some(uri)) if is_object(data) => Edit::new(data).set(&["uri"], uri).finish().ok(),
                (_, Some(uri)) => Edit::new(b"{}").set(&["uri"], uri).finish().ok(),
                (data, None) => data.clone(),
            };
            RpcError { code: INVALID_PARAMS, message: error.message, data }
        }
        URL_ELICITATION => RpcError { code: INVALID_REQUEST, ..error },
        _ => error,
    }
}

/// A modern server's error for a legacy client: -32602 with `data.uri` on `resources/read` is -32002; the modern codes
/// become the nearest old ones.
pub fn error_to_legacy(method: &str, error: RpcError) -> RpcError {
    let names_uri = || error.data.as_deref().is_some_and(|data| find(data, &["uri"]).ok().flatten().is_some());
    let code = match error.code {
        INVALID_PARAMS if method == "resources/read" && names_uri() => RESOURCE_NOT_FOUND_LEGACY,
        HEADER_MISMATCH | UNSUPPORTED_VERSION => INVALID_REQUEST,
        MISSING_CAPABILITY => INVALID_PARAMS,
        code => code,
    };
    RpcError { code, ..error }
}

/// What `server/discover` says of a server that answered `initialize`. Its tasks are of the old kind, which the modern
/// era does not have.
pub fn discover_from_initialize(initialize: &[u8], versions: &[&str]) -> Result<Bytes, Malformed> {
    let object = Object::parse(initialize)?;
    let mut supported = vec![b'['];
    for (n, version) in versions.iter().enumerate() {
        if n > 0 {
            supported.push(b',');
        }
        push_quoted(&mut supported, version);
    }
    supported.push(b']');
    let mut edit = Edit::new(b"{}")
        .set(&["resultType"], &b"\"complete\""[..])
        .set(&["supportedVersions"], supported)
        .set(&["capabilities"], object.get("capabilities").unwrap_or(b"{}"))
        .remove(&["capabilities", "tasks"]);
    if let Some(instructions) = object.get("instructions").filter(|text| !is_null(text)) {
        edit = edit.set(&["instructions"], instructions);
    }
    edit = edit.set(&["ttlMs"], &b"0"[..]).set(&["cacheScope"], &b"\"private\""[..]);
    if let Some(info) = object.get("serverInfo") {
        edit = edit.set(&["_meta", META_SERVER_INFO], info);
    }
    edit.finish()
}

/// What `initialize` answers for a server that answered `server/discover`; `version` is the one agreed with the client.
pub fn initialize_from_discover(discover: &[u8], version: &str) -> Result<Bytes, Malformed> {
    let object = Object::parse(discover)?;
    let info = find(discover, &["_meta", META_SERVER_INFO])?.unwrap_or(br#"{"name":"unknown","version":"0"}"#);
    let mut edit = Edit::new(b"{}")
        .set(&["protocolVersion"], quote(version))
        .set(&["capabilities"], object.get("capabilities").unwrap_or(b"{}"))
        .set(&["serverInfo"], info);
    if let Some(instructions) = object.get("instructions").filter(|text| !is_null(text)) {
        edit = edit.set(&["instructions"], instructions);
    }
    edit.finish()
}

/// The `_meta` of a modern request that is made for a legacy client. `client_info`, `capabilities` are raw JSON,
/// `log_level` is a level's name.
pub fn request_meta(
    version: &str,
    client_info: Option<&[u8]>,
    capabilities: Option<&[u8]>,
    log_level: Option<&str>,
) -> Vec<u8> {
    let mut out = vec![b'{'];
    push_quoted(&mut out, META_VERSION);
    out.push(b':');
    push_quoted(&mut out, version);
    let level = log_level.map(quote);
    let members = [
        (META_CAPABILITIES, Some(capabilities.unwrap_or(b"{}"))),
        (META_CLIENT_INFO, client_info),
        (META_LOG_LEVEL, level.as_deref()),
    ];
    for (key, value) in members {
        if let Some(value) = value {
            out.push(b',');
            push_quoted(&mut out, key);
            out.push(b':');
            out.extend_from_slice(value);
        }
    }
    out.push(b'}');
    out
}

/// Params of a modern request (or notification) for a legacy peer: the envelope keys of `_meta` go, the rest of it
/// stays.
pub fn strip_modern_meta(params: &[u8]) -> Result<Bytes, Malformed> {
    let keys = [META_VERSION, META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_SUBSCRIPTION];
    keys.iter().fold(Edit::new(params), |edit, key| edit.remove_pruned(&["_meta", key])).finish()
}

/// The first of the peer's versions that is served here as modern.
pub fn common_modern_version(discover: &[u8]) -> Result<Option<&'static str>, Malformed> {
    let Some(versions) = find(discover, &["supportedVersions"])? else { return Ok(None) };
    let offered = elements(versions)?;
    let offers = |version: &str| offered.iter().any(|raw| as_str(raw).as_deref() == Some(version));
    Ok(MODERN_VERSIONS.into_iter().find(|version| offers(version)))
}
