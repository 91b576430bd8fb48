//! The connections: each asks one question after the other, for one caller or for all in turn.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::asks::{Ask, Pool, write_post};
use super::book::Book;
use super::script::{Knobs, Script, Step};
use crate::chance::Chance;
use crate::connection::{Connection, Response};
use crate::plan::Era;
use crate::requests::Requests;

const PATIENCE: Duration = Duration::from_secs(20);
/// A gateway that is gone must not turn the loop into a busy one.
const REST: Duration = Duration::from_millis(5);
/// Those who think before they ask do it this long at most; half of those that take turns do.
const THOUGHT_MS: u64 = 300;
const LOOK: Duration = Duration::from_millis(2);

/// What all connections share.
struct Share {
    book: RefCell<Book>,
    knobs: Cell<Knobs>,
    pool: Pool,
    authority: String,
    turn: Cell<u64>,
    began: Instant,
    stopped: Cell<bool>,
}

/// One connection to the gateway.
struct Visitor {
    share: Rc<Share>,
    connection: Connection,
    era: Era,
    /// Whom it speaks for; none takes turns.
    slot: Option<usize>,
    /// It leaves its connection idle between two calls, as people do.
    thinks: bool,
    /// Legacy sessions by endpoint, with the token they were opened with.
    sessions: HashMap<String, (String, String)>,
    chance: Chance,
    out: Vec<u8>,
}

/// Runs until it is told to stop. Every step on the input is answered with a line of counts when it is done.
///
/// # Errors
/// If the run cannot be made, or the input is none.
pub fn run(script: Script) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (steps, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let step = line.and_then(|line| serde_json::from_str::<Step>(&line).map_err(io::Error::other));
            if steps.send(step).is_err() {
                return;
            }
        }
    });
    tokio::task::LocalSet::new().block_on(&runtime, all(script, told))
}

async fn all(script: Script, mut steps: mpsc::UnboundedReceiver<io::Result<Step>>) -> io::Result<bool> {
    let pool = Pool::new(script.servers.keys().cloned());
    let fixed = script.slots.len();
    let share = Rc::new(Share {
        book: RefCell::new(Book::new(script.slots, script.servers)),
        knobs: Cell::new(script.knobs),
        pool,
        authority: script.authority,
        turn: Cell::new(0),
        began: Instant::now(),
        stopped: Cell::new(false),
    });
    let fixed = (0..fixed).flat_map(|slot| [(Era::Modern, Some(slot)), (Era::Legacy, Some(slot))]);
    let everyone = fixed.chain((0..script.roaming).map(|_| (Era::Modern, None)));
    let visitors: Vec<_> = everyone
        .enumerate()
        .map(|(number, (era, slot))| {
            let visitor = Visitor {
                connection: Connection::new(&share.authority, PATIENCE),
                share: Rc::clone(&share),
                era,
                slot,
                thinks: slot.is_none() && number % 2 == 0,
                sessions: HashMap::new(),
                chance: Chance::new(script.seed.wrapping_mul(0x9E37).wrapping_add(number as u64)),
                out: Vec::with_capacity(2 * 1024),
            };
            tokio::task::spawn_local(visitor.ask_on())
        })
        .collect();
    while let Some(step) = steps.recv().await {
        if !share.take(step?).await {
            break;
        }
        share.say()?;
    }
    share.stopped.set(true);
    for visitor in visitors {
        visitor.await.map_err(io::Error::other)?;
    }
    share.say()?;
    let book = share.book.borrow();
    Ok(book.counts.crossings == 0 && book.counts.stale == 0)
}

impl Share {
    /// Carries out one step; false for the last.
    async fn take(&self, step: Step) -> bool {
        match step {
            Step::Slot(index, slot) => {
                if let Some(place) = self.book.borrow_mut().slots.get_mut(index) {
                    *place = slot;
                }
            }
            Step::Server(server, instances) => self.book.borrow_mut().set_server(server, instances),
            Step::Knobs(knobs) => self.knobs.set(knobs),
            Step::Restarted => self.book.borrow_mut().restarted_ms = self.now_ms(),
            Step::Answers(more) => {
                let enough = self.book.borrow().counts.answers + more;
                while self.book.borrow().counts.answers < enough {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Step::Stop => return false,
        }
        true
    }

    fn say(&self) -> io::Result<()> {
        let mut output = io::stdout().lock();
        writeln!(output, "{}", serde_json::to_string(&self.book.borrow().counts)?)?;
        output.flush()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Visitor {
    async fn ask_on(mut self) {
        let share = Rc::clone(&self.share);
        let mut page: Option<(usize, Ask)> = None;
        while !share.stopped.get() {
            if self.thinks {
                tokio::time::sleep(Duration::from_millis(self.chance.below(THOUGHT_MS))).await;
            }
            if share.knobs.get().quiet {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let turn = share.turn.replace(share.turn.get() + 1);
            let (slot, ask) = if let Some(following) = page.take() {
                following
            } else {
                let ask = share.pool.pick(turn, share.knobs.get(), &mut self.chance);
                if ask.method == "server/discover" && self.era == Era::Legacy {
                    continue;
                }
                (self.next_slot(turn), ask)
            };
            let cursor = self.ask(slot, &ask).await;
            page = cursor.map(|cursor| (slot, ask.following(cursor)));
        }
    }

    /// One that takes turns meets its likes at the same caller every other time, so that equal calls are in flight
    /// together.
    fn next_slot(&mut self, turn: u64) -> usize {
        let slots = self.share.book.borrow().slots.len().max(1);
        let together = turn / 64;
        let chosen = if self.chance.below(2) == 0 { together } else { self.chance.next() };
        self.slot.unwrap_or_else(|| usize::try_from(chosen % slots as u64).unwrap_or(0))
    }

    /// Asks, and judges what comes; the cursor of the next page, if there is one.
    async fn ask(&mut self, slot: usize, ask: &Ask) -> Option<String> {
        let share = Rc::clone(&self.share);
        let token = share.book.borrow().slots.get(slot).map(|slot| slot.token.clone()).unwrap_or_default();
        let before = share.book.borrow().before(slot);
        let session = match self.era {
            Era::Modern => None,
            Era::Legacy => Some(self.session(&ask.path(), &token).await?),
        };
        self.out.clear();
        ask.write(self.era, &share.authority, &token, session.as_deref(), &mut self.out);
        share.book.borrow_mut().counts.sent += 1;
        let response = match self.connection.exchange(&self.out).await {
            Ok(response) => response,
            Err(failure) => {
                share.book.borrow_mut().error(failure.kind());
                tokio::time::sleep(REST).await;
                return None;
            }
        };
        if response.head.status == 404 && session.is_some() {
            self.sessions.remove(&ask.path());
            share.book.borrow_mut().error("session_ended");
            return None;
        }
        self.judge(ask, &before, &response)
    }

    fn judge(&self, ask: &Ask, before: &super::book::Before, response: &Response) -> Option<String> {
        let mut book = self.share.book.borrow_mut();
        let answers = response.answers();
        let Some((first, more)) = answers.split_first() else {
            book.error("no_answer");
            return None;
        };
        if !more.is_empty() || !response.surplus.is_empty() {
            book.error("answered_twice");
        }
        book.judge(ask, self.era, before, response.head.status, first, self.share.now_ms())
    }

    /// The session at an endpoint, opened if there is none; none if that failed.
    async fn session(&mut self, path: &str, token: &str) -> Option<String> {
        if let Some((id, of)) = self.sessions.get(path)
            && of == token
        {
            return Some(id.clone());
        }
        let share = Rc::clone(&self.share);
        let authority = &share.authority;
        let mut out = Vec::new();
        write_post(path, authority, token, None, "", &Requests::initialize_body(), &mut out);
        let response = self.connection.exchange(&out).await.ok();
        let opened = response.as_ref().and_then(|response| response.head.session.clone());
        let Some(id) = opened else {
            match response.map(|response| response.head.status) {
                Some(401) => share.book.borrow_mut().counts.shut_out += 1,
                Some(status) => share.book.borrow_mut().error(&format!("no_session_{status}")),
                None => share.book.borrow_mut().error("no_session"),
            }
            tokio::time::sleep(REST).await;
            return None;
        };
        let version = format!("MCP-Protocol-Version: {}\r\n", crate::message::LEGACY);
        out.clear();
        write_post(path, authority, token, Some(&id), &version, Requests::initialized_body(), &mut out);
        let _ = self.connection.exchange(&out).await;
        self.sessions.insert(path.to_owned(), (id.clone(), token.to_owned()));
        Some(id)
    }
}
