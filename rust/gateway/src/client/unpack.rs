//! Answers that came in fewer bytes, unpacked as they are read.
//!
//! A few bytes can unpack to any number of them. So an unpacker makes a slice at a time, when it is asked to, and what it
//! made is held against what it took: beyond [`FLOOR`], not more than a ratio allows. Its window, which is what it
//! keeps in memory, is bounded by the codings' own rules for HTTP: 8 MiB for zstd (RFC 9659), 16 MiB for brotli
//! (RFC 7932, without its large windows), 32 KiB for gzip.

use std::{fmt, io};

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, enc::StandardAlloc};
use bytes::{Buf, Bytes};
use http::{HeaderMap, header};
use zstd::{stream::raw, zstd_safe::DParameter};

use super::{
    fault::{Fault, Limit},
    gzip::Gzip,
};

/// What is made at once.
const SLICE: usize = 64 << 10;
/// Nothing is too much up to this.
const FLOOR: u64 = 1 << 20;
/// log2 of the largest window of zstd.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The coding of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "zstd" => Some(Self::Zstd),
            "br" => Some(Self::Brotli),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            _ => None,
        }
    }

    /// These, as `Accept-Encoding` has them.
    pub(super) fn list(codings: &[Self]) -> String {
        let names = codings.iter().map(|coding| match coding {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Unpacks one body.
#[derive(Debug)]
pub(super) struct Unpacker {
    machine: Result<Machine, Fault>,
    packed: Bytes,
    slice: Box<[u8]>,
    /// The last slice was full: there may be more without anything new.
    full: bool,
    received: u64,
    taken: u64,
    made: u64,
    ratio: f64,
}

enum Machine {
    Zstd { decoder: raw::Decoder<'static>, whole: bool },
    Brotli { state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>, ended: bool },
    Gzip(Gzip),
}

/// What a step took and made.
pub(super) struct Step {
    pub(super) taken: usize,
    pub(super) made: usize,
}

impl Unpacker {
    /// For an answer with these headers; none if it is not packed.
    pub(super) fn of(headers: &HeaderMap, ratio: f64) -> Option<Self> {
        let said: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().map(http::HeaderValue::as_bytes).collect();
        let said = String::from_utf8_lossy(&said.join(&b", "[..])).into_owned();
        let said = said.trim();
        if said.is_empty() || said.eq_ignore_ascii_case("identity") {
            return None;
        }
        let machine = match Coding::named(said) {
            Some(coding) => Machine::new(coding).map_err(|error| Fault::System(error.to_string())),
            None => Err(Fault::Unreadable(format!("it is packed as {said:?}, which nobody asked for"))),
        };
        let slice = vec![0; SLICE].into_boxed_slice();
        Some(Self { machine, packed: Bytes::new(), slice, full: false, received: 0, taken: 0, made: 0, ratio })
    }

    /// Takes what has come.
    pub(super) fn feed(&mut self, packed: Bytes) {
        self.received = self.received.saturating_add(packed.len() as u64);
        self.packed = packed;
    }

    /// A slice of what was packed; none until more has come.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while self.full || !self.packed.is_empty() {
            let machine = self.machine.as_mut().map_err(|fault| fault.clone())?;
            let Step { taken, made } =
                machine.step(&self.packed, &mut self.slice).map_err(|error| unreadable(&error))?;
            if taken == 0 && made == 0 && !self.full {
                return Err(Fault::Unreadable("its coding makes no sense".to_owned()));
            }
            self.packed.advance(taken);
            self.full = made == self.slice.len();
            self.taken = self.taken.saturating_add(taken as u64);
            self.made = self.made.saturating_add(made as u64);
            self.weigh()?;
            if let Some(slice) = self.slice.get(..made).filter(|slice| !slice.is_empty()) {
                return Ok(Some(Bytes::copy_from_slice(slice)));
            }
        }
        Ok(None)
    }

    /// Nothing more comes.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match &self.machine {
            Ok(machine) if self.received > 0 && !machine.is_whole() => {
                Err(Fault::Lost("the answer ended before what was packed did".to_owned()))
            }
            _ => Ok(()),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio need not be exact")]
    fn weigh(&self) -> Result<(), Fault> {
        if self.made <= FLOOR || self.made as f64 <= self.taken as f64 * self.ratio {
            return Ok(());
        }
        Err(Fault::TooLarge { received: self.received, unpacked: self.made, limit: Limit::Ratio(self.ratio) })
    }
}

impl Machine {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => {
                let mut decoder = raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd { decoder, whole: true }
            }
            Coding::Brotli => {
                let alloc = StandardAlloc::default;
                Self::Brotli { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), ended: false }
            }
            Coding::Gzip => Self::Gzip(Gzip::new()),
        })
    }

    fn step(&mut self, packed: &[u8], slice: &mut [u8]) -> io::Result<Step> {
        match self {
            // Asked for more, a decoder of zstd whose frame has ended would begin with the next one.
            Self::Zstd { whole: true, .. } | Self::Brotli { ended: true, .. } if packed.is_empty() => {
                Ok(Step { taken: 0, made: 0 })
            }
            Self::Zstd { decoder, whole } => {
                let status = raw::Operation::run_on_buffers(decoder, packed, slice)?;
                *whole = status.remaining == 0;
                Ok(Step { taken: status.bytes_read, made: status.bytes_written })
            }
            Self::Brotli { ended: true, .. } => Err(io::Error::other("something follows the end of what was packed")),
            Self::Brotli { state, ended } => {
                let (mut left, mut taken) = (packed.len(), 0);
                let (mut room, mut made, mut total) = (slice.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut left, &mut taken, packed, &mut room, &mut made, slice, &mut total, state,
                );
                match result {
                    BrotliResult::ResultFailure => return Err(io::Error::other("this is not brotli")),
                    BrotliResult::ResultSuccess => *ended = true,
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                }
                Ok(Step { taken, made })
            }
            Self::Gzip(gzip) => gzip.step(packed, slice),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Zstd { whole, .. } => *whole,
            Self::Brotli { ended, .. } => *ended,
            Self::Gzip(gzip) => gzip.is_whole(),
        }
    }
}

fn unreadable(error: &io::Error) -> Fault {
    Fault::Unreadable(error.to_string())
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zstd { .. } => "Zstd",
            Self::Brotli { .. } => "Brotli",
            Self::Gzip(_) => "Gzip",
        })
    }
}

#[cfg(test)]
mod tests;
