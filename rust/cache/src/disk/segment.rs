//! One file of the log, and how its records are found again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::ReadWriteFlags;

use super::format::{
    self, Header, Kind, Line, MAX_SEGMENT, Opening, Place, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader, TRAILER,
};
use super::index::Spot;

/// A segment's file. Whoever reads holds it, so its file may be unlinked at any time.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    file: File,
}

/// What a read that must not wait came to.
pub(super) enum Now {
    Bytes(Vec<u8>),
    /// The page cache does not have it: ask again where waiting is allowed.
    Later,
    /// It cannot be read.
    Failed,
}

/// How the records of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a footer: nothing is missing.
    Sealed,
    /// With the end of the file, perhaps within a record that was only begun.
    Open,
    /// With bytes that are no record, though they are as many: something is lost, and nobody knows what.
    Broken,
}

/// The records of a file.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) lines: Vec<Line>,
    /// Where the last whole record ends.
    pub(super) end: u32,
    pub(super) ending: Ending,
}

/// Segment files are `00000001.seg` and so on.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08x}.seg"))
}

/// The number in a segment's name.
pub(super) fn number_in(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 8)?;
    let number = u32::from_str_radix(digits, 16).ok().filter(|number| number >> 31 == 0)?;
    (digits == format!("{number:08x}")).then_some(number)
}

impl Segment {
    /// A new file with its header.
    pub(super) fn create(folder: &Path, header: SegmentHeader) -> io::Result<Segment> {
        let path = path(folder, header.number);
        let file = options().create_new(true).mode(0o600).open(&path)?;
        if let Err(error) = file.write_all_at(&header.encode(), 0) {
            fs::remove_file(path)?;
            return Err(error);
        }
        Ok(Segment { number: header.number, file })
    }

    /// The file of that name, how it begins, and how long it is. Nothing in it is changed.
    pub(super) fn open(folder: &Path, number: u32) -> io::Result<(Segment, Opening, u64)> {
        let file = options().open(path(folder, number))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok((Segment { number, file }, Opening::Foreign, 0));
        }
        let len = metadata.len();
        let mut first = vec![0; usize::try_from(len.min(SEGMENT_HEADER.into())).unwrap_or_default()];
        file.read_exact_at(&mut first, 0)?;
        let opening = match SegmentHeader::decode(&first) {
            Opening::Segment(header) if header.number != number || len > MAX_SEGMENT.into() => Opening::Damaged,
            opening => opening,
        };
        Ok((Segment { number, file }, opening, len))
    }

    pub(super) fn place(&self, offset: u32) -> Place {
        Place::new(self.number, offset)
    }

    /// Reads what the page cache has; sleeps for nothing.
    pub(super) fn read_now(&self, spot: Spot) -> Now {
        let mut bytes = vec![0; spot.len as usize];
        let slices = &mut [IoSliceMut::new(&mut bytes)];
        match rustix::io::preadv2(&self.file, slices, spot.place.offset().into(), ReadWriteFlags::NOWAIT) {
            Ok(read) if read == bytes.len() => Now::Bytes(bytes),
            // Less than asked: the rest is not in memory, or the file ends; a read that may wait finds out.
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INTR) => {
                Now::Later
            }
            Err(_) => Now::Failed,
        }
    }

    pub(super) fn read(&self, offset: u32, len: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(&mut bytes, offset.into())?;
        Ok(bytes)
    }

    pub(super) fn write(&self, bytes: &[u8], offset: u32) -> io::Result<()> {
        self.file.write_all_at(bytes, offset.into())
    }

    pub(super) fn cut(&self, len: u32) -> io::Result<()> {
        self.file.set_len(len.into())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The records of the file, which is `len` long: from its footer, or by going through them. With `verify`, an
    /// entry whose bytes are damaged becomes a removal: what it replaced must not come back.
    pub(super) fn load(&self, len: u64, verify: bool) -> io::Result<Loaded> {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let footer_at = self.footer_at(len)?;
        if let Some(end) = footer_at {
            let bytes = self.read(end, len - end)?;
            if let Some(lines) = format::footer_lines(&bytes, self.place(end)) {
                return Ok(Loaded { lines, end, ending: Ending::Sealed });
            }
        }
        let mut loaded = Loaded { lines: Vec::new(), end: SEGMENT_HEADER, ending: Ending::Open };
        while let Some(line) = self.next(&mut loaded, len, footer_at, verify)? {
            loaded.end += line.len;
            loaded.lines.push(line);
        }
        Ok(loaded)
    }

    /// Where the end of the file says that a footer begins.
    fn footer_at(&self, len: u32) -> io::Result<Option<u32>> {
        let mut trailer = [0; TRAILER];
        let Some(at) = u64::from(len).checked_sub(TRAILER as u64).filter(|at| *at >= SEGMENT_HEADER.into()) else {
            return Ok(None);
        };
        self.file.read_exact_at(&mut trailer, at)?;
        Ok(format::footer_at(trailer).filter(|at| (SEGMENT_HEADER..len).contains(at)))
    }

    /// The record at the end of what was loaded so far; none at the end of all, which it notes.
    fn next(&self, loaded: &mut Loaded, len: u32, footer_at: Option<u32>, verify: bool) -> io::Result<Option<Line>> {
        let offset = loaded.end;
        let left = len - offset;
        if (left as usize) < RECORD_HEADER {
            return Ok(None);
        }
        let mut bytes = [0; RECORD_HEADER];
        self.file.read_exact_at(&mut bytes, offset.into())?;
        let Some(header) = Header::decode(&bytes, self.place(offset)) else {
            loaded.ending = if footer_at == Some(offset) { Ending::Sealed } else { Ending::Broken };
            return Ok(None);
        };
        let Some(record_len) = u32::try_from(header.record_len()).ok().filter(|record| *record <= left) else {
            return Ok(None);
        };
        let mut line = line(&header, offset, record_len);
        match header.kind {
            Kind::Footer => {
                loaded.ending = Ending::Sealed;
                return Ok(None);
            }
            Kind::Entry if verify && !self.holds(offset, record_len)? => line.kind = Kind::Removed,
            _ => {}
        }
        Ok(Some(line))
    }

    /// Whether a record is as it was written.
    fn holds(&self, offset: u32, len: u32) -> io::Result<bool> {
        Ok(format::verify(&self.read(offset, len)?, self.place(offset)).is_some())
    }
}

/// What a footer says of a record.
pub(super) fn line(header: &Header, offset: u32, len: u32) -> Line {
    Line { kind: header.kind, fingerprint: format::fingerprint(&header.key), offset, len, group: header.group }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Close on exec is the standard library's default; a link is not followed.
    options.read(true).write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}
