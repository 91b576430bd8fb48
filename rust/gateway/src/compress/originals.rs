//! The store of originals, opened when the first result is cut, and again when it could not be opened.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use omnimind_handles::{Bounds, Kept, Original, Store, Trouble};
use parking_lot::Mutex;

use super::result::Keeps;

/// The folder in the state folder; workers and commands look there too.
const FOLDER: &str = "handles";
/// A store that could not be opened is not tried again for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// Where originals are kept. All methods block.
pub(super) struct Originals {
    folder: PathBuf,
    opened: Mutex<Opened>,
}

enum Opened {
    Not,
    Yes(Arc<Store>),
    Failed { at: Instant },
}

impl Originals {
    pub(super) fn new(state: &Path) -> Self {
        Self { folder: state.join(FOLDER), opened: Mutex::new(Opened::Not) }
    }

    /// The store for one principal's originals that come `from` a server's tool; none if there is none now.
    pub(super) fn of<'a>(&self, principal: &'a str, from: &'a str) -> Option<Shelf<'a>> {
        self.store().map(|store| Shelf { store, principal, from })
    }

    /// The original of this name, if this principal had it kept.
    pub(super) fn get(&self, principal: &str, name: &str) -> Result<Option<Kept>, Trouble> {
        match self.store() {
            Some(store) => store.get(principal, name, now_ms()),
            None => Err(Trouble::Unusable("it was just tried, and is tried again in some seconds".to_owned())),
        }
    }

    fn store(&self) -> Option<Arc<Store>> {
        let mut opened = self.opened.lock();
        match &*opened {
            Opened::Yes(store) => return Some(Arc::clone(store)),
            Opened::Failed { at } if at.elapsed() < PAUSE => return None,
            Opened::Not | Opened::Failed { .. } => {}
        }
        *opened = match Store::open(&self.folder, Bounds::default(), random) {
            Ok(store) => Opened::Yes(Arc::new(store)),
            Err(_trouble) => Opened::Failed { at: Instant::now() },
        };
        match &*opened {
            Opened::Yes(store) => Some(Arc::clone(store)),
            _ => None,
        }
    }
}

/// The store, for one principal's originals.
pub(super) struct Shelf<'a> {
    store: Arc<Store>,
    principal: &'a str,
    from: &'a str,
}

impl Keeps for Shelf<'_> {
    fn key(&self) -> [u8; 32] {
        self.store.key()
    }

    fn keep(&self, text: &str) -> bool {
        let original = Original { bytes: text.as_bytes(), mime: "text/plain", from: self.from };
        self.store.put(self.principal, &original, now_ms()).is_ok()
    }
}

/// What is kept outlives the process, so its time is that of the wall.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if filled == bytes.len() { Ok(bytes) } else { Err(io::Error::other("the system has too little chance")) }
}
