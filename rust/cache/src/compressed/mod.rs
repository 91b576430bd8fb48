//! L3: answers packed small, for memory that holds more and for the disk.
//!
//! The rule it keeps: what is unpacked is byte for byte what was packed, or nothing. A body under [`SMALLEST`] bytes,
//! or one that would not become a tenth smaller, stays as it is. A body up to [`SMALL`] bytes is packed with the
//! dictionary of its group (the server that answered): alone it is too short to repeat itself, but it repeats what the
//! server always says. Larger ones are packed without, as frames that any client that accepts zstd can be sent
//! (see [`enclose`]). Above [`LARGEST`] nothing is packed: it would hold the caller's thread for a millisecond.
//! Inflating stops at the length that was recorded, and that may not exceed what the owner allows.
//!
//! Why a dictionary is no way from one principal to another, although it is made of answers to all of them: it never
//! leaves the machine, nor does anything packed with it, since only frames made without one can be sent; what a client
//! gets is the body unpacked. A body is unpacked with the very dictionary it was packed with, or not at all: the frame
//! names it by a digest of its content, and a checksum of the body is compared before the body is given. And sizes
//! show nothing to a client: no answer says how small it was kept. On disk they are files of their owner alone.
//! Clearing a group forgets its dictionary too.
//!
//! Cost on a body of 1.4 KB, on a busy machine: 5.5 µs of CPU to pack, 2.2 µs to unpack; what it is on another shows
//! `cargo run --release -p omnimind-cache --example levels`.

mod dictionaries;
mod dictionary;
mod frame;
mod learner;
mod pool;
#[cfg(test)]
#[allow(unreachable_pub)] // the example of measurements includes it too
mod samples;
mod shelf;
#[cfg(test)]
mod tests;

use std::path::Path;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;
use zstd::zstd_safe::{CCtx, DCtx, compress_bound, get_dict_id_from_frame, get_frame_content_size};

use dictionaries::Dictionaries;
use dictionary::{Dictionary, LEVEL};
pub use frame::enclose;
use pool::Pool;

/// Bodies below this many bytes are kept as they are.
pub const SMALLEST: usize = 256;
/// Bodies up to this many bytes are packed with a dictionary.
pub const SMALL: usize = 2 * 1024;
/// Bodies above this many bytes are kept as they are.
pub const LARGEST: usize = 256 * 1024;

/// How a body is kept. The numbers stand in records on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    Plain = 0,
    /// One zstd frame, made without a dictionary.
    Zstd = 1,
    /// A checksum of the body, and a zstd frame made with a dictionary.
    Dictionary = 2,
    /// The length of the body, and an lz4 block.
    Lz4 = 3,
}

impl Codec {
    /// The codec of a number, if it is one.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Plain, Self::Zstd, Self::Dictionary, Self::Lz4].into_iter().find(|codec| *codec as u8 == number)
    }
}

/// What to pack with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// zstd, with dictionaries where they pay.
    #[default]
    Zstd,
    /// lz4: a third of the time, half of the gain, no dictionaries.
    Lz4,
}

/// A body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// How.
    pub codec: Codec,
    /// The bytes.
    pub bytes: Bytes,
}

impl Packed {
    /// The frame, if it is one that a client could be sent.
    pub fn frame(&self) -> Option<&Bytes> {
        (self.codec == Codec::Zstd).then_some(&self.bytes)
    }
}

/// Packs and unpacks. Shared by reference; any method may be called from any thread.
pub struct Packer {
    method: Method,
    largest_body: usize,
    dictionaries: Dictionaries,
    compressing: Pool<CCtx<'static>>,
    inflating: Pool<DCtx<'static>>,
}

impl Packer {
    /// One whose bodies are at most `largest_body` bytes. It keeps its dictionaries in `folder`, if that is given; the
    /// folder must be this process's alone.
    pub fn new(method: Method, largest_body: usize, folder: Option<&Path>, now_ms: u64) -> Self {
        Self {
            method,
            largest_body,
            dictionaries: Dictionaries::new(folder, now_ms),
            compressing: Pool::new(CCtx::try_create),
            inflating: Pool::new(DCtx::try_create),
        }
    }

    /// Packs a body that may be served until `until_ms`; also whether a training is due.
    pub fn pack(&self, group: u32, body: &Bytes, until_ms: u64) -> (Packed, bool) {
        let (packed, due) = match self.method {
            _ if !(SMALLEST..=LARGEST.min(self.largest_body)).contains(&body.len()) => (None, false),
            Method::Lz4 => (lz4(body).map(|bytes| Packed { codec: Codec::Lz4, bytes }), false),
            Method::Zstd if body.len() > SMALL => (self.alone(body), false),
            Method::Zstd => {
                let (dictionary, due) = self.dictionaries.meet(group, body);
                (dictionary.map_or_else(|| self.alone(body), |with| self.with(&with, body, until_ms)), due)
            }
        };
        (packed.unwrap_or_else(|| Packed { codec: Codec::Plain, bytes: body.clone() }), due)
    }

    /// The body that was packed, or nothing: the bytes are not what `pack` gave, or their dictionary is gone.
    pub fn unpack(&self, codec: Codec, kept: &Bytes) -> Option<Bytes> {
        match codec {
            Codec::Plain => Some(kept.clone()),
            Codec::Zstd => {
                let length = self.recorded(kept)?;
                self.inflate(length, |context, body| context.decompress(body, kept).ok())
            }
            Codec::Dictionary => {
                let (check, frame) = kept.split_first_chunk::<4>()?;
                let dictionary = self.dictionaries.find(get_dict_id_from_frame(frame)?.get())?;
                let length = self.recorded(frame)?;
                self.inflate(length, |context, body| {
                    context.decompress_using_ddict(body, frame, &dictionary.unpacking).ok()
                })
                .filter(|body| checksum(body) == *check)
            }
            Codec::Lz4 => {
                let (length, block) = kept.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                let mut body = vec![0; Some(length).filter(|length| *length <= self.largest_body)?];
                let written = lz4_flex::block::decompress_into(block, &mut body).ok()?;
                (written == length).then(|| body.into())
            }
        }
    }

    /// Trains a dictionary that is due; whether there was one. Takes a good part of a second: not for a thread that
    /// answers calls.
    pub fn train_due(&self, now_ms: u64) -> bool {
        self.dictionaries.train_due(now_ms, &|bodies, dictionary| self.weigh(bodies, dictionary))
    }

    /// Forgets what was learned of one group, or of all.
    pub fn clear(&self, group: Option<u32>) {
        self.dictionaries.clear(group);
    }

    /// How many dictionaries there are, and the memory that they and the samples for the next ones take.
    pub fn dictionaries(&self) -> (usize, u64) {
        self.dictionaries.count()
    }

    fn alone(&self, body: &Bytes) -> Option<Packed> {
        let frame = self.compress(body, |context, frame| context.compress(frame, body, LEVEL).ok())?;
        worth(frame.len(), body.len()).then(|| Packed { codec: Codec::Zstd, bytes: frame.into() })
    }

    fn with(&self, dictionary: &Dictionary, body: &Bytes, until_ms: u64) -> Option<Packed> {
        let frame =
            self.compress(body, |context, frame| context.compress_using_cdict(frame, body, &dictionary.packing).ok())?;
        self.dictionaries.packed(dictionary.group, body.len(), frame.len().min(body.len()));
        let bytes = [&checksum(body), &frame[..]].concat();
        dictionary.need_until(until_ms);
        worth(bytes.len(), body.len()).then(|| Packed { codec: Codec::Dictionary, bytes: bytes.into() })
    }

    fn compress(
        &self,
        body: &[u8],
        work: impl FnOnce(&mut CCtx<'static>, &mut Vec<u8>) -> Option<usize>,
    ) -> Option<Vec<u8>> {
        let mut frame = Vec::with_capacity(compress_bound(body.len()));
        self.compressing.lend(|context| work(context, &mut frame))?;
        frame.shrink_to_fit();
        Some(frame)
    }

    fn inflate(
        &self,
        length: usize,
        work: impl FnOnce(&mut DCtx<'static>, &mut Vec<u8>) -> Option<usize>,
    ) -> Option<Bytes> {
        let mut body = Vec::with_capacity(length);
        self.inflating.lend(|context| work(context, &mut body))?;
        (body.len() == length).then(|| body.into())
    }

    /// The length of the body that a frame records, if that is allowed.
    fn recorded(&self, frame: &[u8]) -> Option<usize> {
        let length = usize::try_from(get_frame_content_size(frame).ok()??).ok()?;
        (length <= self.largest_body).then_some(length)
    }

    fn weigh(&self, bodies: &[Box<[u8]>], dictionary: Option<&Dictionary>) -> u64 {
        let weight = |body: &[u8]| {
            let frame = match dictionary {
                Some(with) => {
                    self.compress(body, |context, out| context.compress_using_cdict(out, body, &with.packing).ok())
                }
                None => self.compress(body, |context, out| context.compress(out, body, LEVEL).ok()),
            };
            frame.map_or(body.len(), |frame| frame.len().min(body.len())) as u64
        };
        bodies.iter().map(|body| weight(body)).sum()
    }
}

/// Whether a tenth at least was saved.
fn worth(kept: usize, body: usize) -> bool {
    kept <= body - body / 10
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(body).to_le_bytes();
    [a, b, c, d]
}

fn lz4(body: &[u8]) -> Option<Bytes> {
    let kept = lz4_flex::block::compress_prepend_size(body);
    worth(kept.len(), body.len()).then(|| kept.into())
}
