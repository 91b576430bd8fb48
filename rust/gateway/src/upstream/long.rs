//! An answer that is too long to be held: what has come of it, and what is still to come.
//!
//! The rule: an upstream is read only as fast as somebody takes the pieces. Whether it is an answer with a complete
//! result was seen in its beginning; everything after is checked by whoever passes it on (see
//! [`omnimind_wire::passing`]).

use std::{fmt, future, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use omnimind_wire::{
    Limits, Message,
    passing::{Passing, Plan},
};
use tokio::time::timeout;

use super::pipe::LINE_BYTES;

/// A message that is longer than this is not read whole, if it is an answer.
pub(super) const FROM_BYTES: usize = 1 << 20;
/// How much of a beginning is looked at together.
const LOOK: usize = 64 << 10;

/// Pieces of a message as they come; an error is the last.
pub(crate) struct Pieces(Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>);

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pieces").finish_non_exhaustive()
    }
}

impl Pieces {
    pub(super) fn new(pieces: impl Stream<Item = Result<Bytes, String>> + Send + 'static) -> Self {
        Self(Box::pin(pieces))
    }

    /// The next piece.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        self.0.next().await
    }
}

/// A long answer.
#[derive(Debug)]
pub struct Long {
    /// The number of the call it answers.
    pub(crate) number: u64,
    /// The message, from its first byte.
    pub(crate) pieces: Pieces,
}

impl Long {
    /// Reads it whole after all, for who cannot pass it on; gives the result.
    pub(super) async fn whole(mut self) -> Result<Bytes, String> {
        let mut text = Vec::new();
        while let Some(piece) = self.pieces.next().await {
            text.extend_from_slice(&piece?);
            if text.len() > LINE_BYTES {
                return Err(format!("it is longer than {LINE_BYTES} bytes"));
            }
        }
        result_of(text)
    }

    /// Reads it whole if it has no more than `most` bytes; `idle` is the longest silence between two pieces.
    pub(crate) async fn gather(mut self, most: usize, idle: Duration) -> Result<Gathered, String> {
        let mut text = Vec::new();
        loop {
            let piece = timeout(idle, self.pieces.next()).await;
            let piece = piece.map_err(|_| format!("the server said nothing for {} ms", idle.as_millis()))?;
            let Some(piece) = piece else { break };
            text.extend_from_slice(&piece?);
            if text.len() > most {
                let read = stream::once(future::ready(Ok(Bytes::from(text))));
                return Ok(Gathered::Longer(Self { pieces: Pieces::new(read.chain(self.pieces.0)), ..self }));
            }
        }
        result_of(text).map(Gathered::Whole)
    }
}

/// A long answer that was to be read whole.
#[derive(Debug)]
pub enum Gathered {
    /// Its result.
    Whole(Bytes),
    /// It is longer than that; this is all of it.
    Longer(Long),
}

fn result_of(text: Vec<u8>) -> Result<Bytes, String> {
    match Message::parse(text.into(), &Limits { max_depth: Limits::DEEPEST }) {
        Ok(Message::Response(response)) => response.outcome.map_err(|error| error.message),
        Ok(_) => Err("it is no answer".to_owned()),
        Err(malformed) => Err(malformed.to_string()),
    }
}

/// True for the methods whose results are passed on as they come. Others are read by the gateway itself.
pub(super) fn may_be(method: &str) -> bool {
    matches!(method, "tools/call" | "resources/read" | "prompts/get")
}

/// True if a message that begins so is an answer with a result that asks for nothing.
pub(super) fn begins<'a>(message: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut passing = Passing::new(Plan::new(b"0"));
    let mut out = Vec::new();
    let sound = message.into_iter().flat_map(|piece| piece.chunks(LOOK)).all(|piece| {
        out.clear();
        passing.push(piece, &mut out).is_ok()
    });
    sound && passing.has_result() && !passing.asks()
}
