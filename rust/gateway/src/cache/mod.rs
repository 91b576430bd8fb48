//! The memory of the gateway: what was answered before is answered again, as long as nothing says that it changed.
//!
//! ```text
//! request ─ judge ─ keys ─┬─ hit ───────────────────────────────► answer
//!                         ├─ being fetched: wait ───────────────► the same answer
//!                         └─ miss: lead ─► upstream ─► keep ────► answer
//! a call that may change something: generation + 1 when it is sent, + 1 when it is over
//! ```
//!
//! The rules, ranked. Nothing kept for one principal is found by another: the verified principal is in the [`key`],
//! except for what a trusted server calls public. Nothing outlives a change: an answer is kept, and a flight joined,
//! only at the generation at which its call began, and whatever may change something moves the generation. What else
//! an answer [depends](depends) on is looked at for every hit. And a memory that cannot help does no harm: whatever
//! goes wrong here is a miss.
//!
//! Rooms: [`key`] spells a request, [`policy`] decides what may be kept, [`entry`] is what is kept beside an answer,
//! [`path`] takes a request through, [`errand`] its answer, [`repeat`] knows those that came before, [`changes`] hears of
//! what is kept that it is old, [`report`] tells clients what happened, [`operate`] is the operator's hand on it. Two
//! levels guess: [`meaning`] finds the same question in other words, [`ahead`] asks what will be asked.

mod ahead;
pub mod changes;
mod clock;
mod depends;
mod entry;
pub(crate) mod errand;
mod key;
mod meaning;
mod operate;
pub(crate) mod path;
mod policy;
pub(crate) mod repeat;
pub(crate) mod report;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use omnimind_cache::{
    Freshness, Key,
    disk::{Disk, DiskLimits, DiskRefused},
    flight::Flights,
    generation::Generation,
    levels::{self, Found, Level, LevelLimits, Levels},
};
use omnimind_probes::cache_hit;
use omnimind_wire::Era;
use parking_lot::RwLock;
use tokio::sync::Notify;

use self::{ahead::Ahead, changes::Changes, entry::Head, key::Keys, meaning::Meaning, policy::Scope, repeat::Repeats};
pub use self::{clock::Clock, meaning::EncoderFiles};
use crate::{
    config::{Cache, ServerSpec, Snapshot},
    metrics::Ending,
    relay::Schemas,
    session::Sessions,
    upstream::{Change, Failure, Watch},
};
pub(crate) use ahead::Seen;
pub(crate) use policy::{DEPENDS, without_own};

/// How often entries that have ended are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// No larger answer is kept: packing and unpacking one takes the time of many small ones.
const LARGEST: u64 = 2 << 20;
/// How often a folder on disk that another gateway holds is tried again.
const DISK_AGAIN: Duration = Duration::from_secs(2);
/// Methods and tools of one server that are remembered as never kept.
const MOST_NEVER_KEPT: usize = 4_096;

/// What one flight brings to all who wait for it.
type Brought = Result<Raw, Lost>;

/// A call that failed for good.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    /// The upstream's, in which its error speaks.
    pub(crate) era: Era,
    pub(crate) failure: Failure,
}

/// An upstream's result in its own era and names, without what is between a worker and us.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) era: Era,
    /// The server's name and version, raw; may be empty.
    pub(crate) info: Bytes,
    pub(crate) result: Bytes,
}

/// An answer from memory.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) raw: Raw,
    /// The result says itself how long it is good.
    pub(crate) timed: bool,
    /// The result as one zstd frame made without dictionary, where it was kept so.
    pub(crate) frame: Option<Bytes>,
    pub(crate) level: Level,
    pub(crate) age_ms: u64,
    /// What is left of its time; 0 if it is past it.
    pub(crate) left_ms: u64,
    /// How long it is past its time.
    pub(crate) past_ms: u64,
    /// It answered another wording, alike by so many thousandths.
    pub(crate) likeness_milli: Option<u16>,
}

impl Hit {
    /// What becomes of a request that it answers.
    pub(crate) fn how(&self) -> report::How {
        let (level, age_ms) = (self.level, self.age_ms);
        match self.likeness_milli {
            Some(likeness_milli) => report::How::Alike { likeness_milli, age_ms },
            None => report::How::Hit { level, age_ms, stale: self.left_ms == 0 },
        }
    }
}

/// Everything remembered, and what is being fetched.
pub(crate) struct Memory {
    /// None while the cache is off.
    levels: ArcSwapOption<Levels>,
    flights: Flights<(Key, u64), Brought>,
    shelves: ArcSwap<HashMap<Box<str>, Arc<Shelf>>>,
    configurations: AtomicU64,
    settings: ArcSwap<Cache>,
    schemas: Arc<Schemas>,
    changes: Arc<Changes>,
    meaning: Meaning,
    ahead: Ahead,
    repeats: Repeats,
    /// Why there is no level on disk.
    disk_off: ArcSwapOption<String>,
    /// Tells the generations of this process from those of another.
    process: u64,
    /// Another process answers for the same servers, and what is changed through it is not seen here.
    beside: AtomicBool,
    clock: Clock,
}

/// What is known of one server's answers.
struct Shelf {
    spec: Arc<ServerSpec>,
    digest: [u8; 32],
    group: u32,
    catalogue: Generation,
    data: Generation,
    /// Which configuration it belongs to: what began under an earlier one began at no generation of this one.
    born: u64,
    /// Changes that were heard of. A connection that was lost is none: what it might have said is not known.
    news: AtomicU64,
    /// Who asks what the tools are.
    asking: Flights<Arc<str>, ()>,
    /// Nothing has changed since this process began, so that what an earlier one kept may still be good.
    inherits: AtomicBool,
    never_kept: RwLock<HashSet<u64>>,
    /// Real calls on their way to the server.
    in_flight: AtomicUsize,
    /// A real call comes: what was asked ahead makes way.
    wanted: Notify,
    counts: Counts,
}

/// What became of requests that might have been answered from memory.
#[derive(Debug, Default)]
struct Counts {
    hits: [AtomicU64; 3],
    stale: AtomicU64,
    shared: AtomicU64,
    misses: AtomicU64,
    kept: AtomicU64,
    changes: AtomicU64,
}

impl Shelf {
    fn new(version: &str, spec: &Arc<ServerSpec>, born: u64) -> Arc<Self> {
        Arc::new(Self {
            spec: Arc::clone(spec),
            digest: key::server_digest(version, spec),
            group: key::group(&spec.name),
            catalogue: Generation::new(),
            data: Generation::new(),
            born,
            news: AtomicU64::new(0),
            asking: Flights::new(),
            inherits: AtomicBool::new(born == 0),
            never_kept: RwLock::default(),
            in_flight: AtomicUsize::new(0),
            wanted: Notify::new(),
            counts: Counts::default(),
        })
    }

    fn generation(&self, scope: Scope) -> &Generation {
        match scope {
            Scope::Catalogue => &self.catalogue,
            Scope::Data => &self.data,
        }
    }

    /// The present generation, unlike any of another configuration.
    fn now(&self, scope: Scope) -> u64 {
        (self.born << 40) + self.generation(scope).now()
    }

    /// What the server works on may have changed.
    fn changed(&self) {
        self.inherits.store(false, Release);
        self.news.fetch_add(1, Relaxed);
        self.data.advance();
        self.counts.changes.fetch_add(1, Relaxed);
    }

    /// The server began anew. What it works on is still there; answers that name all they depend on, and are checked
    /// against it, may outlive it.
    fn restarted(&self) {
        self.catalogue.advance();
        self.data.advance();
        self.counts.changes.fetch_add(1, Relaxed);
    }

    /// What it might have said is lost.
    fn lost(&self) {
        self.inherits.store(false, Release);
        self.restarted();
    }

    /// What it offers has changed.
    fn offers(&self) {
        self.news.fetch_add(1, Relaxed);
        self.catalogue.advance();
    }

    /// A real call is on its way to the server.
    fn is_busy(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    /// Everything may have changed.
    fn forget(&self) {
        self.catalogue.advance();
        self.changed();
    }

    fn count(&self, hit: &Hit) {
        let counter = if hit.left_ms > 0 { &self.counts.hits[hit.level as usize] } else { &self.counts.stale };
        counter.fetch_add(1, Relaxed);
        if cache_hit::is_on() {
            cache_hit::fire(Ending::of(hit).cache());
        }
    }

    /// True for a method or tool whose last answer could not be kept: nobody waits for another's then.
    fn is_never_kept(&self, subject: u64) -> bool {
        self.never_kept.read().contains(&subject)
    }

    fn note_kept(&self, subject: u64, kept: bool) {
        if self.is_never_kept(subject) == kept {
            let mut never = self.never_kept.write();
            if kept {
                never.remove(&subject);
            } else if never.len() < MOST_NEVER_KEPT {
                never.insert(subject);
            }
        }
    }
}

impl Memory {
    /// An empty memory; `process` is a number that no other gateway process has. Called inside a tokio runtime.
    pub(crate) fn new(
        snapshot: &Snapshot,
        sessions: &Sessions,
        process: u64,
        encoder: Result<EncoderFiles, String>,
        clock: Clock,
    ) -> Arc<Self> {
        let (ahead, seen) = Ahead::new();
        let memory = Arc::new(Self {
            levels: ArcSwapOption::empty(),
            flights: Flights::new(),
            shelves: ArcSwap::default(),
            configurations: AtomicU64::new(0),
            settings: ArcSwap::from_pointee(snapshot.cache.clone()),
            schemas: Arc::clone(&sessions.schemas),
            changes: Changes::new(&snapshot.version, sessions),
            meaning: Meaning::new(encoder),
            ahead,
            repeats: Repeats::new(process),
            disk_off: ArcSwapOption::empty(),
            process,
            beside: AtomicBool::new(false),
            clock,
        });
        memory.take_shelves(snapshot);
        memory.open(snapshot);
        tokio::spawn(sweep(Arc::downgrade(&memory)));
        tokio::spawn(ahead::learn(Arc::downgrade(&memory), seen));
        memory
    }

    /// Follows a new configuration. A server that is configured otherwise begins with nothing.
    pub(crate) fn apply(self: &Arc<Self>, snapshot: &Snapshot) {
        self.take_shelves(snapshot);
        if **self.settings.load() != snapshot.cache {
            self.settings.store(Arc::new(snapshot.cache.clone()));
            self.levels.store(None);
            self.open(snapshot);
        }
    }

    /// Another process begins to answer for the same servers. Nothing is remembered until it is gone, and what was
    /// kept or asked until now is no good after that.
    pub(crate) fn beside(&self) {
        if !self.beside.swap(true, Release) {
            self.shelves.load().values().for_each(|shelf| shelf.forget());
        }
    }

    /// Another process answers already. This one has kept nothing, so it need not forget what is on disk.
    pub(crate) fn beside_from_the_start(&self) {
        self.beside.store(true, Release);
    }

    /// No other process is left.
    pub(crate) fn alone(&self) {
        self.beside.store(false, Release);
    }

    fn is_beside(&self) -> bool {
        self.beside.load(Acquire)
    }

    fn take_shelves(&self, snapshot: &Snapshot) {
        let old = self.shelves.load();
        let born = self.configurations.fetch_add(1, Relaxed);
        let shelf = |spec: &Arc<ServerSpec>| match old.get(&*spec.name) {
            Some(shelf) if shelf.spec.is_but_for_limits(spec) => Arc::clone(shelf),
            _ => Shelf::new(&snapshot.version, spec, born),
        };
        let shelves = snapshot.servers.iter().map(|spec| (spec.name.as_str().into(), shelf(spec))).collect();
        drop(old);
        self.shelves.store(Arc::new(shelves));
        // Counted again, so that whoever read the number before a shelf sees another one now.
        self.configurations.fetch_add(1, Release);
    }

    /// Opens the levels.
    fn open(self: &Arc<Self>, snapshot: &Snapshot) {
        let settings = &snapshot.cache;
        if !settings.enabled {
            return;
        }
        let items = usize::try_from(settings.max_items).unwrap_or(usize::MAX);
        let mut limits = LevelLimits::of(settings.max_bytes, items, settings.compressed_bytes);
        limits.ram.item_bytes = limits.ram.item_bytes.min(LARGEST);
        // Opened before the first request, so that nothing that is kept has to be given up for it.
        let folder = snapshot.state_dir.join("cache");
        let disk = match settings.disk_bytes {
            0 => None,
            bytes => Some(Disk::open(&folder, DiskLimits::of(bytes), self.now_ms())),
        };
        let (disk, refused) = match disk.transpose() {
            Ok(disk) => (disk, None),
            Err(refused) => (None, Some(refused)),
        };
        self.levels.store(Some(Arc::new(Levels::new(&limits, disk, self.now_ms()))));
        self.disk_off.store(refused.as_ref().map(|refused| Arc::new(refused.to_string())));
        if matches!(refused, Some(DiskRefused::Locked)) {
            tokio::spawn(open_disk(Arc::downgrade(self), folder, settings.clone(), limits));
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn shelf(&self, server: &str) -> Option<Arc<Shelf>> {
        self.shelves.load().get(server).cloned()
    }

    fn shelf_of(&self, group: u32) -> Option<Arc<Shelf>> {
        self.shelves.load().values().find(|shelf| shelf.group == group).cloned()
    }

    /// An answer that holds, fresh or past its time.
    async fn look(&self, shelf: &Shelf, keys: &Keys) -> Option<Hit> {
        for key in [Some(&keys.own), keys.public.as_ref()].into_iter().flatten() {
            if let Some(hit) = self.look_under(shelf, key).await {
                return Some(hit);
            }
        }
        None
    }

    async fn look_under(&self, shelf: &Shelf, key: &Key) -> Option<Hit> {
        let levels = self.levels.load();
        let levels = levels.as_ref()?;
        let now_ms = self.now_ms();
        let found = match levels.get(key, now_ms) {
            Found::Hit(found) => found,
            Found::Miss => return None,
            Found::Cold(cold) => {
                let levels = Arc::clone(levels);
                tokio::task::spawn_blocking(move || levels.read_cold(cold, now_ms)).await.ok().flatten()?
            }
        };
        let hit = self.held(shelf, found, now_ms);
        if hit.is_none() {
            levels.remove(key);
        }
        hit
    }

    /// The answer of an entry, if all that it hangs on is as it was.
    fn held(&self, shelf: &Shelf, found: levels::Hit, now_ms: u64) -> Option<Hit> {
        let levels::Hit { entry, freshness, level, frame } = found;
        let head = Head::unpack(&entry.head)?;
        self.holds(shelf, &head, freshness).then(|| Hit {
            raw: Raw { era: head.era, info: head.info, result: entry.body },
            timed: head.timed,
            frame,
            level,
            age_ms: now_ms.saturating_sub(entry.life.created_ms),
            left_ms: entry.life.fresh_until_ms.saturating_sub(now_ms),
            past_ms: now_ms.saturating_sub(entry.life.fresh_until_ms),
            likeness_milli: None,
        })
    }

    /// Whether all that an answer hangs on is as it was.
    fn holds(&self, shelf: &Shelf, head: &Head, freshness: Freshness) -> bool {
        let of_now = if head.process == self.process {
            head.generation == shelf.now(head.scope)
        } else {
            head.depends.is_some() && shelf.inherits.load(Acquire)
        };
        of_now && freshness != Freshness::Expired && head.depends.as_ref().is_none_or(depends::Depends::holds)
    }
}

/// What an upstream reports moves its generations, before any client hears of it.
impl Watch for Memory {
    fn changed(&self, server: &str, _principal: Option<&str>, change: Change) {
        let Some(shelf) = self.shelf(server) else { return };
        match change {
            Change::Tools => {
                self.schemas.forget_words(server);
                shelf.offers();
            }
            Change::Prompts => shelf.offers(),
            Change::Resources | Change::Updated(_) | Change::Data => shelf.changed(),
            Change::Lost => shelf.lost(),
            Change::Restarted => {
                self.schemas.forget_words(server);
                shelf.restarted();
            }
        }
    }
}

/// Adds the level on disk, as soon as no other process holds its folder: the gateway before this one may still be
/// finishing. What was remembered until then is fetched again.
async fn open_disk(memory: Weak<Memory>, folder: PathBuf, settings: Cache, limits: LevelLimits) {
    loop {
        tokio::time::sleep(DISK_AGAIN).await;
        let Some(now_ms) = memory.upgrade().map(|memory| memory.now_ms()) else { return };
        let (folder, size) = (folder.clone(), DiskLimits::of(settings.disk_bytes));
        let opened = tokio::task::spawn_blocking(move || Disk::open(&folder, size, now_ms)).await;
        let Some(memory) = memory.upgrade().filter(|memory| **memory.settings.load() == settings) else { return };
        match opened {
            Ok(Ok(disk)) => {
                memory.levels.store(Some(Arc::new(Levels::new(&limits, Some(disk), memory.now_ms()))));
                memory.disk_off.store(None);
                return;
            }
            Ok(Err(DiskRefused::Locked)) => {}
            Ok(Err(refused)) => return memory.disk_off.store(Some(Arc::new(refused.to_string()))),
            Err(_) => return,
        }
    }
}

/// Takes out what has ended, a little at a time.
async fn sweep(memory: Weak<Memory>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(memory) = memory.upgrade() else { return };
        if let Some(levels) = &*memory.levels.load() {
            levels.sweep(memory.now_ms());
        }
    }
}
