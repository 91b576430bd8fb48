//! One server's notifications for one client, while one connection lasts.

use std::time::Duration;

use bytes::Bytes;
use omnimind_wire::{
    Edit, Era, MODERN_VERSION, Reason, Refusal, RpcError, bridge, error::INTERNAL_ERROR, headers::META_SUBSCRIPTION,
};
use tokio::sync::mpsc;

use super::{ACKNOWLEDGED, Filter};
use crate::{
    relay::{Client, Source, flight},
    session::interests::Subscription,
    upstream::{Call, Event, Exchange, Failure, Lease, Note, Notes, Question},
};

/// How long a server may take to acknowledge.
const ACKNOWLEDGED_IN: Duration = Duration::from_secs(10);

/// What a feed brings.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A notification, in the endpoint's names.
    Note(Note),
    /// A question outside of any call (legacy sessions only).
    Ask(Question, Lease),
}

/// One server's notifications for one client, while one connection lasts.
pub(super) struct Feed {
    from: Voice,
    /// What was asked for.
    pub(super) asked: Filter,
    /// What is brought.
    pub(super) filter: Filter,
    lease: Lease,
    questions: Option<Questions>,
}

enum Voice {
    Modern(Exchange),
    Legacy(Notes, #[allow(dead_code, reason = "held for its end")] Vec<Subscription>),
}

/// A session's receiver of questions, borrowed.
struct Questions {
    client: Client,
    server: String,
    receiver: Option<mpsc::Receiver<Question>>,
}

impl Questions {
    fn of(client: &Client, server: &str) -> Option<Self> {
        let receiver = client.session.as_ref()?.take_questions(server)?;
        Some(Self { client: client.clone(), server: server.to_owned(), receiver: Some(receiver) })
    }

    async fn next(questions: &mut Option<Self>) -> Question {
        if let Some(receiver) = questions.as_mut().and_then(|questions| questions.receiver.as_mut())
            && let Some(question) = receiver.recv().await
        {
            return question;
        }
        std::future::pending().await
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        if let (Some(session), Some(receiver)) = (&self.client.session, self.receiver.take()) {
            session.return_questions(&self.server, receiver);
        }
    }
}

impl Feed {
    pub(super) async fn open(client: &Client, source: &Source, wanted: &Filter) -> Result<Self, Failure> {
        let lease = client.lease(&source.spec, "").await?;
        let questions = Questions::of(client, &source.spec.name);
        let (from, filter) = match lease.negotiated().era {
            Era::Modern => Self::modern(client, source, &lease, wanted).await?,
            Era::Legacy => Self::legacy(client, source, &lease, wanted).await?,
        };
        Ok(Self { from, asked: wanted.clone(), filter, lease, questions })
    }

    async fn modern(
        client: &Client,
        source: &Source,
        lease: &Lease,
        wanted: &Filter,
    ) -> Result<(Voice, Filter), Failure> {
        let info = (!client.info.is_empty()).then_some(&client.info[..]);
        let meta = bridge::request_meta(MODERN_VERSION, info, Some(&client.capabilities), None);
        let params = Edit::new(b"{}").set(&["notifications"], wanted.raw().to_vec()).set(&["_meta"], meta).finish();
        let mut exchange = lease.call(Call {
            id: Bytes::from_static(b"0"),
            method: "subscriptions/listen".into(),
            params: params.map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?,
            headers: Vec::new(),
            operator: client.is_operator(),
            idle: None,
            deadline: None,
            trace: None,
        });
        let acknowledged = async {
            loop {
                match exchange.next().await {
                    Event::Note(note) if &*note.method == ACKNOWLEDGED => {
                        return Ok(Filter::parse(&note.params).unwrap_or_default());
                    }
                    Event::Note(_) | Event::Pause { .. } => {}
                    Event::Ask(question) => flight::refuse(question),
                    Event::End(Err(failure)) => return Err(failure),
                    Event::End(Ok(_)) | Event::Long(_) => {
                        return Err(Failure::Rpc(RpcError::new(
                            INTERNAL_ERROR,
                            "the server ended the subscription at once",
                        )));
                    }
                }
            }
        };
        let late = || {
            let detail = format!("{} did not acknowledge the subscription", source.spec.name);
            Failure::Refused(Refusal::new(Reason::UpstreamTimeout, "server", detail).about(&*source.spec.name))
        };
        let filter = tokio::time::timeout(ACKNOWLEDGED_IN, acknowledged).await.map_err(|_| late())??;
        Ok((Voice::Modern(exchange), filter))
    }

    async fn legacy(
        client: &Client,
        source: &Source,
        lease: &Lease,
        wanted: &Filter,
    ) -> Result<(Voice, Filter), Failure> {
        let notes = lease.notes();
        if client.session.is_some() {
            // The session subscribed when its client did, and holds that itself.
            let filter = Filter { uris: wanted.uris.clone(), ..wanted.honoured_by(lease) };
            return Ok((Voice::Legacy(notes, Vec::new()), filter));
        }
        let mut filter = wanted.honoured_by(lease);
        let mut held = Vec::new();
        let mut honoured = Vec::new();
        for uri in std::mem::take(&mut filter.uris) {
            let interests = &client.caller.plane.sessions.interests;
            match interests.subscribe(&source.spec, lease, &uri).await {
                Ok(subscription) => {
                    held.push(subscription);
                    honoured.push(uri);
                }
                Err(Failure::Rpc(_)) => {}
                Err(refused) => return Err(refused),
            }
        }
        filter.uris = honoured;
        Ok((Voice::Legacy(notes, held), filter))
    }

    /// Waits until the server wants nothing new on this connection: the feed is to be opened on the next one.
    pub(super) fn replaced(&self) -> impl Future<Output = ()> + use<> {
        let lease = self.lease.clone();
        async move { lease.retired().await }
    }

    /// The next thing wanted; none when the connection is over.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        loop {
            let note = tokio::select! {
                question = Questions::next(&mut self.questions) => return Some(Heard::Ask(question, self.lease.clone())),
                note = self.from.next() => note?,
            };
            if self.filter.wants(&note) {
                return Some(Heard::Note(note));
            }
        }
    }
}

impl Voice {
    async fn next(&mut self) -> Option<Note> {
        match self {
            Self::Legacy(notes, _) => notes.recv().await,
            Self::Modern(exchange) => loop {
                match exchange.next().await {
                    Event::Note(note) => {
                        let params =
                            Edit::new(&note.params).remove_pruned(&["_meta", META_SUBSCRIPTION]).finish().ok()?;
                        return Some(Note { method: note.method, params });
                    }
                    Event::Ask(question) => flight::refuse(question),
                    Event::Pause { .. } => {}
                    Event::End(_) | Event::Long(_) => return None,
                }
            },
        }
    }
}
