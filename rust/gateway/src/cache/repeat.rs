//! Requests that came before: byte for byte the same but for their id.
//!
//! Agents ask the same again, and what differs between two such requests is the id. The rule: equal bytes of an equal
//! principal at an equal place are an equal request. What was found out about the first (that it is sound, that its
//! headers say what it says, under which keys its answer is kept) holds for the next, and is not found out again. What
//! may have changed since is looked at every time: who calls, the headers, the configuration, what the server says of
//! its tools, and the answer itself, which is judged as for any request. In doubt a request goes the long way.
//!
//! The id is cut out where it stands first or last. That it is *the* id was proven when the message was read; equal
//! bytes before and after it prove it for the next.
//!
//! Bounded: a table of [`SLOTS`] places, where a newer request takes the place of an older one.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{
            AtomicUsize,
            Ordering::{Acquire, Relaxed},
        },
    },
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use omnimind_cache::{Entry, Freshness, levels::Level};
use omnimind_probes::cache_hit;
use omnimind_wire::{
    Era, Request,
    headers::{METHOD, NAME, PARAM_PREFIX, PROTOCOL_VERSION},
    json::span_in,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Hit, Memory, Shelf, entry::Head, key::Keys, path::Asked};
use crate::{
    config::{ServerSpec, ToolList},
    metrics::CellId,
    principal::Principal,
    relay::Target,
};

/// Requests that are remembered.
const SLOTS: usize = 512;
/// Longer requests are read each time; so the table takes 8 MiB at most.
const LONGEST: usize = 16 << 10;
/// The headers that a modern request is checked against.
const HEADERS: [&str; 3] = [PROTOCOL_VERSION, METHOD, NAME];
/// What stands before an id that comes first.
const OPEN: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":";
/// What stands before one that comes last.
const KEY: &[u8] = b"\"id\":";
/// Longer numbers need not be exact, and longer names are rare.
const ID_DIGITS: usize = 15;
const ID_LETTERS: usize = 64;

/// What a head says of the request that comes with it, as far as that is checked against the body: each of
/// [`HEADERS`] at most once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said<'h>([Option<&'h [u8]>; HEADERS.len()]);

/// What one field is to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing.
    Nothing,
    /// So many places on in [`HEADERS`].
    Header(usize),
    /// What an argument says: then only the schema of the tool tells what to make of it.
    Argument,
}

impl Says {
    pub(crate) fn of(name: &str) -> Self {
        match HEADERS.iter().position(|known| *known == name) {
            Some(place) => Self::Header(place),
            None if name.starts_with(PARAM_PREFIX) => Self::Argument,
            None => Self::Nothing,
        }
    }
}

impl<'h> Said<'h> {
    /// What these headers say; none if one is there twice, or if there are others that say what arguments say.
    pub fn of(headers: &'h HeaderMap) -> Option<Self> {
        let mut said = Self::default();
        headers.iter().all(|(name, value)| said.add(Says::of(name.as_str()), value)).then_some(said)
    }

    /// Adds a field; false if that makes it unclear.
    pub(crate) fn add(&mut self, says: Says, value: &'h HeaderValue) -> bool {
        match says {
            Says::Nothing => true,
            Says::Header(place) => self.0.get_mut(place).is_some_and(|known| known.replace(value.as_bytes()).is_none()),
            Says::Argument => false,
        }
    }
}

/// An answer as it is kept, for a request whose id is this.
#[derive(Debug)]
pub struct Kept<'r> {
    /// The request's id, raw.
    pub id: &'r [u8],
    /// The result, raw.
    pub result: Bytes,
    /// Where such requests are counted.
    pub cell: CellId,
}

/// Where the last of a client's requests was found: the next one is looked for there first, since clients that ask the
/// same again often do so at once. A hint and no more.
#[derive(Debug, Default)]
pub struct Trail(AtomicUsize);

/// The requests that were answered from memory lately.
pub(super) struct Repeats {
    slots: Box<[ArcSwapOption<Repeat>]>,
    seed: u64,
}

/// A request that was answered from memory; with bytes of its own, since those that came are part of larger buffers.
struct Repeat {
    body: Box<[u8]>,
    id: Range<usize>,
    said: [Option<Box<[u8]>>; HEADERS.len()],
    principal: Arc<Principal>,
    /// Where it was sent to, as configured then.
    spec: Arc<ServerSpec>,
    shelf: Arc<Shelf>,
    keys: Keys,
    known: Known,
    /// It is learned from, as long as anybody has time to learn.
    teaches: bool,
    cell: CellId,
}

/// What a judgement rests on beside the request: another number wherever that may have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    configuration: u64,
    /// What servers said of their tools.
    words: u64,
}

impl Repeats {
    /// An empty table; `seed` is a number that clients do not know.
    pub(super) fn new(seed: u64) -> Self {
        Self { slots: (0..SLOTS).map(|_| ArcSwapOption::empty()).collect(), seed }
    }

    fn slot(&self, place: usize) -> &ArcSwapOption<Repeat> {
        &self.slots[place % SLOTS]
    }

    /// Where a request is remembered, if it is.
    fn place(&self, principal: &Principal, body: &[u8], id: &Range<usize>) -> usize {
        let [before, after] = around(body, id);
        let hash = [principal.name.as_bytes(), before, after]
            .iter()
            .fold(self.seed, |hash, part| xxh3_64_with_seed(part, hash));
        #[allow(clippy::cast_possible_truncation, reason = "its low bits are wanted")]
        let place = hash as usize % SLOTS;
        place
    }
}

impl Repeat {
    /// True if a request is this one but for its id.
    fn is(
        &self,
        principal: &Arc<Principal>,
        spec: &Arc<ServerSpec>,
        said: Said<'_>,
        body: &[u8],
        id: &Range<usize>,
    ) -> bool {
        around(&self.body, &self.id) == around(body, id)
            && (Arc::ptr_eq(&self.principal, principal) || self.principal == *principal)
            && Arc::ptr_eq(&self.spec, spec)
            && said.0 == self.said.each_ref().map(Option::as_deref)
    }
}

impl Memory {
    /// What is known now; to be read before a request is judged.
    pub(super) fn known(&self) -> Known {
        Known { configuration: self.configurations.load(Acquire), words: self.schemas.heard() }
    }

    /// Remembers a request that is being answered by `hit`, and was judged after `known` was read.
    pub(super) fn note(&self, known: Known, asked: &Asked<'_>, shelf: &Arc<Shelf>, keys: Keys, hit: &Hit) {
        let caller = &asked.client.caller;
        let Some(request) = asked.request.filter(|request| may_be_remembered(asked, request)) else { return };
        if !is_sent_as_kept(hit) {
            return;
        }
        let id = cut(&caller.body).filter(|id| span_in(&caller.body, &request.id_raw).as_ref() == Some(id));
        let (Some(id), Some(said)) = (id, Said::of(&caller.headers)) else { return };
        let slot = self.repeats.slot(self.repeats.place(&caller.principal, &caller.body, &id));
        let repeat = Repeat {
            body: caller.body.as_ref().into(),
            id,
            said: said.0.map(|value| value.map(Into::into)),
            principal: Arc::clone(&caller.principal),
            spec: Arc::clone(asked.spec),
            shelf: Arc::clone(shelf),
            keys,
            known,
            teaches: self.settings.load().predict,
            cell: caller.operation.proven(),
        };
        slot.store(Some(Arc::new(repeat)));
    }

    /// The answer to a request that was answered before, with its own id; none if it must be read.
    pub(crate) fn repeated<'r>(
        &self,
        principal: &Arc<Principal>,
        target: &Target,
        said: Said<'_>,
        body: &'r [u8],
        trail: &Trail,
    ) -> Option<Kept<'r>> {
        let Target::One(spec) = target else { return None };
        if body.len() > LONGEST || self.is_beside() {
            return None;
        }
        let id = cut(body)?;
        let is_known = |repeat: &Option<Arc<Repeat>>| {
            repeat.as_ref().is_some_and(|repeat| repeat.is(principal, spec, said, body, &id))
        };
        let mut slot = self.repeats.slot(trail.0.load(Relaxed));
        let mut repeat = slot.load();
        if !is_known(&repeat) {
            let place = self.repeats.place(principal, body, &id);
            slot = self.repeats.slot(place);
            repeat = slot.load();
            if !is_known(&repeat) {
                return None;
            }
            trail.0.store(place, Relaxed);
        }
        let repeat = repeat.as_ref()?;
        if repeat.teaches && self.has_time_to_learn() {
            return None;
        }
        let Some(result) = self.look_again(repeat) else {
            slot.store(None);
            return None;
        };
        repeat.shelf.counts.hits[Level::Ram as usize].fetch_add(1, Relaxed);
        if cache_hit::is_on() {
            cache_hit::fire(Level::Ram.name());
        }
        Some(Kept { id: body.get(id)?, result, cell: repeat.cell })
    }

    /// The result, if it is still in memory as it was and can be sent as it is.
    fn look_again(&self, repeat: &Repeat) -> Option<Bytes> {
        if repeat.known != self.known() {
            return None;
        }
        let levels = self.levels.load();
        let levels = levels.as_ref()?;
        let now_ms = self.now_ms();
        let look = |entry: &Entry, freshness: Freshness| {
            let (head, _) = Head::unpack_but_info(&entry.head)?;
            let is_sent_as_kept = head.era == Era::Modern && !head.timed && entry.life.fresh_until_ms > now_ms;
            (is_sent_as_kept && self.holds(&repeat.shelf, &head, freshness)).then(|| entry.body.clone())
        };
        let keys = [Some(&repeat.keys.own), repeat.keys.public.as_ref()];
        keys.into_iter().flatten().find_map(|key| levels.with_ram(key, now_ms, look)).flatten()
    }
}

/// Whether a client of the modern era is sent just what is kept.
fn is_sent_as_kept(hit: &Hit) -> bool {
    hit.raw.era == Era::Modern && !hit.timed && hit.frame.is_none()
}

/// Whether what was found out about a request holds for the next with the same bytes.
fn may_be_remembered(asked: &Asked<'_>, request: &Request) -> bool {
    let caller = &asked.client.caller;
    let here = matches!(&caller.target, Target::One(spec) if Arc::ptr_eq(spec, asked.spec));
    here && asked.client.era == Era::Modern
        // What it means depends on the list that its client was told.
        && caller.tools == ToolList::Whole
        && caller.body.len() <= LONGEST
        && !asked.continues
        && !request.has_own_meta()
}

/// What stands before and after an id.
fn around<'a>(body: &'a [u8], id: &Range<usize>) -> [&'a [u8]; 2] {
    [body.get(..id.start).unwrap_or_default(), body.get(id.end..).unwrap_or_default()]
}

/// Where the id stands, if it stands first or last and is a plain number or name.
fn cut(body: &[u8]) -> Option<Range<usize>> {
    if let Some(rest) = body.strip_prefix(OPEN) {
        let length = match rest.first()? {
            b'"' => 2 + rest.get(1..)?.iter().position(|byte| !is_letter(*byte))?,
            _ => rest.iter().position(|byte| !byte.is_ascii_digit())?,
        };
        return plain(body, OPEN.len()..OPEN.len() + length);
    }
    let end = body.len().checked_sub(1)?;
    let inside = body.get(..end)?;
    let start = match inside.last()? {
        b'"' => inside.get(..end - 1)?.iter().rposition(|byte| !is_letter(*byte))?,
        _ => inside.iter().rposition(|byte| !byte.is_ascii_digit())? + 1,
    };
    let before = inside.get(..start)?.trim_ascii_end();
    if before.ends_with(KEY) && body.last() == Some(&b'}') { plain(body, start..end) } else { None }
}

fn plain(body: &[u8], id: Range<usize>) -> Option<Range<usize>> {
    let is_plain = match body.get(id.clone())? {
        [b'"', letters @ .., b'"'] => letters.len() <= ID_LETTERS && letters.iter().all(|byte| is_letter(*byte)),
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < ID_DIGITS && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_plain.then_some(id)
}

/// What stands for itself in a string.
fn is_letter(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(body: &str) -> Option<&str> {
        cut(body.as_bytes()).and_then(|id| body.get(id))
    }

    #[test]
    fn an_id_is_found_where_clients_put_it() {
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":17,"method":"x"}"#), Some("17"));
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":"a-1","method":"x"}"#), Some(r#""a-1""#));
        assert_eq!(id(r#"{"method":"x","params":{},"jsonrpc":"2.0","id":0}"#), Some("0"));
        assert_eq!(id(r#"{"method": "x", "id": 5}"#), Some("5"));
        assert_eq!(id(r#"{"method":"x","id":"abc"}"#), Some(r#""abc""#));
    }

    #[test]
    fn anything_else_is_left_to_who_reads_it() {
        for body in [
            "",
            "}",
            "{}",
            "5}",
            r#"{"jsonrpc":"2.0","id":"#,
            r#"{"jsonrpc":"2.0","id":007,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":-1,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":"a\"b","method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1234567890123456,"method":"x"}"#,
            r#"{"method":"x","id":5]"#,
            r#"{"method":"x","ID":5}"#,
            r#"{"method":"x","id":"a\"b"}"#,
            r#"{"method":"x","id":null}"#,
        ] {
            // A number with a fraction is cut at its point, where the bytes after it are not those of a whole one.
            assert!(id(body).is_none_or(|id| id == "1" && body.contains("1.5")), "{body}");
        }
    }
}
