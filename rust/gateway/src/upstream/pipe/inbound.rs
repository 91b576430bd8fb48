//! What a server says, line by line: whose is it?

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use omnimind_wire::{
    Id, Limits, Malformed, Message, Notification, Reason, Refusal, Request, Response, RpcError,
    error::{INTERNAL_ERROR, METHOD_NOT_FOUND},
    json,
};
use tokio::{io::AsyncRead, sync::oneshot, task::JoinHandle, time::Instant};

use super::{
    Core,
    lines::{Line, Lines},
    slot::Slot,
};
use crate::upstream::{
    Failure, Note, Question,
    attach::{Addressee, Reach},
    rewrite::{self, About},
};

/// Questions one server may have open.
const OPEN_QUESTIONS: usize = 16;

/// Reads until the stream ends.
pub(super) fn read<R>(core: Arc<Core>, stream: R, leftover: Bytes, inherited: bool) -> JoinHandle<()>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut lines = Lines::new(stream, &leftover);
        // The first line may have begun in the time of another gateway. The tail of a message is never a message,
        // because its brackets do not match; what is one may be the answer to our own first call.
        let mut doubtful = inherited;
        let reason = loop {
            match lines.next().await {
                Ok(Line::End) => break "the server closed it".to_owned(),
                Err(error) => break format!("reading failed: {error}"),
                Ok(Line::Whole(line)) if doubtful && parse(&line).is_err() => {}
                Ok(Line::TooLong(_)) if doubtful => {}
                Ok(Line::Whole(line)) => core.take(&line),
                Ok(Line::TooLong(head)) => core.too_long(&head),
                Ok(Line::Begun(head)) if doubtful || !core.is_spooled(&head) => {
                    lines.keep(head);
                    continue;
                }
                Ok(Line::Begun(head)) => match core.spool(head, &mut lines).await {
                    Ok(true) => {}
                    Ok(false) => break "the server closed it".to_owned(),
                    Err(error) => break format!("reading failed: {error}"),
                },
            }
            doubtful = false;
        };
        core.break_off(&reason);
    })
}

fn parse(line: &Bytes) -> Result<Message, Malformed> {
    Message::parse(line.clone(), &Limits { max_depth: Limits::DEEPEST })
}

impl Core {
    fn take(self: &Arc<Self>, line: &Bytes) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if line.trim_ascii().is_empty() {
            return;
        }
        match parse(line) {
            Ok(Message::Response(response)) => self.response(response),
            Ok(Message::Notification(notification)) => self.notification(notification),
            Ok(Message::Request(request)) => self.request(request),
            Err(malformed) => self.garbage(line, &malformed),
        }
    }

    fn response(&self, response: Response) {
        let number = match response.id {
            Some(Id::Int(id)) => u64::try_from(id).ok(),
            _ => None,
        };
        let Some(slot) = number.and_then(|number| self.leave(number)) else { return self.late() };
        slot.end(match response.outcome {
            Ok(result) if slot.listens => Ok(rewrite::with_subscription(&result, &slot.id)),
            Ok(result) => Ok(result),
            Err(error) if self.trusted && is_draining(&error) => Err(self.not_begun()),
            Err(error) => Err(Failure::Rpc(error)),
        });
    }

    /// A worker that stops has not begun the call: it goes to the next one, and nothing more comes here.
    fn not_begun(&self) -> Failure {
        self.circle.retire();
        let server = &*self.server;
        let detail = format!("{server} is stopping; the call was not begun");
        let refusal = Refusal::new(Reason::ServerUnavailable, "server", detail);
        Failure::Refused(refusal.about(server).retry_after(super::RETRY_MS))
    }

    fn notification(&self, notification: Notification) {
        let Notification { method, params, .. } = notification;
        let params = params.unwrap_or_default();
        if !self.circle.hear(&method, &params) {
            return;
        }
        let about = rewrite::about(&method, &params);
        match about {
            About::Progress(number) => match self.slot(number).and_then(|slot| Some((slot.token()?, slot))) {
                Some((token, slot)) => self.note(number, &slot, method, rewrite::with_token(&params, &token)),
                None => self.late(),
            },
            About::Subscription(number) => match self.slot(number) {
                Some(slot) => {
                    let params = if self.trusted { rewrite::take_principal(&params).0 } else { params };
                    self.note(number, &slot, method, rewrite::with_subscription(&params, &slot.id));
                }
                None => self.late(),
            },
            About::Cancelled(number) => self.cancelled(number, method, &params),
            About::Stranger => self.late(),
            About::Nobody => self.unaddressed(&method, &params),
        }
    }

    /// The server takes a request back: one of ours (a subscription it ends), or a question of its own.
    fn cancelled(&self, number: Option<u64>, method: String, params: &Bytes) {
        if let Some(slot) = number.and_then(|number| self.leave(number)) {
            let _ = slot.note(Note { method: method.into(), params: rewrite::with_request(params, &slot.id) });
            slot.end(Err(self.refusal(Reason::ServerUnavailable, "has ended the request")));
            return;
        }
        let id = json::find(params, &["requestId"]).ok().flatten().and_then(Id::from_raw);
        match id.and_then(|id| self.questions.lock().remove(&id.raw())) {
            Some(question) => question.abort(),
            None => self.late(),
        }
    }

    /// Hands a notification over; a call whose client does not read is ended rather than the memory filled.
    fn note(&self, number: u64, slot: &Arc<Slot>, method: String, params: Bytes) {
        if slot.note(Note { method: method.into(), params }).is_err() {
            self.flooded(number, slot);
        }
    }

    fn flooded(&self, number: u64, slot: &Arc<Slot>) {
        if let Some(serial) = self.serial(number) {
            self.cancel(serial, "the client reads too slowly", None);
        }
        slot.end(Err(self.refusal(Reason::Overloaded, "sent more notifications than the client has read")));
    }

    fn refusal(&self, reason: Reason, what: &str) -> Failure {
        let server = &*self.server;
        Failure::Refused(Refusal::new(reason, "request", format!("{server} {what}")).about(server))
    }

    fn unaddressed(&self, method: &str, params: &Bytes) {
        match self.circle.reach(method, params) {
            Reach::Nowhere => {
                self.circle.bin.unaddressed.fetch_add(1, Ordering::Relaxed);
            }
            Reach::Only(principal, note) => self.circle.tell(note, Some(principal)),
            Reach::All(note) => match self.alone().filter(|_| method == "notifications/message") {
                Some((number, slot)) => self.note(number, &slot, method.to_owned(), note.params),
                None => self.circle.tell(note, None),
            },
        }
    }

    /// The only call in flight.
    fn alone(&self) -> Option<(u64, Arc<Slot>)> {
        let table = self.table.lock();
        let mut slots = table.slots.iter().filter(|(_, slot)| slot.is_owed());
        let (serial, slot) = slots.next()?;
        if slots.next().is_some() {
            return None;
        }
        Some((self.number(*serial), Arc::clone(slot)))
    }

    fn request(self: &Arc<Self>, request: Request) {
        let id = request.id.raw();
        if request.method == "ping" {
            return self.answer(&id, &Ok(Bytes::from_static(b"{}")));
        }
        if let Err(error) = self.question(id.clone(), request) {
            self.answer(&id, &Err(error));
        }
    }

    fn question(self: &Arc<Self>, id: Bytes, request: Request) -> Result<(), RpcError> {
        if !matches!(&*request.method, "sampling/createMessage" | "elicitation/create" | "roots/list") {
            return Err(RpcError::new(
                METHOD_NOT_FOUND,
                format!("{} is not a question a client answers", request.method),
            ));
        }
        if self.quiet_until.is_some_and(|until| Instant::now() < until) {
            return Err(refused("the gateway has restarted, and the question may belong to a call from before"));
        }
        let (answer, answered) = oneshot::channel();
        let params = request.params.unwrap_or_default();
        let question = Question { method: request.method.into(), params, answer };
        self.deliver(question)?;
        self.await_answer(id, answered)
    }

    fn deliver(&self, question: Question) -> Result<(), RpcError> {
        let slots: Vec<Arc<Slot>> = self.table.lock().slots.values().cloned().collect();
        let askers = slots.iter().filter(|slot| slot.asks).map(|slot| slot.lease);
        match self.circle.addressee(askers) {
            Addressee::Nobody(why) => Err(refused(why)),
            Addressee::Owner(lease, questions) => {
                let mut own: Vec<_> = slots.iter().filter(|slot| slot.lease == lease && !slot.listens).collect();
                own.sort_by_key(|slot| slot.asks);
                if let Some(slot) = own.last() {
                    return slot.ask(question).map_err(|_| refused("the client reads too slowly"));
                }
                let questions =
                    questions.ok_or_else(|| refused("no call is in flight that the question could belong to"))?;
                questions.try_send(question).map_err(|_| refused("the client has too many questions open"))
            }
        }
    }

    fn await_answer(
        self: &Arc<Self>,
        id: Bytes,
        answered: oneshot::Receiver<Result<Bytes, RpcError>>,
    ) -> Result<(), RpcError> {
        let mut open = self.questions.lock();
        if open.len() >= OPEN_QUESTIONS || open.contains_key(&id) {
            return Err(refused("too many questions are open"));
        }
        let core = Arc::clone(self);
        let key = id.clone();
        let waiting = tokio::spawn(async move {
            let outcome = answered.await.unwrap_or_else(|_| Err(refused("the client did not answer")));
            core.questions.lock().remove(&id);
            core.answer(&id, &outcome);
        });
        open.insert(key, waiting.abort_handle());
        Ok(())
    }

    fn garbage(&self, line: &Bytes, malformed: &Malformed) {
        self.circle.bin.garbage.fetch_add(1, Ordering::Relaxed);
        let number = match malformed.id.as_deref() {
            Some(Id::Int(id)) => u64::try_from(*id).ok(),
            _ => leading_id(line),
        };
        self.spoilt(number, &format!("the answer of {} is not a valid message: {malformed}", self.server));
    }

    fn too_long(&self, head: &Bytes) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        self.circle.bin.garbage.fetch_add(1, Ordering::Relaxed);
        self.spoilt(
            leading_id(head),
            &format!("the answer of {} is longer than {} bytes", self.server, super::LINE_BYTES),
        );
    }

    /// Ends a call whose answer came and cannot be used.
    fn spoilt(&self, number: Option<u64>, why: &str) {
        if let Some(slot) = number.and_then(|number| self.leave(number)) {
            slot.end(Err(Failure::Rpc(RpcError::new(INTERNAL_ERROR, why))));
        }
    }

    pub(super) fn late(&self) {
        self.circle.bin.late.fetch_add(1, Ordering::Relaxed);
    }
}

/// True for the words in which a worker that stops turns a request away.
fn is_draining(error: &RpcError) -> bool {
    let reason = || error.data.as_deref().and_then(|data| json::find(data, &["reason"]).ok().flatten());
    error.code == Reason::ServerUnavailable.code() && reason().is_some_and(|reason| reason == b"\"draining\"")
}

fn refused(why: &str) -> RpcError {
    RpcError::new(INTERNAL_ERROR, format!("the question cannot be put to a client: {why}"))
}

/// The id at the very beginning of a message, where almost all senders write it.
pub(super) fn leading_id(line: &[u8]) -> Option<u64> {
    let head = line.get(..48).unwrap_or(line);
    let at = memchr::memmem::find(head, b"\"id\"")?;
    let rest = line.get(at + 4..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let digits = rest.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

/// The id at the very end of a message, where others write it.
pub(super) fn trailing_id(line: &[u8]) -> Option<u64> {
    let at = memchr::memmem::rfind(line, b"\"id\"")?;
    let rest = line.get(at + 4..)?.trim_ascii().strip_prefix(b":")?.strip_suffix(b"}")?;
    std::str::from_utf8(rest.trim_ascii()).ok()?.parse().ok()
}
