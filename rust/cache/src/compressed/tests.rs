//! What is unpacked is what was packed, or nothing; dictionaries are learned, pay, survive and go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;

use super::samples::{Chance, result};
use super::*;

const MOST: usize = 8 * 1024 * 1024;
const HOUR: u64 = 3_600_000;

fn packer() -> Packer {
    Packer::new(Method::Zstd, MOST, None, 0)
}

fn results(seed: u64, count: usize) -> Vec<Bytes> {
    let mut chance = Chance::new(seed);
    std::iter::repeat_with(|| Bytes::from(result(&mut chance, SMALL)))
        .filter(|body| (SMALLEST..=SMALL).contains(&body.len()))
        .take(count)
        .collect()
}

/// Packs results until a training is due, and trains.
fn teach(packer: &Packer, group: u32, seed: u64, now_ms: u64) {
    let due = results(seed, 1_000).iter().any(|body| packer.pack(group, body, now_ms + HOUR).1);
    assert!(due && packer.train_due(now_ms), "enough samples make a training due");
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("omnimind-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    folder
}

#[test]
fn small_results_become_a_third_with_a_dictionary() {
    let packer = packer();
    let all = results(1, 2_000);
    let (seen, unseen) = all.split_at(all.len() / 2);
    assert!(seen.iter().any(|body| packer.pack(7, body, HOUR).1) && packer.train_due(0));
    let (mut bytes_in, mut bytes_out, mut alone) = (0, 0, 0);
    for body in unseen {
        let (packed, _) = packer.pack(7, body, HOUR);
        assert_eq!(packer.unpack(packed.codec, &packed.bytes).as_ref(), Some(body));
        bytes_in += body.len();
        bytes_out += packed.bytes.len();
        alone += packer.pack(8, body, HOUR).0.bytes.len();
    }
    println!("{bytes_in} bytes: {alone} alone, {bytes_out} with a dictionary");
    assert!(bytes_in >= 3 * bytes_out, "{bytes_in} bytes became {bytes_out}");
    assert!(alone * 10 > bytes_out * 13, "without dictionary {alone}, with {bytes_out}");
}

#[test]
fn what_would_not_become_a_tenth_smaller_stays_as_it_is() {
    let (packer, mut chance) = (packer(), Chance::new(2));
    let noise: Bytes = (0..1_000).map(|_| u8::try_from(chance.below(256)).unwrap()).collect();
    let tiny = Bytes::from("a".repeat(SMALLEST - 1));
    let huge = Bytes::from(vec![0; LARGEST + 1]);
    for body in [noise, tiny, huge] {
        for packer in [&packer, &Packer::new(Method::Lz4, MOST, None, 0)] {
            let (packed, due) = packer.pack(1, &body, HOUR);
            assert_eq!((packed.codec, &packed.bytes, due), (Codec::Plain, &body, false));
            assert_eq!(packer.unpack(Codec::Plain, &body), Some(body.clone()));
        }
    }
}

#[test]
fn every_method_gives_back_what_was_packed() {
    let lz4 = Packer::new(Method::Lz4, MOST, None, 0);
    let taught = packer();
    teach(&taught, 1, 3, 0);
    let mut chance = Chance::new(4);
    for most in [400, 1_500, 6_000, 60_000, LARGEST] {
        let body = Bytes::from(result(&mut chance, most));
        for (packer, group) in [(&lz4, 1), (&taught, 1), (&taught, 2)] {
            let (packed, _) = packer.pack(group, &body, HOUR);
            assert_ne!(packed.codec, Codec::Plain);
            assert_eq!(Codec::from_number(packed.codec as u8), Some(packed.codec));
            assert_eq!(packer.unpack(packed.codec, &packed.bytes), Some(body.clone()), "{:?}", packed.codec);
            assert_eq!(packed.frame().is_some(), packed.codec == Codec::Zstd);
        }
    }
}

#[test]
fn damage_is_a_miss_or_does_not_matter() {
    let packer = packer();
    teach(&packer, 1, 5, 0);
    let body = &results(6, 1)[0];
    let (small, _) = packer.pack(1, body, HOUR);
    assert_eq!(small.codec, Codec::Dictionary);
    for at in 0..small.bytes.len() {
        let mut damaged = small.bytes.to_vec();
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            let got = packer.unpack(Codec::Dictionary, &damaged.clone().into());
            assert!(got.is_none_or(|got| got == body), "bit {bit} of byte {at}");
            damaged[at] ^= 1 << bit;
        }
        assert_eq!(packer.unpack(Codec::Dictionary, &small.bytes.slice(..at)), None, "cut to {at} bytes");
    }
    for codec in [Codec::Zstd, Codec::Dictionary, Codec::Lz4] {
        for bytes in [&b""[..], b"abc", b"\x28\xb5\x2f\xfd", &[255; 64]] {
            assert_eq!(packer.unpack(codec, &Bytes::copy_from_slice(bytes)), None);
        }
    }
}

#[test]
fn inflating_stops_at_what_the_owner_allows() {
    let bomb = Bytes::from(vec![b'a'; 200_000]);
    let narrow = |method| Packer::new(method, 100_000, None, 0);
    for method in [Method::Zstd, Method::Lz4] {
        let (packed, _) = Packer::new(method, MOST, None, 0).pack(1, &bomb, HOUR);
        assert!(packed.bytes.len() < 1_000);
        assert_eq!(narrow(method).unpack(packed.codec, &packed.bytes), None, "more than is allowed");
    }
    let mut lying = zstd::bulk::compress(&bomb, 1).unwrap();
    assert_eq!(lying[4], 0b1010_0000, "a frame of one segment, its length in four bytes");
    lying[5..9].copy_from_slice(&100_u32.to_le_bytes());
    assert_eq!(narrow(Method::Zstd).unpack(Codec::Zstd, &lying.into()), None, "more than was recorded");
    let mut lying = lz4_flex::block::compress_prepend_size(&bomb);
    lying[..4].copy_from_slice(&100_u32.to_le_bytes());
    assert_eq!(narrow(Method::Lz4).unpack(Codec::Lz4, &lying.into()), None, "more than was recorded");
}

#[test]
fn a_body_is_never_unpacked_with_another_dictionary() {
    let folder = folder("dictionary-other");
    let (one, other) = (packer(), Packer::new(Method::Zstd, MOST, Some(&folder), 0));
    teach(&one, 1, 7, 0);
    teach(&other, 1, 8, 0);
    let body = &results(9, 1)[0];
    let (packed, _) = one.pack(1, body, HOUR);
    assert_eq!(other.unpack(packed.codec, &packed.bytes), None, "it names a dictionary that is not there");
    // The frame made to name the dictionary that is there: the checksum of the body does not agree.
    let (theirs, _) = other.pack(1, body, HOUR);
    let mut forged = packed.bytes.to_vec();
    forged[9..15].copy_from_slice(&theirs.bytes[9..15]);
    assert_eq!(other.unpack(Codec::Dictionary, &forged.into()), None);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn dictionaries_survive_a_restart_and_are_for_their_owner_alone() {
    let folder = folder("dictionary-restart");
    let open = || Packer::new(Method::Zstd, MOST, Some(&folder), 1_000);
    let first = open();
    teach(&first, 1, 10, 1_000);
    let body = &results(11, 1)[0];
    let (packed, _) = first.pack(1, body, HOUR);
    drop(first);
    let second = open();
    assert_eq!(second.dictionaries().0, 1);
    assert_eq!(second.unpack(packed.codec, &packed.bytes).as_ref(), Some(body));
    assert_eq!(second.pack(1, body, HOUR).0, packed, "it goes on with what was learned");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    let whole = fs::read(file.path()).unwrap();
    for at in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(file.path(), damaged).unwrap();
        assert_eq!(open().unpack(packed.codec, &packed.bytes), None, "byte {at}");
        assert!(!file.path().exists(), "what is damaged is removed");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn clearing_a_group_forgets_what_was_learned_of_it() {
    let folder = folder("dictionary-clear");
    let packer = Packer::new(Method::Zstd, MOST, Some(&folder), 0);
    teach(&packer, 1, 12, 0);
    teach(&packer, 2, 13, 0);
    let body = &results(14, 1)[0];
    let (packed, _) = packer.pack(1, body, HOUR);
    packer.clear(Some(1));
    assert_eq!(packer.unpack(packed.codec, &packed.bytes), None);
    assert_eq!((packer.dictionaries().0, fs::read_dir(&folder).unwrap().count()), (1, 1));
    packer.clear(None);
    assert_eq!((packer.dictionaries(), fs::read_dir(&folder).unwrap().count()), ((0, 0), 0));
    fs::remove_dir_all(folder).unwrap();
}

/// Answers of another kind: phrases that repeat from one to the next, but not within one.
fn changed(seed: u64, count: usize) -> Vec<Bytes> {
    let mut chance = Chance::new(seed);
    let mut phrases: Vec<String> = (0..60).map(|_| chance.hex(40)).collect();
    let mut body = || {
        phrases.rotate_left(usize::try_from(chance.below(60)).unwrap());
        phrases[..20].concat().into()
    };
    (0..count).map(|_| body()).collect()
}

#[test]
fn a_dictionary_that_pays_no_more_is_replaced_and_goes_when_nothing_needs_it() {
    let packer = packer();
    teach(&packer, 1, 15, 0);
    let body = &results(16, 1)[0];
    let (old, _) = packer.pack(1, body, HOUR);
    for body in results(17, 1_000) {
        assert!(!packer.pack(1, &body, HOUR).1, "while it pays nothing is learned");
    }
    let due = changed(18, 3_000).iter().any(|body| packer.pack(1, body, HOUR).1);
    assert!(due && packer.train_due(1), "answers have changed");
    assert_eq!(packer.dictionaries().0, 2);
    assert_eq!(packer.unpack(old.codec, &old.bytes).as_ref(), Some(body), "what was packed before is still read");
    // A third training, after the last life ended: the first dictionary is needed no more.
    teach(&packer, 2, 19, HOUR + 1);
    assert_eq!(packer.dictionaries().0, 2);
    assert_eq!(packer.unpack(old.codec, &old.bytes), None);
}

#[test]
fn a_training_that_brings_nothing_makes_the_next_one_later() {
    let (packer, mut chance) = (packer(), Chance::new(20));
    let mut noise = |count| -> Vec<Bytes> {
        let byte = |chance: &mut Chance| u8::try_from(chance.below(256)).unwrap();
        (0..count).map(|_| (0..SMALL).map(|_| byte(&mut chance)).collect()).collect()
    };
    let mut until_due = || {
        let mut bodies = noise(2_000).into_iter();
        let packed = bodies.position(|body| packer.pack(1, &body, HOUR).1);
        assert!(packer.train_due(0));
        packed.unwrap()
    };
    let waits = [until_due(), until_due()];
    assert!(waits[1] >= 2 * waits[0], "{waits:?}");
    assert_eq!(packer.dictionaries().0, 0);
}

#[test]
fn an_enclosed_frame_is_one_frame_that_inflates_to_the_whole_answer() {
    let (packer, mut chance) = (packer(), Chance::new(21));
    let (long, longer) = (vec![b'x'; 140_000], vec![b'y'; 300_000]);
    let bodies = [2_100, 4_000, 40_000, 130_000, 250_000].map(|most| result(&mut chance, most * 3 / 2));
    for body in bodies.into_iter().map(Bytes::from).filter(|body| (SMALL..=LARGEST).contains(&body.len())) {
        let (packed, _) = packer.pack(1, &body, HOUR);
        let frame = packed.frame().unwrap();
        for (before, after) in [(&b"{\"id\":7,\"result\":"[..], &b"}"[..]), (b"", b""), (&longer, &long)] {
            let whole = enclose(before, frame, after).unwrap();
            let expected = [before, &body, after].concat();
            let length = zstd::zstd_safe::find_frame_compressed_size(&whole).unwrap();
            assert_eq!(length, whole.len(), "one frame");
            assert_eq!(zstd::bulk::decompress(&whole, expected.len()).unwrap(), expected);
            assert_eq!(zstd::stream::decode_all(&whole[..]).unwrap(), expected);
        }
    }
}

#[test]
fn a_frame_of_a_stream_or_with_a_checksum_can_be_enclosed_and_one_with_a_dictionary_cannot() {
    let body = result(&mut Chance::new(22), 700_000);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.set_pledged_src_size(Some(body.len() as u64)).unwrap();
    std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
    let whole = enclose(b"<", &encoder.finish().unwrap(), b">").unwrap();
    assert_eq!(zstd::stream::decode_all(&whole[..]).unwrap(), format!("<{body}>").as_bytes());

    let taught = packer();
    teach(&taught, 1, 23, 0);
    let (packed, _) = taught.pack(1, &results(24, 1)[0], HOUR);
    assert_eq!(packed.codec, Codec::Dictionary);
    assert_eq!(enclose(b"<", &packed.bytes[4..], b">"), None);
    let frame = zstd::bulk::compress(&[b'a'; 1_000], 1).unwrap();
    for end in 0..frame.len() {
        assert_eq!(enclose(b"<", &frame[..end], b">"), None, "cut to {end} bytes");
    }
}
