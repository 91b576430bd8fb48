//! Just enough HTTP/1.1: heads by `httparse`, bodies by length or in chunks. Both halves of the crate share it.

use bytes::{Buf, BytesMut};

/// Heads longer than this are refused.
const LONGEST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 64;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(usize),
    /// With an empty chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What we need of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Status of a response; 0 in a request.
    pub status: u16,
    /// Method of a request; empty in a response.
    pub method: String,
    /// Length of the head itself.
    pub length: usize,
    /// How the body ends.
    pub framing: Framing,
    /// The peer will close after this message.
    pub close: bool,
    /// The body is an event stream.
    pub events: bool,
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
}

/// A head or body that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads the head of a response once it is all there.
///
/// # Errors
/// [`Malformed`] if it is none.
pub fn response_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Some(length) = complete(response.parse(bytes), bytes.len())? else { return Ok(None) };
    let mut head = from_headers(response.headers, length, Framing::UntilClose)?;
    head.status = response.code.unwrap_or(0);
    if head.status == 204 || head.status == 304 || head.status / 100 == 1 {
        head.framing = Framing::Length(0);
    }
    Ok(Some(head))
}

/// Reads the head of a request once it is all there.
///
/// # Errors
/// [`Malformed`] if it is none.
pub fn request_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Some(length) = complete(request.parse(bytes), bytes.len())? else { return Ok(None) };
    let mut head = from_headers(request.headers, length, Framing::Length(0))?;
    request.method.unwrap_or("").clone_into(&mut head.method);
    Ok(Some(head))
}

fn complete(parsed: httparse::Result<usize>, seen: usize) -> Result<Option<usize>, Malformed> {
    match parsed {
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) if seen <= LONGEST_HEAD => Ok(None),
        Ok(httparse::Status::Partial) => Err(Malformed("endless head")),
        Err(_) => Err(Malformed("no HTTP/1.1 head")),
    }
}

fn from_headers(headers: &[httparse::Header<'_>], length: usize, default: Framing) -> Result<Head, Malformed> {
    let mut head =
        Head { status: 0, method: String::new(), length, framing: default, close: false, events: false, session: None };
    for header in headers {
        let value = header.value;
        if header.name.eq_ignore_ascii_case("content-length") && head.framing != Framing::Chunked {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
            head.framing = Framing::Length(number.ok_or(Malformed("content-length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case(b"close");
        } else if header.name.eq_ignore_ascii_case("content-type") {
            head.events = value.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"));
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            head.session = String::from_utf8(value.to_vec()).ok();
        }
    }
    Ok(head)
}

/// Takes a whole body off the front of `bytes` (which begins after the head), once it is all there.
///
/// `closed` says that nothing more will come.
///
/// # Errors
/// [`Malformed`] for a body that breaks its framing or ends early.
pub fn take_body(framing: Framing, bytes: &mut BytesMut, closed: bool) -> Result<Option<BytesMut>, Malformed> {
    match framing {
        Framing::Length(length) if bytes.len() >= length => Ok(Some(bytes.split_to(length))),
        Framing::UntilClose if closed => Ok(Some(bytes.split())),
        Framing::Chunked => take_chunks(bytes, closed),
        _ if closed => Err(Malformed("body cut short")),
        _ => Ok(None),
    }
}

fn take_chunks(bytes: &mut BytesMut, closed: bool) -> Result<Option<BytesMut>, Malformed> {
    let early = || if closed { Err(Malformed("body cut short")) } else { Ok(None) };
    let mut body = BytesMut::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return early(),
            Err(_) => return Err(Malformed("chunk size")),
        };
        let size = usize::try_from(size).map_err(|_| Malformed("chunk size"))?;
        let end = size.checked_add(start + 2).ok_or(Malformed("chunk size"))?;
        let Some(chunk) = rest.get(start..end) else { return early() };
        let (data, ending) = chunk.split_at(size);
        if ending != b"\r\n" {
            return Err(Malformed("chunk ending"));
        }
        at += end;
        if size == 0 {
            bytes.advance(at);
            return Ok(Some(body));
        }
        body.extend_from_slice(data);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::BytesMut;

    use super::{Framing, Malformed, request_head, response_head, take_body};

    #[test]
    fn a_response_head_tells_status_framing_and_session() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nMCP-Session-Id: s1\r\n\r\nhello";
        let head = response_head(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.framing, head.session.as_deref()), (200, Framing::Length(5), Some("s1")));
        assert_eq!(bytes.get(head.length..), Some(&b"hello"[..]));
        assert_eq!(response_head(bytes.get(..30).unwrap()), Ok(None));
        assert!(response_head(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_without_a_length_has_no_body() {
        let head = request_head(b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.framing), ("GET", Framing::Length(0)));
    }

    #[test]
    fn chunks_are_joined_and_what_follows_stays() {
        let mut bytes = BytesMut::from(&b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nnext"[..]);
        let mut part = BytesMut::from(bytes.get(..9).unwrap());
        assert_eq!(take_body(Framing::Chunked, &mut part, false), Ok(None));
        assert_eq!(take_body(Framing::Chunked, &mut part, true), Err(Malformed("body cut short")));
        let body = take_body(Framing::Chunked, &mut bytes, false).unwrap().unwrap();
        assert_eq!((&body[..], &bytes[..]), (&b"abcde"[..], &b"next"[..]));
        let mut broken = BytesMut::from(&b"3\r\nabcXX"[..]);
        assert_eq!(take_body(Framing::Chunked, &mut broken, false), Err(Malformed("chunk ending")));
    }
}
