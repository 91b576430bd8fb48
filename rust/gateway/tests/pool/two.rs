//! An HTTP/2 server, in the clear or over TLS, which does what the path of a request says.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// The server.
pub(crate) struct Two {
    pub(crate) url: String,
    pub(crate) seen: Arc<Seen>,
    task: AbortHandle,
}

/// What it has seen, and what it is told.
#[derive(Default)]
pub(crate) struct Seen {
    /// Connections so far.
    pub(crate) connections: AtomicUsize,
    /// Requests so far.
    pub(crate) requests: AtomicUsize,
    /// Requests being worked on.
    pub(crate) in_flight: AtomicUsize,
    /// Most of them at once.
    pub(crate) most: AtomicUsize,
    /// Wrong versions.
    pub(crate) old: AtomicUsize,
    /// Tells every connection to take no more.
    pub(crate) goes_away: Notify,
}

impl Drop for Two {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request, counted until dropped.
struct Counted<'a>(&'a Seen);

impl<'a> Counted<'a> {
    fn new(seen: &'a Seen) -> Self {
        seen.requests.fetch_add(1, Relaxed);
        seen.most.fetch_max(seen.in_flight.fetch_add(1, Relaxed) + 1, Relaxed);
        Self(seen)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Starts one that allows so many calls on a connection.
pub(crate) async fn two(streams: u32, tls: Option<ServerConfig>) -> Two {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let seen = Arc::<Seen>::default();
    let shared = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Relaxed);
            let (seen, acceptor) = (Arc::clone(&shared), acceptor.clone());
            serving.spawn(async move {
                match acceptor {
                    None => serve(TokioIo::new(stream), streams, &seen).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(TokioIo::new(stream), streams, &seen).await;
                        }
                    }
                }
            });
        }
    });
    Two { url, seen, task: task.abort_handle() }
}

async fn serve(io: impl Read + Write + Unpin + Send + 'static, streams: u32, seen: &Arc<Seen>) {
    let shared = Arc::clone(seen);
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.max_concurrent_streams(streams).serve_connection(io, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = seen.goes_away.notified() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn respond(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Full<Bytes>>, Infallible> {
    let counted = Counted::new(&seen);
    if request.version() != http::Version::HTTP_2 {
        seen.old.fetch_add(1, Relaxed);
    }
    let path = request.uri().path().to_owned();
    let (word, number) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
    let number: usize = number.parse().unwrap_or(0);
    let body = match word {
        "slow" => {
            sleep(Duration::from_millis(number as u64)).await;
            Bytes::from(path)
        }
        "large" => Bytes::from(vec![b'x'; number]),
        "host" => Bytes::from(request.uri().authority().unwrap().to_string()),
        _ => Bytes::from(path),
    };
    drop(counted);
    Ok(Response::new(Full::new(body)))
}
