//! A call's turn at its server: the permit it is in flight under, and a connection. What its end says of the server.

use std::{future::poll_fn, pin::pin, task::Poll};

use bytes::Bytes;
use omnimind_limits::concurrency::Outcome;
use omnimind_wire::{Reason, Refusal};
use tokio::time::Instant;

use crate::{
    admission::{Going, Permit},
    config::{Kind, ServerSpec},
    upstream::{Failure, Lease},
};

/// A call with what it holds.
pub(super) struct Turn<'a> {
    pub(super) going: Going<'a>,
    pub(super) permit: Option<Permit>,
    /// Until then it may take another turn; none for a call that nobody waits for.
    pub(super) until: Option<Instant>,
}

impl<'a> Turn<'a> {
    /// Waits for a turn.
    pub(super) async fn take(going: Going<'a>, until: Instant) -> Result<Self, Refusal> {
        let permit = going.client.caller.plane.admission.enter(going, until).await?;
        Ok(Self { going, permit, until: Some(until) })
    }

    /// A connection for the call, which counts from here.
    pub(super) async fn first_lease(&mut self, method: &str) -> Result<Lease, Refusal> {
        let leased = self.lease(method).await;
        match &leased {
            Ok(lease) => lease.tally().called(),
            Err(_) => self.going.client.caller.plane.fleet.unmet(&self.going.spec.name),
        }
        leased
    }

    /// A connection. While there is none, nobody is held up by a call that is not at the server: the permit goes back,
    /// and when the server is there the call takes its turn again. So a server that changes places is waited for by any
    /// number of calls.
    pub(super) async fn lease(&mut self, method: &str) -> Result<Lease, Refusal> {
        let Going { client, spec, .. } = self.going;
        let mut leasing = pin!(client.lease(spec, method));
        let open = poll_fn(|cx| match leasing.as_mut().poll(cx) {
            Poll::Ready(leased) => Poll::Ready(Some(leased)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(leased) = open.await {
            return leased;
        }
        let Some(until) = self.until else {
            self.permit.iter_mut().for_each(Permit::spoil);
            return leasing.await;
        };
        let again = self.permit.take().map(Permit::unused).is_some();
        let lease = leasing.await?;
        if again {
            self.permit = client.caller.plane.admission.enter(self.going, until).await?;
        }
        Ok(lease)
    }

    /// The call has ended.
    pub(super) fn end(self, outcome: &Result<Bytes, Failure>) {
        settle(self.permit, self.going.spec, outcome);
    }
}

/// Gives back the permit of a call that has ended; what it ended with says whether the server bears its load.
pub(super) fn settle(permit: Option<Permit>, spec: &ServerSpec, outcome: &Result<Bytes, Failure>) {
    let Some(permit) = permit else { return };
    match ended(spec, outcome) {
        Some(outcome) => permit.finished(outcome),
        None => drop(permit),
    }
}

/// What the end of a call says of its server; nothing where the call never came to it.
fn ended(spec: &ServerSpec, outcome: &Result<Bytes, Failure>) -> Option<Outcome> {
    match outcome {
        Ok(_) => Some(Outcome::Ok),
        Err(Failure::Rpc(error)) => {
            let busy = [Reason::RateLimited, Reason::Overloaded].iter().any(|reason| reason.code() == error.code);
            Some(if busy { Outcome::Dropped } else { Outcome::Ok })
        }
        Err(Failure::Refused(refusal)) => match refusal.reason {
            // Over a pipe, who names a time has not begun; over HTTP, it is the server that has enough.
            Reason::ServerUnavailable if refusal.retry_after_ms.is_some() && spec.kind != Kind::Http => None,
            Reason::ServerUnavailable | Reason::UpstreamFailed | Reason::UpstreamTimeout => Some(Outcome::Dropped),
            _ => None,
        },
    }
}
