//! The life of one call, as its caller sees it: events, then one end.
//!
//! The exchange is polled in place, by whoever serves the client: no task and no channel stand between. It
//! keeps the call's two clocks itself, the idle one (every event renews it) and the absolute one; the timer
//! is armed once and looked at again when it fires, so that a busy call does not touch it. Dropping the
//! exchange before its end cancels the call upstream.
//!
//! It carries the span of a traced call, which ends with it, and the permit under which the call is in flight. Ended in
//! time, it leaves that to its caller; cut off, it sees to it that a server which may go on with the call is not taken
//! for free.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use omnimind_wire::{Reason, Refusal, RpcError, error::INTERNAL_ERROR};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Event, Failure, LOST, Lease, pipe::PipeCall};
use crate::{
    admission::Permit,
    relay::says_error,
    traces::{Attempt, Fault},
};

/// Why a call is cancelled that nobody waits for any more.
pub(super) const GONE: &str = "the client went away";

/// Events of a call over HTTP, produced as they are polled.
pub(super) type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// What feeds an exchange.
pub(super) enum Feed {
    /// A stream shared with others.
    Pipe(PipeCall),
    /// An HTTP exchange of its own.
    Http(Events),
    /// One event, then nothing.
    Known(Option<Event>),
}

/// The life of one call. Dropping it cancels the call, unless it has ended.
pub struct Exchange {
    feed: Feed,
    server: Arc<str>,
    clock: Clock,
    permit: Option<Permit>,
    attempt: Option<Box<Attempt>>,
    _lease: Option<Lease>,
}

impl Exchange {
    pub(super) fn new(
        feed: Feed,
        server: Arc<str>,
        idle: Option<Duration>,
        deadline: Option<Instant>,
        lease: Option<Lease>,
    ) -> Self {
        Self { feed, server, clock: Clock::new(idle, deadline), permit: None, attempt: None, _lease: lease }
    }

    /// An exchange that ends at once, with this refusal.
    pub fn refused(refusal: Refusal) -> Self {
        let server = refusal.server.as_deref().unwrap_or_default().into();
        let end = Event::End(Err(Failure::Refused(refusal)));
        Self::new(Feed::Known(Some(end)), server, None, None, None)
    }

    /// Takes the permit the call is in flight under.
    pub(crate) fn carry(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// Takes the span of the call.
    pub(crate) fn trace(&mut self, attempt: Option<Box<Attempt>>) {
        self.attempt = attempt;
    }

    /// Gives the permit back: to be finished, or carried on. None if the call's time was over.
    pub(crate) fn permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    /// The next event. Safe to drop while waiting; after [`Event::End`] it waits for ever.
    pub async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event, polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let polled = match &mut self.feed {
            Feed::Pipe(call) => call.poll(cx),
            Feed::Http(events) => {
                events.as_mut().poll_next(cx).map(|event| event.unwrap_or_else(|| cut_short(&self.server)))
            }
            Feed::Known(event) => event.take().map_or(Poll::Pending, Poll::Ready),
        };
        match polled {
            Poll::Ready(event @ (Event::End(_) | Event::Long(_))) => {
                self.over();
                self.told(&event);
                Poll::Ready(event)
            }
            Poll::Ready(event) => {
                self.clock.renew();
                Poll::Ready(event)
            }
            Poll::Pending => self.clock.poll(cx).map(|late| self.time_out(&late)),
        }
    }

    /// Stops the idle clock while somebody else is to speak (a question is being answered), or starts it anew.
    pub fn hold(&mut self, held: bool) {
        self.clock.held = held;
        self.clock.renew();
    }

    /// Waits for the end; notifications are dropped, questions refused.
    pub async fn finish(mut self) -> Result<Bytes, Failure> {
        self.outcome().await
    }

    /// The same, for who goes on with the permit.
    pub(crate) async fn outcome(&mut self) -> Result<Bytes, Failure> {
        loop {
            match self.next().await {
                Event::End(outcome) => return outcome,
                Event::Long(long) => return long.whole().await.map_err(|why| unusable(&self.server, &why)),
                Event::Note(_) | Event::Ask(_) | Event::Pause { .. } => {}
            }
        }
    }

    /// Takes an end back that nobody has dealt with yet: it is the next event again.
    pub(crate) fn put_back(&mut self, end: Event) {
        self.feed = Feed::Known(Some(end));
    }

    fn time_out(&mut self, late: &Late) -> Event {
        let zombie = self.permit.take().and_then(Permit::late);
        if let Feed::Pipe(call) = &self.feed {
            call.cancel("it took too long", zombie);
        }
        self.over();
        let detail = match late {
            Late::Silent(idle) => format!("{} said nothing for {} ms", self.server, idle.as_millis()),
            Late::Deadline => format!("{} did not finish before the deadline", self.server),
        };
        let refusal = Refusal::new(Reason::UpstreamTimeout, "server", detail).about(&*self.server);
        let end = Event::End(Err(Failure::Refused(refusal)));
        self.told(&end);
        end
    }

    /// Nothing follows.
    fn over(&mut self) {
        self.feed = Feed::Known(None);
        self.clock = Clock::new(None, None);
    }

    /// Ends the call's span; that of a long answer ends with its beginning.
    fn told(&mut self, end: &Event) {
        let Some(mut attempt) = self.attempt.take() else { return };
        let fault = match end {
            Event::End(Err(Failure::Rpc(error))) => Some(Fault::of_code(error.code)),
            Event::End(Err(Failure::Refused(refusal))) => {
                Some(Fault { kind: refusal.reason.as_str().into(), code: None })
            }
            Event::End(Ok(result)) if attempt.is_of_tool() && says_error(result) => Some(Fault::TOOL),
            _ => None,
        };
        attempt.end(fault, std::time::Instant::now());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // What the feed alone would do, and the permit with it. A stream over HTTP ends with its call.
        if let (Feed::Pipe(call), Some(permit)) = (&self.feed, self.permit.take()) {
            call.cancel(GONE, permit.abandoned());
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("server", &self.server).finish_non_exhaustive()
    }
}

fn cut_short(server: &str) -> Event {
    let detail = format!("{server} closed the stream before it answered");
    Event::End(Err(Failure::Refused(Refusal::new(Reason::ServerUnavailable, LOST, detail).about(server))))
}

/// A long answer cannot be read whole; asking again would not help.
/// An answer that cannot be used.
pub(crate) fn unusable(server: &str, why: &str) -> Failure {
    Failure::Rpc(RpcError::new(INTERNAL_ERROR, format!("the answer of {server} cannot be used: {why}")))
}

/// Which clock ran out.
enum Late {
    Silent(Duration),
    Deadline,
}

/// The two clocks of a call, with one timer.
struct Clock {
    idle: Option<Duration>,
    deadline: Option<Instant>,
    heard: Option<Instant>,
    held: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn new(idle: Option<Duration>, deadline: Option<Instant>) -> Self {
        Self { idle, deadline, heard: None, held: false, timer: None }
    }

    fn renew(&mut self) {
        if self.idle.is_some() {
            self.heard = Some(Instant::now());
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Late> {
        if self.idle.is_none() && self.deadline.is_none() {
            return Poll::Pending;
        }
        loop {
            let heard = *self.heard.get_or_insert_with(Instant::now);
            let silent = self.idle.filter(|_| !self.held).map(|idle| heard + idle);
            let Some(due) = [silent, self.deadline].into_iter().flatten().min() else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() < due {
                timer.as_mut().reset(due);
                continue;
            }
            let late = match self.idle {
                Some(idle) if silent == Some(due) && self.deadline != Some(due) => Late::Silent(idle),
                _ => Late::Deadline,
            };
            return Poll::Ready(late);
        }
    }
}
