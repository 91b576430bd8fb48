//! What every answer must be, at the moment it was asked for and at the moment it came; and what was found.

use std::collections::{BTreeSet, HashMap};

use memchr::memmem;
use serde::Deserialize;

use super::asks::{Ask, Wish};
use super::script::{Counts, Door, Slot};
use super::token::{self, NONE, Token, tokens};
use crate::message::Envelope;
use crate::plan::Era;

/// What is known of callers and servers now.
pub(super) struct Book {
    pub(super) slots: Vec<Slot>,
    servers: HashMap<String, Vec<String>>,
    /// The highest version that was acknowledged, by vault.
    acknowledged: HashMap<String, u64>,
    /// Whose the connections of strangers are, by vault and connection.
    owners: HashMap<(String, String), String>,
    /// When the gateway that answers now began, on the run's own clock.
    pub(super) restarted_ms: u64,
    pub(super) counts: Counts,
}

/// What was so when a call began.
pub(super) struct Before {
    slot: usize,
    who: Vec<(String, bool)>,
    door: Door,
    servers: HashMap<String, Vec<String>>,
    acknowledged: HashMap<String, u64>,
}

/// What the cache says it did.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    hit: bool,
    shared: bool,
    stale: bool,
    level: String,
    #[serde(rename = "ageMs")]
    age_ms: u64,
}

impl Book {
    pub(super) fn new(slots: Vec<Slot>, servers: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self {
            slots,
            servers: servers.into_iter().collect(),
            acknowledged: HashMap::new(),
            owners: HashMap::new(),
            restarted_ms: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn set_server(&mut self, server: String, instances: Vec<String>) {
        self.servers.insert(server, instances);
    }

    /// Taken before a call is sent.
    pub(super) fn before(&self, slot: usize) -> Before {
        let now = self.slots.get(slot);
        Before {
            slot,
            who: now.map(|slot| slot.who.clone()).unwrap_or_default(),
            door: now.map(|slot| slot.door).unwrap_or_default(),
            servers: self.servers.clone(),
            acknowledged: self.acknowledged.clone(),
        }
    }

    /// A call without an answer.
    pub(super) fn error(&mut self, kind: &str) {
        *self.counts.errors.entry(kind.to_owned()).or_default() += 1;
    }

    /// Judges an answer of HTTP; the cursor of the next page, if there is one.
    pub(super) fn judge(
        &mut self,
        ask: &Ask,
        era: Era,
        before: &Before,
        status: u16,
        answer: &[u8],
        now_ms: u64,
    ) -> Option<String> {
        let door = self.slots.get(before.slot).map_or(Door::Shut, |slot| slot.door);
        if status == 401 {
            match (before.door, door) {
                (Door::Open, Door::Open) => self.error("http_401"),
                _ => self.counts.shut_out += 1,
            }
            return None;
        }
        if before.door == Door::Shut && door == Door::Shut {
            self.crossed(ask, "a token that opens nothing was answered", answer);
        }
        let Some(envelope) = Envelope::parse(answer) else {
            self.error(&format!("http_{status}"));
            return None;
        };
        let marked = self.look_at_marks(ask, era, before, answer);
        if let Some(fault) = &envelope.error {
            if envelope.id.is_some_and(|id| id.get() != ask.id && id.get() != "null") {
                self.crossed(ask, "another's id", answer);
            }
            // One who becomes another meanwhile may show, as the one, a cursor that was given to the other.
            let given_to = ask.what.split(';').nth(1).unwrap_or_default();
            let is_whose = possible(&self.slots, before).iter().all(|who| token::told(&who.0, who.1) == given_to);
            if fault.code == super::vault::CROSSED_CURSOR && is_whose {
                self.crossed(ask, "another's cursor", answer);
            }
            if ask.what == "broken" && fault.code == super::vault::BROKEN {
                self.counts.answers += 1;
            } else {
                self.error(&format!("rpc_{}", fault.code));
            }
            return None;
        }
        self.counts.answers += 1;
        if envelope.id.is_none_or(|id| id.get() != ask.id) {
            self.crossed(ask, "another's id", answer);
        }
        if marked == 0 {
            self.crossed(ask, "no mark at all", answer);
        }
        let result = envelope.result.map_or(&b""[..], |result| result.get().as_bytes());
        if (memmem::find(result, b"\"resultType\"").is_some()) != (era == Era::Modern) {
            self.crossed(ask, "another era's form", answer);
        }
        if memmem::find(answer, b"omnimind/depends").is_some() {
            self.crossed(ask, "what is between worker and gateway", answer);
        }
        self.look_at_report(ask, answer, now_ms);
        next_cursor(result)
    }

    /// Looks at every mark; says how many there are.
    fn look_at_marks(&mut self, ask: &Ask, era: Era, before: &Before, answer: &[u8]) -> u64 {
        let mut marked = 0;
        for mark in tokens(answer) {
            let Some(mark) = mark else {
                self.crossed(ask, "a broken mark", answer);
                continue;
            };
            marked += 1;
            if let Some(why) = self.is_wrong(ask, era, before, &mark) {
                self.crossed(ask, why, answer);
            }
            let Some(version) = mark.number() else { continue };
            let old = before.acknowledged.get(mark.instance).is_some_and(|known| version < *known);
            if old && ask.server.is_none() {
                self.counts.stood_in += 1;
            } else if old {
                self.counts.stale += 1;
                self.sample(ask, "stale", answer);
            }
            if ask.writes {
                self.counts.writes += 1;
                let known = self.acknowledged.entry(mark.instance.to_owned()).or_default();
                *known = version.max(*known);
            }
        }
        self.counts.marks += marked;
        marked
    }

    /// Why a mark is not this caller's; none if it is.
    fn is_wrong(&mut self, ask: &Ask, era: Era, before: &Before, mark: &Token<'_>) -> Option<&'static str> {
        let server = mark.instance.split('-').next().unwrap_or_default();
        let names = |known: &HashMap<String, Vec<String>>| {
            known.get(server).is_some_and(|instances| instances.iter().any(|instance| instance == mark.instance))
        };
        if ask.server.as_deref().is_some_and(|asked| asked != server)
            || !(names(&before.servers) || names(&self.servers))
        {
            return Some("another server's");
        }
        if mark.era != if era == Era::Modern { "m" } else { "l" } {
            return Some("another era's");
        }
        let echoes = match &ask.echo {
            Some(echo) => echo == mark.echo,
            None => mark.echo.split('.').next() == token::echo(ask.method, &serde_json::Value::Null).split('.').next(),
        };
        if !echoes {
            return Some("the answer to another question");
        }
        if mark.who == NONE {
            return (!is_public(ask, server)).then_some("for everyone");
        }
        let who = possible(&self.slots, before);
        if mark.who.starts_with('p') {
            let known = who.iter().any(|(name, operator)| token::told(name, *operator) == mark.who);
            return (!known).then_some("another principal's");
        }
        let names: BTreeSet<&str> = who.iter().map(|(name, _)| name.as_str()).collect();
        let key = (mark.instance.to_owned(), mark.who.to_owned());
        match (self.owners.get(&key), names.first()) {
            (Some(owner), _) => (!names.contains(owner.as_str())).then_some("another principal's connection's"),
            (None, Some(name)) if names.len() == 1 => {
                let name = (*name).to_owned();
                self.owners.insert(key, name);
                None
            }
            _ => None,
        }
    }

    fn look_at_report(&mut self, ask: &Ask, answer: &[u8], now_ms: u64) {
        const KEY: &[u8] = b"\"omnimind/cache\":";
        let Some(at) = memmem::find(answer, KEY) else {
            if ask.wish == Wish::Report && ask.server.is_some() && ask.method != "server/discover" {
                self.error("no_report");
            }
            return;
        };
        if ask.wish != Wish::Report {
            return self.crossed(ask, "a report that another wanted", answer);
        }
        let rest = answer.get(at + KEY.len()..).unwrap_or_default();
        let mut told = serde_json::Deserializer::from_slice(rest).into_iter::<Told>();
        let Some(Ok(told)) = told.next() else { return };
        self.counts.reports += 1;
        if told.hit {
            let level = if told.stale { "stale".to_owned() } else { told.level };
            *self.counts.hits.entry(level).or_default() += 1;
            self.counts.survived += u64::from(self.restarted_ms > 0 && told.age_ms > now_ms - self.restarted_ms);
        } else if told.shared {
            *self.counts.hits.entry("shared".to_owned()).or_default() += 1;
        }
    }

    fn crossed(&mut self, ask: &Ask, why: &str, answer: &[u8]) {
        self.counts.crossings += 1;
        self.sample(ask, why, answer);
    }

    fn sample(&mut self, ask: &Ask, why: &str, answer: &[u8]) {
        if self.counts.samples.len() < 8 {
            let marks: Vec<_> = tokens(answer).flatten().take(3).collect();
            let said = String::from_utf8_lossy(answer.get(..answer.len().min(200)).unwrap_or_default());
            self.counts.samples.push(format!("{why}: asked {ask:?}, got {marks:?} in {said}"));
        }
    }
}

/// Whom a caller may have been while it was answered.
fn possible<'a>(slots: &'a [Slot], before: &'a Before) -> BTreeSet<&'a (String, bool)> {
    let now = slots.get(before.slot).map(|slot| slot.who.as_slice()).unwrap_or_default();
    before.who.iter().chain(now).collect()
}

/// True for what a server that tells the truth says to everyone.
fn is_public(ask: &Ask, server: &str) -> bool {
    if server == "liar" {
        return false;
    }
    match ask.method {
        "resources/read" => ask.what.contains("/public/"),
        "tools/list" | "prompts/list" => server != "ours",
        method => method == "resources/templates/list",
    }
}

fn next_cursor(result: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(rename = "nextCursor")]
        next: Option<String>,
    }
    memmem::find(result, b"\"nextCursor\"")?;
    serde_json::from_slice::<Page>(result).ok()?.next
}
