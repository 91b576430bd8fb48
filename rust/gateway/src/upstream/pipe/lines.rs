//! The way in: lines of a byte stream, of any length up to a limit.
//!
//! A line that is too long is skipped, not fatal; its beginning is handed out so that the call it answers can
//! be told. The buffer starts small and grows with the traffic, as most connections are quiet.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::upstream::long;

/// The longest line.
pub(in crate::upstream) const LINE_BYTES: usize = 16 << 20;
/// How much of an overlong line is kept.
const HEAD_BYTES: usize = 128;
const SMALLEST_READ: usize = 4 << 10;
const LARGEST_READ: usize = 256 << 10;

/// One line, or what came instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line without its end.
    Whole(Bytes),
    /// The beginning of a line that was too long.
    TooLong(Bytes),
    /// The beginning of a line that is long: it is either [kept](Lines::keep), or its [rest](Lines::rest) is taken.
    Begun(Bytes),
    /// The stream has ended.
    End,
}

/// What comes after the beginning of a line.
#[derive(Debug)]
pub(super) enum Rest {
    /// More of it.
    More(Bytes),
    /// The last of it.
    Last(Bytes),
    /// The stream has ended before.
    End,
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    stream: R,
    buffer: BytesMut,
    scanned: usize,
    want: usize,
    skipping: Option<Bytes>,
    /// The line being read was begun and is kept.
    kept: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Begins with bytes that were read before.
    pub(super) fn new(stream: R, leftover: &[u8]) -> Self {
        Self { stream, buffer: BytesMut::from(leftover), scanned: 0, want: SMALLEST_READ, skipping: None, kept: false }
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> std::io::Result<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(line);
            }
            if self.buffer.len() > long::FROM_BYTES && !self.kept && self.skipping.is_none() {
                return Ok(Line::Begun(self.give()));
            }
            if self.buffer.len() > LINE_BYTES {
                self.skip();
            }
            if !self.read().await? {
                return Ok(Line::End);
            }
        }
    }

    /// Reads a line whole whose beginning was given out.
    pub(super) fn keep(&mut self, begun: Bytes) {
        self.buffer = BytesMut::from(begun);
        self.scanned = self.buffer.len();
        self.kept = true;
    }

    /// What follows in a line whose beginning was given out.
    pub(super) async fn rest(&mut self) -> std::io::Result<Rest> {
        if self.buffer.is_empty() && !self.read().await? {
            return Ok(Rest::End);
        }
        Ok(match memchr::memchr(b'\n', &self.buffer) {
            Some(at) => {
                let mut last = self.buffer.split_to(at + 1);
                last.truncate(at);
                Rest::Last(last.freeze())
            }
            None => Rest::More(self.give()),
        })
    }

    /// All that was read.
    fn give(&mut self) -> Bytes {
        self.scanned = 0;
        std::mem::take(&mut self.buffer).freeze()
    }

    /// Reads some more; false at the end.
    async fn read(&mut self) -> std::io::Result<bool> {
        self.buffer.reserve(self.want);
        let room = self.buffer.capacity() - self.buffer.len();
        let count = self.stream.read_buf(&mut self.buffer).await?;
        if count == room {
            self.want = (self.want * 2).min(LARGEST_READ);
        } else if count < self.want / 4 {
            self.want = (self.want / 2).max(SMALLEST_READ);
        }
        Ok(count > 0)
    }

    fn cut(&mut self) -> Option<Line> {
        let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', fresh) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.scanned + at + 1);
        line.truncate(line.len() - 1);
        (self.scanned, self.kept) = (0, false);
        Some(match self.skipping.take() {
            Some(head) => Line::TooLong(head),
            None if line.len() > LINE_BYTES => Line::TooLong(Bytes::copy_from_slice(head(&line))),
            None => Line::Whole(line.freeze()),
        })
    }

    fn skip(&mut self) {
        if self.skipping.is_none() {
            self.skipping = Some(Bytes::copy_from_slice(head(&self.buffer)));
        }
        self.buffer = BytesMut::new();
        self.scanned = 0;
    }
}

fn head(line: &[u8]) -> &[u8] {
    line.get(..HEAD_BYTES).unwrap_or(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]
mod tests {
    use super::*;

    async fn all(leftover: &[u8], stream: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(stream, leftover);
        let mut found = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Line::End => return found,
                Line::Begun(begun) => lines.keep(begun),
                line => found.push(line),
            }
        }
    }

    fn whole(text: &[u8]) -> Line {
        Line::Whole(Bytes::copy_from_slice(text))
    }

    #[tokio::test]
    async fn lines_are_cut_whatever_was_read_before() {
        assert_eq!(all(b"a", b"b\n\nlast\nrest").await, [whole(b"ab"), whole(b""), whole(b"last")]);
        assert_eq!(all(b"x\ny", b"\n").await, [whole(b"x"), whole(b"y")]);
    }

    #[tokio::test]
    async fn the_rest_of_a_line_comes_in_pieces_and_the_next_line_after_it() {
        let mut text = vec![b'a'; 3 * long::FROM_BYTES];
        text.extend_from_slice(b"\nnext\n");
        text.extend_from_slice(&vec![b'b'; 2 * long::FROM_BYTES]);
        let mut lines = Lines::new(&text[..], b"");
        let Line::Begun(begun) = lines.next().await.unwrap() else { panic!("it is long") };
        let mut length = begun.len();
        loop {
            match lines.rest().await.unwrap() {
                Rest::More(piece) => length += piece.len(),
                Rest::Last(piece) => {
                    length += piece.len();
                    break;
                }
                Rest::End => panic!("it has an end"),
            }
        }
        assert_eq!(length, 3 * long::FROM_BYTES);
        assert_eq!(lines.next().await.unwrap(), whole(b"next"));
        assert!(matches!(lines.next().await.unwrap(), Line::Begun(_)));
        while !matches!(lines.rest().await.unwrap(), Rest::End) {}
    }

    #[tokio::test]
    async fn a_line_of_the_limit_passes_and_a_longer_one_is_skipped() {
        let mut text = vec![b'a'; LINE_BYTES];
        text.push(b'\n');
        text.extend_from_slice(&vec![b'b'; LINE_BYTES + 1]);
        text.extend_from_slice(b"\nnext\n");
        text.extend_from_slice(&vec![b'c'; 3 * LINE_BYTES]);
        text.extend_from_slice(b"\nend\n");
        let found = all(b"", &text).await;
        assert!(matches!(&found[0], Line::Whole(line) if line.len() == LINE_BYTES));
        assert_eq!(found[1], Line::TooLong(Bytes::from(vec![b'b'; HEAD_BYTES])));
        assert_eq!(found[2], whole(b"next"));
        assert_eq!(found[3], Line::TooLong(Bytes::from(vec![b'c'; HEAD_BYTES])));
        assert_eq!(found[4], whole(b"end"));
    }
}
