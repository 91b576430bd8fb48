//! Connections to one HTTP origin, kept and shared.
//!
//! A [`Pool`] gives every request the connection that was used last, opens another if there is none and the
//! maximum allows it, and otherwise has it wait its turn for a bounded time. HTTP/2 is spoken where TLS agrees on it
//! or the configuration says so: then many calls share a few connections, at least two once there are several. A
//! request is sent once: again only where the other side provably did not begin with it, or where the caller says
//! that twice does no harm. A request or a body that is dropped gives back what it held, wherever it was.
//!
//! Rooms: [`room`] gives out places by the [`books`], as what is in [`guard`]; [`open`] and [`dial`] make connections, [`attempt`] sends one request over one of them, [`line`] and [`many`] are the two
//! kinds; [`patience`] decides how long one rests, [`health`] whether the origin is asked at all; [`keeper`] looks after
//! what rests. Nothing here knows MCP.

mod attempt;
mod body;
mod books;
mod dial;
mod guard;
mod health;
mod keeper;
mod line;
mod many;
mod metrics;
mod open;
mod patience;
mod quick;
mod room;
mod tally;
mod terms;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::timeout;

pub(crate) use self::metrics::render;
use self::{
    attempt::{Missed, Trial},
    dial::Dialer,
    guard::Grant,
    room::Room,
};
pub use self::{
    body::Arriving,
    books::Lane,
    tally::Report,
    terms::{Origin, Terms, Trust},
};

/// Attempts at a request that the other side did not begin with, each over another connection.
const ATTEMPTS: u32 = 4;
/// Who found no place in time may come back after this, or after the time it waited.
const COME_BACK: Duration = Duration::from_secs(2);

/// Why no answer came.
#[derive(Debug)]
pub enum Unanswered {
    /// The request was never sent: no connection could be opened.
    Unsent(String),
    /// Nobody can say what became of it.
    Lost(String),
    /// The request was never sent: no connection became free in time.
    Full(String, Duration),
    /// The request was never sent, and there is no sense in trying again before this time.
    Refused(String, Duration),
}

/// What a request is to the pool.
#[derive(Debug, Clone, Copy)]
pub struct Errand {
    /// What its connection is wanted for.
    pub lane: Lane,
    /// Sent twice it does no harm.
    pub repeatable: bool,
}

/// Connections to one origin.
#[derive(Debug)]
pub struct Pool {
    room: Arc<Room>,
}

impl Pool {
    /// A pool without connections. Called inside a tokio runtime.
    pub fn new(origin: Origin, terms: Terms) -> Self {
        let dialer = Dialer::new(origin, terms.pool.http2);
        let room = Room::new(terms, dialer);
        tokio::spawn(keeper::keep(Arc::downgrade(&room), Arc::clone(&room.bell)));
        Self { room }
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// # Errors
    /// No answer came; what that says about the request is in the error.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        errand: Errand,
    ) -> Result<Response<Arriving>, Unanswered> {
        let trial = self.admit()?;
        let mut repeatable = errand.repeatable;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let grant = self.place(errand.lane).await?;
            let copy = repeatable.then(|| request.clone());
            let missed = match attempt::attempt(&self.room, grant, request).await {
                Ok(response) => {
                    trial.judge(response.status());
                    return Ok(response);
                }
                Err(missed) => missed,
            };
            match missed {
                Missed::Unsent { request: unsent, used, .. } if used && attempts < ATTEMPTS => request = *unsent,
                Missed::Unsent { why, .. } => return Err(Unanswered::Unsent(why)),
                Missed::Unreachable(why) => {
                    trial.failed(&why, true);
                    return Err(Unanswered::Unsent(why));
                }
                Missed::Lost { why, rested } => {
                    self.room.lost(rested);
                    let Some(copy) = copy.filter(|_| rested.is_some()) else {
                        trial.failed(&why, false);
                        return Err(Unanswered::Lost(why));
                    };
                    repeatable = false;
                    request = copy;
                }
            }
        }
    }

    /// What is counted, and how it stands.
    pub fn report(&self) -> Report {
        self.room.report()
    }

    fn admit(&self) -> Result<Trial<'_>, Unanswered> {
        match self.room.admit() {
            Ok(admitted) => Ok(Trial::new(&self.room, admitted)),
            Err((wait, why)) => {
                self.room.tally.refused();
                let seconds = wait.as_secs_f64();
                let why = format!("it failed too often and is left alone for {seconds:.1} s; the last time: {why}");
                Err(Unanswered::Refused(why, wait))
            }
        }
    }

    /// Waits for a place.
    async fn place(&self, lane: Lane) -> Result<Grant, Unanswered> {
        let (entered, second) = self.room.enter(lane);
        if second {
            let room = Arc::clone(&self.room);
            tokio::spawn(async move { keeper::spare(&room).await });
        }
        let seat = match entered {
            Ok(grant) => return Ok(grant),
            Err(seat) => seat,
        };
        let pool = &self.room.terms.pool;
        if let Ok(Ok(grant)) = timeout(Duration::from_millis(pool.wait_ms), seat).await {
            return Ok(grant);
        }
        self.room.tally.refused();
        let (most, wait) = (pool.max_connections, pool.wait_ms);
        let why = format!("all of its {most} connections are in use, and none became free within {wait} ms");
        Err(Unanswered::Full(why, COME_BACK.max(Duration::from_millis(wait))))
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
