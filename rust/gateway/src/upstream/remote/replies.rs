//! What comes back over HTTP: one JSON message, or an event stream of them.

use std::collections::VecDeque;

use async_stream::try_stream;
use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use omnimind_wire::{
    Limits, Message, Reason, Refusal, RpcError,
    sse::{self, LongData},
};

use crate::{
    pool::Arriving,
    upstream::{
        Failure,
        long::{self, Pieces},
        pipe::LINE_BYTES,
    },
};

/// The largest body of an answer that is no success.
const ERROR_BYTES: usize = 1 << 20;
/// An event that has so much data is gathered in pieces.
const EARLY_BYTES: usize = 64 << 10;
/// Smaller pieces are put together, to at least so much.
const SMALL_BYTES: usize = 4 << 10;
const TOGETHER_BYTES: usize = 64 << 10;
/// Waits longer than this between two connections are not believed.
const LONGEST_RETRY_MS: u64 = 60_000;

/// Messages of one response, as they come.
#[derive(Debug)]
pub(super) struct Replies {
    body: Option<Arriving>,
    kind: Kind,
    /// A long answer is given out piece by piece.
    may_be_long: bool,
    /// Id of the last event: where a resumable stream goes on.
    pub last_id: Option<String>,
    /// The reconnection time the server named.
    pub retry_ms: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Json,
    Events(sse::Parser, VecDeque<Bytes>),
    /// One large event that is an answer; nothing after it matters.
    Long(Gathered, LongData),
    Empty,
}

/// One step of a response.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a step is taken apart at once, never kept")]
pub(super) enum Step {
    /// A message.
    Message(Message),
    /// An answer that is too long to be held.
    Long(Pieces),
    /// The body has ended.
    Over,
    /// The body broke off, or is not what it says.
    Broken(String),
}

impl Replies {
    /// Reads the messages of a successful response.
    pub(super) fn new(response: Response<Arriving>) -> Self {
        let said = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let is = |kind: &[u8]| said.get(..kind.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(kind));
        let kind = if is(b"text/event-stream") {
            Kind::Events(sse::Parser::new(LINE_BYTES), VecDeque::new())
        } else if is(b"application/json") {
            Kind::Json
        } else {
            Kind::Empty
        };
        Self { body: Some(response.into_body()), kind, may_be_long: false, last_id: None, retry_ms: None }
    }

    /// Gives a long answer out piece by piece, if this method's may be passed on so.
    pub(super) fn pass_on(mut self, method: &str) -> Self {
        self.may_be_long = long::may_be(method);
        self
    }

    /// True for an event stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Events(..) | Kind::Long(..))
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Step {
        match &self.kind {
            Kind::Empty => Step::Over,
            Kind::Json => self.whole().await,
            Kind::Events(..) => self.event().await,
            Kind::Long(..) => self.long_event().await,
        }
    }

    /// The message that was waited for has come: what is left of the body does not matter.
    pub(super) fn done(&mut self) {
        if let Some(body) = self.body.take() {
            body.let_end();
        }
    }

    async fn whole(&mut self) -> Step {
        let Some(mut body) = self.body.take() else { return Step::Over };
        let mut text = Gathered::default();
        let mut most = if self.may_be_long { long::FROM_BYTES } else { LINE_BYTES };
        loop {
            match text.gather(&mut body, most).await {
                Ok(Gather::Whole) => return message(text.join()),
                Ok(Gather::More) if most == LINE_BYTES => return Step::Broken(too_long(LINE_BYTES)),
                Ok(Gather::More) if long::begins(text.slices()) => {
                    return Step::Long(rest_of_body(text.take(), body));
                }
                Ok(Gather::More) => most = LINE_BYTES,
                Err(why) => return Step::Broken(why),
            }
        }
    }

    async fn event(&mut self) -> Step {
        loop {
            let Kind::Events(parser, ready) = &mut self.kind else { return Step::Over };
            if let Some(text) = ready.pop_front() {
                return message(text);
            }
            let piece = match piece(&mut self.body).await {
                Ok(piece) => piece,
                Err(step) => return step,
            };
            match parser.push(&piece) {
                Err(error) => {
                    self.body = None;
                    return Step::Broken(error.to_string());
                }
                Ok(events) => {
                    for event in events {
                        self.last_id = event.id.or(self.last_id.take());
                        self.retry_ms = event.retry.map(|ms| ms.min(LONGEST_RETRY_MS)).or(self.retry_ms);
                        if !event.data.trim_ascii().is_empty() {
                            ready.push_back(event.data);
                        }
                    }
                }
            }
            if ready.is_empty() && self.may_be_long && parser.is_long(EARLY_BYTES) {
                // Looked at once: what is no answer is read on as ever.
                self.may_be_long = false;
                if let Some((begun, rest)) = parser.give_long(|begun| long::begins([begun])) {
                    self.kind = Kind::Long(Gathered::of(begun), rest);
                    return self.long_event().await;
                }
            }
        }
    }

    /// An answer that is one large event: gathered in pieces, whether it turns out to be long or not.
    async fn long_event(&mut self) -> Step {
        loop {
            if matches!(&self.kind, Kind::Long(text, _) if text.length > long::FROM_BYTES)
                && let Some(body) = self.body.take()
                && let Kind::Long(text, rest) = std::mem::replace(&mut self.kind, Kind::Empty)
            {
                return Step::Long(rest_of_event(text.take(), rest, body));
            }
            let Kind::Long(text, rest) = &mut self.kind else { return Step::Over };
            let piece = match piece(&mut self.body).await {
                Ok(piece) => piece,
                Err(step) => return step,
            };
            let mut data = Vec::new();
            let over = rest.push(&piece, &mut data);
            text.push(data.into());
            if over {
                let text = std::mem::take(text).join();
                self.kind = Kind::Empty;
                return message(text);
            }
        }
    }
}

/// The next piece of a body, or what its end comes to.
async fn piece(body: &mut Option<Arriving>) -> Result<Bytes, Step> {
    let Some(arriving) = body else { return Err(Step::Over) };
    let Some(piece) = arriving.piece().await else {
        *body = None;
        return Err(Step::Over);
    };
    piece.map_err(|error| {
        *body = None;
        Step::Broken(error)
    })
}

fn message(text: Bytes) -> Step {
    match Message::parse(text, &Limits { max_depth: Limits::DEEPEST }) {
        Ok(message) => Step::Message(message),
        Err(malformed) => Step::Broken(format!("it is not a valid message: {malformed}")),
    }
}

/// A text so far, in the pieces that came: nothing is copied before it is known to be needed in one.
#[derive(Debug, Default)]
struct Gathered {
    pieces: Vec<Bytes>,
    /// Small pieces, together.
    small: BytesMut,
    length: usize,
}

/// How gathering ended.
enum Gather {
    /// The body has.
    Whole,
    /// There is more than was asked for.
    More,
}

impl Gathered {
    fn of(begun: Bytes) -> Self {
        let mut text = Self::default();
        text.push(begun);
        text
    }

    /// Reads on until the body ends, or is longer than so many bytes.
    async fn gather(&mut self, body: &mut Arriving, most: usize) -> Result<Gather, String> {
        while self.length <= most {
            match body.piece().await {
                Some(piece) => self.push(piece?),
                None => return Ok(Gather::Whole),
            }
        }
        Ok(Gather::More)
    }

    fn push(&mut self, piece: Bytes) {
        let alone = self.length == 0 || piece.len() >= SMALL_BYTES;
        self.length += piece.len();
        if !alone {
            self.small.extend_from_slice(&piece);
        }
        if alone || self.small.len() >= TOGETHER_BYTES {
            self.settle();
        }
        if alone {
            self.pieces.push(piece);
        }
    }

    /// What came before a piece stands before it.
    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(self.small.split().freeze());
        }
    }

    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &piece[..]).chain([&self.small[..]])
    }

    fn take(mut self) -> Vec<Bytes> {
        self.settle();
        self.pieces
    }

    fn join(self) -> Bytes {
        let length = self.length;
        let mut pieces = self.take();
        if pieces.len() > 1 {
            let mut text = BytesMut::with_capacity(length);
            pieces.drain(..).for_each(|piece| text.extend_from_slice(&piece));
            return text.freeze();
        }
        pieces.pop().unwrap_or_default()
    }
}

fn too_long(most: usize) -> String {
    format!("it is longer than {most} bytes")
}

async fn collect(mut body: Arriving, most: usize) -> Result<Bytes, String> {
    let mut text = Gathered::default();
    match text.gather(&mut body, most).await? {
        Gather::Whole => Ok(text.join()),
        Gather::More => Err(too_long(most)),
    }
}

/// A message that is a body: what was read of it, then the rest as somebody takes it.
fn rest_of_body(begun: Vec<Bytes>, body: Arriving) -> Pieces {
    Pieces::new(try_stream! {
        let mut body = body;
        for piece in begun {
            yield piece;
        }
        while let Some(piece) = body.piece().await {
            yield piece?;
        }
    })
}

/// A message that is the data of an event.
fn rest_of_event(begun: Vec<Bytes>, rest: LongData, body: Arriving) -> Pieces {
    Pieces::new(try_stream! {
        let (mut rest, mut body, mut over) = (rest, body, false);
        for piece in begun {
            yield piece;
        }
        while !over {
            let Some(piece) = body.piece().await else { Err("the stream ended inside an event".to_owned())? };
            let mut data = Vec::new();
            over = rest.push(&piece?, &mut data);
            yield data.into();
        }
        body.let_end();
    })
}

/// What a response that is no success means: the server's own error, if its body holds one, else a refusal.
pub(super) async fn failure(server: &str, response: Response<Arriving>) -> Failure {
    let status = response.status();
    let wait =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let body = collect(response.into_body(), ERROR_BYTES).await.unwrap_or_default();
    if status == StatusCode::UNAUTHORIZED {
        let detail = format!(
            "{server} answered 401: the remote server demands authorization; give it a token under \"headers\" in its \
             configuration, as \"Authorization\": \"Bearer ${{env:TOKEN}}\""
        );
        return refused(Refusal::new(Reason::ServerUnavailable, "server", detail).about(server));
    }
    if let Some(error) = error_of(body) {
        return Failure::Rpc(error);
    }
    if status == StatusCode::FORBIDDEN {
        let detail =
            format!("{server} answered 403: the token under \"headers\" in its configuration does not suffice");
        return refused(Refusal::new(Reason::ServerUnavailable, "server", detail).about(server));
    }
    let refusal =
        Refusal::new(Reason::ServerUnavailable, "server", format!("{server} answered HTTP {status}")).about(server);
    let waits = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
    refused(match wait {
        Some(seconds) if waits => refusal.retry_after(seconds.saturating_mul(1000)),
        _ => refusal,
    })
}

fn error_of(body: Bytes) -> Option<RpcError> {
    match Message::parse(body, &Limits { max_depth: Limits::DEEPEST }) {
        Ok(Message::Response(response)) => response.outcome.err(),
        _ => None,
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused(refusal)
}
