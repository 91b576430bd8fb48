//! Refusals over HTTP: status, `Retry-After`, and a JSON-RPC error anyone can read.

use http::{HeaderValue, Response, StatusCode, header};
use omnimind_wire::{Reason, Refusal, message};

use super::respond::Body;

/// Renders a refusal; `id` is the request's as raw JSON, empty for none.
pub(crate) fn render(refusal: &Refusal, id: &[u8]) -> Response<Body> {
    let id = if id.is_empty() { b"null".as_slice() } else { id };
    let body = message::error(id, &refusal.rpc_error());
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.reason == Reason::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"omnimind\""));
    }
    response
}
