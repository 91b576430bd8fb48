//! One connection of newline-delimited JSON-RPC with many calls in flight: one task writes, one reads, and a table
//! says who waits. An answer is looked up by its id; what is not in the table was answered before, or never asked.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, Semaphore};

use crate::check;
use crate::ledger::Times;
use crate::message::Envelope;
use crate::plan::Era;
use crate::requests::{Call, Requests};
use crate::run::Share;

/// A connection that is open and, in the legacy era, initialized.
pub(crate) struct Link {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    bytes: BytesMut,
}

/// Who waits on one connection.
struct Table {
    waiting: RefCell<HashMap<u64, (Call, Times)>>,
    /// Calls given up: their answers are late, not wrong.
    expired: RefCell<HashSet<u64>>,
    places: Semaphore,
    settled: Notify,
    closed: Cell<bool>,
    all_sent: Cell<bool>,
}

impl Link {
    /// Connects and opens.
    pub(crate) async fn open(path: &Path, hello: Option<&str>, era: Era) -> io::Result<Self> {
        let (reader, writer) = UnixStream::connect(path).await?.into_split();
        let mut link = Self { reader, writer, bytes: BytesMut::with_capacity(64 * 1024) };
        if let Some(hello) = hello {
            link.writer.write_all(format!("{hello}\n").as_bytes()).await?;
        }
        if era == Era::Legacy {
            link.writer.write_all(format!("{}\n", Requests::initialize_body()).as_bytes()).await?;
            while memchr(b'\n', &link.bytes).is_none() {
                if link.reader.read_buf(&mut link.bytes).await? == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before initialize was answered"));
                }
            }
            let end = memchr(b'\n', &link.bytes).unwrap_or(0);
            let first = link.bytes.split_to(end + 1);
            if Envelope::parse(&first).is_none_or(|envelope| envelope.result.is_none()) {
                return Err(io::Error::other("initialize was refused"));
            }
            link.writer.write_all(format!("{}\n", Requests::initialized_body()).as_bytes()).await?;
        }
        Ok(link)
    }

    /// Sends and reads until the pace ends and every call is answered or given up.
    pub(crate) async fn drive(self, share: Rc<Share>, places: usize) {
        let table = Rc::new(Table {
            waiting: RefCell::default(),
            expired: RefCell::default(),
            places: Semaphore::new(places),
            settled: Notify::new(),
            closed: Cell::new(false),
            all_sent: Cell::new(false),
        });
        let Self { reader, writer, bytes } = self;
        let mut reading = tokio::task::spawn_local(read(Rc::clone(&share), Rc::clone(&table), reader, bytes));
        let sweeping = tokio::task::spawn_local(sweep(Rc::clone(&share), Rc::clone(&table)));
        let writer = write(&share, &table, writer).await;
        table.all_sent.set(true);
        while !table.waiting.borrow().is_empty() {
            table.settled.notified().await;
        }
        drop(writer);
        // A short look at the open pipe shows answers that come twice.
        let looked = tokio::time::timeout(Duration::from_millis(20), &mut reading).await;
        // What they share is counted when they are gone, also where the other side is slow to close.
        sweeping.abort();
        let _ = sweeping.await;
        if looked.is_err() {
            reading.abort();
            let _ = reading.await;
        }
    }
}

/// Writes calls as places come free, all that are due in one write.
async fn write(share: &Share, table: &Table, mut writer: OwnedWriteHalf) -> OwnedWriteHalf {
    let mut out = Vec::with_capacity(64 * 1024);
    while let Ok(place) = table.places.acquire().await {
        place.forget();
        let Some(intended) = share.pace.next().await else { break };
        out.clear();
        issue(share, table, intended, &mut out);
        while let Ok(place) = table.places.try_acquire() {
            let Some(intended) = share.pace.try_next() else { break };
            place.forget();
            issue(share, table, intended, &mut out);
            if out.len() > 256 * 1024 {
                break;
            }
        }
        if writer.write_all(&out).await.is_err() || table.closed.get() {
            give_up(share, table, "reset", |_| true);
            break;
        }
    }
    writer
}

fn issue(share: &Share, table: &Table, intended: Instant, out: &mut Vec<u8>) {
    let mut requests = share.requests.borrow_mut();
    let call = requests.next_call(intended);
    requests.write_body(call, out);
    out.push(b'\n');
    share.ledger.borrow_mut().sent += 1;
    table.waiting.borrow_mut().insert(call.number, (call, Times::of(call, intended)));
}

async fn read(share: Rc<Share>, table: Rc<Table>, mut reader: OwnedReadHalf, mut bytes: BytesMut) {
    loop {
        let mut freed = 0;
        while let Some(end) = memchr(b'\n', &bytes) {
            freed += receive(&share, &table, bytes.get(..end).unwrap_or_default());
            bytes.advance(end + 1);
        }
        if freed > 0 {
            table.places.add_permits(freed);
            table.settled.notify_one();
        }
        bytes.reserve(64 * 1024);
        if !matches!(reader.read_buf(&mut bytes).await, Ok(1..)) {
            break;
        }
    }
    table.closed.set(true);
    if !table.all_sent.get() {
        share.ledger.borrow_mut().connections_lost += 1;
    }
    give_up(&share, &table, "closed", |_| true);
    table.places.close();
}

/// Books one message; 1 if it settled a call.
fn receive(share: &Share, table: &Table, message: &[u8]) -> usize {
    let envelope = Envelope::parse(message);
    if envelope.as_ref().is_some_and(|envelope| envelope.method.is_some()) {
        return 0;
    }
    let mut ledger = share.ledger.borrow_mut();
    let Some((envelope, number)) = envelope.and_then(|envelope| envelope.number().map(|number| (envelope, number)))
    else {
        ledger.unasked(message);
        return 0;
    };
    let waiting = table.waiting.borrow_mut().remove(&number);
    let requests = share.requests.borrow();
    match waiting {
        Some((call, times)) => {
            let verdict = check::judge_parsed(&envelope, number, requests.canary(call).as_deref());
            ledger.book(verdict, times, message);
            return 1;
        }
        None if table.expired.borrow_mut().remove(&number) => {}
        None if requests.was_sent(number) => ledger.duplicate(message),
        None => ledger.unasked(message),
    }
    0
}

/// Gives up calls that wait too long.
async fn sweep(share: Rc<Share>, table: Rc<Table>) {
    loop {
        tokio::time::sleep((share.timeout / 20).clamp(Duration::from_millis(1), Duration::from_millis(250))).await;
        give_up(&share, &table, "timeout", |times| times.sent.elapsed() > share.timeout);
    }
}

fn give_up(share: &Share, table: &Table, kind: &'static str, which: impl Fn(&Times) -> bool) {
    let mut waiting = table.waiting.borrow_mut();
    let before = waiting.len();
    waiting.retain(|number, (_, times)| {
        let gone = which(times);
        if gone {
            table.expired.borrow_mut().insert(*number);
            share.ledger.borrow_mut().error(kind, *times);
        }
        !gone
    });
    table.places.add_permits(before - waiting.len());
    table.settled.notify_one();
}
