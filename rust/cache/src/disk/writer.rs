//! The one thread that writes.
//!
//! It takes what gathered in up to 5 ms, writes it with one call and publishes the places. It waits for the disk only
//! where the kernel makes it: a full segment gets its footer and is synced beside the work. Then the oldest segment
//! goes: its records that were read since they were written are copied to the new segment, up to half a segment, so
//! that every eviction frees space.
//!
//! The first error that writing meets ends the level: it can record no removals any more, so it forgets what it has,
//! on the disk too if the disk still lets it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Weak, atomic::Ordering::Relaxed};
use std::thread::JoinHandle;
use std::{fs, io};

use bytes::Bytes;

use super::format::{self, Header, Kind, LINE, Line, Place};
use super::queue::Command;
use super::reopen::{Active, Boot, Sealed};
use super::segment;
use super::{Record, Shared};
use crate::{Freshness, Key};

/// A batch is written when it has grown to this, however young it is.
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) folder: PathBuf,
    pub(super) boot: Boot,
    pub(super) max_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) active: Active,
    pub(super) batch: Batch,
    /// Sealed segments that nobody has begun to sync. What is evicted before its turn is not kept open for it.
    pub(super) unsynced: Vec<Weak<segment::Segment>>,
    pub(super) syncing: Option<JoinHandle<io::Result<()>>>,
}

/// Records on their way to the file.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(Line, Place, Origin)>,
}

/// What a record in a batch takes the place of, once it is in the file.
enum Origin {
    Ticket(u64),
    Copy(Place),
    Nothing,
}

impl Writer {
    /// Until the queue is closed and empty.
    pub(super) fn run(mut self) {
        self.attempt(Writer::make_room);
        let mut commands = Vec::new();
        while self.shared.queue.take(&mut commands) {
            for command in commands.drain(..) {
                self.attempt(|writer| writer.handle(command));
            }
            self.attempt(Writer::write);
        }
        self.attempt(Writer::end);
    }

    fn attempt(&mut self, step: impl FnOnce(&mut Writer) -> io::Result<()>) {
        if self.shared.is_on()
            && let Err(error) = step(self)
        {
            self.turn_off(&error);
        }
    }

    fn handle(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Put { key, fingerprint, ticket, record } => {
                if self.shared.index.is_queued(fingerprint, ticket) {
                    self.put(key, &record, Origin::Ticket(ticket))?;
                    self.shared.counters.written.fetch_add(1, Relaxed);
                }
                Ok(())
            }
            Command::Remove { key } => self.append(&Header::bare(Kind::Removed, key, 0), &[], &[], Origin::Nothing),
            Command::Clear { group: Some(group) } => {
                self.append(&Header::bare(Kind::Cleared, Key::default(), group), &[], &[], Origin::Nothing)
            }
            Command::Clear { group: None } => self.clear(),
            Command::Flush(done) => {
                self.write()?;
                // Whoever waits may have gone.
                let _ = done.send(());
                Ok(())
            }
        }
    }

    fn put(&mut self, key: Key, record: &Record, origin: Origin) -> io::Result<()> {
        let Record { entry, codec, group } = record;
        let (Ok(head_len), Ok(body_len)) = (u32::try_from(entry.head.len()), u32::try_from(entry.body.len())) else {
            return Ok(()); // Not admitted in the first place.
        };
        let header =
            Header { kind: Kind::Entry, codec: *codec, group: *group, key, life: entry.life, head_len, body_len };
        self.append(&header, &entry.head, &entry.body, origin)
    }

    fn append(&mut self, header: &Header, head: &[u8], body: &[u8], origin: Origin) -> io::Result<()> {
        let footer = format::footer_len(self.active.lines.len() + 1);
        let used = u64::from(self.active.len) + self.batch.bytes.len() as u64;
        if used + header.record_len() + footer > self.segment_bytes && !self.active.lines.is_empty() {
            self.roll()?;
        }
        let (Some(place), Ok(len)) = (self.active.place(self.batch.bytes.len()), u32::try_from(header.record_len()))
        else {
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        format::append(&mut self.batch.bytes, place, header, head, body);
        let line = segment::line(header, place.offset(), len);
        self.active.lines.push(line);
        self.batch.lines.push((line, place, origin));
        if self.batch.bytes.len() >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the batch, then lets it be read.
    fn write(&mut self) -> io::Result<()> {
        if self.batch.bytes.is_empty() {
            return Ok(());
        }
        self.active.segment.write(&self.batch.bytes, self.active.len)?;
        self.active.len = self.active.place(self.batch.bytes.len()).map_or(self.active.len, Place::offset);
        self.batch.bytes.clear();
        for (line, place, origin) in self.batch.lines.drain(..) {
            match origin {
                Origin::Ticket(ticket) => self.shared.index.publish(ticket, &line, place),
                Origin::Copy(from) => self.shared.index.replace(&line, from, place),
                Origin::Nothing => {}
            }
        }
        self.count();
        Ok(())
    }

    /// Ends the segment with its footer and syncs it, beside the work.
    fn seal(&mut self) -> io::Result<()> {
        self.write()?;
        let footer = format::footer(self.active.segment.place(self.active.len), &self.active.lines);
        self.active.segment.write(&footer, self.active.len)?;
        self.unsynced.push(Arc::downgrade(&self.active.segment));
        self.sync()?;
        let bytes = u64::from(self.active.len) + footer.len() as u64;
        self.sealed.push_back(Sealed { segment: Arc::clone(&self.active.segment), bytes });
        Ok(())
    }

    /// Starts to sync what is sealed, unless that is going on already: then the next call does.
    fn sync(&mut self) -> io::Result<()> {
        if self.syncing.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        self.synced()?;
        let (segments, folder) = (std::mem::take(&mut self.unsynced), self.folder.clone());
        let sync = move || {
            segments.iter().filter_map(Weak::upgrade).try_for_each(|segment| segment.sync())?;
            fs::File::open(folder)?.sync_all()
        };
        self.syncing = Some(std::thread::Builder::new().name("cache-sync".to_owned()).spawn(sync)?);
        Ok(())
    }

    /// Waits for the sync that runs.
    fn synced(&mut self) -> io::Result<()> {
        self.syncing.take().map_or(Ok(()), |sync| sync.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
    }

    /// Seals, and waits until all is on the disk.
    fn end(&mut self) -> io::Result<()> {
        self.seal()?;
        self.synced()?;
        self.sync()?;
        self.synced()
    }

    fn roll(&mut self) -> io::Result<()> {
        self.seal()?;
        self.begin()?;
        self.make_room()
    }

    fn begin(&mut self) -> io::Result<()> {
        self.active = Active::create(&self.folder, self.active.segment.number + 1, self.boot)?;
        self.show();
        Ok(())
    }

    /// Evicts until a whole segment fits, and what is copied to it while the next one is evicted.
    fn make_room(&mut self) -> io::Result<()> {
        let used = u64::from(self.active.len) + format::footer_len(self.active.lines.len());
        let mut copies = self.segment_bytes.saturating_sub(used).min(self.segment_bytes / 2);
        while self.sealed_bytes() + self.segment_bytes + self.segment_bytes / 2 > self.max_bytes {
            let Some(oldest) = self.sealed.front().map(|oldest| (Arc::clone(&oldest.segment), oldest.bytes)) else {
                break;
            };
            // What cannot be listed any more is dropped when it is looked up.
            let lines = oldest.0.load(oldest.1, false).map(|loaded| loaded.lines).unwrap_or_default();
            for line in lines.iter().filter(|line| line.kind == Kind::Entry) {
                self.copy_or_drop(&oldest.0, line, &mut copies)?;
            }
            self.write()?;
            self.unlink_oldest()?;
        }
        self.count();
        Ok(())
    }

    fn copy_or_drop(&mut self, from: &segment::Segment, line: &Line, copies: &mut u64) -> io::Result<()> {
        let place = from.place(line.offset);
        let cost = u64::from(line.len) + LINE as u64;
        if cost <= *copies && self.shared.index.was_hit(line.fingerprint, place) {
            let bytes = Bytes::from(from.read(line.offset, line.len).unwrap_or_default());
            let now_ms = self.shared.clock_ms.load(Relaxed);
            let alive = format::verify(&bytes, place).filter(|header| header.life.state(now_ms) != Freshness::Expired);
            if let Some(header) = alive {
                *copies -= cost;
                self.shared.counters.copied.fetch_add(1, Relaxed);
                return self.put(header.key, &format::entry(&header, &bytes), Origin::Copy(place));
            }
        }
        if self.shared.index.drop_at(line.fingerprint, place) {
            self.shared.counters.evicted.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn unlink_oldest(&mut self) -> io::Result<()> {
        if let Some(oldest) = self.sealed.pop_front() {
            self.show();
            fs::remove_file(segment::path(&self.folder, oldest.segment.number))?;
        }
        Ok(())
    }

    /// All files go, the oldest first; a new segment begins.
    fn clear(&mut self) -> io::Result<()> {
        self.seal()?;
        self.begin()?;
        while !self.sealed.is_empty() {
            self.unlink_oldest()?;
        }
        self.count();
        Ok(())
    }

    /// Shows readers which segments there are.
    fn show(&self) {
        let sealed = self.sealed.iter().map(|sealed| &sealed.segment);
        self.shared.segments.store(Arc::new(sealed.chain([&self.active.segment]).map(Arc::clone).collect()));
    }

    fn sealed_bytes(&self) -> u64 {
        self.sealed.iter().map(|sealed| sealed.bytes).sum()
    }

    fn count(&self) {
        self.shared.counters.bytes.store(self.sealed_bytes() + u64::from(self.active.len), Relaxed);
        self.shared.counters.segments.store(self.sealed.len() as u64 + 1, Relaxed);
    }

    /// Nothing is written or read any more, and the space is given back.
    fn turn_off(&mut self, error: &io::Error) {
        // The first reason stays.
        let _ = self.shared.off.set(error.to_string());
        self.shared.index.clear(None);
        self.batch = Batch::default();
        self.shared.segments.store(Arc::default());
        let sealed = self.sealed.drain(..).map(|sealed| sealed.segment);
        for segment in sealed.chain([Arc::clone(&self.active.segment)]) {
            // Cut as well: as long as anybody has the file open, removing it alone frees nothing. Where not even this
            // works there is nobody to tell; the reason is already given.
            let _ = segment.cut(0);
            let _ = fs::remove_file(segment::path(&self.folder, segment.number));
        }
        self.shared.counters.bytes.store(0, Relaxed);
        self.shared.counters.segments.store(0, Relaxed);
    }
}
