//! A `resources/subscribe` for every resource to hear of, one after the other, and an end to it when its time is over.
//!
//! Changes of lists come unasked. What sessions subscribed to on the same connection is counted together with what
//! is subscribed to here, so that neither side ends what the other still wants.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use omnimind_wire::{error::METHOD_NOT_FOUND, json::quote};
use tokio::time::{Instant, sleep_until};

use super::{FAILURES, Kept, PATIENCE, TIDY, after};
use crate::{
    session::interests::Interests,
    upstream::{Event, Exchange, Failure, Unasked},
};

/// Subscriptions of one connection; dropping it takes them back.
struct Subscriber<'a> {
    kept: &'a Kept,
    interests: &'a Interests,
    held: BTreeSet<Arc<str>>,
    asking: Option<(Arc<str>, Exchange)>,
    failures: u32,
    /// Nothing is asked before.
    rests: Instant,
    /// Wishes are looked through then.
    tidies: Instant,
}

/// Subscribes until the connection is over; returns if the server will not have it.
pub(super) async fn subscribe(kept: &Kept, interests: &Interests) {
    let (rests, tidies) = (Instant::now(), Instant::now() + TIDY);
    let held = BTreeSet::new();
    let mut subscriber = Subscriber { kept, interests, held, asking: None, failures: 0, rests, tidies };
    let mut unasked = kept.unasked.clone();
    loop {
        let audible = *unasked.borrow() == Unasked::Heard;
        let due = subscriber.ask(audible);
        tokio::select! {
            biased;
            changed = unasked.changed() => match changed {
                Ok(()) => subscriber.forget(),
                Err(_) => std::future::pending().await,
            },
            outcome = answered(&mut subscriber.asking) => {
                if !subscriber.settle(outcome) {
                    return;
                }
            }
            () = kept.news.notified() => {}
            () = sleep_until(due) => {}
        }
    }
}

async fn answered(asking: &mut Option<(Arc<str>, Exchange)>) -> Result<Bytes, Failure> {
    let Some((_, exchange)) = asking else { return std::future::pending().await };
    loop {
        if let Event::End(outcome) = exchange.next().await {
            return outcome;
        }
    }
}

impl Subscriber<'_> {
    /// Asks for the next resource that is not heard of yet, if it is time; says when to look again.
    fn ask(&mut self, audible: bool) -> Instant {
        let now = Instant::now();
        if now >= self.tidies {
            self.kept.wishes.lock().tidy(now);
            self.let_go();
            self.tidies = now + TIDY;
        }
        if self.asking.is_none() && audible && now >= self.rests {
            self.asking = self.begin();
        }
        if self.asking.is_none() && self.rests > now { self.rests.min(self.tidies) } else { self.tidies }
    }

    fn begin(&mut self) -> Option<(Arc<str>, Exchange)> {
        let uri = self.kept.wishes.lock().resources().find(|(_, heard)| !heard).map(|(uri, _)| Arc::clone(uri))?;
        let exchange = self.kept.ear.ask("resources/subscribe", params(&uri), Some(PATIENCE))?;
        if self.held.insert(Arc::clone(&uri)) {
            self.interests.join(self.kept.ear.connection(), &uri);
        }
        Some((uri, exchange))
    }

    /// Takes the answer; false if the server will have no subscriptions.
    fn settle(&mut self, outcome: Result<Bytes, Failure>) -> bool {
        let Some((uri, _)) = self.asking.take() else { return true };
        match outcome {
            Ok(_) => {
                self.failures = 0;
                self.kept.wishes.lock().settle(&uri, true);
                // Its time may have been over in between.
                self.let_go();
                true
            }
            Err(Failure::Rpc(error)) => {
                self.kept.wishes.lock().settle(&uri, false);
                self.drop_wish(&uri);
                error.code != METHOD_NOT_FOUND
            }
            Err(Failure::Refused(_)) => {
                self.drop_wish(&uri);
                self.failures += 1;
                self.rests = after(self.failures);
                self.failures < FAILURES
            }
        }
    }

    /// Something may have been missed.
    fn forget(&mut self) {
        self.kept.miss();
        self.asking = None;
        self.let_go();
    }

    /// Lets go of what nobody here wants any more.
    fn let_go(&mut self) {
        let asked = self.asking.as_ref().map(|(uri, _)| uri);
        let wanted: BTreeSet<Arc<str>> =
            self.kept.wishes.lock().resources().map(|(uri, _)| uri).chain(asked).cloned().collect();
        let over: Vec<_> = self.held.difference(&wanted).cloned().collect();
        for uri in over {
            self.part(&uri);
        }
    }

    /// Ends a subscription that nobody on the connection wants any more.
    fn part(&mut self, uri: &Arc<str>) {
        if self.drop_wish(uri)
            && let Some(exchange) = self.kept.ear.ask("resources/unsubscribe", params(uri), Some(PATIENCE))
        {
            tokio::spawn(exchange.finish());
        }
    }

    /// Takes one wish back; true if it was the last.
    fn drop_wish(&mut self, uri: &Arc<str>) -> bool {
        self.held.remove(uri) && self.interests.part(self.kept.ear.connection(), uri)
    }
}

impl Drop for Subscriber<'_> {
    fn drop(&mut self) {
        for uri in std::mem::take(&mut self.held) {
            self.interests.part(self.kept.ear.connection(), &uri);
        }
    }
}

fn params(uri: &str) -> Bytes {
    let mut params = b"{\"uri\":".to_vec();
    params.extend_from_slice(&quote(uri));
    params.push(b'}');
    params.into()
}
