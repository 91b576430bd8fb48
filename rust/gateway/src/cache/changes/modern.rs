//! One `subscriptions/listen` a connection, opened anew as more is to be heard of.
//!
//! The new one is open before the old one is let go, so that there is no gap between them.

use std::time::Duration;

use bytes::Bytes;
use omnimind_wire::{Edit, MODERN_VERSION, bridge, error::METHOD_NOT_FOUND};
use tokio::time::{Instant, sleep_until};

use super::{FAILURES, Kept, PATIENCE, TIDY, after};
use crate::{
    relay::listen::{ACKNOWLEDGED, Filter},
    upstream::{Event, Exchange, Failure},
};

/// A subscription that lasted this long did not fail.
const STEADY: Duration = Duration::from_secs(5);
/// Wishes that come within this, and for each resource listened to a little more, are asked for together.
const TOGETHER: Duration = Duration::from_millis(20);
const PER_URI: Duration = Duration::from_millis(1);

/// A subscription that the server has not agreed to yet.
struct Opening {
    exchange: Exchange,
    asked: Filter,
    patience: Instant,
}

/// What came of what was heard.
enum Outcome {
    /// Nothing to speak of.
    Fine,
    /// Nothing, or too little; perhaps another time.
    Failed,
    /// The server will not have it.
    Refused,
}

struct Listener<'a> {
    kept: &'a Kept,
    info: &'a Bytes,
    open: Option<(Exchange, Instant)>,
    opening: Option<Opening>,
    failures: u32,
    /// Nothing is asked before.
    rests: Instant,
    /// Wishes are looked through then.
    tidies: Instant,
    stale: bool,
}

/// Listens until the connection is over; returns if the server will not have it.
pub(super) async fn listen(kept: &Kept, info: &Bytes) {
    let now = Instant::now();
    let (rests, tidies) = (now, now + TIDY);
    let mut listener = Listener { kept, info, open: None, opening: None, failures: 0, rests, tidies, stale: false };
    loop {
        match listener.step().await {
            Outcome::Fine => {}
            Outcome::Refused => return kept.miss(),
            Outcome::Failed => {
                listener.failures += 1;
                if listener.failures >= FAILURES {
                    return kept.miss();
                }
                listener.rests = after(listener.failures);
            }
        }
    }
}

impl Listener<'_> {
    /// Asks for what is wanted, if it is time, and waits for the next thing to happen.
    async fn step(&mut self) -> Outcome {
        let now = Instant::now();
        if now >= self.tidies {
            self.stale |= self.kept.wishes.lock().tidy(now);
            self.tidies = now + TIDY;
        }
        let wanting = self.opening.is_none() && (self.stale || self.kept.wishes.lock().is_wanting());
        if wanting && now >= self.rests {
            return self.ask();
        }
        let patience = self.opening.as_ref().map(|opening| opening.patience);
        let rests = wanting.then_some(self.rests);
        let due = [patience, rests, Some(self.tidies)].into_iter().flatten().min().unwrap_or(self.tidies);
        tokio::select! {
            biased;
            event = next(self.open.as_mut().map(|(exchange, _)| exchange)) => self.hear(&event),
            event = next(self.opening.as_mut().map(|opening| &mut opening.exchange)) => self.settle(event),
            () = self.kept.news.notified() => Outcome::Fine,
            () = sleep_until(due) => match patience {
                Some(patience) if patience <= Instant::now() => {
                    self.opening = None;
                    Outcome::Failed
                }
                _ => Outcome::Fine,
            },
        }
    }

    fn is_steady(&self) -> bool {
        self.open.as_ref().is_some_and(|(_, since)| since.elapsed() >= STEADY)
    }

    fn ask(&mut self) -> Outcome {
        let asked = self.kept.wishes.lock().filter();
        self.stale = false;
        if asked.is_empty() {
            self.open = None;
            return Outcome::Fine;
        }
        let meta = bridge::request_meta(MODERN_VERSION, Some(self.info), None, None);
        let params = Edit::new(b"{}").set(&["notifications"], asked.raw().to_vec()).set(&["_meta"], meta).finish();
        let now = Instant::now();
        self.rests = now + TOGETHER + PER_URI * u32::try_from(asked.uris.len()).unwrap_or(u32::MAX);
        let begun = params.ok().and_then(|params| self.kept.ear.ask("subscriptions/listen", params, None));
        let Some(exchange) = begun else { return Outcome::Failed };
        self.opening = Some(Opening { exchange, asked, patience: now + PATIENCE });
        Outcome::Fine
    }

    /// Takes what came over the open subscription; the watch has been told of it already.
    fn hear(&mut self, event: &Event) -> Outcome {
        if !matches!(event, Event::End(_)) {
            return Outcome::Fine;
        }
        let steady = self.is_steady();
        self.open = None;
        // What is being asked for is asked for again when it is wanted again.
        self.opening = None;
        self.kept.miss();
        if steady {
            self.failures = 0;
            return Outcome::Fine;
        }
        Outcome::Failed
    }

    /// Takes what came over a subscription that the server has not agreed to yet.
    fn settle(&mut self, event: Event) -> Outcome {
        match event {
            Event::Note(note) if &*note.method == ACKNOWLEDGED => {
                let Some(opening) = self.opening.take() else { return Outcome::Fine };
                let honoured = Filter::parse(&note.params).unwrap_or_default();
                self.kept.wishes.lock().honour(&opening.asked, &honoured);
                if self.is_steady() {
                    self.failures = 0;
                }
                self.open = Some((opening.exchange, Instant::now()));
                Outcome::Fine
            }
            Event::End(outcome) => {
                let asked = self.opening.take().map(|opening| opening.asked).unwrap_or_default();
                match outcome {
                    Err(Failure::Rpc(error)) if error.code == METHOD_NOT_FOUND || asked.uris.is_empty() => {
                        Outcome::Refused
                    }
                    // It may be one of the resources that it does not like.
                    Err(Failure::Rpc(_)) => {
                        self.kept.wishes.lock().refuse_updates();
                        self.stale = self.open.is_some();
                        Outcome::Fine
                    }
                    _ => Outcome::Failed,
                }
            }
            _ => Outcome::Fine,
        }
    }
}

async fn next(exchange: Option<&mut Exchange>) -> Event {
    match exchange {
        Some(exchange) => exchange.next().await,
        None => std::future::pending().await,
    }
}
