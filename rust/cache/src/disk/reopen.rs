//! From the files of a folder to an index.
//!
//! The log is read from its oldest segment to its newest, and what comes later wins. Its order is also what makes
//! removals safe: a removal stands behind everything that it removes, and the oldest segment goes first, so a removal
//! is forgotten only when there is nothing left that it could protect us from.
//!
//! **A gap is the end of memory.** Where a piece of the log is missing (a number is skipped, a segment's header or a
//! record's header is damaged), the removals in it are missing too. Then everything before it is forgotten; a cold
//! cache is better than one that answers with what was removed. Two things are no gap: a last record that was only
//! begun when the process died, and a tail that the machine lost when it went down.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use super::format::{Kind, Opening, Place, SegmentHeader};
use super::index::Index;
use super::segment::{self, Ending, Loaded, Segment};

/// The boot of the machine, where it is known.
pub(super) type Boot = Option<[u8; 16]>;

/// A segment that is not written any more.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) segment: Arc<Segment>,
    pub(super) bytes: u64,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) lines: Vec<super::format::Line>,
    pub(super) len: u32,
}

/// All that the folder holds.
#[derive(Debug)]
pub(super) struct Reopened {
    pub(super) index: Index,
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) active: Active,
}

struct Found {
    segment: Segment,
    len: u64,
    loaded: Loaded,
}

/// Reads the folder and makes it ready to be written: the last segment goes on where its records end.
pub(super) fn reopen(folder: &Path, boot: Boot) -> io::Result<Reopened> {
    let numbers = numbers(folder)?;
    let next = numbers.last().map_or(1, |last| last + 1);
    let mut found = find(folder, &numbers, boot)?;
    let entries = found.iter().flat_map(|found| &found.loaded.lines).filter(|line| line.kind == Kind::Entry).count();
    let index = Index::with_capacity(entries);
    for found in &found {
        index.replay(found.segment.number, &found.loaded.lines);
    }
    let active = match found.pop() {
        Some(Found { segment, loaded, .. }) => {
            segment.cut(loaded.end)?;
            Active { segment: Arc::new(segment), lines: loaded.lines, len: loaded.end }
        }
        None => Active::create(folder, next, boot)?,
    };
    let sealed = found.into_iter().map(|found| Sealed { segment: Arc::new(found.segment), bytes: found.len }).collect();
    Ok(Reopened { index, sealed, active })
}

/// The segments after the last gap. What lies before it, and what is ours and cannot be read, is deleted, the oldest
/// first: whenever this is interrupted, the gap is still there.
fn find(folder: &Path, numbers: &[u32], boot: Boot) -> io::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    for number in numbers {
        let Some((segment, opening, len)) = open(folder, *number)? else {
            forget(folder, &mut found)?;
            continue;
        };
        let last = found.last().map(|last| (last.segment.number + 1, last.loaded.ending));
        if last.is_some_and(|last| last != (*number, Ending::Sealed)) && opening != Opening::Begun {
            forget(folder, &mut found)?;
        }
        match opening {
            Opening::Segment(header) => {
                let loaded = load(&segment, len, boot != Some(header.boot))?;
                let broken = loaded.ending == Ending::Broken;
                found.push(Found { segment, len, loaded });
                if broken {
                    forget(folder, &mut found)?;
                }
                continue;
            }
            Opening::Foreign | Opening::Damaged | Opening::OtherVersion => forget(folder, &mut found)?,
            Opening::Begun => {}
        }
        if opening != Opening::Foreign {
            fs::remove_file(segment::path(folder, *number))?;
        }
    }
    Ok(found)
}

/// None if what has the name of a segment is no file: a link, a folder, a socket.
fn open(folder: &Path, number: u32) -> io::Result<Option<(Segment, Opening, u64)>> {
    use rustix::io::Errno;
    match Segment::open(folder, number) {
        Err(error)
            if [Errno::LOOP, Errno::ISDIR, Errno::NXIO]
                .map(|errno| Some(errno.raw_os_error()))
                .contains(&error.raw_os_error()) =>
        {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// The machine may have gone down while a segment of another boot was written: its records are verified, and what
/// follows the last good one was lost with the machine.
fn load(segment: &Segment, len: u64, other_boot: bool) -> io::Result<Loaded> {
    let mut loaded = segment.load(len, other_boot)?;
    if other_boot && loaded.ending == Ending::Broken {
        loaded.ending = Ending::Open;
    }
    Ok(loaded)
}

fn forget(folder: &Path, found: &mut Vec<Found>) -> io::Result<()> {
    found.drain(..).try_for_each(|found| fs::remove_file(segment::path(folder, found.segment.number)))
}

/// The numbers in the names of a folder's files, sorted.
fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(folder)? {
        numbers.extend(file?.file_name().to_str().and_then(segment::number_in));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Active {
    pub(super) fn create(folder: &Path, number: u32, boot: Boot) -> io::Result<Active> {
        if number >> 31 != 0 {
            return Err(io::Error::other("there are no segment numbers left"));
        }
        let segment = Arc::new(Segment::create(folder, SegmentHeader { number, boot: boot.unwrap_or_default() })?);
        Ok(Active { segment, lines: Vec::new(), len: super::format::SEGMENT_HEADER })
    }

    pub(super) fn place(&self, batched: usize) -> Option<Place> {
        Some(self.segment.place(u32::try_from(batched).ok()?.checked_add(self.len)?))
    }
}
