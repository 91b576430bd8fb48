//! One request over one connection, and what its outcome says about connection and origin.

use std::{sync::Arc, task::Waker, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use super::{
    body::{Arriving, Kind},
    books::Rested,
    guard::{Grant, Hold, Slot},
    health::Admitted,
    line::{self, Coming, Line},
    many::{self, Flowing},
    open::{self, Opened},
    patience,
    room::Room,
    tally::Why,
};

/// The kernel is asked about a connection that has rested so long; of a shorter rest the reactor knows enough.
const DOUBT: Duration = Duration::from_millis(20);

/// Why an attempt has no answer.
pub(super) enum Missed {
    /// The other side did not begin with it; here it is. `used`: the connection was not opened for it.
    Unsent { request: Box<Request<Full<Bytes>>>, why: String, used: bool },
    /// It was sent, over a connection that had rested so long, if it had been used before.
    Lost { why: String, rested: Option<Duration> },
    /// There is no connection.
    Unreachable(String),
}

/// Sends a request over what was given for it.
pub(super) async fn attempt(
    room: &Arc<Room>,
    mut grant: Grant,
    request: Request<Full<Bytes>>,
) -> Result<Response<Arriving>, Missed> {
    loop {
        grant = match grant {
            Grant::Line(rested, slot) => {
                let rest = rested.since.elapsed();
                if let Some(line) = fit(room, rested, rest) {
                    room.tally.reused();
                    return over_line(room, line, slot, Some(rest), request).await;
                }
                room.another(slot)
            }
            Grant::Stream(hold) => {
                room.tally.reused();
                return over_stream(room, hold, true, request).await;
            }
            Grant::Dial(slot) => {
                return match open::open(room, slot).await {
                    Ok(Opened::Line(line, slot)) => over_line(room, line, slot, None, request).await,
                    Ok(Opened::Stream(hold)) => over_stream(room, hold, false, request).await,
                    Err(why) => Err(Missed::Unreachable(why)),
                };
            }
        };
    }
}

/// The connection, if it can be used again.
fn fit(room: &Room, rested: Rested, rest: Duration) -> Option<Line> {
    let mut line = rested.line;
    let good = if rest < DOUBT { line.is_good(Waker::noop()) } else { line.is_still_good() };
    if !good {
        room.lost(Some(rest));
        line.close(Why::Peer);
    } else if Instant::now() >= line.until {
        line.close(Why::Age);
    } else {
        return Some(line);
    }
    None
}

async fn over_line(
    room: &Arc<Room>,
    mut line: Line,
    slot: Slot,
    rested: Option<Duration>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Arriving>, Missed> {
    line::origin_form(&mut request, room.dialer.origin());
    match line.send(request).await {
        Ok(response) => {
            learn(room, response.headers());
            let last = line::is_last(response.headers());
            Ok(response.map(|body| Arriving(Kind::One(Coming::new(body, line, slot, last)))))
        }
        Err(line::Unheard::Unsent(request, why)) => Err(Missed::Unsent { request, why, used: rested.is_some() }),
        Err(line::Unheard::Lost(why)) => Err(Missed::Lost { why, rested }),
    }
}

fn learn(room: &Room, headers: &HeaderMap) {
    if let Some(said) = headers.get("keep-alive").and_then(|value| value.to_str().ok())
        && let Some(promise) = patience::promised(said)
    {
        room.promised(promise);
    }
}

async fn over_stream(
    room: &Arc<Room>,
    hold: Hold,
    used: bool,
    request: Request<Full<Bytes>>,
) -> Result<Response<Arriving>, Missed> {
    let (head, body) = many::whole_form(&request, room.dialer.origin());
    match hold.many.send(head, body).await {
        Ok(response) => {
            let hold = Some(hold);
            Ok(response.map(|body| Arriving(Kind::Two(Flowing { body, hold }))))
        }
        Err(many::Unheard::Unsent(why)) => {
            // Going away, or full in spite of what it said: the next attempt is for another.
            room.retire(&hold.many, Why::Asked);
            Err(Missed::Unsent { request: Box::new(request), why, used: used || hold.many.has_served() })
        }
        Err(many::Unheard::Lost(why)) => Err(Missed::Lost { why, rested: used.then_some(Duration::ZERO) }),
    }
}

/// A call that was let through, until it is known what it says about the origin.
pub(super) struct Trial<'a> {
    room: &'a Room,
    admitted: Option<Admitted>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(room: &'a Room, admitted: Admitted) -> Self {
        Self { room, admitted: Some(admitted) }
    }

    /// It was answered.
    pub(super) fn judge(mut self, status: StatusCode) {
        let Some(admitted) = self.admitted.take() else {
            return;
        };
        if matches!(status.as_u16(), 502..=504) {
            self.room.failed(admitted, &format!("it answered HTTP {status}"), false);
        } else {
            self.room.succeeded(admitted);
        }
    }

    /// It was not.
    pub(super) fn failed(mut self, why: &str, unreachable: bool) {
        if let Some(admitted) = self.admitted.take() {
            self.room.failed(admitted, why, unreachable);
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if let Some(admitted) = self.admitted.take().filter(Option::is_some) {
            self.room.health(|health| health.ended(admitted));
        }
    }
}
