//! Who asks: what one downstream request tells of its sender, in one form for both eras.
//!
//! A modern request carries all of it in its own `_meta`; a legacy one leans on its session. Nothing here
//! is believed beyond its use: the principal is the verified one, capabilities only widen what may be asked
//! of this same client.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use omnimind_wire::{
    Era, MODERN_VERSION, Refusal, Request,
    headers::{METHOD, NAME, PROTOCOL_VERSION, Values},
    json::{find, is_object},
};
use tokio::time::Instant;

use super::{Caller, level::Level};
use crate::{
    config::{Role, ServerSpec},
    session::Session,
    upstream::{Lease, Owner, Wish},
};

/// The methods in the course of which a server may ask its client something.
const ASKING: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

const PROTOCOL_VERSION_HEADER: HeaderName = HeaderName::from_static(PROTOCOL_VERSION);
const METHOD_HEADER: HeaderName = HeaderName::from_static(METHOD);
/// The header that names the tool, prompt or resource.
pub(crate) const NAME_HEADER: HeaderName = HeaderName::from_static(NAME);

/// The sender of one request.
#[derive(Clone)]
pub struct Client {
    /// Plane, principal, endpoint, headers.
    pub caller: Arc<Caller>,
    /// How it speaks.
    pub era: Era,
    /// The revision it speaks.
    pub version: &'static str,
    /// Its capabilities, a raw JSON object.
    pub capabilities: Bytes,
    /// Its name and version, raw; empty if it did not say.
    pub info: Bytes,
    /// From which level on it wants log messages.
    pub log_level: Option<Level>,
    /// Its session, if it is legacy.
    pub session: Option<Arc<Session>>,
}

impl Client {
    /// The sender of a modern request that passed its checks.
    pub(crate) fn modern(caller: Caller, request: &Request) -> Self {
        let meta = request.meta.clone().unwrap_or_default();
        Self {
            caller: Arc::new(caller),
            era: Era::Modern,
            version: MODERN_VERSION,
            capabilities: request
                .meta_capabilities()
                .map_or_else(|| Bytes::from_static(b"{}"), |raw| meta.slice_ref(raw)),
            info: request
                .meta_client_info()
                .filter(|raw| is_object(raw))
                .map_or_else(Bytes::new, |raw| meta.slice_ref(raw)),
            log_level: request.meta_log_level().and_then(Level::from_raw),
            session: None,
        }
    }

    /// The client of a legacy session.
    pub(crate) fn legacy(caller: Caller, session: Arc<Session>) -> Self {
        Self {
            caller: Arc::new(caller),
            era: Era::Legacy,
            version: session.version,
            capabilities: session.capabilities.clone(),
            info: session.info.clone(),
            log_level: session.level(),
            session: Some(session),
        }
    }

    /// Whether its token says so.
    pub fn is_operator(&self) -> bool {
        self.caller.principal.role == Role::Operator
    }

    /// The verified principal's name.
    pub fn principal(&self) -> &Arc<str> {
        &self.caller.principal.name
    }

    /// True if the client can answer this kind of question.
    pub fn can_answer(&self, method: &str, params: &[u8]) -> bool {
        let has = |path: &[&str]| find(&self.capabilities, path).ok().flatten().is_some_and(is_object);
        match method {
            "sampling/createMessage" => has(&["sampling"]),
            "roots/list" => has(&["roots"]),
            "elicitation/create" => {
                let url = find(params, &["mode"]).ok().flatten().is_some_and(|mode| mode == b"\"url\"");
                has(&["elicitation"]) && (!url || has(&["elicitation", "url"]))
            }
            _ => false,
        }
    }

    /// True if the client can answer any question at all.
    fn can_answer_some(&self) -> bool {
        self.capabilities != "{}"
            && ["sampling/createMessage", "roots/list", "elicitation/create"]
                .iter()
                .any(|method| self.can_answer(method, b"{}"))
    }

    /// A connection to a server for this client: its session's own place on it, or, for a modern call in
    /// which questions may come up, one that is alone while it lasts.
    pub async fn lease(&self, spec: &Arc<ServerSpec>, method: &str) -> Result<Lease, Refusal> {
        if let Some(session) = &self.session {
            return session.lease(self, spec).await;
        }
        let asking = ASKING.contains(&method) && self.can_answer_some();
        let owner = if asking { Owner::Call { capabilities: self.capabilities.clone() } } else { Owner::Shared };
        self.lease_as(spec, owner).await
    }

    /// A connection to a server on given terms.
    pub(crate) async fn lease_as(&self, spec: &Arc<ServerSpec>, owner: Owner) -> Result<Lease, Refusal> {
        let wish = Wish { principal: self.principal().clone(), era: self.era, owner };
        let until = Instant::now() + spec.longest();
        self.caller.plane.fleet.lease(&spec.name, wish, until).await
    }
}

/// All values of a header, as the wire crate wants them.
pub(crate) fn values<'h>(headers: &'h HeaderMap, name: &str) -> Values<'h> {
    let values = match name {
        // Names that every request is asked for are ready made.
        PROTOCOL_VERSION => headers.get_all(&PROTOCOL_VERSION_HEADER),
        METHOD => headers.get_all(&METHOD_HEADER),
        NAME => headers.get_all(&NAME_HEADER),
        name => headers.get_all(name),
    };
    values.iter().map(http::HeaderValue::as_bytes).collect()
}

/// The value of a header that names a protocol version; what cannot be read is a version nobody knows.
pub(crate) fn version_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(&PROTOCOL_VERSION_HEADER).map(|value| value.to_str().unwrap_or("?"))
}
