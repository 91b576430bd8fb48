//! The way in: lines of a byte stream, of any length up to a limit.
//!
//! A line that is too long is skipped, not fatal; its beginning is handed out so that the call it answers can
//! be told. The buffer starts small and grows with the traffic, as most connections are quiet.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

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
    /// The stream has ended.
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
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Begins with bytes that were read before.
    pub(super) fn new(stream: R, leftover: &[u8]) -> Self {
        Self { stream, buffer: BytesMut::from(leftover), scanned: 0, want: SMALLEST_READ, skipping: None }
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> std::io::Result<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(line);
            }
            if self.buffer.len() > LINE_BYTES {
                self.skip();
            }
            self.buffer.reserve(self.want);
            let room = self.buffer.capacity() - self.buffer.len();
            let count = self.stream.read_buf(&mut self.buffer).await?;
            if count == 0 {
                return Ok(Line::End);
            }
            if count == room {
                self.want = (self.want * 2).min(LARGEST_READ);
            } else if count < self.want / 4 {
                self.want = (self.want / 2).max(SMALLEST_READ);
            }
        }
    }

    fn cut(&mut self) -> Option<Line> {
        let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', fresh) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.scanned + at + 1);
        line.truncate(line.len() - 1);
        self.scanned = 0;
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
