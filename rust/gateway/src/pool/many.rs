//! One HTTP/2 connection, shared by many calls.
//!
//! A task drives it. While calls are on it, it is asked for a sign of life (PING): a connection that has died
//! without a word would otherwise be given to call after call. What a slow reader has not read yet is bounded by the
//! window of its stream; the window of the connection is that of all its streams together, so that nobody waits for
//! another's reader.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use h2::{
    Ping, PingPong, RecvStream,
    client::{Builder, Connection, SendRequest},
};
use http::{Method, Request, Response, Uri, Version, header, uri};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::{
    chain,
    dial::{Dialed, Stream},
    guard::Hold,
    room::Room,
    tally::{Opened, Why},
    terms::Origin,
};

/// Most calls on one connection, whatever the other side allows.
pub(super) const STREAMS: usize = 100;
/// What may have arrived of one answer without having been read.
const STREAM_WINDOW: u32 = 128 << 10;
/// The same, of all answers of a connection.
const WINDOW: u32 = STREAM_WINDOW * 101;
/// Calls on a connection whose other side has not yet said how many it takes.
const UNTOLD: usize = 1;
/// It is to say so within this.
const GREETING: Duration = Duration::from_secs(1);

/// The connection.
#[derive(Debug)]
pub(super) struct Many {
    /// Tells it apart.
    pub(super) id: u64,
    /// It is replaced then.
    pub(super) until: Instant,
    /// Calls on it. Changed only under the lock of the room.
    pub(super) busy: Arc<AtomicUsize>,
    sender: SendRequest<Bytes>,
    closing: Arc<Mutex<Why>>,
    served: AtomicBool,
}

/// Why a request over a connection has no answer.
pub(super) enum Unheard {
    /// The other side did not begin with it.
    Unsent(String),
    /// Nobody can say what became of it.
    Lost(String),
}

impl Many {
    /// Takes a stream that has just been opened.
    pub(super) async fn new(
        dialed: Dialed,
        until: Instant,
        opened: Opened,
        id: u64,
        room: &Arc<Room>,
    ) -> Result<Self, String> {
        let mut builder = Builder::new();
        builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(WINDOW).enable_push(false);
        builder.initial_max_send_streams(UNTOLD);
        let (sender, mut connection) = builder.handshake(dialed.stream).await.map_err(|error| chain(&error))?;
        greeted(&mut connection).await?;
        let (busy, closing) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(Why::Peer)));
        let ping = connection.ping_pong();
        let (on_it, why) = (Arc::clone(&busy), Arc::clone(&closing));
        let (room, sign) = (Arc::downgrade(room), room.terms.sign);
        let mut opened = opened;
        tokio::spawn(async move {
            let broken = tokio::select! {
                ended = &mut connection => ended.is_err(),
                () = silence(ping, &on_it, sign) => true,
            };
            // Ends what is on it before anyone hears that it has gone.
            drop(connection);
            opened.why = if broken { Why::Broken } else { *why.lock() };
            drop(opened);
            if let Some(room) = room.upgrade() {
                room.gone(id);
            }
        });
        Ok(Self { id, until, busy, sender, closing, served: AtomicBool::new(false) })
    }

    /// How many calls it takes at once.
    pub(super) fn room(&self) -> usize {
        self.sender.current_max_send_streams().min(STREAMS)
    }

    /// False once the other side takes no more calls on it.
    pub(super) fn is_good(&self) -> bool {
        let polled = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(polled, Poll::Ready(Err(_)))
    }

    /// True once it has given an answer.
    pub(super) fn has_served(&self) -> bool {
        self.served.load(Relaxed)
    }

    /// Notes why it is let go.
    pub(super) fn closes(&self, why: Why) {
        *self.closing.lock() = why;
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, request: Request<()>, body: Bytes) -> Result<Response<RecvStream>, Unheard> {
        let mut sender = self.sender.clone();
        let unsent = |error: h2::Error| Unheard::Unsent(chain(&error));
        poll_fn(|cx| sender.poll_ready(cx)).await.map_err(unsent)?;
        let whole = body.is_empty();
        let (answer, mut stream) = sender.send_request(request, whole).map_err(unsent)?;
        // A stream can have ended before its body is handed over: answered early, or refused. Its answer says which.
        let cut = if whole { None } else { stream.send_data(body, true).err() };
        let answered = match cut {
            None => answer.await,
            Some(error) => answer.now_or_never().unwrap_or(Err(error)),
        };
        let answered = answered.map_err(|error| judge(&error))?;
        self.served.store(true, Relaxed);
        Ok(answered)
    }
}

/// Waits for the other side's settings, so that no call waits on a connection that is full while there are others.
async fn greeted(connection: &mut Connection<Stream, Bytes>) -> Result<(), String> {
    let told = poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            let why = ended.err().map_or_else(|| "it was closed at once".to_owned(), |error| chain(&error));
            return Poll::Ready(Err(format!("HTTP/2 is not spoken: {why}")));
        }
        if connection.max_concurrent_send_streams() == UNTOLD { Poll::Pending } else { Poll::Ready(Ok(())) }
    });
    timeout(GREETING, told).await.unwrap_or(Ok(()))
}

/// A stream that the other side refused, or had not begun with when it went away, was never worked on.
fn judge(error: &h2::Error) -> Unheard {
    let said = chain(error);
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && (refused || error.is_go_away()) { Unheard::Unsent(said) } else { Unheard::Lost(said) }
}

/// Comes to an end when calls are on a connection that gives no sign of life.
async fn silence(ping: Option<PingPong>, busy: &AtomicUsize, sign: Duration) {
    let Some(mut ping) = ping else {
        return std::future::pending().await;
    };
    loop {
        sleep(sign).await;
        if busy.load(Relaxed) > 0 && !matches!(timeout(sign, ping.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}

/// A request as HTTP/2 has it: whole address, its length, and nothing about the connection.
pub(super) fn whole_form(request: &Request<Full<Bytes>>, origin: &Origin) -> (Request<()>, Bytes) {
    let body = request.body().clone().into_inner().unwrap_or_default();
    let mut headers = request.headers().clone();
    for name in [header::CONNECTION, header::TE, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    let name = headers.remove(header::HOST).unwrap_or_else(|| origin.name.clone());
    if !body.is_empty() || *request.method() == Method::POST {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if origin.secure { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    parts.authority = name.to_str().ok().and_then(|name| name.parse().ok());
    parts.path_and_query =
        Some(request.uri().path_and_query().cloned().unwrap_or_else(|| uri::PathAndQuery::from_static("/")));
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| request.uri().clone());
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    (head, body)
}

/// The body of an answer, with the place on its connection. Dropping it before its end resets the stream.
#[derive(Debug)]
pub(super) struct Flowing {
    pub(super) body: RecvStream,
    pub(super) hold: Option<Hold>,
}

impl Flowing {
    /// The next piece.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        let polled = self.body.poll_data(cx);
        Poll::Ready(match std::task::ready!(polled) {
            Some(Ok(piece)) => {
                // Who has read makes room; a stream that has ended needs none.
                let _ = self.body.flow_control().release_capacity(piece.len());
                Some(Ok(piece))
            }
            Some(Err(error)) => {
                self.hold = None;
                Some(Err(chain(&error)))
            }
            None => {
                self.hold = None;
                None
            }
        })
    }
}
