//! Plain HTTP/1.1 connections, driven by whoever uses them.
//!
//! A connection is a state machine that someone must poll. Usually that is a task of its own, and every request
//! crosses from task to task and back; here the caller polls it together with its response, so a call stays
//! in one task and dropping it closes the connection, which is what cancels a modern call. Between calls a
//! connection rests in a list; it is looked at before it is used again, and closed before the usual servers
//! close it (uvicorn and Node do at 5 s), so that a request is not lost on one that is about to go.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{self, Connection, SendRequest},
};
use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{
    client::Unanswered,
    quick::{Quick, Rest},
};

/// How long an unused connection is kept.
const KEEP: Duration = Duration::from_secs(4);
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// Unused connections kept to one server.
const KEPT: usize = 256;

type Machine = Connection<Quick, Full<Bytes>>;

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Plain {
    host: String,
    port: u16,
    name: HeaderValue,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    line: Line,
    since: Instant,
}

#[derive(Debug)]
struct Line {
    sender: SendRequest<Full<Bytes>>,
    machine: Option<Pin<Box<Machine>>>,
    rest: Arc<Rest>,
}

/// The body of a response, with the connection it comes over.
#[derive(Debug)]
pub(super) struct Coming {
    body: Incoming,
    line: Option<Line>,
    plain: Arc<Plain>,
}

impl Plain {
    /// Connections to the authority of this address.
    pub(super) fn new(url: &Uri) -> Option<Arc<Self>> {
        let authority = url.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(80);
        let shown = authority.as_str().rsplit('@').next()?;
        let name = HeaderValue::from_str(shown).ok()?;
        Some(Arc::new(Self { host, port, name, idle: Mutex::default() }))
    }

    /// Sends a request and waits for the head of its response. Where a kept connection turns out to be closed
    /// before the request went out, another is taken.
    pub(super) async fn send(self: &Arc<Self>, request: Request<Full<Bytes>>) -> Result<Response<Coming>, Unanswered> {
        let mut request = origin_form(request, &self.name);
        loop {
            let kept = self.take();
            let fresh = kept.is_none();
            let mut line = match kept {
                Some(line) => line,
                None => self.open().await.map_err(|error| Unanswered::Unsent(error.to_string()))?,
            };
            match line.send(request).await {
                Ok(response) => {
                    let plain = Arc::clone(self);
                    return Ok(response.map(|body| Coming { body, line: Some(line), plain }));
                }
                Err((_, Some(unsent))) if !fresh => request = unsent,
                Err((why, Some(_))) => return Err(Unanswered::Unsent(why)),
                Err((why, None)) => return Err(Unanswered::Lost(why)),
            }
        }
    }

    /// Closes connections that have rested too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let old = {
            let mut idle = self.idle.lock();
            let fresh = idle.iter().position(|idle| now.duration_since(idle.since) < KEEP).unwrap_or(idle.len());
            idle.drain(..fresh).collect::<Vec<_>>()
        };
        drop(old);
    }

    /// The connection that was used last, if it is still good.
    fn take(&self) -> Option<Line> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            if idle.since.elapsed() < KEEP && idle.line.is_good() {
                return Some(idle.line);
            }
        }
    }

    fn put(&self, line: Line) {
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(Idle { line, since: Instant::now() });
        }
    }

    async fn open(&self) -> io::Result<Line> {
        let stream = timeout(CONNECT, TcpStream::connect((&*self.host, self.port))).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", CONNECT.as_secs()))
        })??;
        let stream = Quick::new(stream)?;
        let rest = stream.rest();
        let (sender, machine) = http1::handshake(stream).await.map_err(io::Error::other)?;
        Ok(Line { sender, machine: Some(Box::pin(machine)), rest })
    }
}

/// The request as HTTP/1.1 sends it to a server itself: path and query, and whom it is for.
fn origin_form(mut request: Request<Full<Bytes>>, name: &HeaderValue) -> Request<Full<Bytes>> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    request.headers_mut().entry(header::HOST).or_insert_with(|| name.clone());
    request
}

impl Line {
    /// Polls `wanted` together with the connection that brings it.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut wanted: impl FnMut(&mut SendRequest<Full<Bytes>>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Poll::Ready(found) = wanted(&mut self.sender, cx) {
            return Poll::Ready(found);
        }
        self.turn(cx);
        wanted(&mut self.sender, cx)
    }

    /// Lets the connection go on; a finished one is put away.
    fn turn(&mut self, cx: &mut Context<'_>) {
        turn(&mut self.machine, cx);
    }

    /// Hurries the rest of an answer of which a part is here.
    fn hurry(&mut self, cx: &mut Context<'_>) {
        if self.rest.is_wanted() {
            self.turn(cx);
        }
    }

    /// Looks whether the other side has closed.
    fn is_good(&mut self) -> bool {
        self.turn(&mut Context::from_waker(Waker::noop()));
        self.machine.is_some() && self.sender.is_ready()
    }

    /// Sends a request; one that did not go out is given back.
    #[allow(clippy::type_complexity, reason = "one use")]
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, (String, Option<Request<Full<Bytes>>>)> {
        let mut sent = pin!(self.sender.try_send_request(request));
        let (machine, rest) = (&mut self.machine, &self.rest);
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(done) = sent.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            turn(machine, cx);
            let polled = sent.as_mut().poll(cx);
            if polled.is_pending() && rest.is_wanted() {
                turn(machine, cx);
            }
            polled
        });
        outcome.await.map_err(|mut error| {
            let unsent = error.take_message();
            (super::client::chain(&error.into_error()), unsent)
        })
    }
}

fn turn(machine: &mut Option<Pin<Box<Machine>>>, cx: &mut Context<'_>) {
    if let Some(running) = machine
        && running.as_mut().poll(cx).is_ready()
    {
        *machine = None;
    }
}

impl Coming {
    /// The next piece of the body.
    pub(super) async fn piece(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            let body = &mut self.body;
            let Some(line) = &mut self.line else { return Poll::Ready(None) };
            match line.poll(cx, |_, cx| Pin::new(&mut *body).poll_frame(cx)) {
                Poll::Pending => {
                    line.hurry(cx);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.line = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.rest();
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// True once the body has been read to its end.
    pub(super) fn is_end(&self) -> bool {
        self.line.is_none() || self.body.is_end_stream()
    }

    /// Gives the connection back after the last piece.
    fn rest(&mut self) {
        if let Some(mut line) = self.line.take()
            && line.is_good()
        {
            self.plain.put(line);
        }
    }
}

impl Drop for Coming {
    /// What has not come to its end closes the connection.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.rest();
        }
    }
}
