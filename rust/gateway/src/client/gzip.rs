//! gzip (RFC 1952) around deflate: heads that may end anywhere, sums that must fit, one member after another.

use std::io;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::unpack::Step;

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Magic, flags, time, and two bytes that nobody needs.
const FIXED: usize = 10;
const FLAGS: usize = 3;
const HEAD_SUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

/// Unpacks gzip.
#[derive(Debug)]
pub(super) struct Gzip {
    part: Part,
    /// What the head says is still to be skipped.
    flags: u8,
    /// Bytes of this part that were seen.
    seen: usize,
    /// The length of the extra field, or the sums at the end.
    field: [u8; 8],
    deflate: Decompress,
    sum: Crc,
    members: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Fixed,
    ExtraLength,
    Extra(usize),
    Name,
    Comment,
    HeadSum,
    Body,
    Sums,
}

impl Gzip {
    /// Nothing has come.
    pub(super) fn new() -> Self {
        Self {
            part: Part::Fixed,
            flags: 0,
            seen: 0,
            field: [0; 8],
            deflate: Decompress::new(false),
            sum: Crc::new(),
            members: false,
        }
    }

    /// Unpacks some.
    pub(super) fn step(&mut self, packed: &[u8], slice: &mut [u8]) -> io::Result<Step> {
        let mut taken = 0;
        while self.part != Part::Body {
            let Some(byte) = packed.get(taken) else {
                return Ok(Step { taken, made: 0 });
            };
            self.head(*byte)?;
            taken += 1;
        }
        let body = packed.get(taken..).unwrap_or_default();
        let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
        let status = self.deflate.decompress(body, slice, FlushDecompress::None)?;
        let made = counted(self.deflate.total_out(), before_out)?;
        taken = taken.saturating_add(counted(self.deflate.total_in(), before_in)?);
        self.sum.update(slice.get(..made).unwrap_or_default());
        if status == Status::StreamEnd {
            self.turn(Part::Sums);
        }
        Ok(Step { taken, made })
    }

    /// True if it may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.members && self.part == Part::Fixed && self.seen == 0
    }

    /// A byte before or after the packed data.
    fn head(&mut self, byte: u8) -> io::Result<()> {
        let place = self.seen;
        self.seen = self.seen.saturating_add(1);
        match self.part {
            Part::Fixed => {
                if MAGIC.get(place).is_some_and(|magic| *magic != byte) {
                    return Err(io::Error::other("this is not gzip"));
                }
                if place == FLAGS {
                    self.flags = byte;
                }
                if self.seen == FIXED {
                    self.next_part();
                }
            }
            Part::ExtraLength => {
                self.keep(place, byte);
                if self.seen == 2 {
                    let length = usize::from(u16::from_le_bytes([self.field[0], self.field[1]]));
                    if length == 0 { self.next_part() } else { self.turn(Part::Extra(length)) }
                }
            }
            Part::Extra(length) if self.seen < length => {}
            Part::Name | Part::Comment if byte != 0 => {}
            Part::HeadSum if self.seen < 2 => {}
            Part::Extra(_) | Part::Name | Part::Comment | Part::HeadSum => self.next_part(),
            Part::Sums => {
                self.keep(place, byte);
                if self.seen == self.field.len() {
                    self.check()?;
                }
            }
            Part::Body => {}
        }
        Ok(())
    }

    fn keep(&mut self, place: usize, byte: u8) {
        if let Some(kept) = self.field.get_mut(place) {
            *kept = byte;
        }
    }

    fn next_part(&mut self) {
        let parts =
            [(EXTRA, Part::ExtraLength), (NAME, Part::Name), (COMMENT, Part::Comment), (HEAD_SUM, Part::HeadSum)];
        let next = parts.into_iter().find(|(flag, _)| self.flags & flag != 0);
        let (flag, part) = next.unwrap_or((0, Part::Body));
        self.flags &= !flag;
        self.turn(part);
    }

    fn turn(&mut self, part: Part) {
        self.part = part;
        self.seen = 0;
    }

    /// The member has ended; another may follow.
    fn check(&mut self) -> io::Result<()> {
        let sums = (u64::from(self.sum.amount()) << 32) | u64::from(self.sum.sum());
        if u64::from_le_bytes(self.field) != sums {
            return Err(io::Error::other("its sums do not fit"));
        }
        self.deflate.reset(false);
        self.sum.reset();
        self.members = true;
        self.turn(Part::Fixed);
        Ok(())
    }
}

fn counted(after: u64, before: u64) -> io::Result<usize> {
    usize::try_from(after.saturating_sub(before)).map_err(io::Error::other)
}
