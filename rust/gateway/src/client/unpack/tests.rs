//! What was packed comes out, however it comes in, and never more of it than may.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::io::Write;

use brotli::CompressorWriter;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use http::HeaderValue;
use zstd::zstd_safe::CParameter;

use super::*;

const RATIO: f64 = 100.0;

fn headers(coding: Coding) -> HeaderMap {
    let value = HeaderValue::try_from(Coding::list(&[coding])).unwrap();
    HeaderMap::from_iter([(header::CONTENT_ENCODING, value)])
}

fn unpacker(coding: Coding) -> Unpacker {
    Unpacker::of(&headers(coding), RATIO).unwrap()
}

/// What comes out, and how it ended.
fn unpacked(coding: Coding, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Fault>) {
    let (mut unpacker, mut text) = (unpacker(coding), Vec::new());
    for piece in pieces {
        unpacker.feed(Bytes::copy_from_slice(piece));
        loop {
            match unpacker.next() {
                Ok(Some(slice)) => text.extend_from_slice(&slice),
                Ok(None) => break,
                Err(fault) => return (text, Err(fault)),
            }
        }
    }
    (text, unpacker.end())
}

fn comes_out(coding: Coding, pieces: &[&[u8]], text: &[u8]) {
    let (out, ended) = unpacked(coding, pieces);
    assert!(out == text, "{coding:?}: {} bytes, not the {} that were packed", out.len(), text.len());
    assert_eq!(ended, Ok(()), "{coding:?}, {} bytes", text.len());
}

fn packed(coding: Coding, text: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Zstd => zstd::bulk::compress(text, 3).unwrap(),
        Coding::Brotli => {
            let mut encoder = CompressorWriter::new(Vec::new(), 4096, 5, 22);
            encoder.write_all(text).unwrap();
            encoder.into_inner()
        }
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn lines(count: u32) -> Vec<u8> {
    (0..count).flat_map(|line| format!("{line}: {:x}\n", line.wrapping_mul(2_654_435_761)).into_bytes()).collect()
}

#[test]
fn what_was_packed_comes_out_in_whatever_pieces_it_comes() {
    for coding in Coding::ALL {
        for text in [vec![], b"x".to_vec(), lines(40), lines(30_000)] {
            let packed = packed(coding, &text);
            comes_out(coding, &[&packed], &text);
            let pieces: Vec<_> = packed.chunks(if text.len() < 2_000 { 1 } else { 977 }).collect();
            comes_out(coding, &pieces, &text);
        }
    }
}

#[test]
fn a_text_that_ends_with_a_slice_has_ended() {
    for coding in Coding::ALL {
        for slices in 1..4 {
            let text = &lines(30_000)[..slices * SLICE];
            comes_out(coding, &[&packed(coding, text)], text);
        }
    }
}

#[test]
fn a_body_that_is_empty_is_an_empty_text() {
    for coding in Coding::ALL {
        assert_eq!(unpacked(coding, &[]), (vec![], Ok(())));
    }
}

#[test]
fn what_was_flushed_comes_out_before_more_comes() {
    let events: Vec<Vec<u8>> = [10, 20_000, 3].map(lines).to_vec();
    for coding in Coding::ALL {
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        let mut brotli = CompressorWriter::new(Vec::new(), 4096, 4, 17);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
        let mut unpacker = unpacker(coding);
        for event in &events {
            let encoder: &mut dyn Write = match coding {
                Coding::Zstd => &mut zstd,
                Coding::Brotli => &mut brotli,
                Coding::Gzip => &mut gzip,
            };
            encoder.write_all(event).unwrap();
            encoder.flush().unwrap();
            let out = match coding {
                Coding::Zstd => zstd.get_mut(),
                Coding::Brotli => brotli.get_mut(),
                Coding::Gzip => gzip.get_mut(),
            };
            unpacker.feed(std::mem::take(out).into());
            let mut text = Vec::new();
            while let Some(slice) = unpacker.next().unwrap() {
                text.extend_from_slice(&slice);
            }
            assert!(text == *event, "{coding:?}: {} of {}", text.len(), event.len());
        }
        assert!(matches!(unpacker.end(), Err(Fault::Lost(_))), "{coding:?}");
    }
}

#[test]
fn little_that_unpacks_to_much_stops_a_little_above_the_floor() {
    for coding in Coding::ALL {
        let bomb = packed(coding, &vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000, "{coding:?}: {}", bomb.len());
        let (text, ended) = unpacked(coding, &[&bomb]);
        let Err(Fault::TooLarge { received, unpacked, limit }) = ended else { panic!("{coding:?}: {ended:?}") };
        assert_eq!((received, limit), (bomb.len() as u64, Limit::Ratio(RATIO)));
        assert!(unpacked > FLOOR && text.len() as u64 <= unpacked, "{coding:?}");
        let allowed = FLOOR.max(100 * bomb.len() as u64) + SLICE as u64;
        assert!(unpacked <= allowed, "{coding:?}: {unpacked} of {}", bomb.len());
    }
}

#[test]
fn much_that_unpacks_to_a_megabyte_is_no_bomb() {
    for coding in Coding::ALL {
        let text = vec![0; usize::try_from(FLOOR).unwrap()];
        comes_out(coding, &[&packed(coding, &text)], &text);
    }
}

#[test]
fn a_text_that_breaks_off_or_goes_on_is_none() {
    for coding in Coding::ALL {
        let whole = packed(coding, &lines(3_000));
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            let (_, ended) = unpacked(coding, &[&whole[..cut]]);
            assert!(matches!(ended, Err(Fault::Lost(_))), "{coding:?} at {cut}: {ended:?}");
        }
        let (_, ended) = unpacked(coding, &[&whole, b"and something else"]);
        assert!(matches!(ended, Err(Fault::Unreadable(_))), "{coding:?}: {ended:?}");
        let (_, ended) = unpacked(coding, &[b"{\"this\": \"is not packed at all\"}"]);
        assert!(matches!(ended, Err(Fault::Unreadable(_))), "{coding:?}: {ended:?}");
    }
}

#[test]
fn windows_are_as_large_as_http_allows_and_no_larger() {
    for (log, reads) in [(ZSTD_WINDOW_LOG, true), (ZSTD_WINDOW_LOG + 1, false)] {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.set_parameter(CParameter::WindowLog(log)).unwrap();
        encoder.write_all(&lines(100)).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpacked(Coding::Zstd, &[&packed]).1.is_ok(), reads, "2^{log}");
    }
    // The first byte says that a window follows which the RFC does not have.
    let (_, ended) = unpacked(Coding::Brotli, &[&[0x11, 30, 0, 0, 0, 0]]);
    assert!(matches!(ended, Err(Fault::Unreadable(_))), "{ended:?}");
}

#[test]
fn several_texts_of_one_coding_are_one() {
    for coding in [Coding::Zstd, Coding::Gzip] {
        let (one, two) = (lines(500), lines(7));
        let both = [packed(coding, &one), packed(coding, &two)].concat();
        let text = [one, two].concat();
        comes_out(coding, &[&both], &text);
        let pieces: Vec<_> = both.chunks(1).collect();
        comes_out(coding, &pieces, &text);
    }
}

#[test]
fn a_head_of_gzip_may_say_anything_and_its_sums_must_fit() {
    let text = lines(50);
    let builder = GzBuilder::new().filename("a name").comment("some words").extra(vec![7; 300]).mtime(9);
    let mut encoder = builder.write(Vec::new(), Compression::fast());
    encoder.write_all(&text).unwrap();
    let mut packed = encoder.finish().unwrap();
    let pieces: Vec<_> = packed.chunks(1).collect();
    comes_out(Coding::Gzip, &pieces, &text);
    let sum = packed.len() - 8;
    packed[sum] ^= 1;
    assert!(matches!(unpacked(Coding::Gzip, &[&packed]).1, Err(Fault::Unreadable(_))));
}

#[test]
fn a_coding_that_nobody_asked_for_is_told_and_only_if_something_comes() {
    for said in ["deflate", "gzip, br", "compress"] {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(said))]);
        let mut unpacker = Unpacker::of(&headers, RATIO).unwrap();
        assert_eq!(unpacker.end(), Ok(()));
        unpacker.feed(Bytes::from_static(b"x"));
        assert!(matches!(unpacker.next(), Err(Fault::Unreadable(why)) if why.contains(said)));
    }
    let plain = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("identity"))]);
    assert!(Unpacker::of(&plain, RATIO).is_none() && Unpacker::of(&HeaderMap::new(), RATIO).is_none());
}
