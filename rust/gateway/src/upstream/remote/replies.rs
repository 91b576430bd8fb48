//! What comes back over HTTP: one JSON message, or an event stream of them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use omnimind_wire::{Limits, Message, Reason, Refusal, RpcError, sse};

use super::client::Arriving;
use crate::upstream::{Failure, pipe::LINE_BYTES};

/// The largest body of an answer that is no success.
const ERROR_BYTES: usize = 1 << 20;
/// Waits longer than this between two connections are not believed.
const LONGEST_RETRY_MS: u64 = 60_000;

/// Messages of one response, as they come.
#[derive(Debug)]
pub(super) struct Replies {
    body: Option<Arriving>,
    kind: Kind,
    /// Id of the last event: where a resumable stream goes on.
    pub last_id: Option<String>,
    /// The reconnection time the server named.
    pub retry_ms: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Json,
    Events(sse::Parser, VecDeque<Bytes>),
    Empty,
}

/// One step of a response.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a step is taken apart at once, never kept")]
pub(super) enum Step {
    /// A message.
    Message(Message),
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
        Self { body: Some(response.into_body()), kind, last_id: None, retry_ms: None }
    }

    /// True for an event stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Events(..))
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Step {
        match &self.kind {
            Kind::Empty => Step::Over,
            Kind::Json => self.whole().await,
            Kind::Events(..) => self.event().await,
        }
    }

    /// The message that was waited for has come: what is left of the body does not matter.
    pub(super) fn done(&mut self) {
        if let Some(body) = self.body.take() {
            body.let_end();
        }
    }

    async fn whole(&mut self) -> Step {
        let Some(body) = self.body.take() else { return Step::Over };
        match collect(body, LINE_BYTES).await {
            Ok(text) => message(text),
            Err(why) => Step::Broken(why),
        }
    }

    async fn event(&mut self) -> Step {
        loop {
            let Kind::Events(parser, ready) = &mut self.kind else { return Step::Over };
            if let Some(text) = ready.pop_front() {
                return message(text);
            }
            let Some(body) = &mut self.body else { return Step::Over };
            let piece = match body.piece().await {
                None => {
                    self.body = None;
                    return Step::Over;
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Step::Broken(error);
                }
                Some(Ok(piece)) => piece,
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
        }
    }
}

fn message(text: Bytes) -> Step {
    match Message::parse(text, &Limits { max_depth: Limits::DEEPEST }) {
        Ok(message) => Step::Message(message),
        Err(malformed) => Step::Broken(format!("it is not a valid message: {malformed}")),
    }
}

async fn collect(mut body: Arriving, most: usize) -> Result<Bytes, String> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(piece) = body.piece().await {
        let piece = piece?;
        if first.len() + rest.len() + piece.len() > most {
            return Err(format!("it is longer than {most} bytes"));
        }
        if first.is_empty() && rest.is_empty() {
            first = piece;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&piece);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
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
