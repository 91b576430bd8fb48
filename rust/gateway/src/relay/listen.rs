//! Subscriptions: what a server says of its own accord, brought to whoever asked for it.
//!
//! One [`Feed`] is one server's notifications for one client: a `subscriptions/listen` call where the server
//! is modern, the connection's own notifications and `resources/subscribe` where it is legacy. A feed outlives
//! its connection: when the server comes back it is opened again, and since nobody knows what was missed,
//! everything asked for is reported as changed. A modern client's listen and a legacy session's stream are
//! both made of feeds.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{BoxStream, select_all},
};
use omnimind_wire::{
    Edit, Era, MODERN_VERSION, Object, Reason, Refusal, Request, RpcError, bridge,
    error::{INTERNAL_ERROR, INVALID_PARAMS},
    headers::META_SUBSCRIPTION,
    json::{as_bool, as_str, elements, find, push_quoted},
};
use tokio::sync::{mpsc, watch};

use super::{Client, Source, Target, endpoint, notes};
use crate::{
    config::{Kind, Sharing},
    control::State,
    reply::{Outgoing, Reply},
    session::interests::Subscription,
    upstream::{Call, Event, Exchange, Failure, Lease, Note, Notes, Question},
};

/// Most resources one listen may name.
const MOST_URIS: usize = 1_024;
/// How long a server may take to acknowledge.
const ACKNOWLEDGED_IN: Duration = Duration::from_secs(10);
/// Between attempts to open a feed again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const UPDATED: &str = "notifications/resources/updated";
const TOOLS: &str = "notifications/tools/list_changed";
const PROMPTS: &str = "notifications/prompts/list_changed";
const RESOURCES: &str = "notifications/resources/list_changed";

/// What somebody wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the lists of resources and templates.
    pub resources: bool,
    /// Updates of these resources.
    pub uris: Vec<Arc<str>>,
    /// Whatever else the server says (legacy sessions only).
    pub rest: bool,
}

impl Filter {
    /// Reads the `notifications` member of a listen's params.
    pub fn parse(params: &[u8]) -> Result<Self, RpcError> {
        let invalid = |what: &str| RpcError::new(INVALID_PARAMS, format!("subscriptions/listen: {what}"));
        let raw = find(params, &["notifications"]).ok().flatten();
        let raw = raw.ok_or_else(|| invalid("params.notifications is missing"))?;
        let object = Object::parse(raw).map_err(|_| invalid("params.notifications must be an object"))?;
        let flag = |key: &str| match object.get(key).map(|raw| (as_bool(raw), raw)) {
            None | Some((_, b"null")) => Ok(false),
            Some((Some(flag), _)) => Ok(flag),
            Some(_) => Err(invalid(&format!("{key} must be true or false"))),
        };
        let mut uris = Vec::new();
        if let Some(raw) = object.get("resourceSubscriptions").filter(|raw| *raw != b"null") {
            let wrong = || invalid("resourceSubscriptions must be a list of URIs");
            for raw in elements(raw).map_err(|_| wrong())? {
                uris.push(Arc::from(as_str(raw).ok_or_else(wrong)?));
            }
        }
        if uris.len() > MOST_URIS {
            return Err(invalid(&format!("at most {MOST_URIS} resources can be named in one subscription")));
        }
        Ok(Self {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
            uris,
            rest: false,
        })
    }

    /// The filter as the wire has it.
    pub fn raw(&self) -> Bytes {
        let mut out = vec![b'{'];
        let flags =
            [("toolsListChanged", self.tools), ("promptsListChanged", self.prompts), ("resourcesListChanged", self.resources)];
        for (key, _) in flags.into_iter().filter(|(_, wanted)| *wanted) {
            separate(&mut out);
            push_quoted(&mut out, key);
            out.extend_from_slice(b":true");
        }
        if !self.uris.is_empty() {
            separate(&mut out);
            out.extend_from_slice(b"\"resourceSubscriptions\":[");
            for uri in &self.uris {
                if !out.ends_with(b"[") {
                    out.push(b',');
                }
                push_quoted(&mut out, uri);
            }
            out.push(b']');
        }
        out.push(b'}');
        out.into()
    }

    /// True if nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if a note is among what is wanted. An update may name something inside a resource subscribed to.
    pub fn wants(&self, note: &Note) -> bool {
        match &*note.method {
            TOOLS => self.tools,
            PROMPTS => self.prompts,
            RESOURCES => self.resources,
            UPDATED => {
                let uri = find(&note.params, &["uri"]).ok().flatten().and_then(as_str);
                uri.is_some_and(|uri| self.uris.iter().any(|wanted| uri.starts_with(&**wanted)))
            }
            _ => self.rest,
        }
    }

    /// What a server of these capabilities will keep of it.
    fn honoured_by(&self, lease: &Lease) -> Self {
        let has = |path: [&str; 2]| {
            let path = ["capabilities", path[0], path[1]];
            find(&lease.negotiated().result, &path).ok().flatten().and_then(as_bool) == Some(true)
        };
        Self {
            tools: self.tools && has(["tools", "listChanged"]),
            prompts: self.prompts && has(["prompts", "listChanged"]),
            resources: self.resources && has(["resources", "listChanged"]),
            uris: if has(["resources", "subscribe"]) { self.uris.clone() } else { Vec::new() },
            rest: self.rest,
        }
    }

    /// A note for everything in it: after a gap all of it may have changed.
    fn all_changed(&self) -> Vec<Note> {
        let list = |wanted: bool, method: &str| wanted.then(|| Note { method: method.into(), params: Bytes::new() });
        let lists = [list(self.tools, TOOLS), list(self.prompts, PROMPTS), list(self.resources, RESOURCES)];
        let updates = self.uris.iter().map(|uri| {
            let mut params = b"{\"uri\":".to_vec();
            push_quoted(&mut params, uri);
            params.push(b'}');
            Note { method: UPDATED.into(), params: params.into() }
        });
        lists.into_iter().flatten().chain(updates).collect()
    }
}

fn separate(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

/// What a feed brings.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A notification, in the endpoint's names.
    Note(Note),
    /// A question outside of any call (legacy sessions only).
    Ask(Question, Lease),
}

/// One server's notifications for one client, while one connection lasts.
struct Feed {
    from: From,
    filter: Filter,
    lease: Lease,
    questions: Option<Questions>,
}

enum From {
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
        if let Some(receiver) = questions.as_mut().and_then(|questions| questions.receiver.as_mut()) {
            if let Some(question) = receiver.recv().await {
                return question;
            }
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
    async fn open(client: &Client, source: &Source, wanted: &Filter) -> Result<Self, Failure> {
        let lease = client.lease(&source.spec, "").await?;
        let questions = Questions::of(client, &source.spec.name);
        let (from, filter) = match lease.negotiated().era {
            Era::Modern => Self::modern(client, source, &lease, wanted).await?,
            Era::Legacy => Self::legacy(client, source, &lease, wanted).await?,
        };
        Ok(Self { from, filter, lease, questions })
    }

    async fn modern(client: &Client, source: &Source, lease: &Lease, wanted: &Filter) -> Result<(From, Filter), Failure> {
        let info = (!client.info.is_empty()).then_some(&client.info[..]);
        let meta = bridge::request_meta(MODERN_VERSION, info, Some(&client.capabilities), None);
        let params = Edit::new(b"{}").set(&["notifications"], wanted.raw().to_vec()).set(&["_meta"], meta).finish();
        let mut exchange = lease.call(Call {
            id: Bytes::from_static(b"0"),
            method: "subscriptions/listen".into(),
            params: params.map_err(|malformed| Failure::Rpc(malformed.rpc_error()))?,
            headers: Vec::new(),
            idle: None,
            deadline: None,
        });
        let acknowledged = async {
            loop {
                match exchange.next().await {
                    Event::Note(note) if &*note.method == ACKNOWLEDGED => return Ok(Filter::parse(&note.params).unwrap_or_default()),
                    Event::Note(_) | Event::Pause { .. } => {}
                    Event::Ask(question) => super::flight::refuse(question),
                    Event::End(Err(failure)) => return Err(failure),
                    Event::End(Ok(_)) => {
                        return Err(Failure::Rpc(RpcError::new(INTERNAL_ERROR, "the server ended the subscription at once")));
                    }
                }
            }
        };
        let late = || {
            let detail = format!("{} did not acknowledge the subscription", source.spec.name);
            Failure::Refused(Refusal::new(Reason::UpstreamTimeout, "server", detail).about(&*source.spec.name))
        };
        let filter = tokio::time::timeout(ACKNOWLEDGED_IN, acknowledged).await.map_err(|_| late())??;
        Ok((From::Modern(exchange), filter))
    }

    async fn legacy(client: &Client, source: &Source, lease: &Lease, wanted: &Filter) -> Result<(From, Filter), Failure> {
        let notes = lease.notes();
        if client.session.is_some() {
            // The session subscribed when its client did, and holds that itself.
            return Ok((From::Legacy(notes, Vec::new()), wanted.clone()));
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
        Ok((From::Legacy(notes, held), filter))
    }

    /// The next thing wanted; none when the connection is over.
    async fn next(&mut self) -> Option<Heard> {
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

impl From {
    async fn next(&mut self) -> Option<Note> {
        match self {
            Self::Legacy(notes, _) => notes.recv().await,
            Self::Modern(exchange) => loop {
                match exchange.next().await {
                    Event::Note(note) => {
                        let params = Edit::new(&note.params).remove_pruned(&["_meta", META_SUBSCRIPTION]).finish().ok()?;
                        return Some(Note { method: note.method, params });
                    }
                    Event::Ask(question) => super::flight::refuse(question),
                    Event::Pause { .. } => {}
                    Event::End(_) => return None,
                }
            },
        }
    }
}

/// What a feed is to bring: fixed, or what a session wants as of now.
#[derive(Clone)]
enum Wanted {
    Fixed(Filter),
    OfSession(watch::Receiver<u64>),
}

impl Wanted {
    fn filter(&self, client: &Client, source: &Source) -> Filter {
        match self {
            Self::Fixed(filter) => filter.clone(),
            Self::OfSession(_) => Filter {
                tools: true,
                prompts: true,
                resources: true,
                uris: client.session.as_ref().map_or_else(Vec::new, |session| session.subscribed(&source.spec.name)),
                rest: true,
            },
        }
    }

    async fn changed(&mut self) {
        if let Self::OfSession(changes) = self {
            if changes.changed().await.is_ok() {
                return;
            }
        }
        std::future::pending().await
    }
}

/// A server's notifications for a session, for ever.
pub(crate) fn of_session(client: Client, source: Source) -> BoxStream<'static, Heard> {
    let wanted = client.session.as_ref().map_or(Wanted::Fixed(Filter::default()), |session| Wanted::OfSession(session.changes()));
    live(client, source, wanted, None)
}

/// A server's notifications, over as many connections as it takes.
fn live(client: Client, source: Source, mut wanted: Wanted, first: Option<Feed>) -> BoxStream<'static, Heard> {
    async_stream::stream! {
        let mut had_one = first.is_some();
        let mut pause = FIRST_PAUSE;
        let mut open = first;
        loop {
            let mut feed = match open.take() {
                Some(feed) => feed,
                None => {
                    answering(&client, &source, &mut wanted).await;
                    match Feed::open(&client, &source, &wanted.filter(&client, &source)).await {
                        Ok(feed) => feed,
                        // The server said no: only another wish makes it say something else.
                        Err(Failure::Rpc(_)) => {
                            wanted.changed().await;
                            continue;
                        }
                        Err(Failure::Refused(_)) => {
                            tokio::time::sleep(pause).await;
                            pause = (pause * 2).min(LONGEST_PAUSE);
                            continue;
                        }
                    }
                }
            };
            pause = FIRST_PAUSE;
            if std::mem::replace(&mut had_one, true) && !matches!(wanted, Wanted::OfSession(_)) {
                for note in feed.filter.all_changed() {
                    if let Some(note) = renamed(&source, note) {
                        yield Heard::Note(note);
                    }
                }
            }
            loop {
                let heard = tokio::select! {
                    heard = feed.next() => heard,
                    () = wanted.changed() => {
                        if wanted.filter(&client, &source) != feed.filter || feed.lease.is_gone() {
                            break;
                        }
                        continue;
                    }
                };
                match heard {
                    Some(Heard::Note(note)) => {
                        if let Some(note) = renamed(&source, note) {
                            yield Heard::Note(note);
                        }
                    }
                    Some(ask) => yield ask,
                    None => break,
                }
            }
        }
    }
    .boxed()
}

/// Waits until a server can be asked without waking one that nobody calls.
async fn answering(client: &Client, source: &Source, wanted: &mut Wanted) {
    let fleet = &client.caller.plane.fleet;
    let mut changes = fleet.changes();
    loop {
        let up = fleet.server(&source.spec.name).is_some_and(|server| {
            matches!(server.state, State::Ready | State::Degraded) || matches!(source.spec.kind, Kind::Http | Kind::Unix)
        });
        // At the aggregate a child of a session's own is not started only to hear what it might say.
        let idle_own = source.spec.sessions == Sharing::Own
            && matches!(client.caller.target, Target::All)
            && client.session.as_ref().is_some_and(|session| session.held(&source.spec.name).is_none());
        if up && !idle_own {
            return;
        }
        tokio::select! {
            _ = changes.recv() => {}
            () = wanted.changed() => {}
        }
    }
}

fn renamed(source: &Source, note: Note) -> Option<Note> {
    match &source.rename {
        Some(rename) => rename.note(note),
        None => Some(note),
    }
}

/// Answers a modern `subscriptions/listen`.
pub(super) async fn open(client: &Client, request: &Request) -> Reply {
    let id = request.id.raw();
    let opened = match Filter::parse(request.params.as_deref().unwrap_or(b"{}")) {
        Ok(filter) => feeds(client, filter).await,
        Err(error) => Err(Failure::Rpc(error)),
    };
    let (honoured, feeds) = match opened {
        Ok(opened) => opened,
        Err(Failure::Rpc(error)) => return super::whole(client.era, &id, Err(error)),
        Err(Failure::Refused(refusal)) => return Reply::Refused { refusal, id },
    };
    let mut heard = select_all(feeds);
    let flow = async_stream::stream! {
        let params = Edit::new(b"{}").set(&["notifications"], honoured.raw().to_vec()).finish().unwrap_or_default();
        let acknowledged = Note { method: ACKNOWLEDGED.into(), params };
        yield Outgoing::Message(notes::message(&addressed(acknowledged, &id)));
        while let Some(next) = heard.next().await {
            if let Heard::Note(note) = next {
                yield Outgoing::Message(notes::message(&addressed(note, &id)));
            }
        }
        std::future::pending::<()>().await;
    };
    Reply::Flow { flow: Box::pin(flow), headers: Vec::new(), always_stream: true }
}

/// What a listen is made of, and how much of it will be kept. One server is asked first, so that its refusal
/// is the answer; of many none is waited for.
async fn feeds(client: &Client, filter: Filter) -> Result<(Filter, Vec<BoxStream<'static, Heard>>), Failure> {
    let mut parts = endpoint::split(client, &filter);
    if matches!(client.caller.target, Target::One(_)) {
        let Some((source, part)) = parts.pop() else { return Ok((Filter::default(), Vec::new())) };
        let feed = Feed::open(client, &source, &part).await?;
        let honoured = feed.filter.clone();
        return Ok((honoured, vec![live(client.clone(), source, Wanted::Fixed(part), Some(feed))]));
    }
    let mut feeds: Vec<_> =
        parts.into_iter().map(|(source, part)| live(client.clone(), source, Wanted::Fixed(part), None)).collect();
    let wanted = filter.clone();
    let own = endpoint::own_notes(client).filter(move |note| std::future::ready(wanted.wants(note)));
    feeds.push(own.map(Heard::Note).boxed());
    Ok((filter, feeds))
}

/// A note as a subscription's stream carries it.
fn addressed(note: Note, id: &Bytes) -> Note {
    match Edit::new(&note.params).set(&["_meta", META_SUBSCRIPTION], id.to_vec()).finish() {
        Ok(params) => Note { method: note.method, params },
        Err(_) => note,
    }
}
