//! One downstream connection: HTTP/1.1 or HTTP/2 with prior knowledge, told apart by its first bytes.
//!
//! Both get the limits of the configuration. hyper answers what is not HTTP at all by itself; limits it
//! does not know are checked in [`super::service`]. A connection that says nothing is closed when the time
//! for a head is over.

use std::{sync::Arc, time::Duration};

use hyper::{server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{route::Door, service};
use crate::{config::Edge, plane::Plane};

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// hyper's own cap on a head; above ours, so that ours answers with words.
const READ_BUFFER: usize = 128 << 10;
/// hyper's own cap on fields, above ours for the same reason.
const READ_FIELDS: usize = 1_000;
/// Resets a client may cause before the connection ends (rapid reset).
const RESETS: usize = 200;

/// Serves one connection to its end, or to the drain.
pub(crate) async fn serve(plane: Arc<Plane>, door: Arc<Door>, stream: TcpStream) {
    let edge = plane.snapshot.load().edge.clone();
    let patience = Duration::from_millis(edge.header_timeout_ms);
    let Ok(Some(http2)) = tokio::time::timeout(patience, is_http2(&stream)).await else { return };
    let counted = plane.metrics.connection();
    let mut draining = plane.draining();
    let drained = async move {
        let _ = draining.wait_for(|drain| *drain).await;
    };
    let service = service_fn(move |request| service::handle(plane.clone(), door.clone(), request));
    let io = TokioIo::new(stream);
    // An error here is the client's going away, or its not speaking HTTP: nobody is left to be told.
    if http2 {
        let connection = http2_builder(&edge).serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            () = drained => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    } else {
        let connection = http1_builder(patience).serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            () = drained => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
    drop(counted);
}

fn http1_builder(patience: Duration) -> conn::http1::Builder {
    let mut builder = conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(READ_BUFFER)
        .max_headers(READ_FIELDS)
        .pipeline_flush(true);
    builder
}

fn http2_builder(edge: &Edge) -> conn::http2::Builder<TokioExecutor> {
    let mut builder = conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(edge.streams_per_connection)
        .max_header_list_size(u32::try_from(edge.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20);
    builder
}

/// Looks at the first bytes without taking them. `None`: closed before it said anything.
async fn is_http2(stream: &TcpStream) -> Option<bool> {
    let mut seen = [0u8; PREFACE.len()];
    loop {
        let count = stream.peek(&mut seen).await.ok()?;
        if count == 0 {
            return None;
        }
        let agreed = seen[..count] == PREFACE[..count];
        if !agreed || count == PREFACE.len() {
            return Some(agreed);
        }
        // A part of a preface: a peek would answer at once with the same bytes, so wait for the rest.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
