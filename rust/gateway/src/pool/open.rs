//! From the right to open a connection to the connection.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    chain,
    dial::Speaks,
    guard::{Hold, Slot},
    health::spread,
    line::Line,
    many::Many,
    room::Room,
};

/// Nothing configured makes a connection older; a clock has an end.
const OLDEST: Duration = Duration::from_secs(365 * 86_400);

/// What has been opened.
pub(super) enum Opened {
    /// A connection for one call at a time.
    Line(Line, Slot),
    /// One that many use, with a place on it.
    Stream(Hold),
}

/// Opens a connection; dropped on the way, it gives back its right.
pub(super) async fn open(room: &Arc<Room>, mut slot: Slot) -> Result<Opened, String> {
    let terms = &room.terms;
    let dialed = room.dialer.dial(terms).await.map_err(|error| chain(&error))?;
    let opened = room.tally.open();
    let age = Duration::from_millis(terms.pool.max_age_ms).min(OLDEST);
    let until = Instant::now() + spread(age, (terms.chance)());
    let opened = if dialed.speaks == Speaks::One {
        let line = Line::new(dialed, until, opened).await?;
        room.opened(&mut slot);
        Opened::Line(line, slot)
    } else {
        let many = Many::new(dialed, until, opened, room.id(), room).await?;
        Opened::Stream(room.share(many, slot))
    };
    room.bell.ring();
    Ok(opened)
}
