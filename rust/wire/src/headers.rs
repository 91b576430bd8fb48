//! HTTP headers of the modern era against the body they came with.
//!
//! A header that says something else than the body is how a request is routed or permitted as one thing and carried out
//! as another. So whoever
//! reads the body compares: the protocol version, the method and the name must be there once and be equal, byte for
//! byte after the base64 sentinel is
//! decoded (no Unicode normalisation: two spellings of one letter are two names). Which code answers what, in which
//! order, follows the specification.

use crate::era::{Era, LEGACY_VERSIONS, MODERN_VERSIONS};
use crate::error::{HEADER_MISMATCH, INVALID_PARAMS, RpcError, UNSUPPORTED_VERSION};
use crate::json::{as_str, push_quoted};
use crate::message::Request;

mod annotations;
mod params;
mod sentinel;

pub use annotations::{InvalidAnnotation, param_headers};
pub use params::{ParamHeader, ParamType, check_params, mirror_params};
pub use sentinel::{decode, encode};

/// The header with the protocol version.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The header with the method.
pub const METHOD: &str = "mcp-method";
/// The header with the name of what is called, got or read.
pub const NAME: &str = "mcp-name";
/// What the headers of single arguments begin with.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// The `_meta` key with the protocol version (required).
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The `_meta` key with the client's capabilities (required).
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The `_meta` key with the client's name and version.
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The `_meta` key with the level from which the request wants log messages.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The `_meta` keys of requests on which no answer depends: who asks in which version, and what traces it.
pub const META_PASSING: [&str; 8] = [
    META_VERSION,
    META_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
];
/// What the `_meta` keys between a client and the gateway begin with.
pub const META_OWN: &str = "omnimind/";
/// The `_meta` key of results with the server's name and version.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The `_meta` key of notifications on a subscription stream.
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The values of one header field, in the order they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values<'h> {
    /// The header is absent.
    #[default]
    None,
    /// It is there once.
    One(&'h [u8]),
    /// It is there more than once.
    Many,
}

impl<'h> FromIterator<&'h [u8]> for Values<'h> {
    fn from_iter<I: IntoIterator<Item = &'h [u8]>>(values: I) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Many,
        }
    }
}

/// Gives the values of a header by its name in lower case.
pub type Lookup<'l, 'h> = &'l dyn Fn(&str) -> Values<'h>;

/// The parameter that `Mcp-Name` mirrors, for the modern methods that have one.
pub fn name_key(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// Everything a modern request's head and envelope must be before anyone acts on it: headers there once and equal to
/// the body (-32020),
/// the required `_meta` keys (-32602), a version that is served (-32022).
pub fn check_modern(headers: Lookup<'_, '_>, request: &Request) -> Result<(), RpcError> {
    let version = single(headers, PROTOCOL_VERSION)?;
    let method = single(headers, METHOD)?;
    let name = single(headers, NAME)?;
    let meta_version = meta_version(request)?;
    if version.is_none() || version != meta_version.as_deref().map(str::as_bytes) {
        return Err(mismatch("MCP-Protocol-Version", "the protocol version in params._meta", version.is_none()));
    }
    if method != Some(request.method.as_bytes()) {
        return Err(mismatch("Mcp-Method", "the method", method.is_none()));
    }
    if let Some(key) = name_key(&request.method) {
        check_name(name, key, request)?;
    }
    match meta_version {
        Some(version) if MODERN_VERSIONS.contains(&version.as_ref()) => Ok(()),
        version => Err(unsupported_version(&version.unwrap_or_default())),
    }
}

/// A request that its header (or the lack of one) makes legacy must not be modern in its body: else policy on headers
/// could be walked around.
pub fn check_legacy(headers: Lookup<'_, '_>, request: &Request) -> Result<(), RpcError> {
    let header = single(headers, PROTOCOL_VERSION)?;
    let modern =
        request.meta_version().and_then(as_str).is_some_and(|version| Era::of_version(&version) == Some(Era::Modern));
    if modern {
        Err(mismatch("MCP-Protocol-Version", "the protocol version in params._meta", header.is_none()))
    } else {
        Ok(())
    }
}

/// The answer to a version that is not served, naming those that are.
pub fn unsupported_version(requested: &str) -> RpcError {
    let mut data = b"{\"supported\":[".to_vec();
    for (n, version) in MODERN_VERSIONS.iter().chain(LEGACY_VERSIONS.iter().rev()).enumerate() {
        if n > 0 {
            data.push(b',');
        }
        push_quoted(&mut data, version);
    }
    data.extend_from_slice(b"],\"requested\":");
    push_quoted(&mut data, requested);
    data.push(b'}');
    RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version").with_data(data)
}

/// The version in `_meta`; none if it is there but no string, which no header can equal.
fn meta_version(request: &Request) -> Result<Option<std::borrow::Cow<'_, str>>, RpcError> {
    let wrong = |what: &str| RpcError::new(INVALID_PARAMS, format!("params._meta must be an object with {what}"));
    if request.meta.is_none() {
        return Err(wrong(&format!("{META_VERSION} and {META_CAPABILITIES}")));
    }
    let version = request.meta_version().ok_or_else(|| wrong(META_VERSION))?;
    let capabilities = request.meta_capabilities().ok_or_else(|| wrong(META_CAPABILITIES))?;
    if !crate::json::is_object(capabilities) {
        return Err(wrong(&format!("an object as {META_CAPABILITIES}")));
    }
    Ok(as_str(version))
}

fn check_name(header: Option<&[u8]>, key: &str, request: &Request) -> Result<(), RpcError> {
    let name = request.name();
    match (header, &request.subject) {
        (None, None) => Ok(()),
        (Some(_), None) => {
            Err(RpcError::new(HEADER_MISMATCH, format!("Mcp-Name is sent but the body has no params.{key}")))
        }
        (None, Some(_)) => Err(mismatch("Mcp-Name", &format!("params.{key}"), true)),
        (Some(header), Some(_)) => {
            let decoded =
                decode(header).ok_or_else(|| RpcError::new(HEADER_MISMATCH, "Mcp-Name is not encoded correctly"))?;
            if name.as_deref() == Some(decoded.as_ref()) {
                Ok(())
            } else {
                Err(mismatch("Mcp-Name", &format!("params.{key}"), false))
            }
        }
    }
}

/// A header that may be there once; readers of the first and of the last copy would disagree.
fn single<'h>(headers: Lookup<'_, 'h>, name: &str) -> Result<Option<&'h [u8]>, RpcError> {
    match headers(name) {
        Values::None => Ok(None),
        Values::One(value) => Ok(Some(value)),
        Values::Many => Err(RpcError::new(HEADER_MISMATCH, format!("{name} is sent more than once"))),
    }
}

fn mismatch(header: &str, body: &str, missing: bool) -> RpcError {
    let what = if missing { "is missing, it must repeat" } else { "does not equal" };
    RpcError::new(HEADER_MISMATCH, format!("{header} {what} {body}"))
}
