//! Requests to a server over http or https, and the bodies that come back.
//!
//! Plain connections are [`Plain`]'s. TLS ones are kept by hyper-util's client, which also speaks HTTP/2 where
//! the server offers it; with the system's certificates it is made when first needed, as most fleets never do.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::plain::{Coming, Plain};

/// How long an unused TLS connection is kept.
const KEEP: Duration = Duration::from_secs(4);
/// How long a TLS connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the end of a body that nobody needs is waited for, to keep the connection.
const TAIL: Duration = Duration::from_secs(1);

type Secure = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The request was never sent.
    Unsent(String),
    /// Nobody can say what became of it.
    Lost(String),
}

/// What all remote servers share.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Clients {
    secure: OnceLock<Secure>,
}

impl Clients {
    fn secure(&self) -> io::Result<&Secure> {
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        http.enforce_http(false);
        let https =
            HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_all_versions().wrap_connector(http);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEEP);
        Ok(self.secure.get_or_init(|| builder.build(https)))
    }
}

/// The way to one server.
#[derive(Debug)]
pub(super) enum Way {
    /// In the clear.
    Plain(Arc<Plain>),
    /// Over TLS.
    Secure(Arc<Clients>),
}

impl Way {
    /// The way to this address; none if it is neither http nor https.
    pub(super) fn to(url: &Uri, clients: &Arc<Clients>) -> Option<Self> {
        match url.scheme_str() {
            Some("http") => Plain::new(url).map(Self::Plain),
            Some("https") => Some(Self::Secure(Arc::clone(clients))),
            _ => None,
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Arriving>, Unanswered> {
        match self {
            Self::Plain(plain) => Ok(plain.send(request).await?.map(Arriving::Plain)),
            Self::Secure(clients) => {
                let client = clients.secure();
                let client =
                    client.map_err(|error| Unanswered::Unsent(format!("no certificates to trust: {error}")))?;
                let response = client.request(request).await.map_err(|error| {
                    let said = chain(&error);
                    if error.is_connect() { Unanswered::Unsent(said) } else { Unanswered::Lost(said) }
                })?;
                Ok(response.map(Arriving::Secure))
            }
        }
    }

    /// Closes connections that have rested too long.
    pub(super) fn sweep(&self) {
        if let Self::Plain(plain) = self {
            plain.sweep();
        }
    }
}

/// A body that is arriving.
#[derive(Debug)]
pub(super) enum Arriving {
    Plain(Coming),
    Secure(Incoming),
}

impl Arriving {
    /// The next piece.
    pub(super) async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        match self {
            Self::Plain(coming) => coming.piece().await.map(|piece| piece.map_err(|error| chain(&error))),
            Self::Secure(body) => {
                let frame = body.frame().await?;
                Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|error| chain(&error)))
            }
        }
    }

    /// Reads what little may be left of a body whose message has come, so that its connection can be used again.
    pub(super) fn let_end(mut self) {
        let ended = match &self {
            Self::Plain(coming) => coming.is_end(),
            Self::Secure(body) => body.is_end_stream(),
        };
        if !ended {
            let rest = async move { while let Some(Ok(_)) = self.piece().await {} };
            tokio::spawn(tokio::time::timeout(TAIL, rest));
        }
    }
}

/// An error with its causes, outermost first.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
