//! An answer: its head at once, its content as it is asked for.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Response, StatusCode, Version, header};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    engine::{self, Native},
    fault::{Fault, Limit},
    inbox::{Inbox, Outcome},
    unpack::Unpacker,
    within,
};
use crate::pool::{Arriving, Pool};

/// As much of what has come is given at once.
const AT_ONCE: usize = 256 << 10;

/// The head of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as the server sent them.
    pub headers: HeaderMap,
    /// The HTTP that was spoken: `1.0`, `1.1` or `2`.
    pub http: &'static str,
}

/// An answer whose content is arriving.
pub(super) struct Answer {
    head: Head,
    source: Source,
}

/// Where content comes from. Dropped before its end, it cancels the request.
#[derive(Debug)]
struct Source {
    arriving: Arriving,
    unpacker: Option<Unpacker>,
    received: u64,
    /// Kept in use for as long as its connection is.
    _pool: Arc<Pool>,
}

impl Answer {
    /// Unpacks its content if it may be packed: to no more than so many times what comes.
    pub(super) fn new(response: Response<Arriving>, pool: Arc<Pool>, unpacks: Option<f64>, bodiless: bool) -> Self {
        let (parts, arriving) = response.into_parts();
        let head = Head { status: parts.status, headers: parts.headers, http: spoken(parts.version) };
        let unpacker = unpacks.filter(|_| !bodiless).and_then(|ratio| Unpacker::of(&head.headers, ratio));
        Self { head, source: Source { arriving, unpacker, received: 0, _pool: pool } }
    }

    /// Its head, and a body whose pieces are each waited for no longer than this.
    pub(super) fn piecemeal(self, limit: Option<Duration>) -> Outcome {
        let reading = Reading { source: self.source, come: VecDeque::new(), ended: None };
        let shared = Shared { place: Mutex::new(Place::Here(Box::new(reading))), closing: Notify::new() };
        Outcome::Head(self.head, Body { shared: Arc::new(Native::new(shared)), limit })
    }

    /// All of it, if that is not too much.
    pub(super) async fn whole(self, most: u64) -> Result<Outcome, Fault> {
        let Self { head, mut source } = self;
        let too_large = |received, unpacked| Fault::TooLarge { received, unpacked, limit: Limit::Bytes(most) };
        let announced = head.headers.get(header::CONTENT_LENGTH).and_then(|said| said.to_str().ok()?.parse().ok());
        if let Some(length) = announced.filter(|length: &u64| *length > most && !source.is_empty()) {
            return Err(too_large(0, length));
        }
        let (mut pieces, mut kept) = (Vec::new(), 0u64);
        while let Some(piece) = source.piece().await? {
            kept = kept.saturating_add(piece.len() as u64);
            if kept > most {
                return Err(too_large(source.received, kept));
            }
            pieces.push(piece);
        }
        Ok(Outcome::Whole(head, pieces))
    }
}

impl Source {
    fn is_empty(&self) -> bool {
        self.arriving.is_end()
    }

    /// The next piece; none after the last one. Dropping the future loses nothing.
    async fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(unpacker) = &mut self.unpacker
                && let Some(piece) = unpacker.next()?
            {
                return Ok(Some(piece));
            }
            let Some(piece) = self.arriving.piece().await else {
                return match &self.unpacker {
                    Some(unpacker) => unpacker.end().map(|()| None),
                    None => Ok(None),
                };
            };
            let piece = piece.map_err(|why| Fault::Lost(format!("the answer broke off: {why}")))?;
            self.received = self.received.saturating_add(piece.len() as u64);
            match &mut self.unpacker {
                Some(unpacker) => unpacker.feed(piece),
                None if piece.is_empty() => {}
                None => return Ok(Some(piece)),
            }
        }
    }
}

fn spoken(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// The body of an answer, to be read piece by piece; one reader at a time.
#[derive(Debug)]
pub struct Body {
    shared: Arc<Native<Shared>>,
    limit: Option<Duration>,
}

/// What a body shares with who reads it now.
#[derive(Debug)]
struct Shared {
    place: Mutex<Place>,
    /// Tells who waits for more that nothing will come.
    closing: Notify,
}

/// Where the content of a body is read from.
#[derive(Debug)]
enum Place {
    Here(Box<Reading>),
    /// Somebody waits for more.
    Away,
    Closed,
}

#[derive(Debug)]
struct Reading {
    source: Source,
    come: VecDeque<Bytes>,
    ended: Option<Result<(), Fault>>,
}

impl Body {
    /// Starts reading what comes next, up to some hundred kilobytes at once; what becomes of that will be in the inbox.
    ///
    /// # Errors
    /// Nothing can be read now.
    pub fn read(&self, inbox: &Arc<Inbox>) -> Result<u64, Fault> {
        let engine = engine::here().map_err(|error| Fault::System(error.to_string()))?;
        let mut place = self.shared.place.lock();
        let mut reading = match std::mem::replace(&mut *place, Place::Away) {
            Place::Here(reading) => reading,
            Place::Away => return Err(Fault::System("another task is reading this answer".to_owned())),
            Place::Closed => {
                *place = Place::Closed;
                return Err(Fault::Closed);
            }
        };
        drop(place);
        let (shared, limit) = (Arc::clone(&self.shared), self.limit);
        Ok(inbox.run(&engine, async move {
            let read = tokio::select! {
                read = within(limit, reading.more()) => read,
                () = shared.closing.notified() => Err(Fault::Closed),
            };
            let mut place = shared.place.lock();
            if matches!(*place, Place::Away) {
                *place = if read.is_ok() { Place::Here(reading) } else { Place::Closed };
            }
            drop(place);
            read.map_or_else(Outcome::Failed, Outcome::Pieces)
        }))
    }

    /// Lets it go. What has not come yet is cancelled, and who waits for it hears so.
    pub fn close(&self) {
        if self.shared.is_native() {
            let before = std::mem::replace(&mut *self.shared.place.lock(), Place::Closed);
            if matches!(before, Place::Away) {
                self.shared.closing.notify_one();
            }
            drop(before);
        }
    }
}

impl Reading {
    /// What has come, or what comes next; nothing after the end.
    async fn more(&mut self) -> Result<Vec<Bytes>, Fault> {
        let mut size = 0;
        while size < AT_ONCE && self.ended.is_none() {
            let next = if size == 0 { Some(self.source.piece().await) } else { self.source.piece().now_or_never() };
            match next {
                None => break,
                Some(Ok(Some(piece))) => {
                    size = size.saturating_add(piece.len());
                    self.come.push_back(piece);
                }
                Some(Ok(None)) => self.ended = Some(Ok(())),
                Some(Err(fault)) => self.ended = Some(Err(fault)),
            }
        }
        match &self.ended {
            Some(Err(fault)) if self.come.is_empty() => Err(fault.clone()),
            _ => Ok(self.come.drain(..).collect()),
        }
    }
}
