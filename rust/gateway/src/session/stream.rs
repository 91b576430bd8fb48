//! A session's own stream (GET): what servers say that belongs to no call.
//!
//! It is fed while it is open and by nobody else: no task runs for a session without a stream. Notifications
//! that come meanwhile are lost, as the legacy era has it; questions wait.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream::select_all};

use super::{Asked, Streaming};
use crate::{
    relay::{
        Client, endpoint,
        listen::{self, Heard},
        notes,
    },
    reply::{Outflow, Outgoing},
};

/// The stream of a session, for as long as it is claimed.
pub(crate) fn open(client: Client, claimed: Streaming) -> Outflow {
    let mut changes = client.caller.plane.fleet.changes();
    let sources = endpoint::sources(&client);
    let mut known: BTreeSet<String> = sources.iter().map(|source| source.spec.name.clone()).collect();
    let mut feeds: Vec<_> = sources.into_iter().map(|source| listen::of_session(client.clone(), source)).collect();
    feeds.push(endpoint::own_notes(&client).map(Heard::Note).boxed());
    let mut heard = select_all(feeds);
    Box::pin(async_stream::stream! {
        let mut asked: Vec<Asked> = Vec::new();
        loop {
            let next = tokio::select! {
                () = claimed.session.has_ended() => break,
                next = heard.next() => next,
                _ = changes.recv() => {
                    let new = endpoint::sources(&client).into_iter();
                    for source in new.filter(|source| known.insert(source.spec.name.clone())) {
                        heard.push(listen::of_session(client.clone(), source));
                    }
                    continue;
                }
            };
            match next {
                Some(Heard::Note(note)) => {
                    let note = if &*note.method == notes::LOG { notes::loud_enough(&client, note) } else { Some(note) };
                    if let Some(note) = note {
                        yield Outgoing::Message(notes::message(&note));
                    }
                }
                Some(Heard::Ask(question, lease)) => {
                    if !client.can_answer(&question.method, &question.params) {
                        crate::relay::flight::refuse(question);
                        continue;
                    }
                    asked.retain(Asked::is_open);
                    match claimed.session.ask(question, &lease) {
                        Ok((handle, message)) => {
                            asked.push(handle);
                            yield Outgoing::Message(message);
                        }
                        Err(question) => crate::relay::flight::refuse(question),
                    }
                }
                None => claimed.session.has_ended().await,
            }
        }
    })
}
