//! What the bytes of a segment mean. Pure: slices in, values out.
//!
//! A segment is a header and records. A record is `[header 70][head][body][checksum 8]`; the header ends with a
//! checksum of its own, so that what a record is about is known even where its body is damaged. A record's place in
//! the log, (segment, offset), is its sequence number: one thread writes, segments are numbered upwards, and every
//! checksum is seeded with the place, so that bytes which got anywhere else are not believed.
//!
//! No length is trusted before it was compared with the bytes that are there. Numbers are little-endian.
#![allow(clippy::cast_possible_truncation)] // Every cast below narrows to a field that was bounded before it was written.

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Record;
use crate::{Entry, Key, Life};

/// The first bytes of every segment; a file without them is not ours.
pub(super) const MAGIC: [u8; 8] = *b"omniLOG\n";
/// Of the whole format: segments of another version are not read.
pub(super) const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: u32 = 40;
/// No segment is larger, whatever it says: what is read into memory at once is bounded by this.
pub(super) const MAX_SEGMENT: u32 = 64 << 20;

const RECORD_MAGIC: [u8; 2] = [0xC5, 0x9E];
/// Bytes of a record's header.
pub(super) const RECORD_HEADER: usize = 70;
const CHECKSUM: usize = 8;
/// Bytes a record adds to what it holds.
pub(super) const RECORD_OVERHEAD: usize = RECORD_HEADER + CHECKSUM;

/// Bytes of one line of a footer.
pub(super) const LINE: usize = 20;
/// The last bytes of a sealed segment: where its footer begins, and a mark.
pub(super) const TRAILER: usize = 8;
const TRAILER_MAGIC: [u8; 4] = *b"seal";

/// Times are kept in 48 bits; the last of them means "for ever".
const TIME_MAX: u64 = (1 << 48) - 1;

/// Where a record is, and thereby when it was written: `segment << 32 | offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u64);

impl Place {
    pub(super) fn new(segment: u32, offset: u32) -> Place {
        Place(u64::from(segment) << 32 | u64::from(offset))
    }

    pub(super) fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// What a key is found by in the index and in footers: equal keys have equal fingerprints. Two keys that share one
/// push each other out, and the whole key in the record tells them apart.
pub(super) fn fingerprint(key: &Key) -> u64 {
    xxh3_64(key)
}

/// What a record does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keeps an entry.
    Entry = 1,
    /// Nothing before it under this key counts any more.
    Removed = 2,
    /// Nothing before it of this group counts any more.
    Cleared = 3,
    /// The list of all records of a segment; the last one there.
    Footer = 0,
}

impl Kind {
    fn of(number: u8) -> Option<Kind> {
        [Kind::Footer, Kind::Entry, Kind::Removed, Kind::Cleared].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) codec: u8,
    pub(super) group: u32,
    pub(super) key: Key,
    pub(super) life: Life,
    pub(super) head_len: u32,
    pub(super) body_len: u32,
}

impl Header {
    /// A record that holds nothing.
    pub(super) fn bare(kind: Kind, key: Key, group: u32) -> Header {
        let life = Life { created_ms: 0, fresh_until_ms: 0, stale_until_ms: 0 };
        Header { kind, codec: 0, group, key, life, head_len: 0, body_len: 0 }
    }

    /// Bytes of the whole record.
    pub(super) fn record_len(&self) -> u64 {
        RECORD_OVERHEAD as u64 + u64::from(self.head_len) + u64::from(self.body_len)
    }

    pub(super) fn decode(bytes: &[u8], place: Place) -> Option<Header> {
        let bytes: &[u8; RECORD_HEADER] = bytes.get(..RECORD_HEADER)?.try_into().ok()?;
        if bytes[..2] != RECORD_MAGIC || u32::from(bytes[2]) != VERSION {
            return None;
        }
        if (xxh3_64_with_seed(&bytes[..66], place.0) as u32).to_le_bytes() != bytes[66..] {
            return None;
        }
        let mut key = Key::default();
        key.copy_from_slice(&bytes[16..48]);
        let life = Life {
            created_ms: time_at(bytes, 48),
            fresh_until_ms: time_at(bytes, 54),
            stale_until_ms: time_at(bytes, 60),
        };
        let head_len = u32::from_le_bytes([bytes[5], bytes[6], bytes[7], 0]);
        let (body_len, group) = (u32_at(bytes, 8)?, u32_at(bytes, 12)?);
        Some(Header { kind: Kind::of(bytes[3])?, codec: bytes[4], group, key, life, head_len, body_len })
    }

    fn encode(&self, place: Place) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..2].copy_from_slice(&RECORD_MAGIC);
        bytes[2] = VERSION as u8;
        bytes[3] = self.kind as u8;
        bytes[4] = self.codec;
        bytes[5..8].copy_from_slice(&self.head_len.to_le_bytes()[..3]);
        bytes[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.group.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.key);
        for (at, time) in [(48, self.life.created_ms), (54, self.life.fresh_until_ms), (60, self.life.stale_until_ms)] {
            bytes[at..at + 6].copy_from_slice(&time.min(TIME_MAX).to_le_bytes()[..6]);
        }
        let checksum = xxh3_64_with_seed(&bytes[..66], place.0) as u32;
        bytes[66..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

/// Appends a whole record; the header's lengths are those of `head` and `body`.
pub(super) fn append(out: &mut Vec<u8>, place: Place, header: &Header, head: &[u8], body: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&header.encode(place));
    out.extend_from_slice(head);
    out.extend_from_slice(body);
    let checksum = xxh3_64_with_seed(&out[start..], place.0);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// The header of a record whose every byte is as it was written.
pub(super) fn verify(bytes: &[u8], place: Place) -> Option<Header> {
    let header = Header::decode(bytes, place)?;
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    let whole = header.record_len() == bytes.len() as u64;
    (whole && xxh3_64_with_seed(content, place.0).to_le_bytes() == checksum).then_some(header)
}

/// The entry that a verified record holds; shares its bytes.
pub(super) fn entry(header: &Header, bytes: &Bytes) -> Record {
    let body_at = RECORD_HEADER + header.head_len as usize;
    let head = bytes.slice(RECORD_HEADER..body_at);
    let body = bytes.slice(body_at..body_at + header.body_len as usize);
    Record { entry: Entry { life: header.life, head, body }, codec: header.codec, group: header.group }
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u32,
    /// The boot of the machine it was begun in.
    pub(super) boot: [u8; 16],
}

/// What the first bytes of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A segment that can be read.
    Segment(SegmentHeader),
    /// Ours, but nobody knows what is missing.
    Damaged,
    /// Ours, and it ends before its first record.
    Begun,
    /// Ours, of another version.
    OtherVersion,
    /// Not ours.
    Foreign,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER as usize] {
        let mut bytes = [0; SEGMENT_HEADER as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.boot);
        let checksum = xxh3_64(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Of the first bytes of a file: as many as it has, up to a header.
    pub(super) fn decode(bytes: &[u8]) -> Opening {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER as usize) else {
            let begun = MAGIC.starts_with(bytes) || bytes.starts_with(&MAGIC);
            return if begun { Opening::Begun } else { Opening::Foreign };
        };
        if bytes[..8] != MAGIC {
            return Opening::Foreign;
        }
        let (Some(version), Some(number)) = (u32_at(bytes, 8), u32_at(bytes, 12)) else { return Opening::Damaged };
        if xxh3_64(&bytes[..32]).to_le_bytes() != bytes[32..] {
            return Opening::Damaged;
        }
        if version != VERSION {
            return Opening::OtherVersion;
        }
        let mut boot = [0; 16];
        boot.copy_from_slice(&bytes[16..32]);
        Opening::Segment(SegmentHeader { number, boot })
    }
}

/// One line of a footer: what a start must know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) fingerprint: u64,
    pub(super) offset: u32,
    /// Of the whole record; below 2^30, the two bits above are the kind.
    pub(super) len: u32,
    pub(super) group: u32,
}

/// Bytes a footer of so many lines takes.
pub(super) fn footer_len(lines: usize) -> u64 {
    (RECORD_OVERHEAD + lines * LINE + TRAILER) as u64
}

/// A segment's last record, and the trailer that points to it. It is a record so that one which was only begun looks
/// like any other record that was only begun.
pub(super) fn footer(place: Place, lines: &[Line]) -> Vec<u8> {
    let mut body = Vec::with_capacity(lines.len() * LINE);
    for line in lines {
        body.extend_from_slice(&line.fingerprint.to_le_bytes());
        body.extend_from_slice(&line.offset.to_le_bytes());
        body.extend_from_slice(&(line.len | (line.kind as u32) << 30).to_le_bytes());
        body.extend_from_slice(&line.group.to_le_bytes());
    }
    let header = Header { body_len: body.len() as u32, ..Header::bare(Kind::Footer, Key::default(), 0) };
    let mut out = Vec::with_capacity(RECORD_OVERHEAD + body.len() + TRAILER);
    append(&mut out, place, &header, &[], &body);
    out.extend_from_slice(&place.offset().to_le_bytes());
    out.extend_from_slice(&TRAILER_MAGIC);
    out
}

/// Where the last bytes of a file say that its footer begins.
pub(super) fn footer_at(trailer: [u8; TRAILER]) -> Option<u32> {
    (trailer[4..] == TRAILER_MAGIC).then(|| u32_at(&trailer, 0))?
}

/// The lines of a footer: `bytes` from its place to the end of the file. None if anything in it is not as written.
pub(super) fn footer_lines(bytes: &[u8], place: Place) -> Option<Vec<Line>> {
    let record = bytes.get(..bytes.len().checked_sub(TRAILER)?)?;
    let header = verify(record, place).filter(|header| header.kind == Kind::Footer && header.head_len == 0)?;
    let body = record.get(RECORD_HEADER..RECORD_HEADER + header.body_len as usize)?;
    body.chunks(LINE).map(|line| line_of(line, place.offset())).collect()
}

fn line_of(bytes: &[u8], end: u32) -> Option<Line> {
    let fingerprint = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let (offset, len, group) = (u32_at(bytes, 8)?, u32_at(bytes, 12)?, u32_at(bytes, 16)?);
    let line = Line { kind: Kind::of((len >> 30) as u8)?, fingerprint, offset, len: len & (u32::MAX >> 2), group };
    (offset.checked_add(line.len)? <= end).then_some(line)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn time_at(bytes: &[u8; RECORD_HEADER], at: usize) -> u64 {
    let mut wide = [0; 8];
    wide[..6].copy_from_slice(&bytes[at..at + 6]);
    match u64::from_le_bytes(wide) {
        TIME_MAX => u64::MAX,
        time => time,
    }
}
