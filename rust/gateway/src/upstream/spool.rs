//! Long answers of a shared stream, on disk until their clients have read them.
//!
//! A stream that many calls share cannot wait for the client of one: what is too long to be held goes to a file, and
//! the next line is read. The file has no name from its first moment, so that it goes with its answer, and with the
//! process, whatever happens. How much may lie there is bounded, for one answer and for all.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_stream::try_stream;
use bytes::Bytes;
use rustix::{
    fs::{Mode, OFlags, open, unlink},
    io::Errno,
};
use tokio::task::spawn_blocking;

use super::long::Pieces;

/// The longest answer that is kept.
pub(super) const LONGEST_BYTES: u64 = 128 << 20;
/// What all may have together.
const TOTAL_BYTES: u64 = 512 << 20;
/// What is read at a time.
const PIECE: usize = 32 << 10;

/// The folder, and what lies in it.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    used: AtomicU64,
    serial: AtomicU64,
}

/// One answer on disk. Dropping it frees its room.
#[derive(Debug)]
pub(super) struct Spooled {
    file: Arc<File>,
    length: u64,
    spool: Arc<Spool>,
}

impl Spool {
    /// The spool in a state folder; nothing is made before it is needed.
    pub(super) fn new(state: &Path) -> Arc<Self> {
        Arc::new(Self { folder: state.join("spool"), used: AtomicU64::new(0), serial: AtomicU64::new(0) })
    }

    /// An empty file.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<Spooled, String> {
        let spool = Arc::clone(self);
        let file = blocking(move || spool.unnamed()).await.map_err(|error| unkept(&error))?;
        Ok(Spooled { file: Arc::new(file), length: 0, spool: Arc::clone(self) })
    }

    fn unnamed(&self) -> io::Result<File> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mode = Mode::RUSR | Mode::WUSR;
        match open(&self.folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
            Ok(file) => return Ok(file.into()),
            // Not every file system has files without a name.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        let name = format!("{}-{}", std::process::id(), self.serial.fetch_add(1, Relaxed));
        let path = self.folder.join(name);
        let file = open(&path, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC, mode)?;
        unlink(&path)?;
        Ok(file.into())
    }

    fn take(&self, bytes: u64) -> bool {
        let taken = |used: u64| used.checked_add(bytes).filter(|used| *used <= TOTAL_BYTES);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }
}

impl Spooled {
    /// Writes a piece at the end.
    pub(super) async fn append(&mut self, piece: Bytes) -> Result<(), String> {
        let (at, more) = (self.length, piece.len() as u64);
        if at + more > LONGEST_BYTES {
            return Err(format!("is longer than {LONGEST_BYTES} bytes"));
        }
        if !self.spool.take(more) {
            return Err(format!(
                "finds no room: long answers that wait for their clients may have {TOTAL_BYTES} bytes"
            ));
        }
        self.length += more;
        let file = Arc::clone(&self.file);
        blocking(move || file.write_all_at(&piece, at)).await.map_err(|error| unkept(&error))
    }

    /// What was written, piece by piece, as somebody takes it.
    pub(super) fn pieces(self) -> Pieces {
        Pieces::new(try_stream! {
            let mut at = 0;
            while at < self.length {
                let file = Arc::clone(&self.file);
                let length = usize::try_from(self.length - at).map_or(PIECE, |left| left.min(PIECE));
                let read = blocking(move || {
                    let mut piece = vec![0; length];
                    file.read_exact_at(&mut piece, at).map(|()| piece)
                });
                let piece = read.await.map_err(|error| format!("it cannot be read from the spool: {error}"))?;
                at += piece.len() as u64;
                yield piece.into();
            }
        })
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.length, Relaxed);
    }
}

fn unkept(error: &io::Error) -> String {
    format!("cannot be kept for its client: {error}")
}

/// Runs what touches the disk where nobody waits for it.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(run).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("omnimind-spool-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_leaves_neither_name_nor_claim() {
        let state = folder("reads");
        let spool = Spool::new(&state);
        let mut kept = spool.begin().await.unwrap();
        let piece = Bytes::from((0..=255u8).cycle().take(100_001).collect::<Vec<_>>());
        for _ in 0..3 {
            kept.append(piece.clone()).await.unwrap();
        }
        assert_eq!(spool.used.load(Relaxed), 300_003);
        assert_eq!(std::fs::read_dir(state.join("spool")).unwrap().count(), 0);
        let (mut pieces, mut read) = (kept.pieces(), Vec::new());
        while let Some(piece) = pieces.next().await {
            read.extend_from_slice(&piece.unwrap());
        }
        assert!(read == [&piece[..], &piece, &piece].concat());
        drop(pieces);
        assert_eq!(spool.used.load(Relaxed), 0);
        std::fs::remove_dir_all(state).unwrap();
    }

    #[tokio::test]
    async fn one_may_not_be_too_long_nor_all_together_too_many() {
        let state = folder("quota");
        let spool = Spool::new(&state);
        let mut kept = spool.begin().await.unwrap();
        kept.length = LONGEST_BYTES - 3;
        assert!(spool.take(LONGEST_BYTES - 3));
        assert!(kept.append(Bytes::from_static(b"four")).await.unwrap_err().contains("134217728"));
        assert!(spool.take(TOTAL_BYTES - LONGEST_BYTES + 1));
        assert!(kept.append(Bytes::from_static(b"two")).await.unwrap_err().contains("no room"));
        kept.append(Bytes::from_static(b"or")).await.unwrap();
        drop(kept);
        assert_eq!(spool.used.load(Relaxed), TOTAL_BYTES - LONGEST_BYTES + 1);
        let nowhere = Spool::new(Path::new("/nonexistent"));
        assert!(nowhere.begin().await.unwrap_err().contains("cannot be kept"));
        std::fs::remove_dir_all(state).unwrap();
    }
}
