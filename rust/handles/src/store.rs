//! Put and get.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use crate::file::{self, Inode, Opened};
use crate::{Bounds, Handle, Held, Kept, Original, Trouble, name, room};

/// Quick, and packs what tools print to a fifth.
const LEVEL: i32 = 3;
/// How long ago the last use of an original must be for a get to write down that there is another.
const WORTH_NOTING_MS: u64 = 60_000;
/// How often a call begins again because the file is another one, or damaged.
const TRIES: u32 = 3;
/// The largest time that the file can hold.
const END_MS: u64 = i64::MAX as u64;

/// The originals of one folder. Any number of processes and threads may have one of it.
pub struct Store {
    folder: PathBuf,
    bounds: Bounds,
    writer: Mutex<Line>,
    reader: Mutex<Line>,
    key: Mutex<[u8; 32]>,
    notices: Mutex<Vec<String>>,
}

/// A connection and the file that it leads to.
struct Line {
    connection: Connection,
    inode: Inode,
}

impl Store {
    /// Opens the folder, or makes it. `random` is asked for the key if there is none yet.
    pub fn open(
        folder: &Path,
        bounds: Bounds,
        random: impl FnOnce() -> std::io::Result<[u8; 32]>,
    ) -> Result<Self, Trouble> {
        let folder = file::folder(folder)?;
        let Opened { writer, reader, inode, key, aside } = file::open(&folder, None, random)?;
        let store = Self {
            folder,
            bounds,
            writer: Mutex::new(Line { connection: writer, inode }),
            reader: Mutex::new(Line { connection: reader, inode }),
            key: Mutex::new(key),
            notices: Mutex::default(),
        };
        store.note(aside);
        Ok(store)
    }

    /// The key of marks: made once, the same for all who open the folder.
    pub fn key(&self) -> [u8; 32] {
        *self.key.lock()
    }

    /// What its owner should tell the operator: each is given once.
    pub fn notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock())
    }

    /// Keeps an original for a principal. It is on disk when this returns, and is then kept anew for its whole time if
    /// it was there before.
    pub fn put(&self, principal: &str, original: &Original<'_>, now_ms: u64) -> Result<Handle, Trouble> {
        let handle = *blake3::hash(original.bytes).as_bytes();
        let body = zstd::bulk::compress(original.bytes, LEVEL)?;
        let size = room::size(body.len(), principal.len() + original.mime.len() + original.from.len());
        let bound = self.bounds.principal_bytes.min(self.bounds.bytes);
        if size > bound {
            return Err(Trouble::TooLarge(size, bound));
        }
        let row = Put { principal: principal.as_bytes(), handle, original, body: &body, size };
        let mut line = self.writer.lock();
        for _ in 0..TRIES {
            self.renew(&mut line)?;
            match row.write(&mut line.connection, &self.bounds, now_ms) {
                // Somebody may have set the file aside meanwhile.
                Ok(()) if file::inode(&self.folder) == Some(line.inode) => return Ok(handle),
                Ok(()) => {}
                Err(Trouble::Damaged) => self.reopen(&mut line, true)?,
                Err(other) => return Err(other),
            }
        }
        Err(Trouble::Busy)
    }

    /// The original that a principal put under this name: 64 hexadecimal digits, or the first 16 or more of them.
    pub fn get(&self, principal: &str, name: &str, now_ms: u64) -> Result<Option<Kept>, Trouble> {
        let Some(found) = self.find(principal, name::range(name)?, now_ms)? else { return Ok(None) };
        let kept = found.unpack()?;
        if now_ms.saturating_sub(found.used_ms) >= WORTH_NOTING_MS {
            // What cannot be noted is only the order in which originals go.
            let _ = self.writer.lock().connection.execute(
                "UPDATE originals SET used_ms = max(used_ms, ?1) WHERE id = ?2 AND name = ?3",
                (now_ms, found.id, kept.handle),
            );
        }
        Ok(Some(kept))
    }

    /// What is kept of a principal's, or of all, with what is too old and not yet gone.
    pub fn held(&self, principal: Option<&str>) -> Result<Held, Trouble> {
        let line = self.current_reader()?;
        let held = line
            .connection
            .prepare_cached("SELECT coalesce(sum(originals), 0), coalesce(sum(bytes), 0) FROM sums WHERE ?1 IS NULL OR principal = ?1")?
            .query_row([principal.map(str::as_bytes)], |row| Ok(Held { originals: row.get(0)?, bytes: row.get(1)? }))?;
        Ok(held)
    }

    fn find(&self, principal: &str, (first, last): (Handle, Handle), now_ms: u64) -> Result<Option<Found>, Trouble> {
        let line = self.current_reader()?;
        // What was put later than its own time from now was stamped by a clock that was wrong.
        let mut statement = line.connection.prepare_cached(
            "SELECT id, name, mime, source, length, put_ms, until_ms, used_ms, body
             FROM originals LEFT JOIN bodies USING (id)
             WHERE principal = ?1 AND name BETWEEN ?2 AND ?3 AND until_ms > ?4 AND put_ms - ?4 <= until_ms - put_ms
             LIMIT 2",
        )?;
        let mut rows = statement.query_map((principal.as_bytes(), first, last, now_ms.min(END_MS)), Found::read)?;
        let found = rows.next().transpose()?;
        match rows.next().transpose()? {
            Some(_) => Err(Trouble::Ambiguous),
            None => Ok(found),
        }
    }

    fn current_reader(&self) -> Result<MutexGuard<'_, Line>, Trouble> {
        let line = self.reader.lock();
        if file::inode(&self.folder) == Some(line.inode) {
            return Ok(line);
        }
        // The writer's lock comes before the reader's, everywhere.
        drop(line);
        self.renew(&mut self.writer.lock())?;
        Ok(self.reader.lock())
    }

    /// Opens the file anew if another one has its name.
    fn renew(&self, line: &mut Line) -> Result<(), Trouble> {
        if file::inode(&self.folder) == Some(line.inode) { Ok(()) } else { self.reopen(line, false) }
    }

    fn reopen(&self, line: &mut Line, damaged: bool) -> Result<(), Trouble> {
        let key = self.key();
        file::folder(&self.folder)?;
        let opened = file::open(&self.folder, damaged.then_some(line.inode), || Ok(key))?;
        *line = Line { connection: opened.writer, inode: opened.inode };
        *self.reader.lock() = Line { connection: opened.reader, inode: opened.inode };
        *self.key.lock() = opened.key;
        self.note(opened.aside);
        Ok(())
    }

    fn note(&self, aside: Option<PathBuf>) {
        let said = |path: PathBuf| {
            format!("the originals of cut texts were damaged and begun anew; the old file is {}", path.display())
        };
        self.notices.lock().extend(aside.map(said));
    }
}

/// A row to be.
struct Put<'a> {
    principal: &'a [u8],
    handle: Handle,
    original: &'a Original<'a>,
    body: &'a [u8],
    size: u64,
}

impl Put<'_> {
    fn write(&self, connection: &mut Connection, bounds: &Bounds, now_ms: u64) -> Result<(), Trouble> {
        let (now, until) = (now_ms.min(END_MS), now_ms.saturating_add(bounds.ttl_ms).min(END_MS));
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        room::expire(&transaction, now)?;
        let id: i64 = transaction
            .prepare_cached(
                "INSERT INTO originals (principal, name, mime, source, length, size, put_ms, until_ms, used_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7)
                 ON CONFLICT (principal, name) DO UPDATE SET mime = excluded.mime, source = excluded.source,
                     length = excluded.length, size = excluded.size,
                     put_ms = excluded.put_ms, until_ms = excluded.until_ms, used_ms = excluded.used_ms
                 RETURNING id",
            )?
            .query_row(
                (
                    self.principal,
                    self.handle,
                    self.original.mime,
                    self.original.from,
                    self.original.bytes.len() as u64,
                    self.size,
                    now,
                    until,
                ),
                |row| row.get(0),
            )?;
        self.write_body(&transaction, id)?;
        room::make(&transaction, self.principal, id, self.size, bounds)?;
        transaction.commit()?;
        Ok(())
    }

    /// A body that is there already is read, so that a damaged one does not stay.
    fn write_body(&self, transaction: &Connection, id: i64) -> Result<(), Trouble> {
        let there = transaction
            .prepare_cached("SELECT body = ?2 FROM bodies WHERE id = ?1")?
            .query_row((id, self.body), |row| row.get::<_, bool>(0))
            .optional()?;
        if there != Some(true) {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO bodies (id, body) VALUES (?1, ?2)")?
                .execute((id, self.body))?;
        }
        Ok(())
    }
}

/// A row as it was read.
struct Found {
    id: i64,
    handle: Handle,
    mime: String,
    from: String,
    length: u64,
    put_ms: u64,
    until_ms: u64,
    used_ms: u64,
    body: Option<Vec<u8>>,
}

impl Found {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            handle: row.get(1)?,
            mime: row.get(2)?,
            from: row.get(3)?,
            length: row.get(4)?,
            put_ms: row.get(5)?,
            until_ms: row.get(6)?,
            used_ms: row.get(7)?,
            body: row.get(8)?,
        })
    }

    fn unpack(&self) -> Result<Kept, Trouble> {
        let body = self.body.as_deref().ok_or(Trouble::Damaged)?;
        let mut bytes = Vec::new();
        // What the row says of the length is believed only as a limit.
        let limit = self.length.saturating_add(1);
        let unpacked = zstd::stream::Decoder::with_buffer(body).and_then(|it| it.take(limit).read_to_end(&mut bytes));
        if unpacked.is_err() || blake3::hash(&bytes) != self.handle {
            return Err(Trouble::Damaged);
        }
        let (mime, from) = (self.mime.clone(), self.from.clone());
        Ok(Kept { handle: self.handle, bytes, mime, from, put_ms: self.put_ms, until_ms: self.until_ms })
    }
}
