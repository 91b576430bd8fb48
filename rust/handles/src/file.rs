//! The folder, the file in it, and what becomes of a file that is damaged.
//!
//! Whoever opens, makes or sets aside the file holds the folder's lock meanwhile, so that nobody sets aside what
//! another has just begun. A file is known by its inode: who has one open that is not under the name any more knows
//! that it was set aside, or deleted, and opens the new one.
//!
//! The file is never opened but by `SQLite`: closing any other descriptor of it would give up the locks that `SQLite`
//! holds on it for this process.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::FlockOperation;

use crate::{Trouble, schema};

const FILE: &str = "originals.sqlite";
const ASIDE: &str = "originals.damaged.sqlite";
const LOCK: &str = "lock";
/// How long another process may hold the file before a call gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the folder's lock is tried meanwhile.
const TRIES: u32 = 1_000;

/// Which file a name stands for.
pub(crate) type Inode = (u64, u64);

/// An open file.
pub(crate) struct Opened {
    /// For puts.
    pub(crate) writer: Connection,
    /// For gets, which need not wait for puts.
    pub(crate) reader: Connection,
    pub(crate) inode: Inode,
    pub(crate) key: [u8; 32],
    /// A damaged file was set aside: where it is now.
    pub(crate) aside: Option<PathBuf>,
}

/// Makes the folder and says where it really is.
pub(crate) fn folder(folder: &Path) -> Result<PathBuf, Trouble> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| folder.canonicalize());
    let folder = made.map_err(|error| at(folder, error))?;
    if fs::metadata(&folder)?.mode() & 0o077 != 0 {
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(|error| at(&folder, error))?;
    }
    Ok(folder)
}

/// Opens the file, or makes it. `damaged` is the file that its owner found to be damaged, if it did.
pub(crate) fn open(
    folder: &Path,
    damaged: Option<Inode>,
    random: impl FnOnce() -> io::Result<[u8; 32]>,
) -> Result<Opened, Trouble> {
    let _lock = lock(folder)?;
    let path = folder.join(FILE);
    create(&path)?;
    let known_damaged = damaged.is_some() && damaged == inode(folder);
    match if known_damaged { Err(Trouble::Damaged) } else { connect(&path) } {
        Err(Trouble::Damaged) => {
            let aside = set_aside(folder)?;
            create(&path)?;
            finish(folder, connect(&path)?, random, Some(aside))
        }
        connected => finish(folder, connected?, random, None),
    }
}

/// The file that has the name now.
pub(crate) fn inode(folder: &Path) -> Option<Inode> {
    fs::metadata(folder.join(FILE)).ok().map(|found| (found.dev(), found.ino()))
}

fn finish(
    folder: &Path,
    mut writer: Connection,
    random: impl FnOnce() -> io::Result<[u8; 32]>,
    aside: Option<PathBuf>,
) -> Result<Opened, Trouble> {
    let key = schema::key(&mut writer, random)?;
    let reader = plain(&folder.join(FILE))?;
    reader.pragma_update(None, "query_only", true)?;
    let inode =
        inode(folder).ok_or_else(|| Trouble::Unusable(format!("{} was deleted", folder.join(FILE).display())))?;
    Ok(Opened { writer, reader, inode, key, aside })
}

/// For its owner's eyes only from the begin: `SQLite` would make it as the process's mask says.
fn create(path: &Path) -> Result<(), Trouble> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(at(path, error)),
    }
}

fn connect(path: &Path) -> Result<Connection, Trouble> {
    let mut connection = plain(path)?;
    // Before there are tables, or never: pages of what went can then be given back in steps.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    schema::prepare(&mut connection)?;
    Ok(connection)
}

fn plain(path: &Path) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // Nothing outside the folder: a fenced worker may write nowhere else.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A commit is in the kernel's hands: it survives this process, if not the machine.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", 8 << 20, |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// The log goes first: a new file beside an old log would be taken for the log's.
fn set_aside(folder: &Path) -> Result<PathBuf, Trouble> {
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (folder.join(format!("{FILE}{suffix}")), folder.join(format!("{ASIDE}{suffix}")));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_file(&to).or_else(ignore_absent),
            other => other,
        }
        .map_err(|error| at(&from, error))?;
    }
    Ok(folder.join(ASIDE))
}

fn ignore_absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Held until it is dropped.
fn lock(folder: &Path) -> Result<File, Trouble> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|error| at(&path, error))?;
    for _ in 0..TRIES {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(PATIENCE / TRIES),
            Err(error) => return Err(at(&path, error.into())),
        }
    }
    Err(Trouble::Busy)
}

fn at(path: &Path, error: io::Error) -> Trouble {
    match Trouble::from(error) {
        Trouble::Unusable(why) => Trouble::Unusable(format!("{}: {why}", path.display())),
        other => other,
    }
}
