//! The three encoders behind one face: text in, what it packs to out.
//!
//! They write into a buffer that is taken after every step, so that nothing but their windows stays in memory. Those
//! are small: 128 KiB (32 KiB for gzip, by its format) find nearly all that repeats in JSON, and many clients may be
//! read to at a time.

use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use zstd::{stream::write::Encoder as ZstdEncoder, zstd_safe::CParameter};

use super::encoding::Coding;

const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: u32 = 4;
const GZIP_LEVEL: u32 = 6;
/// log2 of the bytes that zstd and brotli look back.
const WINDOW_LOG: u32 = 17;
/// What brotli hands to its buffer at a time.
const BROTLI_OUT: usize = 4 << 10;

/// Packs one body.
pub(super) enum Encoder {
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// An encoder that has seen nothing.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
                Self::Zstd(encoder)
            }
            Coding::Brotli => {
                Self::Brotli(Box::new(CompressorWriter::new(Vec::new(), BROTLI_OUT, BROTLI_QUALITY, WINDOW_LOG)))
            }
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
        })
    }

    /// Packs a whole text.
    pub(super) fn pack(coding: Coding, text: &[u8]) -> io::Result<Bytes> {
        if coding == Coding::Zstd {
            // Of a length that is known, zstd makes its tables no larger than need be.
            return Ok(zstd::bulk::compress(text, ZSTD_LEVEL)?.into());
        }
        let mut encoder = Self::new(coding)?;
        encoder.writer().write_all(text)?;
        encoder.finish()
    }

    /// Takes text; gives what has come out, which may be nothing.
    pub(super) fn push(&mut self, text: &[u8]) -> io::Result<Bytes> {
        self.writer().write_all(text)?;
        Ok(self.take())
    }

    /// Gives what is needed to read all that was taken.
    pub(super) fn flush(&mut self) -> io::Result<Bytes> {
        self.writer().flush()?;
        Ok(self.take())
    }

    /// Gives the rest.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Gzip(encoder) => encoder.finish()?,
        }
        .into())
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Zstd(encoder) => encoder,
            Self::Brotli(encoder) => encoder,
            Self::Gzip(encoder) => encoder,
        }
    }

    fn take(&mut self) -> Bytes {
        let out = match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        };
        std::mem::take(out).into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpacked(coding: Coding, packed: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let read = match coding {
            Coding::Zstd => zstd::stream::read::Decoder::new(packed).unwrap().read_to_end(&mut text),
            Coding::Brotli => brotli::Decompressor::new(packed, 4096).read_to_end(&mut text),
            Coding::Gzip => flate2::read::GzDecoder::new(packed).read_to_end(&mut text),
        };
        // The beginning of a stream ends too early, and what can be read of it is in the buffer.
        let _ = read;
        text
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|line| format!("{{\"line\":{line},\"text\":\"what is written here\"}},").into_bytes())
            .collect()
    }

    #[test]
    fn what_was_packed_is_what_comes_out_whole_or_in_pieces() {
        for coding in Coding::ALL {
            for text in [&b""[..], b"x", &lines(40), &lines(20_000)] {
                assert_eq!(unpacked(coding, &Encoder::pack(coding, text).unwrap()), text, "{coding:?}");
                let mut encoder = Encoder::new(coding).unwrap();
                let mut packed = Vec::new();
                for piece in text.chunks(7_000) {
                    packed.extend_from_slice(&encoder.push(piece).unwrap());
                }
                packed.extend_from_slice(&encoder.finish().unwrap());
                assert_eq!(unpacked(coding, &packed), text, "{coding:?}");
                assert!(text.len() < 1_000 || packed.len() < text.len() / 3, "{coding:?}: {}", packed.len());
            }
        }
    }

    #[test]
    fn all_that_was_said_can_be_read_after_a_flush() {
        for coding in Coding::ALL {
            let (mut encoder, mut packed, mut said) = (Encoder::new(coding).unwrap(), Vec::new(), Vec::new());
            for event in [&b"data: 1\n\n"[..], b": ping\n\n", b"data: 22\n\n"] {
                said.extend_from_slice(event);
                packed.extend_from_slice(&encoder.push(event).unwrap());
                packed.extend_from_slice(&encoder.flush().unwrap());
                assert_eq!(unpacked(coding, &packed), said, "{coding:?}");
            }
        }
    }
}
