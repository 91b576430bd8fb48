//! From a [`Reply`] to HTTP: one JSON body where that is possible, else an event stream.
//!
//! A flow whose first item is its end becomes plain JSON, however large: event streams are for notes and
//! questions on the way, and some clients refuse events over 1 MiB. The wait for the first item happens
//! inside the request's future, so a client that goes away drops the flow and cancels the call.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use omnimind_wire::{message, sse};
use tokio::sync::watch;

use super::{
    data::{Around, Data},
    encoding::{self, Coding},
    listen::Entrance,
    refuse,
};
use crate::{
    config::Edge,
    relay::Kept,
    reply::{Long, Outflow, Outgoing, Pieces, Reply, Shape, Whole, answered},
};

/// A kept result that is so long is not copied into its message.
const APART: usize = 1 << 10;
/// A connection does not hold room for more header fields than that from one request to the next.
const MOST_ROOM: usize = 32;

/// A response body: known whole, or made as it goes.
pub(crate) enum Body {
    /// All there is.
    Whole(Option<Bytes>),
    /// All there is, around a result that is not copied.
    Around(Option<Around>),
    /// One text, piece by piece.
    Pieces(Pieces),
    /// Event by event; each is flushed as it comes.
    Events(Pieces),
    /// Events as long as the client stays.
    Endless(Pieces),
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Data;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Data>>>> {
        let data = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(Data::Bytes),
            Self::Around(around) => around.take().map(Data::Around),
            Self::Pieces(pieces) | Self::Events(pieces) | Self::Endless(pieces) => {
                let next = pieces.as_mut().poll_next(context);
                return next.map(|next| next.map(|piece| piece.map(|piece| Frame::data(Data::Bytes(piece)))));
            }
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Around(around) => around.is_none(),
            Self::Pieces(_) | Self::Events(_) | Self::Endless(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Around(around) => SizeHint::with_exact(around.as_ref().map_or(0, |around| around.remaining() as u64)),
            Self::Pieces(_) | Self::Events(_) | Self::Endless(_) => SizeHint::default(),
        }
    }
}

/// What a client says it can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepts {
    /// `application/json`.
    pub(crate) json: bool,
    /// `text/event-stream`.
    pub(crate) stream: bool,
    /// A body as a zstd frame.
    pub(crate) zstd: bool,
    /// The coding of ours it likes best.
    pub(crate) coding: Option<Coding>,
}

impl Accepts {
    /// Reads `Accept` and `Accept-Encoding`; a client that sends no `Accept` reads anything.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let zstd = encoding::accepts_zstd(headers);
        let coding = Coding::liked(headers);
        let mut accepts = Self { json: false, stream: false, zstd, coding };
        let mut any = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in value.to_str().unwrap_or("").split(',') {
                any = true;
                let kind = range.split(';').next().unwrap_or("").trim();
                let is = |name: &str| kind.eq_ignore_ascii_case(name);
                accepts.json |= is("application/json") || is("application/*") || is("*/*");
                accepts.stream |= is("text/event-stream") || is("text/*") || is("*/*");
            }
        }
        if any { accepts } else { Self { json: true, stream: true, zstd, coding } }
    }
}

/// How event streams behave while nothing happens.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    keepalive: Duration,
    closing: watch::Receiver<bool>,
}

impl Pace {
    pub(crate) fn of(entrance: &Entrance, edge: &Edge) -> Self {
        Self { keepalive: Duration::from_millis(edge.keepalive_ms.max(100)), closing: entrance.closing() }
    }
}

/// Renders a handler's answer; only what may become a stream needs a pace.
pub(crate) async fn render(reply: Reply, accepts: Accepts, pace: impl FnOnce() -> Pace) -> Response<Body> {
    match reply {
        Reply::Accepted => status_only(StatusCode::ACCEPTED),
        Reply::Refused { refusal, id } => refuse::render(&refusal, &id),
        Reply::Whole(whole) => json(whole, accepts),
        Reply::Flow { flow, headers, shape } => Box::pin(render_flow(flow, headers, shape, accepts, pace())).await,
    }
}

async fn render_flow(
    mut flow: Outflow,
    headers: Vec<(HeaderName, HeaderValue)>,
    shape: Shape,
    accepts: Accepts,
    pace: Pace,
) -> Response<Body> {
    if shape != Shape::Call {
        return events(None, flow, headers, pace, shape == Shape::Endless);
    }
    if !accepts.stream {
        // Notes have nowhere to go; the answer has.
        while let Some(item) = flow.next().await {
            match item {
                Outgoing::End { status, retry_after, body } => {
                    return json(answered(status, retry_after, headers, body), accepts);
                }
                Outgoing::Long(long) => return long_json(long, flow, headers),
                Outgoing::Message(_) | Outgoing::Event { .. } => {}
            }
        }
        return status_only(StatusCode::ACCEPTED);
    }
    // A silent call turns into a stream when a keep-alive is due, so that nothing between takes it for dead.
    match tokio::time::timeout(pace.keepalive, flow.next()).await {
        Ok(Some(Outgoing::End { status, retry_after, body })) if accepts.json => {
            json(answered(status, retry_after, headers, body), accepts)
        }
        Ok(Some(Outgoing::Long(long))) if accepts.json => long_json(long, flow, headers),
        Ok(Some(first)) => events(Some(first), flow, headers, pace, false),
        Ok(None) => status_only(StatusCode::ACCEPTED),
        Err(_) => events(None, flow, headers, pace, false),
    }
}

fn json(whole: Whole, accepts: Accepts) -> Response<Body> {
    let empty = whole.body.is_empty();
    let packed = if accepts.zstd { encoding::packed(&whole) } else { None };
    let is_packed = packed.is_some();
    let mut response = Response::new(Body::whole(packed.unwrap_or(whole.body)));
    *response.status_mut() = whole.status;
    if !empty {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if is_packed {
        encoding::declare(response.headers_mut(), Coding::Zstd);
    }
    if !whole.headers.is_empty() {
        response.headers_mut().extend(whole.headers);
    }
    response
}

/// One JSON body that is never held whole. What feeds it stays until its end.
fn long_json(long: Long, flow: Outflow, headers: Vec<(HeaderName, HeaderValue)>) -> Response<Body> {
    let pieces = long.0.map(move |piece| {
        let _flow = &flow;
        piece
    });
    let mut response = Response::new(Body::Pieces(Box::pin(pieces)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().extend(headers);
    response
}

/// Renders an answer as it is kept. `headers` are those of the request, to be emptied: the room that was made for them
/// is as good for the response, and for the next request of the connection.
pub(crate) fn kept(kept: Kept<'_>, accepts: Accepts, edge: &Edge, mut headers: HeaderMap) -> Response<Body> {
    let Kept { id, result, .. } = kept;
    headers.clear();
    if headers.capacity() > MOST_ROOM {
        headers = HeaderMap::new();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = if result.len() < APART || accepts.coding.is_some() {
        Body::whole(message::result(id, &result))
    } else {
        Body::Around(Some(Around { open: message::result_open(id), result, end: message::RESULT_END }))
    };
    // What is packed for nobody needs no look at what it is: it is JSON, and not packed yet.
    let is_packable = encoding::is_worth_it(edge, body.size_hint().lower());
    if is_packable {
        encoding::depends_on_client(&mut headers);
    }
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    if is_packable && accepts.coding.is_some() {
        return encoding::apply(accepts.coding, edge, response);
    }
    response
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = status;
    response
}

/// A short answer for people and probes.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn events(
    first: Option<Outgoing>,
    flow: Outflow,
    headers: Vec<(HeaderName, HeaderValue)>,
    pace: Pace,
    endless: bool,
) -> Response<Body> {
    let pieces = Box::pin(event_bytes(first, flow, pace, endless));
    let mut response = Response::new(if endless { Body::Endless(pieces) } else { Body::Events(pieces) });
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    fields.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    fields.extend(headers);
    response
}

/// The bytes of an event stream: the first item, the rest as they come, a comment when nothing does.
fn event_bytes(
    first: Option<Outgoing>,
    mut flow: Outflow,
    mut pace: Pace,
    endless: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    async_stream::try_stream! {
        // A stream that opens in silence says so at once: clients wait for its head.
        if first.is_none() {
            yield sse::keepalive();
        }
        let mut next = first;
        loop {
            match next.take() {
                Some(Outgoing::Long(Long(mut pieces))) => {
                    yield sse::long_event();
                    while let Some(piece) = pieces.next().await {
                        yield piece?;
                    }
                    yield sse::end_of_long_event();
                    break;
                }
                Some(item) => {
                    yield event(&item);
                    if matches!(item, Outgoing::End { .. }) {
                        break;
                    }
                }
                None => {}
            }
            let heard = tokio::select! {
                heard = tokio::time::timeout(pace.keepalive, flow.next()) => heard,
                _ = pace.closing.wait_for(|closing| *closing), if endless => break,
            };
            match heard {
                Ok(Some(item)) => next = Some(item),
                Ok(None) => break,
                Err(_silence) => yield sse::keepalive(),
            }
        }
    }
}

fn event(item: &Outgoing) -> Bytes {
    match item {
        Outgoing::Event { id: Some(id), retry_ms, data } if data.is_empty() => sse::priming(id, *retry_ms),
        Outgoing::Event { id: Some(id), data, .. } => sse::event_with_id(id, data),
        Outgoing::Message(data) | Outgoing::End { body: data, .. } | Outgoing::Event { id: None, data, .. } => {
            sse::event(data)
        }
        // Sent piece by piece.
        Outgoing::Long(_) => Bytes::new(),
    }
}
