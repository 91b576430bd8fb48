//! A new connection: addresses, TCP, TLS, and which HTTP is spoken on it.
//!
//! A name may have addresses that lead nowhere (a broken IPv6 is common): the next one is tried when the first has
//! not answered after a moment, and whichever is there first is taken.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};

use super::{
    quick::{Quick, Rest},
    terms::{Origin, Terms},
};
use crate::config::Http2;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// The next address is tried after this.
const NEXT: Duration = Duration::from_millis(250);

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    One,
    Two,
}

/// Opens connections to one origin.
#[derive(Debug)]
pub(super) struct Dialer {
    origin: Origin,
    http2: Http2,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// A connection that is open.
pub(super) struct Dialed {
    pub(super) stream: Stream,
    pub(super) rest: Arc<Rest>,
    pub(super) speaks: Speaks,
}

impl Dialer {
    pub(super) fn new(origin: Origin, http2: Http2) -> Self {
        Self { origin, http2, tls: OnceLock::new() }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What the origin speaks, where that is known before it is asked.
    pub(super) fn speaks(&self) -> Option<Speaks> {
        match (self.origin.secure, self.http2) {
            (_, Http2::Never) | (false, Http2::Offered) => Some(Speaks::One),
            (false, Http2::Known) => Some(Speaks::Two),
            (true, Http2::Offered | Http2::Known) => None,
        }
    }

    /// Opens one.
    pub(super) async fn dial(&self, terms: &Terms) -> io::Result<Dialed> {
        timeout(CONNECT, self.open(terms)).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", CONNECT.as_secs()))
        })?
    }

    async fn open(&self, terms: &Terms) -> io::Result<Dialed> {
        let quick = Quick::new(self.reach().await?)?;
        let rest = quick.rest();
        if !self.origin.secure {
            let speaks = self.speaks().unwrap_or(Speaks::One);
            return Ok(Dialed { stream: Stream::Clear(quick), rest, speaks });
        }
        let name = ServerName::try_from(self.origin.host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(self.config(terms)?).connect(name, quick).await?;
        let speaks = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Speaks::Two } else { Speaks::One };
        Ok(Dialed { stream: Stream::Secure(Box::new(stream)), rest, speaks })
    }

    fn config(&self, terms: &Terms) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(terms.trust.config(self.http2 != Http2::Never)?);
        Ok(Arc::clone(self.tls.get_or_init(|| config)))
    }

    async fn reach(&self) -> io::Result<TcpStream> {
        let addresses = tokio::net::lookup_host((&*self.origin.host, self.origin.port)).await?;
        first(in_turns(addresses)).await
    }
}

/// Addresses of both families in turns, the family of the first one first.
fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.peekable();
    let six = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others): (Vec<_>, Vec<_>) = addresses.partition(|address| address.is_ipv6() == six);
    let mut turns = Vec::with_capacity(these.len() + others.len());
    these.reverse();
    others.reverse();
    while let Some(address) = these.pop().or_else(|| others.pop()) {
        turns.push(address);
        turns.extend(others.pop());
    }
    turns
}

/// The first connection that opens; an address that fails or hesitates lets the next one try.
async fn first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match addresses.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(failed),
            None => {}
        }
        let last = addresses.len() == 0;
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            },
            () = tokio::time::sleep(NEXT), if !last => {}
        }
    }
}

/// Bytes to and from an origin.
#[derive(Debug)]
pub(super) enum Stream {
    Clear(Quick),
    Secure(Box<TlsStream<Quick>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Clear(stream) => stream.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns() {
        let parse = |text: &str| text.split(' ').map(|one| one.parse::<SocketAddr>().unwrap()).collect::<Vec<_>>();
        let mixed = parse("[::1]:1 [::2]:1 [::3]:1 1.0.0.1:1 1.0.0.2:1");
        assert_eq!(in_turns(mixed.into_iter()), parse("[::1]:1 1.0.0.1:1 [::2]:1 1.0.0.2:1 [::3]:1"));
        let four = parse("1.0.0.1:1 1.0.0.2:1 [::1]:1");
        assert_eq!(in_turns(four.into_iter()), parse("1.0.0.1:1 [::1]:1 1.0.0.2:1"));
    }

    #[tokio::test]
    async fn an_address_that_refuses_lets_the_next_one_try() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shut = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let there = open.local_addr().unwrap();
        assert_eq!(first(vec![shut, there]).await.unwrap().peer_addr().unwrap(), there);
        assert_eq!(first(vec![shut]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn an_address_that_hesitates_lets_the_next_one_try() {
        // Nobody answers there: the block is for documentation.
        let silent = "192.0.2.1:9".parse().unwrap();
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = open.local_addr().unwrap();
        assert_eq!(first(vec![silent, there]).await.unwrap().peer_addr().unwrap(), there);
    }
}
