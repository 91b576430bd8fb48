//! From a [`Reply`] to HTTP: one JSON body where that is possible, else an event stream.
//!
//! A flow whose first item is its end becomes plain JSON, however large: event streams are for notes and
//! questions on the way, and some clients refuse events over 1 MiB. The wait for the first item happens
//! inside the request's future, so a client that goes away drops the flow and cancels the call.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use omnimind_wire::sse;
use tokio::sync::watch;

use super::{encoding, listen::Entrance, refuse};
use crate::{
    config::Edge,
    reply::{Outflow, Outgoing, Reply, Shape, Whole},
};

/// A response body: known whole, or made as it goes.
pub(crate) enum Body {
    /// All there is.
    Whole(Option<Bytes>),
    /// Event by event; each is flushed as it comes.
    Events(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => {
                events.as_mut().poll_next(context).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Events(_) => SizeHint::default(),
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
}

impl Accepts {
    /// Reads `Accept` and `Accept-Encoding`; a client that sends no `Accept` reads anything.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let zstd = encoding::accepts_zstd(headers);
        let mut accepts = Self { json: false, stream: false, zstd };
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
        if any { accepts } else { Self { json: true, stream: true, zstd } }
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
            if let Outgoing::End { status, body } = item {
                return json(Whole::plain(status, headers, body), accepts);
            }
        }
        return status_only(StatusCode::ACCEPTED);
    }
    // A silent call turns into a stream when a keep-alive is due, so that nothing between takes it for dead.
    match tokio::time::timeout(pace.keepalive, flow.next()).await {
        Ok(Some(Outgoing::End { status, body })) if accepts.json => json(Whole::plain(status, headers, body), accepts),
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
        encoding::declare(response.headers_mut());
    }
    response.headers_mut().extend(whole.headers);
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
    let mut response = Response::new(Body::Events(Box::pin(event_bytes(first, flow, pace, endless))));
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
) -> impl Stream<Item = Bytes> + Send {
    async_stream::stream! {
        // A stream that opens in silence says so at once: clients wait for its head.
        let mut ended = matches!(first, Some(Outgoing::End { .. }));
        yield first.map_or_else(sse::keepalive, |item| event(&item));
        while !ended {
            let next = tokio::select! {
                next = tokio::time::timeout(pace.keepalive, flow.next()) => next,
                _ = pace.closing.wait_for(|closing| *closing), if endless => break,
            };
            match next {
                Ok(Some(item)) => {
                    ended = matches!(item, Outgoing::End { .. });
                    yield event(&item);
                }
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
    }
}
