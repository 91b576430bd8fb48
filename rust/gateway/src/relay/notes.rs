//! Notifications on their way to a client: which of them, and with whose token.

use bytes::Bytes;
use omnimind_wire::{Edit, Era, json::find, message};

use super::{Client, flight::Progress, level::Level};
use crate::upstream::Note;

/// Progress of a call.
pub(crate) const PROGRESS: &str = "notifications/progress";
/// A log message.
pub(crate) const LOG: &str = "notifications/message";

/// What a client hears of a note that belongs to its call. The modern era allows progress and log messages
/// on a response stream, the latter only if the request asked for them.
pub(crate) fn of_call(client: &Client, upstream: Era, progress: &Progress, note: Note) -> Option<Note> {
    let modern = client.era == Era::Modern;
    match &*note.method {
        PROGRESS => readdressed(progress, note),
        LOG if modern && upstream == Era::Modern => Some(note),
        LOG => loud_enough(client, note),
        "notifications/cancelled" => None,
        _ => (!modern).then_some(note),
    }
}

/// A log message, if it is as grave as the client wants. A legacy client that never set a level hears all.
pub(crate) fn loud_enough(client: &Client, note: Note) -> Option<Note> {
    let wanted = match (client.era, client.session.as_ref().and_then(|session| session.level()).or(client.log_level)) {
        (Era::Modern, None) => return None,
        (Era::Legacy, None) => return Some(note),
        (_, Some(wanted)) => wanted,
    };
    let said = find(&note.params, &["level"]).ok().flatten().and_then(Level::from_raw);
    said.is_none_or(|said| said >= wanted).then_some(note)
}

/// A progress note under the token of the request that is being answered now.
fn readdressed(progress: &Progress, note: Note) -> Option<Note> {
    match progress {
        Progress::AsSent => Some(note),
        Progress::Token(None) => None,
        Progress::Token(Some(token)) => {
            let params = Edit::new(&note.params).set(&["progressToken"], &token[..]).finish().ok()?;
            Some(Note { method: note.method, params })
        }
    }
}

/// A note as a message.
pub(crate) fn message(note: &Note) -> Bytes {
    message::notification(&note.method, (!note.params.is_empty()).then_some(&note.params))
}
