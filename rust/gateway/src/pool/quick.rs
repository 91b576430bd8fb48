//! A TCP stream that acknowledges at once what is only a part, and can look whether the other side has closed.
//!
//! A server that writes head and body in two pieces, with Nagle's algorithm on, sends the second only when the
//! first is acknowledged, and the kernel waits 40 ms with that in the hope of sending it along with data. A
//! call would take 45 ms instead of 1. So when a part of an answer is here and the rest is waited for, the kernel
//! is told to acknowledge now; an answer that comes whole is acknowledged by the next request, which costs nothing.
//!
//! What has arrived on a resting connection is known here only when the reactor has been told, which may be a
//! moment later. Before a connection that has rested is used again, the kernel itself is asked.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use rustix::{io::Errno, net::RecvFlags};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The stream.
#[derive(Debug)]
pub(super) struct Quick {
    stream: TcpStream,
    rest: Arc<Rest>,
}

/// What the reader of answers tells the stream, which sees bytes only.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Something has come since the last request and is not acknowledged as far as we know.
    heard: AtomicBool,
    /// The next read that finds nothing is to acknowledge.
    wanted: AtomicBool,
    /// The next read is to ask the kernel.
    doubted: AtomicBool,
}

impl Rest {
    /// Notes that the rest of an answer is waited for; true if the connection must be polled for that.
    pub(super) fn is_wanted(&self) -> bool {
        let heard = self.heard.load(Ordering::Relaxed);
        if heard {
            self.wanted.store(true, Ordering::Relaxed);
        }
        heard
    }

    /// Has the next read ask the kernel, whatever the reactor knows.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }
}

impl Quick {
    /// Takes a stream, which from now on also sends at once.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, rest: Arc::default() })
    }

    /// For whoever reads the answers.
    pub(super) fn rest(&self) -> Arc<Rest> {
        Arc::clone(&self.rest)
    }

    /// Asks the kernel; none if nothing has arrived.
    fn ask(&self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        match rustix::net::recv(&self.stream, buffer.initialize_unfilled(), RecvFlags::DONTWAIT) {
            Ok((count, _)) => {
                buffer.advance(count);
                Some(Ok(()))
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.rest.heard.store(false, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Quick {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.doubted.load(Ordering::Relaxed)
            && self.rest.doubted.swap(false, Ordering::Relaxed)
            && let Some(found) = self.ask(buffer)
        {
            return Poll::Ready(found);
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.rest.heard.store(true, Ordering::Relaxed);
        } else if self.rest.wanted.swap(false, Ordering::Relaxed) {
            self.rest.heard.store(false, Ordering::Relaxed);
            // A kernel that refuses is only slower.
            let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
        }
        polled
    }
}

impl AsyncWrite for Quick {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
