//! Results and lists of tools in fewer tokens, and the way back to what was left out of results.
//!
//! [`wanted`] decides whose results are shortened and to how much, [`result`] does it, [`read`] answers
//! `resources/read` of `omnimind://context/…`, [`originals`] opens the store, [`recent`] knows what was looked for
//! lately; [`tools`] answers what is asked of tools where
//! clients are not told their whole list. The rules: what was left out is in the
//! store, committed, before the answer that names it leaves, else nothing is left out; what one principal had kept no
//! other can read; an answer is never late for this: past its time it goes out as it came.

mod originals;
mod read;
mod recent;
mod report;
mod result;
mod tools;
mod wanted;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use self::{originals::Originals, recent::Recent, result::Pressed};
pub(crate) use self::{
    read::{is_ours, read},
    tools::{Told, tells, told},
    wanted::{Wanted, hear, may_be, wanted},
};
use crate::{config::Snapshot, metrics, relay::Client};

/// What the name of an original follows.
pub(crate) const URI: &str = "omnimind://context/";
/// The longest result that is shortened; a longer one goes out as it is.
pub(crate) const LONGEST: usize = 8 << 20;
/// Long results that are held at once to be shortened.
const ROOM: usize = 8;
/// The time to shorten a result: this, and for each KiB so much more.
const TIME: Duration = Duration::from_millis(100);
const TIME_A_KIB: Duration = Duration::from_micros(500);
/// The first revision whose results may link to resources.
const LINKS_SINCE: &str = "2025-06-18";

/// What is shared by all who shorten.
pub(crate) struct Compress {
    originals: Originals,
    recent: Recent,
    /// One may work for each processor.
    turns: Arc<Semaphore>,
    /// Room for long results.
    pub(crate) room: Semaphore,
    counts: Counts,
}

/// What was done, in all.
#[derive(Debug, Default)]
struct Counts {
    results: AtomicU64,
    late: AtomicU64,
    tokens_before: AtomicU64,
    tokens_after: AtomicU64,
}

impl Compress {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self {
            originals: Originals::new(&snapshot.state_dir),
            recent: Recent::default(),
            turns: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))),
            room: Semaphore::new(ROOM),
            counts: Counts::default(),
        }
    }

    /// The counters, for scrapers.
    pub(crate) fn render(&self, text: &mut String) {
        let Counts { results, late, tokens_before, tokens_after } = &self.counts;
        let mut one = |name, help, count: &AtomicU64| {
            metrics::head(text, name, "counter", help);
            let _ = writeln!(text, "{name} {}", count.load(Relaxed));
        };
        one("omnimind_compressed_results_total", "Results that were told in fewer tokens.", results);
        one("omnimind_compressed_late_total", "Results that went out as they came, for want of time.", late);
        one("omnimind_compressed_tokens_before_total", "Tokens of the results that were told in fewer.", tokens_before);
        one("omnimind_compressed_tokens_after_total", "Tokens that were left of these.", tokens_after);
    }

    fn count(&self, pressed: &Pressed) {
        self.counts.results.fetch_add(1, Relaxed);
        self.counts.tokens_before.fetch_add(pressed.tokens_before as u64, Relaxed);
        self.counts.tokens_after.fetch_add(pressed.tokens_after as u64, Relaxed);
    }
}

/// A tool's result as its client wants it; itself where it is short enough, cannot be shortened, or not in time.
pub(crate) async fn shortened(client: &Client, wanted: Wanted, result: Bytes) -> Bytes {
    if !result::may_be_long(&result, &wanted.press) || result.len() > LONGEST {
        return result;
    }
    let compress = Arc::clone(&client.caller.plane.compress);
    let time = TIME.saturating_add(TIME_A_KIB.saturating_mul(u32::try_from(result.len() >> 10).unwrap_or(u32::MAX)));
    let links = client.version >= LINKS_SINCE;
    let (principal, original) = (Arc::clone(client.principal()), result.clone());
    let work = async {
        let turn = Arc::clone(&compress.turns).acquire_owned().await.ok()?;
        let compress = Arc::clone(&compress);
        let work = move || {
            let _turn = turn;
            let kept = compress.originals.of(&principal, &wanted.from);
            result::shortened(&original, &wanted, links, kept.as_ref())
        };
        spawn_blocking(work).await.ok().flatten()
    };
    match timeout(time, work).await {
        Ok(Some(pressed)) => {
            compress.count(&pressed);
            pressed.result
        }
        Ok(None) => result,
        Err(_late) => {
            compress.counts.late.fetch_add(1, Relaxed);
            result
        }
    }
}
