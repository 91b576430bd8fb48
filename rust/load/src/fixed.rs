//! A server that says the same to everybody: what a reply costs before anyone thinks about it.
//!
//! The yardstick of an answer from memory. It is built as the gateway's edge is built (hyper, tokio with as many threads, the
//! same settings of a connection), reads a request's body to its end, and answers with one body under one status.
//! It looks into nothing: no path, no token, no JSON. What the gateway takes beyond it is the gateway's own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// Time for a head, largest head and most fields: those of the gateway.
const PATIENCE: Duration = Duration::from_secs(10);
const READ_BUFFER: usize = 128 << 10;
const READ_FIELDS: usize = 160;
/// Answers of the gateway that are as long depend on what their client can read.
const PACKABLE: usize = 1_024;

/// Serves until the process ends; `ready` hears where.
///
/// # Errors
/// If the address cannot be listened on, or `ready` fails.
pub fn serve(
    address: SocketAddr,
    body_bytes: usize,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(1).max(1))
        .enable_all()
        .build()?;
    let body = body(body_bytes);
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        ready(listener.local_addr()?)?;
        // On a worker, as the gateway does it: what runs here runs beside them.
        let accepting = tokio::spawn(accept(listener, body));
        accepting.await.map_err(io::Error::other)?
    })
}

async fn accept(listener: TcpListener, body: Bytes) -> io::Result<()> {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(READ_BUFFER).max_headers(READ_FIELDS);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let service = service_fn(move |request| reply(request, body.clone()));
        // A connection that breaks is its client's business.
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

async fn reply(request: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut incoming = request.into_body();
    while let Some(Ok(_frame)) = incoming.frame().await {}
    let length = body.len();
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // As the gateway says it of what it would pack for others.
    if length >= PACKABLE {
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    Ok(response)
}

/// A JSON-RPC result of so many bytes, or of the fewest it can have.
fn body(bytes: usize) -> Bytes {
    let (head, tail) = (r#"{"jsonrpc":"2.0","id":0,"result":{"pad":""#, r#""}}"#);
    let pad = bytes.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(pad)).into()
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn the_body_is_json_of_the_length_asked_for() {
        for bytes in [60, 300, 16_384] {
            let body = body(bytes);
            assert_eq!(body.len(), bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
    }
}
