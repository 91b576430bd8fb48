//! Server-sent events: a parser that takes any chunking, and the few frames the gateway writes.
//!
//! The parser keeps the event stream format of the HTML standard: lines end in LF, CR or CRLF, fields are cut at the
//! first colon, one space after it
//! is dropped, data lines join with LF, an event without data is none, an id with NUL is ignored. An event larger than
//! the cap is an error, not a silent loss.

use std::fmt;

use bytes::Bytes;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The event's type; none means `message`.
    pub event: Option<String>,
    /// The data, lines joined by LF.
    pub data: Bytes,
    /// The id the event itself carries.
    pub id: Option<String>,
    /// The reconnection time it carries, in milliseconds.
    pub retry: Option<u64>,
}

/// An event larger than the cap; the parser cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The cap.
    pub max_bytes: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event is larger than {} bytes", self.max_bytes)
    }
}

impl std::error::Error for TooLarge {}

/// Reads a stream piece by piece.
#[derive(Debug)]
pub struct Parser {
    max_bytes: usize,
    line: Vec<u8>,
    /// The data so far; none before the first data line.
    data: Option<Vec<u8>>,
    event: Event,
    after_cr: bool,
    at_start: bool,
    broken: bool,
}

impl Parser {
    /// A parser for events of at most `max_bytes` (data and the line being read).
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            data: None,
            event: Event::default(),
            after_cr: false,
            at_start: true,
            broken: false,
        }
    }

    /// Takes the next piece and gives the events it completes. Events that stand before one that is too large are still
    /// given out; the error then
    /// comes with the next piece, as with every piece after it.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<Vec<Event>, TooLarge> {
        if self.broken {
            return Err(TooLarge { max_bytes: self.max_bytes });
        }
        let mut events = Vec::new();
        if self.after_cr && !piece.is_empty() {
            self.after_cr = false;
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', piece) {
            let (line, rest) = piece.split_at(at);
            if !self.fits(line) {
                return self.give_up(events);
            }
            events.extend(self.end_line(line));
            let crlf = rest.starts_with(b"\r\n");
            self.after_cr = rest == b"\r";
            piece = rest.get(if crlf { 2 } else { 1 }..).unwrap_or_default();
        }
        if !self.fits(piece) {
            return self.give_up(events);
        }
        self.line.extend_from_slice(piece);
        Ok(events)
    }

    fn fits(&self, piece: &[u8]) -> bool {
        self.data.as_ref().map_or(0, Vec::len) + self.line.len() + piece.len() <= self.max_bytes
    }

    fn give_up(&mut self, events: Vec<Event>) -> Result<Vec<Event>, TooLarge> {
        self.broken = true;
        (self.line, self.data) = (Vec::new(), None);
        if events.is_empty() { Err(TooLarge { max_bytes: self.max_bytes }) } else { Ok(events) }
    }

    /// True while a data line is read of an event that has so many bytes of data already.
    pub fn is_long(&self, from_bytes: usize) -> bool {
        let value = self.line.strip_prefix(b"data:").map_or(0, <[u8]>::len);
        value > 0 && self.data.as_ref().map_or(0, Vec::len) + value >= from_bytes
    }

    /// The data so far of the event being read, and who reads the rest of it, if it begins as is wanted: for an event
    /// that is not to be held whole. This parser is at its end then.
    pub fn give_long(&mut self, is_wanted: impl FnOnce(&[u8]) -> bool) -> Option<(Bytes, LongData)> {
        let value = self.line.strip_prefix(b"data:").filter(|_| !self.broken)?;
        let mut begun = self.data.clone().unwrap_or_default();
        if self.data.is_some() {
            begun.push(b'\n');
        }
        begun.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        if !is_wanted(&begun) {
            return None;
        }
        let place = if value.is_empty() { Place::Space } else { Place::Data };
        (self.broken, self.line, self.data) = (true, Vec::new(), None);
        Some((begun.into(), LongData { place }))
    }

    /// Takes the rest of a line, which may have begun in earlier pieces.
    fn end_line(&mut self, rest: &[u8]) -> Option<Event> {
        if self.line.is_empty() {
            return self.take_line(rest);
        }
        self.line.extend_from_slice(rest);
        let line = std::mem::take(&mut self.line);
        self.take_line(&line)
    }

    fn take_line(&mut self, mut line: &[u8]) -> Option<Event> {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        self.field(field, value.strip_prefix(b" ").unwrap_or(value));
        None
    }

    fn field(&mut self, field: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match field {
            b"data" => match &mut self.data {
                None => self.data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => self.event.event = Some(text()).filter(|name| !name.is_empty()),
            b"id" if !value.contains(&0) => self.event.id = Some(text()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = text().parse().ok();
            }
            _ => {}
        }
    }

    /// An empty line: the event is complete, if it is one. An id or a retry time without data is handed out too, with
    /// empty data.
    fn dispatch(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.event);
        let data = self.data.take();
        let complete = data.is_some() || event.id.is_some() || event.retry.is_some();
        event.data = data.unwrap_or_default().into();
        complete.then_some(event)
    }
}

/// Reads the rest of an event's data as it comes.
#[derive(Debug)]
pub struct LongData {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// In the value of a data line.
    Data,
    /// After the colon of a data line: one space is dropped.
    Space,
    /// At the beginning of a line, or after a CR that may be half a line end.
    Line { after_cr: bool },
    /// In a field's name.
    Name(Vec<u8>),
    /// In a line that is no data.
    Other,
    /// After the event.
    Over,
}

/// No field that matters has a longer name.
const NAME_BYTES: usize = 16;

impl LongData {
    /// Takes the next piece and appends the data in it; true once the event has ended.
    pub fn push(&mut self, mut piece: &[u8], data: &mut Vec<u8>) -> bool {
        while let Some((&byte, rest)) = piece.split_first() {
            let is_end = matches!(byte, b'\n' | b'\r');
            let over = Place::Line { after_cr: byte == b'\r' };
            self.place = match std::mem::replace(&mut self.place, Place::Over) {
                Place::Data | Place::Other if is_end => over,
                place @ (Place::Data | Place::Other) => {
                    let end = memchr::memchr2(b'\n', b'\r', piece).unwrap_or(piece.len());
                    let (run, rest) = piece.split_at(end);
                    if matches!(place, Place::Data) {
                        data.extend_from_slice(run);
                    }
                    (self.place, piece) = (place, rest);
                    continue;
                }
                Place::Space => {
                    self.place = Place::Data;
                    piece = if byte == b' ' { rest } else { piece };
                    continue;
                }
                Place::Line { after_cr: true } if byte == b'\n' => Place::Line { after_cr: false },
                Place::Line { .. } if is_end => return true,
                Place::Line { .. } if byte == b':' => Place::Other,
                Place::Line { .. } => Place::Name(vec![byte]),
                Place::Name(name) if byte == b':' || is_end => {
                    let is_data = name == b"data";
                    if is_data {
                        data.push(b'\n');
                    }
                    match (is_data, is_end) {
                        (_, true) => over,
                        (true, false) => Place::Space,
                        (false, false) => Place::Other,
                    }
                }
                Place::Name(name) if name.len() >= NAME_BYTES => Place::Other,
                Place::Name(mut name) => {
                    name.push(byte);
                    Place::Name(name)
                }
                Place::Over => return true,
            };
            piece = rest;
        }
        matches!(self.place, Place::Over)
    }
}

/// A frame with one message.
pub fn event(data: &[u8]) -> Bytes {
    frame(None, data)
}

/// A frame with one message that the client may name when it comes back.
pub fn event_with_id(id: &str, data: &[u8]) -> Bytes {
    frame(Some(id), data)
}

/// What opens a frame with one message that comes in pieces, all in one line.
pub fn long_event() -> Bytes {
    Bytes::from_static(b"event: message\ndata: ")
}

/// What ends it.
pub fn end_of_long_event() -> Bytes {
    Bytes::from_static(b"\n\n")
}

/// A comment that keeps the connection open.
pub fn keepalive() -> Bytes {
    Bytes::from_static(b": ping\n\n")
}

/// A comment.
pub fn comment(text: &str) -> Bytes {
    let mut out = String::with_capacity(text.len() + 4);
    for line in text.split(['\n', '\r']) {
        out.push_str(": ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out.into()
}

/// How long a client should wait before it connects again.
pub fn retry(ms: u64) -> Bytes {
    Bytes::from(format!("retry: {ms}\n\n"))
}

/// An event with an id and no message, which gives the client a place to come back to.
pub fn priming(id: &str, retry_ms: Option<u64>) -> Bytes {
    let retry = retry_ms.map(|ms| format!("retry: {ms}\n")).unwrap_or_default();
    Bytes::from(format!("id: {}\n{retry}data: \n\n", one_line(id)))
}

fn frame(id: Option<&str>, data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 48);
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(one_line(id).as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: message\n");
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.into()
}

fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !matches!(letter, '\n' | '\r' | '\0')).collect()
}
