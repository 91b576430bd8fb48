//! The end of a flight whose answer is too long to be held.
//!
//! A task of its own carries the pieces from the upstream to the client, turned into the client's era and names on the
//! way. It holds a few pieces and nothing more: it reads on only when the client has taken some. So a client that
//! takes nothing for [`STALLED`] loses its answer, and the upstream its reader; and one that goes away ends both at once.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use omnimind_wire::{
    Era, json,
    passing::{Passing, Plan},
};
use tokio::{sync::mpsc, time::timeout};

use super::Flight;
use crate::{
    cache::DEPENDS,
    compress,
    metrics::{Ending, Operation},
    reply::{self, Outgoing},
    session::Ticket,
    upstream::{Gathered, Long, unusable},
};

/// The largest piece handed on.
const PIECE: usize = 32 << 10;
/// Pieces that may wait for the client.
const WAITING: usize = 2;
/// A client that takes nothing for so long is given up. Kernels take and give by the megabyte: one that reads 10 KB a
/// second may seem to do nothing for two minutes.
const STALLED: Duration = Duration::from_secs(300);

/// What becomes of an answer next.
enum Portion {
    Piece(Bytes),
    Over,
    Broken(String),
}

impl Flight {
    /// Passes a long answer on: from here on it is between the upstream and the client.
    pub(super) fn pass_on(&mut self, long: Long) {
        self.errand.passes();
        // The server has done its work; what is left is between its connection and the client.
        self.settle(&Ok(Bytes::new()));
        let (sender, receiver) = mpsc::channel(WAITING);
        let carrier = Carrier {
            passing: Passing::new(self.plan()),
            number: long.number,
            idle: self.source.spec.idle_timeout(),
            ticket: self.ticket.take(),
            operation: Arc::clone(&self.client.caller.operation),
            sender,
        };
        tokio::spawn(carrier.carry(long));
        self.close();
        self.ready.push_back(Outgoing::Long(reply::Long(pieces(receiver))));
    }

    /// Reads a long answer whole, for a client that wants it told shorter; one that is too long even for that, or for
    /// which there is no room now, is passed on as it is.
    pub(super) async fn gather(&mut self, long: Long) {
        let compress = Arc::clone(&self.client.caller.plane.compress);
        let Ok(_room) = compress.room.try_acquire() else { return self.pass_on(long) };
        let idle = self.source.spec.idle_timeout();
        let gathered = tokio::select! {
            biased;
            () = Ticket::cancelled(self.ticket.as_ref()) => return self.ended = true,
            gathered = long.gather(compress::LONGEST, idle) => gathered,
        };
        match gathered {
            Ok(Gathered::Whole(result)) => self.land(Ok(result)).await,
            Ok(Gathered::Longer(long)) => self.pass_on(long),
            Err(why) => self.land(Err(unusable(&self.source.spec.name, &why))).await,
        }
    }

    /// What is to be changed on the way; the same that [`dress`](crate::relay::dress) changes in an answer that is whole.
    fn plan(&self) -> Plan {
        let agreed = self.lease.negotiated();
        let mut plan = Plan::new(&self.id).without_meta(DEPENDS);
        plan = match (self.client.era, agreed.era) {
            (Era::Modern, Era::Legacy) => {
                let info = json::find(&agreed.result, &["serverInfo"]).ok().flatten();
                plan.to_modern(&self.method, info.map(|info| agreed.result.slice_ref(info)))
            }
            (Era::Legacy, Era::Modern) => plan.to_legacy(&self.method),
            _ => plan,
        };
        match self.source.rename.clone() {
            Some(rename) => plan.renaming(&self.method, move |uri| rename.uri(uri)),
            None => plan,
        }
    }
}

/// Carries one answer.
struct Carrier {
    passing: Passing,
    number: u64,
    idle: Duration,
    ticket: Option<Ticket>,
    operation: Arc<Operation>,
    sender: mpsc::Sender<Portion>,
}

impl Carrier {
    async fn carry(mut self, mut long: Long) {
        let sender = self.sender.clone();
        let ticket = self.ticket.take();
        let last = tokio::select! {
            () = sender.closed() => return,
            () = Ticket::cancelled(ticket.as_ref()) => Portion::Broken("the client has cancelled the call".to_owned()),
            carried = self.all(&mut long) => carried.map_or_else(Portion::Broken, |()| Portion::Over),
        };
        self.operation.end(if matches!(last, Portion::Over) { Ending::Ok } else { Ending::UpstreamFailed });
        // Free before anyone waits for a client.
        drop(long);
        let _ = timeout(STALLED, sender.send(last)).await;
    }

    async fn all(&mut self, long: &mut Long) -> Result<(), String> {
        loop {
            let piece = timeout(self.idle, long.pieces.next()).await;
            let piece = piece.map_err(|_| format!("the server said nothing for {} ms", self.idle.as_millis()))?;
            let Some(piece) = piece else { break };
            for part in piece?.chunks(PIECE) {
                let mut out = Vec::with_capacity(part.len());
                self.passing.push(part, &mut out).map_err(|malformed| malformed.to_string())?;
                self.check()?;
                self.hand_over(out).await?;
            }
        }
        let mut out = Vec::new();
        self.passing.finish(&mut out).map_err(|malformed| malformed.to_string())?;
        self.hand_over(out).await
    }

    /// The answer is to this call, and it is one.
    fn check(&self) -> Result<(), String> {
        if self.passing.asks() {
            return Err("a result that asks for input is too long".to_owned());
        }
        match self.passing.id().map(json::as_u64) {
            Some(id) if id != Some(self.number) => Err("it answers another request".to_owned()),
            _ => Ok(()),
        }
    }

    async fn hand_over(&mut self, out: Vec<u8>) -> Result<(), String> {
        if out.is_empty() {
            return Ok(());
        }
        match timeout(STALLED, self.sender.send(Portion::Piece(out.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("the client went away".to_owned()),
            Err(_) => Err(format!("the client took nothing for {} s", STALLED.as_secs())),
        }
    }
}

/// What the client is sent. A carrier that is gone without a last word has failed.
fn pieces(receiver: mpsc::Receiver<Portion>) -> reply::Pieces {
    Box::pin(stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        let broken = |why: &str| Some((Err(io::Error::other(why.to_owned())), None));
        match receiver.recv().await {
            Some(Portion::Piece(piece)) => Some((Ok(piece), Some(receiver))),
            Some(Portion::Over) => None,
            Some(Portion::Broken(why)) => broken(&why),
            None => broken("the answer was given up"),
        }
    }))
}
