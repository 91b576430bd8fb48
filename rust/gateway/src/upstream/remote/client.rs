//! HTTP connections, kept and shared by all servers.
//!
//! Plain and TLS connections have a client each; the TLS one, with the system's certificates, is made when
//! first needed, as most fleets never do. Idle connections are closed before the usual servers close them
//! (uvicorn and Node do at 5 s), so that a request is not lost on one that is about to go.

use std::{io, sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// How long an unused connection is kept.
const KEEP: Duration = Duration::from_millis(4_000);
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// Unused connections kept to one server.
const KEPT: usize = 256;

type Body = Full<Bytes>;

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The request was never sent.
    Unsent(String),
    /// Nobody can say what became of it.
    Lost(String),
}

/// The clients.
#[derive(Debug)]
pub(in crate::upstream) struct Clients {
    plain: Client<HttpConnector, Body>,
    secure: OnceLock<Client<HttpsConnector<HttpConnector>, Body>>,
}

impl Clients {
    /// Makes the plain client.
    pub(in crate::upstream) fn new() -> Self {
        Self { plain: builder().build(connector()), secure: OnceLock::new() }
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Unanswered> {
        let secure = request.uri().scheme_str() == Some("https");
        let sent = if secure {
            let client = self.secure().map_err(|error| Unanswered::Unsent(format!("no certificates to trust: {error}")))?;
            client.request(request).await
        } else {
            self.plain.request(request).await
        };
        sent.map_err(|error| {
            let said = chain(&error);
            if error.is_connect() { Unanswered::Unsent(said) } else { Unanswered::Lost(said) }
        })
    }

    fn secure(&self) -> io::Result<&Client<HttpsConnector<HttpConnector>, Body>> {
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let mut http = connector();
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_all_versions().wrap_connector(http);
        Ok(self.secure.get_or_init(|| builder().build(https)))
    }
}

fn connector() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    http
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEEP).pool_max_idle_per_host(KEPT);
    builder
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
