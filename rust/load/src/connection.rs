//! One keep-alive HTTP/1.1 connection of the generator: a request out, a whole answer in.

use std::time::Duration;

use bytes::BytesMut;
use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http1::{Head, Malformed, response_head, take_body};
use crate::message::Envelope;

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection could be made.
    Connect,
    /// The peer closed before it answered.
    Closed,
    /// Reading or writing failed.
    Reset,
    /// What came was no HTTP.
    Malformed(&'static str),
    /// Nothing came in time.
    Timeout,
}

impl Failure {
    /// The kind under which errors are counted.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Malformed(_) => "malformed",
            Self::Timeout => "timeout",
        }
    }
}

/// A whole answer.
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: BytesMut,
    /// Bytes beyond the answer: nobody asked for them.
    pub(crate) surplus: BytesMut,
}

impl Response {
    /// The JSON-RPC answers in the body: one, unless something is wrong.
    pub(crate) fn answers(&self) -> Vec<&[u8]> {
        if !self.head.events {
            return vec![&self.body];
        }
        let mut answers = Vec::new();
        let mut rest: &[u8] = &self.body;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if let Some(data) = line.strip_prefix(b"data:") {
                let data = data.trim_ascii();
                if Envelope::parse(data).is_some_and(|envelope| envelope.is_answer()) {
                    answers.push(data);
                }
            }
        }
        answers
    }
}

/// A connection, made when first needed and again after a failure.
pub(crate) struct Connection {
    authority: String,
    timeout: Duration,
    stream: Option<TcpStream>,
    bytes: BytesMut,
}

impl Connection {
    pub(crate) fn new(authority: &str, timeout: Duration) -> Self {
        Self { authority: authority.to_owned(), timeout, stream: None, bytes: BytesMut::with_capacity(8 * 1024) }
    }

    /// Sends one request and reads its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Response, Failure> {
        let outcome = tokio::time::timeout(self.timeout, self.send_and_read(request)).await;
        let outcome = outcome.unwrap_or(Err(Failure::Timeout));
        let reusable = outcome.as_ref().is_ok_and(|response| !response.head.close && response.surplus.is_empty());
        if !reusable {
            self.stream = None;
            self.bytes.clear();
        }
        outcome
    }

    async fn send_and_read(&mut self, request: &[u8]) -> Result<Response, Failure> {
        if self.stream.as_ref().is_some_and(was_closed) {
            self.stream = None;
            self.bytes.clear();
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(connect(&self.authority).await?),
        };
        stream.write_all(request).await.map_err(|_| Failure::Reset)?;
        let mut head: Option<Head> = None;
        let mut closed = false;
        loop {
            if head.is_none() {
                head = response_head(&self.bytes).map_err(malformed)?;
                if let Some(found) = &head {
                    bytes::Buf::advance(&mut self.bytes, found.length);
                    if found.status / 100 == 1 {
                        head = None;
                        continue;
                    }
                }
            }
            if let Some(found) = &head
                && let Some(body) = take_body(found.framing, &mut self.bytes, closed).map_err(malformed)?
            {
                let surplus = self.bytes.split();
                return Ok(Response { head: found.clone(), body, surplus });
            }
            if closed {
                return Err(Failure::Closed);
            }
            self.bytes.reserve(4 * 1024);
            closed = stream.read_buf(&mut self.bytes).await.map_err(|_| Failure::Reset)? == 0;
        }
    }
}

/// Whether the peer closed a connection while it rested: nothing was asked then, so it is no failure.
fn was_closed(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Ok(0))
}

async fn connect(authority: &str) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(authority).await.map_err(|_| Failure::Connect)?;
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    Ok(stream)
}

fn malformed(error: Malformed) -> Failure {
    Failure::Malformed(error.0)
}
