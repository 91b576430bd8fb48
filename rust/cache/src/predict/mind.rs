//! All that is known of one principal: its sessions, its habits, its budget. Nothing of it is seen by another.

use std::sync::Arc;

use super::arguments::Link;
use super::budget::{Arrival, Budget, Intent, Ticket};
use super::lru::Lru;
use super::ppm::{CONTEXT_BYTES, Ppm, Symbol};
use super::session::{Session, Thought};
use super::value::Arguments;
use super::view::{Status, View, step};
use super::{Observed, PredictLimits, Prediction, Reason, Refused};

const SESSIONS: usize = 32;
const LINKS: usize = 512;
const TOOLS: usize = 256;
/// Tools that are followed up after one call.
const CANDIDATES: usize = 4;
/// A tool less likely than this is not followed up.
const UNLIKELY: f32 = 0.05;
/// How fast the expected time of a tool follows what it takes.
const LEARNING: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Mind {
    limits: PredictLimits,
    ppm: Ppm,
    links: Lru<Link>,
    links_bytes: usize,
    sessions: Lru<Session>,
    sessions_bytes: usize,
    tools: Lru<Tool>,
    pub(super) budget: Budget,
}

#[derive(Debug)]
struct Tool {
    server: u32,
    name: Arc<str>,
    read_only: bool,
    /// What its calls take, and how far they stray from that.
    took_ms: f64,
    strays_ms: f64,
    /// Of its pages, how often the next was asked for right after.
    pages: f32,
    turned: f32,
}

/// What was read of a call before its mind was locked.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) tool: Symbol,
    /// None: the call is opaque.
    pub(super) arguments: Option<Arguments>,
    pub(super) view: View,
}

impl Read {
    pub(super) fn of(call: &Observed<'_>) -> Self {
        let mut view = call.result.filter(|_| call.ok).map(View::of).unwrap_or_default();
        if !call.ok {
            view.status = Status::Failed;
        }
        Self { tool: symbol(call.server, call.tool), arguments: Arguments::parse(call.arguments), view }
    }
}

pub(super) fn symbol(server: u32, tool: &str) -> Symbol {
    step(step(1, &server.to_le_bytes()), tool.as_bytes())
}

fn link_key(from: Option<(Symbol, Status)>, to: Symbol) -> u64 {
    match from {
        Some((from, status)) => step(step(from, &[status as u8]), &to.to_le_bytes()),
        None => step(2, &to.to_le_bytes()),
    }
}

impl Mind {
    pub(super) fn new(limits: PredictLimits) -> Self {
        Self {
            ppm: Ppm::new(limits.contexts),
            links: Lru::new(),
            links_bytes: 0,
            sessions: Lru::new(),
            sessions_bytes: 0,
            tools: Lru::new(),
            budget: Budget::new(limits.budget),
            limits,
        }
    }

    /// What it costs, by the sizes of what it keeps.
    pub(super) fn bytes(&self) -> usize {
        let tools: usize = self.tools.values().map(|tool| tool.name.len() + 192).sum();
        self.links_bytes + self.sessions_bytes + self.ppm.len() * CONTEXT_BYTES + tools
    }

    pub(super) fn arrived(&mut self, session: u64, call: &Observed<'_>, now_ms: u64) -> Arrival {
        let fingerprint = Arguments::parse(call.arguments).map(|said| said.fingerprint(symbol(call.server, call.tool)));
        let mut arrival = self.budget.arrived(session, fingerprint, now_ms);
        if !call.read_only {
            arrival.cancel.extend(self.budget.wrote(call.server, now_ms));
            arrival.cancel.sort_unstable_by_key(|ticket| ticket.0);
            arrival.cancel.dedup();
        }
        arrival
    }

    pub(super) fn observe(&mut self, key: u64, call: &Observed<'_>, read: Read, now_ms: u64) -> Vec<Prediction> {
        self.budget.stats.observed += 1;
        if !call.cached {
            self.budget.worked(f64::from(call.took_ms), now_ms);
        }
        self.meet(call, read.tool);
        let mut session = self.take_session(key);
        self.learn(&mut session, &read);
        session.take_in(read, call.read_only);
        let mut predictions = self.think(&mut session);
        predictions.retain(|prediction| {
            !session.knows(prediction.fingerprint) && !self.budget.is_open(key, prediction.fingerprint)
        });
        self.put_session(key, session);
        self.trim();
        self.budget.stats.predicted += predictions.len() as u64;
        predictions
    }

    pub(super) fn begin(
        &mut self,
        session: u64,
        wanted: &Prediction,
        ticket: Ticket,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let &Prediction { server, fingerprint, cost_ms, .. } = wanted;
        let probability = f64::from(wanted.probability);
        self.budget.begin(Intent { ticket, session, server, fingerprint, cost_ms, probability }, now_ms)
    }

    /// What the tool is, and what it takes.
    fn meet(&mut self, call: &Observed<'_>, tool: Symbol) {
        let took_ms = f64::from(call.took_ms);
        let Some(known) = self.tools.touch(tool) else {
            if self.tools.len() >= TOOLS {
                self.tools.remove_oldest();
            }
            let (server, name, read_only) = (call.server, call.tool.into(), call.read_only);
            self.tools.insert(tool, Tool { server, name, read_only, took_ms, strays_ms: 0.0, pages: 0.0, turned: 0.0 });
            return;
        };
        known.read_only = call.read_only;
        if !call.cached {
            known.strays_ms += LEARNING * ((took_ms - known.took_ms).abs() - known.strays_ms);
            known.took_ms += LEARNING * (took_ms - known.took_ms);
        }
    }

    /// Holds what was thought against what came, and learns from it.
    fn learn(&mut self, session: &mut Session, read: &Read) {
        let fingerprint = read.arguments.as_ref().map(|said| said.fingerprint(read.tool));
        for thought in session.thoughts.drain(..).filter(|thought| thought.tool == read.tool) {
            if let Some(link) = self.links.touch(thought.link) {
                link.judge(Some(thought.fingerprint) == fingerprint);
            }
        }
        self.ppm.learn(session.past, read.tool);
        self.learn_page(session, read);
        if read.view.status == Status::Failed {
            return;
        }
        let Some(arguments) = &read.arguments else { return };
        let from = session.last().map(|last| (last.tool, session.status));
        for from in from.map(Some).into_iter().chain([None]) {
            let key = link_key(from, read.tool);
            let mut link = self.take_link(key);
            link.learn(session, read.tool, arguments);
            self.put_link(key, link);
        }
        for (_, value) in arguments.iter() {
            session.mark(value);
        }
    }

    /// Of a list with the protocol's cursor: whether its next page was what came.
    fn learn_page(&mut self, session: &Session, read: &Read) {
        let Some(last) = session.last() else { return };
        let Some(cursor) = last.view.next_cursor.as_deref() else { return };
        let said = read.arguments.as_ref().and_then(|said| said.get("cursor")).and_then(|value| value.as_text());
        let turned = last.tool == read.tool && said == Some(cursor);
        if let Some(tool) = self.tools.touch(last.tool) {
            tool.pages = tool.pages * 0.95 + 1.0;
            tool.turned = tool.turned * 0.95 + f32::from(u8::from(turned));
        }
    }

    /// What may come next and is worth its cost, the likeliest first.
    fn think(&mut self, session: &mut Session) -> Vec<Prediction> {
        let mut found = Vec::new();
        if let Some(page) = self.next_page(session) {
            found.push(page);
        }
        let from = session.last().map(|last| (last.tool, session.status));
        for next in self.ppm.predict(session.past).into_iter().take(CANDIDATES) {
            if next.probability < UNLIKELY {
                break;
            }
            let keys = [link_key(from, next.tool), link_key(None, next.tool)];
            let Some(key) = keys.into_iter().find(|key| self.links.peek(*key).is_some_and(Link::is_known)) else {
                continue;
            };
            let (Some(link), Some(tool)) = (self.links.peek(key), self.tools.peek(next.tool)) else { continue };
            for (rank, guess) in (0_u8..).zip(link.guess(session)) {
                let fingerprint = guess.arguments.fingerprint(next.tool);
                if rank == 0 {
                    session.thoughts.push(Thought { tool: next.tool, fingerprint, link: key });
                }
                let probability = guess.chance * if rank == 0 { next.probability } else { next.probability.powi(2) };
                let same_tool = from.is_some_and(|(last, _)| last == next.tool);
                let reason = match guess.listed {
                    true => Reason::Listed,
                    false if same_tool => Reason::NextPage,
                    false => Reason::Sequence,
                };
                found.push(tool.prediction(&guess.arguments, fingerprint, probability, reason));
            }
        }
        found.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let mut seen = Vec::new();
        found.retain(|prediction| {
            let new = !seen.contains(&prediction.fingerprint);
            seen.push(prediction.fingerprint);
            new && self.is_worth_it(prediction)
        });
        found
    }

    /// The protocol's own next page: its cursor in place of the last one.
    fn next_page(&self, session: &Session) -> Option<Prediction> {
        let last = session.last()?;
        let cursor = super::value::Value::text(last.view.next_cursor.as_deref()?)?;
        let tool = self.tools.peek(last.tool)?;
        let mut arguments = last.arguments.clone();
        arguments.set("cursor".into(), cursor);
        let probability = (tool.turned + 1.3) / (tool.pages + 2.0);
        Some(tool.prediction(&arguments, arguments.fingerprint(last.tool), probability, Reason::NextPage))
    }

    fn is_worth_it(&self, prediction: &Prediction) -> bool {
        let tool = self.tools.peek(prediction.tool_symbol);
        let expected_gain_ms = f64::from(prediction.probability) * prediction.saved_ms;
        tool.is_some_and(|tool| tool.read_only) && expected_gain_ms > prediction.cost_ms * self.limits.caution
    }

    fn take_link(&mut self, key: u64) -> Link {
        let link = self.links.remove(key).unwrap_or_default();
        self.links_bytes = self.links_bytes.saturating_sub(link.bytes());
        link
    }

    fn put_link(&mut self, key: u64, link: Link) {
        self.links_bytes += link.bytes();
        self.links.insert(key, link);
    }

    fn take_session(&mut self, key: u64) -> Session {
        let session = self.sessions.remove(key).unwrap_or_default();
        self.sessions_bytes = self.sessions_bytes.saturating_sub(session.bytes());
        session
    }

    fn put_session(&mut self, key: u64, session: Session) {
        self.sessions_bytes += session.bytes();
        self.sessions.insert(key, session);
    }

    /// Forgets the oldest until all is within bounds.
    fn trim(&mut self) {
        let half = self.limits.bytes_per_principal / 2;
        while self.sessions.len() > SESSIONS || (self.sessions_bytes > half && self.sessions.len() > 1) {
            let gone = self.sessions.remove_oldest();
            self.sessions_bytes = self.sessions_bytes.saturating_sub(gone.map_or(0, |session| session.bytes()));
        }
        while self.links.len() > LINKS || (self.links_bytes > half && self.links.len() > 0) {
            let gone = self.links.remove_oldest();
            self.links_bytes = self.links_bytes.saturating_sub(gone.map_or(0, |link| link.bytes()));
        }
    }
}

impl Tool {
    fn prediction(&self, arguments: &Arguments, fingerprint: u64, probability: f32, reason: Reason) -> Prediction {
        Prediction {
            server: self.server,
            tool: self.name.clone(),
            arguments: arguments.to_json(),
            probability: probability.clamp(0.0, 1.0),
            reason,
            saved_ms: self.took_ms,
            // An unsteady tool may cost more than it saves.
            cost_ms: self.took_ms + self.strays_ms,
            fingerprint,
            tool_symbol: symbol(self.server, &self.name),
        }
    }
}
