//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! A connection is a state machine that someone must poll. Usually that is a task of its own, and every request
//! crosses from task to task and back; here the caller polls it together with its response, so a call stays
//! in one task and dropping it closes the connection, which is what cancels a modern call.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    chain,
    dial::{Dialed, Stream},
    guard::Slot,
    quick::Rest,
    tally::{Opened, Why},
    terms::Origin,
};

/// The most that is read of a connection at a time, and the longest head of an answer. Two such reads may come together
/// as one piece. Of an answer that its client reads slowly three pieces wait in memory: one that was read, one that is
/// handed over, and one on its way through.
const READ_BUFFER: usize = 64 << 10;

type Machine = Connection<TokioIo<Stream>, Full<Bytes>>;

/// The connection.
#[derive(Debug)]
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    machine: Option<Pin<Box<Machine>>>,
    rest: Arc<Rest>,
    opened: Opened,
    /// It is replaced then.
    pub(super) until: Instant,
}

/// Why a request over a connection has no answer.
pub(super) enum Unheard {
    /// It was not sent; here it is.
    Unsent(Box<Request<Full<Bytes>>>, String),
    /// The connection ended after it was sent, or while it was.
    Lost(String),
}

impl Line {
    /// Takes a stream that has just been opened.
    pub(super) async fn new(dialed: Dialed, until: Instant, opened: Opened) -> Result<Self, String> {
        let mut builder = Builder::new();
        builder.max_buf_size(READ_BUFFER);
        let (sender, machine) = builder.handshake(TokioIo::new(dialed.stream)).await.map_err(|error| chain(&error))?;
        Ok(Self { sender, machine: Some(Box::pin(machine)), rest: dialed.rest, opened, until })
    }

    /// Looks whether the other side has closed; `waker` is told if it does later.
    pub(super) fn is_good(&mut self, waker: &Waker) -> bool {
        self.turn(&mut Context::from_waker(waker));
        self.machine.is_some() && self.sender.is_ready()
    }

    /// The same, of a connection that has rested: the kernel is asked. Nobody is told later.
    pub(super) fn is_still_good(&mut self) -> bool {
        self.rest.doubt();
        self.is_good(Waker::noop())
    }

    /// Closes it for this reason.
    pub(super) fn close(mut self, why: Why) {
        self.opened.why = why;
    }

    /// True if it may be used again; `waker` is told if the other side closes it.
    pub(super) fn rests(&mut self, waker: &Waker) -> bool {
        self.opened.why = Why::Broken;
        let good = self.is_good(waker);
        if good {
            self.opened.why = Why::Idle;
        }
        good
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unheard> {
        self.opened.why = Why::Cancelled;
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
            self.opened.why = Why::Broken;
            let unsent = error.take_message();
            let why = chain(&error.into_error());
            match unsent {
                Some(request) => Unheard::Unsent(Box::new(request), why),
                None => Unheard::Lost(why),
            }
        })
    }

    /// Polls a body together with the connection that brings it.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(found) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(found);
        }
        self.turn(cx);
        let polled = Pin::new(body).poll_frame(cx);
        if polled.is_pending() && self.rest.is_wanted() {
            self.turn(cx);
        }
        polled
    }

    /// Lets the connection go on; a finished one is put away.
    fn turn(&mut self, cx: &mut Context<'_>) {
        turn(&mut self.machine, cx);
    }
}

fn turn(machine: &mut Option<Pin<Box<Machine>>>, cx: &mut Context<'_>) {
    if let Some(running) = machine
        && running.as_mut().poll(cx).is_ready()
    {
        *machine = None;
    }
}

/// The request as HTTP/1.1 sends it to a server itself: path and query, and whom it is for.
pub(super) fn origin_form(request: &mut Request<Full<Bytes>>, origin: &Origin) {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    request.headers_mut().entry(header::HOST).or_insert_with(|| origin.name.clone());
}

/// True if the other side closes the connection after this answer.
pub(super) fn is_last(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok());
    said.is_some_and(|said| said.split(',').any(|word| word.trim().eq_ignore_ascii_case("close")))
}

/// The body of a response, with the connection it comes over.
#[derive(Debug)]
pub(super) struct Coming {
    body: Incoming,
    used: Option<(Line, Slot)>,
    last: bool,
}

impl Coming {
    /// A body that comes over this connection; `last` if the connection ends with it.
    pub(super) fn new(body: Incoming, line: Line, slot: Slot, last: bool) -> Self {
        Self { body, used: Some((line, slot)), last }
    }

    /// The next piece.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            let Some((line, _)) = &mut self.used else {
                return Poll::Ready(None);
            };
            match line.poll_body(cx, &mut self.body) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    line.opened.why = Why::Broken;
                    self.used = None;
                    return Poll::Ready(Some(Err(chain(&error))));
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
        self.used.is_none() || self.body.is_end_stream()
    }

    /// Gives the connection back after the last piece.
    fn rest(&mut self) {
        if let Some((line, slot)) = self.used.take() {
            if self.last {
                line.close(Why::Asked);
            } else {
                slot.rest(line);
            }
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
