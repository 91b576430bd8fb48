//! Servers behind http and https.
//!
//! One [`Remote`] a server; it knows the address, the operator's headers and the numbers of requests. A modern
//! server needs no more: every call is one POST, closing its response cancels it. A legacy server wants a
//! [`Session`]: `initialize`, a session id on every request, a stream of its own for what belongs to no call,
//! answers to questions by POST, and a stream that breaks off and goes on elsewhere. The caller sees
//! none of that. What the client sent as credentials is never here: only the operator's headers go out.

mod legacy;
mod listen;
mod modern;
mod negotiate;
mod replies;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use omnimind_wire::{Reason, Refusal};

pub(super) use self::{legacy::Session, negotiate::open};
use super::{Failure, LOST};
use crate::{
    config::ServerSpec,
    pool::{Arriving, Errand, Lane, Origin, Pool, Report, Terms, Trust, Unanswered},
};

const ACCEPT_BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// One server behind HTTP.
#[derive(Debug)]
pub(super) struct Remote {
    server: Arc<str>,
    url: Uri,
    headers: HeaderMap,
    pool: Pool,
    base: u64,
    serial: AtomicU32,
    own_version: Arc<str>,
}

impl Remote {
    /// Reads the address and the headers of a configured server.
    pub(super) fn new(
        spec: &ServerSpec,
        epoch: u32,
        own_version: &Arc<str>,
        trust: &Arc<Trust>,
    ) -> Result<Arc<Self>, Refusal> {
        let wrong = |what: String| Refusal::new(Reason::ServerUnavailable, "server", what).about(&*spec.name);
        let address = spec.url.as_deref().unwrap_or_default();
        let url: Uri = address.parse().map_err(|error| wrong(format!("{address:?} is not a URL: {error}")))?;
        let origin =
            Origin::of(&url).ok_or_else(|| wrong(format!("{address:?} is neither an http nor an https URL")))?;
        let mut headers = HeaderMap::with_capacity(spec.headers.len() + 8);
        for (name, value) in &spec.headers {
            let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (key, mut value) = parsed.ok_or_else(|| wrong(format!("header {name:?} cannot be sent")))?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, ACCEPT_BOTH);
        Ok(Arc::new(Self {
            server: Arc::from(&*spec.name),
            url,
            headers,
            pool: Pool::new(origin, Terms::new(spec.pool.clone(), Arc::clone(trust))),
            base: u64::from(epoch) << 32,
            serial: AtomicU32::new(1),
            own_version: Arc::clone(own_version),
        }))
    }

    /// Its connections as of now.
    pub(super) fn report(&self) -> Report {
        self.pool.report()
    }

    /// A number for the next request.
    fn number(&self) -> u64 {
        self.base | u64::from(self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// A POST of one message.
    fn post(&self, body: Vec<u8>) -> Request<Full<Bytes>> {
        self.request(Method::POST, Bytes::from(body))
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Sends a request; any status is an answer here.
    async fn send(&self, request: Request<Full<Bytes>>, errand: Errand) -> Result<Response<Arriving>, Failure> {
        self.pool.send(request, errand).await.map_err(|unanswered| Failure::Refused(self.unreachable(unanswered)))
    }

    fn unreachable(&self, unanswered: Unanswered) -> Refusal {
        let refusal =
            |scope: &str, detail: String| Refusal::new(Reason::ServerUnavailable, scope, detail).about(&*self.server);
        let detail = |why| format!("{} cannot be reached: {why}", self.server);
        match unanswered {
            Unanswered::Unsent(why) => refusal("server", detail(why)).retry_after(1_000),
            Unanswered::Lost(why) => refusal(LOST, detail(why)),
            Unanswered::Full(why, wait) | Unanswered::Refused(why, wait) => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                refusal("server", format!("{} was not asked: {why}", self.server)).retry_after(wait)
            }
        }
    }

    fn broken(&self, why: &str) -> Failure {
        let detail = format!("the answer of {} broke off: {why}", self.server);
        Failure::Refused(Refusal::new(Reason::UpstreamFailed, LOST, detail).about(&*self.server))
    }

    /// The name and version this gateway gives itself, as raw JSON.
    fn own_info(&self) -> Vec<u8> {
        let mut out = b"{\"name\":\"omnimind\",\"version\":".to_vec();
        omnimind_wire::json::push_quoted(&mut out, &self.own_version);
        out.push(b'}');
        out
    }
}

/// A call, which may change something.
const CALL: Errand = Errand { lane: Lane::Call, repeatable: false };
/// A greeting: asked twice, it is answered twice.
const GREETING: Errand = Errand { lane: Lane::Call, repeatable: true };
/// A message that lets a call go on or end.
const WORD: Errand = Errand { lane: Lane::Errand, repeatable: false };
/// A stream that lasts and is only read.
const STREAM: Errand = Errand { lane: Lane::Standing, repeatable: true };

/// True for statuses by which a server of the other era says that it does not understand.
fn is_era_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405 | 406 | 409 | 415 | 422 | 500 | 501)
}
