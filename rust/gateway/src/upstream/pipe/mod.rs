//! Many calls in flight over one newline-delimited byte stream: a Unix socket, or a child's two pipes.
//!
//! One task writes, one reads; a table ties the number of a request to its caller. Numbers are
//! `epoch · 2³² + n`, so that answers meant for an earlier gateway process are known for what they are.
//! The rule is that no call can hold up another: callers wait for room in the outlet one by one, the reader
//! hands over without waiting, garbage and late answers are counted and dropped, and a call that is given up
//! leaves the table at once, however long the server goes on with it.

mod attention;
mod graves;
mod inbound;
mod lines;
mod outlet;
mod slot;
mod spooling;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use omnimind_wire::{Reason, Refusal, RpcError, error};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

pub(super) use self::{attention::Attention, lines::LINE_BYTES};
use self::{graves::Graves, outlet::Outlet, slot::Slot};
use super::{Call, Event, Failure, LOST, attach::Circle, exchange::GONE, long, rewrite, spool::Spool, watch::Change};
use crate::admission::Zombie;

/// When a call that was never sent may come again.
const RETRY_MS: u64 = 100;
/// What is queued when a stream is closed may take this long to go out.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a stream is to be used.
#[derive(Debug)]
pub(super) struct Terms {
    /// Name of the server, for messages.
    pub server: Arc<str>,
    /// Number of this gateway process.
    pub epoch: u32,
    /// First-party worker: is told principal and deadline.
    pub trusted: bool,
    /// Where long answers go.
    pub spool: Arc<Spool>,
    /// Bytes that go out before the first message.
    pub opening: Vec<u8>,
    /// Bytes that were read from the stream before.
    pub leftover: Bytes,
    /// Another gateway process used this stream, and what it began may go on this long: the first line may be the
    /// tail of one of its messages, and questions are refused until then.
    pub inherited: Option<Duration>,
}

/// A byte stream in use. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Pipe {
    core: Arc<Core>,
    /// Writer, reader, and who looks after it.
    tasks: Vec<AbortHandle>,
}

#[derive(Debug)]
struct Core {
    server: Arc<str>,
    base: u64,
    serial: AtomicU32,
    trusted: bool,
    spool: Arc<Spool>,
    quiet_until: Option<Instant>,
    circle: Arc<Circle>,
    outlet: Outlet,
    table: Mutex<Table>,
    questions: Mutex<HashMap<Bytes, AbortHandle>>,
    /// Lines that came.
    heard: AtomicU64,
    /// The other side ended the stream, not we.
    broken: AtomicBool,
    /// Nobody looks after the stream now; the next call wakes who does.
    resting: AtomicBool,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<u32, Arc<Slot>>,
    /// Calls that were given up, until the server answers them after all.
    graves: Graves,
    closed: bool,
}

impl Pipe {
    /// Takes a stream into use.
    pub(super) fn open<R, W>(reader: R, writer: W, terms: Terms, circle: Arc<Circle>) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let core = Arc::new(Core {
            server: terms.server,
            base: u64::from(terms.epoch) << 32,
            serial: AtomicU32::new(1),
            trusted: terms.trusted,
            spool: terms.spool,
            quiet_until: terms.inherited.map(|quiet| Instant::now() + quiet),
            circle,
            outlet: Outlet::new(terms.opening),
            table: Mutex::new(Table::default()),
            questions: Mutex::new(HashMap::new()),
            heard: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            begun: Notify::new(),
        });
        let tasks = vec![
            write(Arc::clone(&core), writer).abort_handle(),
            inbound::read(Arc::clone(&core), reader, terms.leftover, terms.inherited.is_some()).abort_handle(),
        ];
        Self { core, tasks }
    }

    /// Puts a call on its way: at once if there is room, else when there is.
    pub(super) fn call(&self, call: Call, lease: u64, principal: &Arc<str>) -> PipeCall {
        let mut slot = Slot::new(lease, call.id.clone(), may_ask(&call.method), &*call.method == rewrite::LISTEN);
        slot.may_be_long = long::may_be(&call.method);
        self.begin(slot, call, Some(principal))
    }

    /// Puts a request of the gateway's own on its way; a worker is not told of any principal.
    pub(super) fn ask(&self, call: Call) -> PipeCall {
        self.begin(Slot::ours(call.id.clone(), &*call.method == rewrite::LISTEN), call, None)
    }

    fn begin(&self, slot: Slot, call: Call, principal: Option<&Arc<str>>) -> PipeCall {
        let (core, slot) = (Arc::clone(&self.core), Arc::new(slot));
        let Some(serial) = core.enter(&slot) else {
            slot.end(Err(Failure::Refused(core.lost(false))));
            return PipeCall { core, slot, serial: 0, unsent: None };
        };
        let mut begun = PipeCall { core, slot, serial, unsent: Some(Box::new((call, principal.cloned()))) };
        begun.send();
        begun
    }

    /// Sends a notification. It is lost if the server does not read.
    pub(super) fn notify(&self, method: &str, params: &[u8]) {
        let _ = self.core.outlet.push(|out, _| {
            rewrite::push_notification(out, method, params);
            Ok::<(), ()>(())
        });
    }

    /// True if no call in flight could make the server ask.
    pub(super) fn unasking(&self) -> bool {
        !self.core.table.lock().slots.values().any(|slot| slot.asks)
    }

    /// The same stream, looked after from now on.
    pub(super) fn attended(mut self, attention: Attention) -> Self {
        self.tasks.push(attention::attend(Arc::clone(&self.core), attention).abort_handle());
        self
    }

    /// True while the server owes an answer to a call.
    pub(super) fn is_busy(&self) -> bool {
        self.core.is_busy()
    }

    /// True if the other side ended it.
    pub(super) fn is_broken(&self) -> bool {
        self.core.broken.load(Ordering::Relaxed)
    }

    /// Ends the stream and every call on it.
    pub(super) fn close(&self, reason: &str) {
        self.core.fail(reason);
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.core.fail("it was closed");
        // The writer goes on for a little, until what is queued is out.
        self.tasks.iter().skip(1).for_each(AbortHandle::abort);
    }
}

fn write(core: Arc<Core>, writer: impl AsyncWrite + Unpin + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let farewell = async {
            let _ = core.circle.watch().wait_for(Option::is_some).await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            drained = core.outlet.drain(writer) => if let Err(error) = drained {
                core.break_off(&format!("writing failed: {error}"));
            },
            () = farewell => {}
        }
    })
}

/// The methods in the course of which a server may ask its client something.
fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read" | "completion/complete")
}

impl Core {
    /// Gives a slot a number, unless the stream has ended.
    fn enter(&self, slot: &Arc<Slot>) -> Option<u32> {
        let mut table = self.table.lock();
        if table.closed {
            return None;
        }
        let serial = loop {
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            // After 2³² calls numbers come again; those still in use are passed over.
            if let std::collections::hash_map::Entry::Vacant(place) = table.slots.entry(serial) {
                place.insert(Arc::clone(slot));
                break serial;
            }
        };
        drop(table);
        if self.resting.load(Ordering::Relaxed) && slot.is_owed() && self.resting.swap(false, Ordering::Relaxed) {
            self.begun.notify_one();
        }
        Some(serial)
    }

    /// True while the server owes an answer to a call.
    fn is_busy(&self) -> bool {
        self.table.lock().slots.values().any(|slot| slot.is_owed())
    }

    fn number(&self, serial: u32) -> u64 {
        self.base | u64::from(serial)
    }

    fn serial(&self, number: u64) -> Option<u32> {
        u32::try_from(number.checked_sub(self.base)?).ok()
    }

    fn slot(&self, number: u64) -> Option<Arc<Slot>> {
        self.table.lock().slots.get(&self.serial(number)?).cloned()
    }

    /// Takes a call out that has ended, also one that was given up.
    fn leave(&self, number: u64) -> Option<Arc<Slot>> {
        let serial = self.serial(number)?;
        let (slot, zombie) = {
            let mut table = self.table.lock();
            (table.slots.remove(&serial), table.graves.open(serial))
        };
        drop(zombie);
        slot
    }

    /// Takes a call out and tells the server, if it can have heard of it.
    fn cancel(&self, serial: u32, why: &str, zombie: Option<Zombie>) {
        let mut over = Vec::new();
        let queued = {
            let mut table = self.table.lock();
            let queued = table.slots.remove(&serial).is_some_and(|slot| slot.is_queued());
            match zombie {
                Some(zombie) if queued => table.graves.dig(serial, zombie, Instant::now(), &mut over),
                zombie => over.extend(zombie),
            }
            queued
        };
        drop(over);
        if queued {
            let params = rewrite::cancelled_params(self.number(serial), why);
            self.outlet.force(|out| rewrite::push_notification(out, "notifications/cancelled", &params));
        }
    }

    /// The other side has ended the stream.
    fn break_off(&self, reason: &str) {
        self.broken.store(true, Ordering::Relaxed);
        self.circle.lose(Change::Lost);
        self.fail(reason);
    }

    /// Ends everything on the stream; the first reason stays.
    fn fail(&self, reason: &str) {
        self.circle.end(reason);
        let (slots, graves) = {
            let mut table = self.table.lock();
            table.closed = true;
            (std::mem::take(&mut table.slots), std::mem::take(&mut table.graves))
        };
        drop(graves);
        let written = self.outlet.written();
        self.outlet.close();
        for slot in slots.into_values() {
            slot.end(Err(Failure::Refused(self.lost(slot.was_sent(written)))));
        }
        for (_, question) in self.questions.lock().drain() {
            question.abort();
        }
    }

    fn lost(&self, sent: bool) -> Refusal {
        let reason = self.circle.ended();
        let reason = reason.as_deref().unwrap_or("it was closed");
        let detail = format!("the connection to {} has ended: {reason}", self.server);
        let refusal = |scope: &str| Refusal::new(Reason::ServerUnavailable, scope, detail).about(&*self.server);
        if sent { refusal(LOST) } else { refusal("server").retry_after(RETRY_MS) }
    }

    fn answer(&self, id: &[u8], outcome: &Result<Bytes, RpcError>) {
        self.outlet.force(|out| {
            out.extend_from_slice(&match outcome {
                Ok(result) => omnimind_wire::message::result(id, result),
                Err(error) => omnimind_wire::message::error(id, error),
            });
        });
    }
}

/// One call on a stream.
#[derive(Debug)]
pub(super) struct PipeCall {
    core: Arc<Core>,
    slot: Arc<Slot>,
    serial: u32,
    unsent: Option<Box<(Call, Option<Arc<str>>)>>,
}

impl PipeCall {
    /// The next event; after the end there is none.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Event> {
        loop {
            if let Poll::Ready(event) = self.slot.poll(cx) {
                return Poll::Ready(event);
            }
            if self.unsent.is_none() || self.core.outlet.poll_room(cx).is_pending() || !self.send() {
                return Poll::Pending;
            }
        }
    }

    /// Gives the call up and says why; `zombie` is for as long as the server may go on with it.
    pub(super) fn cancel(&self, why: &str, zombie: Option<Zombie>) {
        self.core.cancel(self.serial, why, zombie);
    }

    /// Tries to queue the request; true if its fate is known.
    fn send(&mut self) -> bool {
        let Some(unsent) = &self.unsent else { return true };
        let (call, principal) = &**unsent;
        let number = self.core.number(self.serial);
        let named = principal.as_ref().filter(|_| self.core.trusted);
        let stamp = named.map(|principal| rewrite::Stamp {
            principal,
            operator: call.operator,
            deadline_ms: call.deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                u64::try_from(left).unwrap_or(u64::MAX)
            }),
        });
        let pushed = self.core.outlet.push(|out, begin| {
            let token = rewrite::push_request(out, number, call, stamp)?;
            self.slot.queued(begin, token);
            Ok::<(), omnimind_wire::Malformed>(())
        });
        match pushed {
            Err(outlet::Full) => return false,
            Ok(Ok(())) => {}
            Ok(Err(malformed)) => {
                self.core.leave(number);
                let code = error::INVALID_PARAMS;
                self.slot.end(Err(Failure::Rpc(RpcError::new(code, format!("params: {malformed}")))));
            }
        }
        self.unsent = None;
        true
    }
}

impl Drop for PipeCall {
    fn drop(&mut self) {
        self.cancel(GONE, None);
    }
}
