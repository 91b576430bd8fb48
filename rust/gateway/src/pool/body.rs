//! A body that is arriving.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use super::{line::Coming, many::Flowing};

/// How long the end of a body that nobody needs is waited for, to keep the connection.
const TAIL: Duration = Duration::from_secs(1);

/// A body that is arriving. Dropping it before its end cancels the call.
#[derive(Debug)]
pub struct Arriving(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    One(Coming),
    Two(Flowing),
}

impl Arriving {
    /// The next piece; `None` after the last one.
    pub async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// The next piece, polled.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        match &mut self.0 {
            Kind::One(coming) => coming.poll_piece(cx),
            Kind::Two(flowing) => flowing.poll_piece(cx),
        }
    }

    /// True if it is known that nothing more comes.
    pub fn is_end(&self) -> bool {
        match &self.0 {
            Kind::One(coming) => coming.is_end(),
            Kind::Two(flowing) => flowing.body.is_end_stream(),
        }
    }

    /// Reads what little may be left of a body whose message has come, so that its connection can be used again.
    pub fn let_end(mut self) {
        if !self.is_end() {
            let rest = async move { while let Some(Ok(_)) = self.piece().await {} };
            tokio::spawn(tokio::time::timeout(TAIL, rest));
        }
    }
}
