//! One downstream connection: HTTP/1.1 or HTTP/2 with prior knowledge, told apart by its first bytes.
//!
//! Both get the limits of the configuration. hyper answers what is not HTTP at all by itself; limits it
//! does not know are checked in [`super::service`]. A connection that says nothing at first is closed when the time
//! for a head is over; one that has had an answer may rest for [`REST`].
//!
//! When the door closes, HTTP/2 says GOAWAY and finishes its streams. HTTP/1 has no such word: whoever closes an
//! idle connection may cut off a request that is on its way. So the next answer says `Connection: close`, and a
//! connection on which nothing comes for [`QUIET`] is closed then.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};

use super::{
    familiar::Familiar,
    listen::Entrance,
    pulse::{self, Noting, Pulse},
    seldom::Seldom,
    service::{self, Connection},
};
use crate::{config::Edge, plane::Plane};

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// hyper's own cap on a head; above ours, so that ours answers with words.
const READ_BUFFER: usize = 128 << 10;
/// hyper's own cap on fields is by so many above ours, for the same reason. It sets out a place for each, in every
/// request.
const MORE_FIELDS: usize = 60;
/// Resets a client may cause before the connection ends (rapid reset).
const RESETS: usize = 200;

/// A connection may rest so long between requests: longer than clients keep theirs (90 s, some of them), so that it is they
/// who close, and no request meets a connection that is being closed.
const REST: Duration = Duration::from_secs(120);
/// What is written is gathered up to so many bytes.
const GATHERED: usize = 4 << 10;
/// A connection whose door closes and on which nothing comes for this long is closed.
const QUIET: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) async fn serve(plane: Arc<Plane>, entrance: Arc<Entrance>, stream: TcpStream) {
    let edge = plane.snapshot.load().edge.clone();
    let patience = Duration::from_millis(edge.header_timeout_ms);
    let mut closing = entrance.closing();
    let pulse = Arc::new(Pulse::default());
    let first = tokio::select! {
        first = tokio::time::timeout(patience, is_http2(&stream)) => first,
        () = quiet(&mut closing, &pulse) => return,
    };
    let Ok(Some(http2)) = first else { return };
    let shared = Arc::new(Connection { plane, entrance, familiar: Familiar::default(), pulse: pulse.clone() });
    let service = service_fn(move |request| service::handle(shared.clone(), request));
    // An error here is the client's going away, or its not speaking HTTP: nobody is left to be told.
    if http2 {
        let connection = http2_builder(&edge).serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            () = closes(&mut closing) => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    } else {
        let io = TokioIo::new(Attentive { stream, pulse: pulse.clone() });
        let watch = pin!(async {
            tokio::select! {
                () = quiet(&mut closing, &pulse) => End::Quiet,
                () = pulse::late(&pulse, patience, REST) => End::Late,
            }
        });
        let mut watch = Seldom::new(watch);
        let connection = http1_builder(&edge, patience, &pulse).serve_connection(io, service);
        let mut connection = pin!(connection);
        // By hand, for it is done with every request.
        let end = poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(End::Done),
            Poll::Pending => Pin::new(&mut watch).poll(context),
        });
        if end.await == End::Quiet {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                () = pulse::late(&pulse, patience, patience) => {}
            }
        }
    }
}

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It is over.
    Done,
    /// Its door closes and nothing more comes.
    Quiet,
    /// A head does not come to its end, or no other comes.
    Late,
}

/// Waits until the door closes; one that is gone with its process closes nothing.
async fn closes(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the door closes, and then until nothing more is heard.
async fn quiet(closing: &mut watch::Receiver<bool>, pulse: &Pulse) {
    closes(closing).await;
    let mut before = pulse.heard();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = pulse.heard();
        if now == before {
            return;
        }
        before = now;
    }
}

/// A stream that counts how often something came, and writes what is short in one piece: a copy takes less time than the
/// kernel takes over a list.
struct Attentive {
    stream: TcpStream,
    pulse: Arc<Pulse>,
}

impl AsyncRead for Attentive {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.pulse.hears();
        }
        polled
    }
}

impl AsyncWrite for Attentive {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bytes.iter().map(|piece| piece.len()).sum::<usize>() > GATHERED {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        }
        let mut room = [const { MaybeUninit::uninit() }; GATHERED];
        let mut gathered = ReadBuf::uninit(&mut room);
        for piece in bytes {
            gathered.put_slice(piece);
        }
        Pin::new(&mut self.stream).poll_write(cx, gathered.filled())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Answers are not gathered for clients that send the next request before the last answer (`pipeline_flush`): hyper
/// would hold what a slow reader has not taken, without any bound.
fn http1_builder(edge: &Edge, patience: Duration, pulse: &Arc<Pulse>) -> conn::http1::Builder {
    let mut builder = conn::http1::Builder::new();
    builder
        .timer(Noting::new(pulse.clone()))
        .header_read_timeout(patience)
        .max_buf_size(READ_BUFFER)
        .max_headers(edge.header_fields.saturating_add(MORE_FIELDS));
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
