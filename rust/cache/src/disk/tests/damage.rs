//! Files that are not as they were written: each key has the value it had, or none; never another.

use super::*;

const KEYS: u64 = 6;

/// Several segments: every key put, some replaced, one removed, one group cleared. What each key has then.
fn write(folder: &Folder, limits: DiskLimits, closed: bool) -> Vec<Option<u64>> {
    let disk = Disk::open(&folder.0, limits, NOW).unwrap();
    let put = |number: u64, version: u64| {
        assert_eq!(disk.put(&key(number), record(number, version, 40)), Admitted::Queued);
        assert!(disk.flush());
    };
    (0..KEYS).for_each(|number| put(number, 1));
    put(1, 2);
    disk.remove(&key(2));
    disk.clear(Some(3));
    put(4, 2);
    put(0, 2);
    assert!(disk.flush());
    if closed {
        drop(disk);
    } else {
        abandon(disk, folder);
    }
    vec![Some(2), Some(2), None, None, Some(2), Some(1)]
}

/// What a killed process leaves: the files as they are before the level ends.
fn abandon(disk: Disk, folder: &Folder) {
    let files = contents(folder);
    drop(disk);
    restore(folder, &files);
}

fn contents(folder: &Folder) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

fn restore(folder: &Folder, files: &[(PathBuf, Vec<u8>)]) {
    for file in fs::read_dir(&folder.0).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}

fn values(disk: &Disk) -> Vec<Option<u64>> {
    (0..KEYS).map(|number| disk.get_blocking(&key(number), NOW).map(|found| version(number, &found))).collect()
}

/// Opens, looks, writes on, opens again. How many keys were left.
fn survives(folder: &Folder, limits: DiskLimits, expected: &[&[Option<u64>]], what: &str) -> usize {
    let check = |disk: &Disk| {
        let found = values(disk);
        let fits = |expected: &&[Option<u64>]| {
            found.iter().zip(*expected).all(|(found, expected)| found.is_none() || found == expected)
        };
        assert!(expected.iter().any(fits), "{what}: {found:?}");
        found.iter().flatten().count()
    };
    let disk = Disk::open(&folder.0, limits, NOW).unwrap();
    let left = check(&disk);
    disk.put(&key(99), record(99, 7, 40));
    assert!(disk.flush(), "{what}: {:?}", disk.stats().off);
    drop(disk);
    let disk = Disk::open(&folder.0, limits, NOW).unwrap();
    assert_eq!(check(&disk), left, "{what}, opened again");
    assert_eq!(disk.get_blocking(&key(99), NOW), Some(record(99, 7, 40)), "{what}");
    left
}

/// Flips bits of every byte of every file. How many keys were left, by byte of the segment.
fn flip_all(limits: DiskLimits, closed: bool) -> Vec<usize> {
    let folder = Folder::fast();
    let expected = write(&folder, limits, closed);
    let files = contents(&folder);
    let [(_, segment), (_, lock)] = &files[..] else { unreachable!("one segment and the lock") };
    assert!(segment.len() > 1_000 && lock.is_empty());
    let flip = |at: usize, bit: usize| {
        let mut damaged = files.clone();
        damaged[0].1[at] ^= 1 << ((at + bit) % 8);
        restore(&folder, &damaged);
        survives(&folder, limits, &[&expected], &format!("byte {at}, bit {}", (at + bit) % 8))
    };
    (0..segment.len()).map(|at| (0..rounds(1, 8)).map(|bit| flip(at, bit)).min().unwrap()).collect()
}

const ONE_FILE: DiskLimits = SMALL;
/// Segments that hold about a dozen records.
const MANY_FILES: DiskLimits = DiskLimits { segment_bytes: 4 << 10, ..SMALL };

#[test]
fn a_flipped_bit_of_a_sealed_segment_costs_one_record() {
    let left = flip_all(ONE_FILE, true);
    let records = &left[format::SEGMENT_HEADER as usize..];
    assert!(records.iter().all(|left| *left >= 3), "{records:?}");
    assert!(records.contains(&4) && records.contains(&3));
}

#[test]
fn a_flipped_bit_of_a_segment_that_was_being_written_never_brings_an_old_value_back() {
    let left = flip_all(ONE_FILE, false);
    // Where a header is damaged, what lies before it is forgotten; where a body is, one record.
    assert!(left.contains(&0) && left.contains(&3), "{left:?}");
}

#[test]
fn a_flipped_bit_beyond_the_first_segment_never_brings_an_old_value_back() {
    let folder = Folder::fast();
    let expected = write_many(&folder);
    let files = contents(&folder);
    assert!(files.len() > 3, "{}", files.len());
    let mut dice = Dice::seeded(7);
    for _ in 0..rounds(300, 20_000) {
        let mut damaged = files.clone();
        let file = dice.below(files.len() as u64) as usize;
        let Some(at) = (!files[file].1.is_empty()).then(|| dice.below(files[file].1.len() as u64) as usize) else {
            continue;
        };
        damaged[file].1[at] ^= 1 << dice.below(8);
        restore(&folder, &damaged);
        survives(&folder, MANY_FILES, &[&expected], &format!("file {file}, byte {at}"));
    }
}

/// As `write`, with other records between, so that it fills segments.
fn write_many(folder: &Folder) -> Vec<Option<u64>> {
    let expected = write(folder, MANY_FILES, true);
    let disk = Disk::open(&folder.0, MANY_FILES, NOW).unwrap();
    for number in 1_000..1_060 {
        disk.put(&key(number), record(number, 1, 40));
    }
    disk.put(&key(5), record(5, 2, 40));
    disk.remove(&key(0));
    assert!(disk.flush());
    vec![None, expected[1], expected[2], expected[3], expected[4], Some(2)]
}

#[test]
fn a_log_that_ends_within_its_last_record_has_all_the_others() {
    let folder = Folder::fast();
    let after = write(&folder, ONE_FILE, false);
    let before: Vec<_> = [Some(1)].into_iter().chain(after[1..].iter().copied()).collect();
    let files = contents(&folder);
    let (path, bytes) = files.iter().find(|(path, _)| path.ends_with("00000001.seg")).unwrap();
    let last = format::RECORD_OVERHEAD + record(0, 2, 40).entry.head.len() + 40;
    for cut in 1..=last {
        restore(&folder, &files);
        fs::write(path, &bytes[..bytes.len() - cut]).unwrap();
        assert_eq!(survives(&folder, ONE_FILE, &[&before], &format!("cut by {cut}")), 4);
    }
}

#[test]
fn a_sealed_log_that_is_cut_anywhere_has_what_was_before() {
    let folder = Folder::fast();
    write(&folder, ONE_FILE, true);
    let files = contents(&folder);
    let (path, bytes) = files.iter().find(|(path, _)| path.ends_with("00000001.seg")).unwrap();
    // Any prefix is a moment of the past: versions go 1 then 2, and what was removed may not be removed yet.
    for len in 0..bytes.len() {
        restore(&folder, &files);
        fs::write(path, &bytes[..len]).unwrap();
        let past: &[&[Option<u64>]] = &[
            &[Some(1), Some(1), Some(1), Some(1), Some(1), Some(1)],
            &[Some(1), Some(2), Some(1), Some(1), Some(1), Some(1)],
            &[Some(1), Some(2), None, None, Some(2), Some(1)],
            &[Some(2), Some(2), None, None, Some(2), Some(1)],
            &[Some(1), Some(2), None, Some(1), Some(1), Some(1)],
        ];
        survives(&folder, ONE_FILE, past, &format!("cut to {len}"));
    }
}

#[test]
fn a_missing_piece_of_the_log_is_the_end_of_memory() {
    let folder = Folder::fast();
    write_many(&folder);
    let files = contents(&folder);
    let middle = files.iter().rposition(|(path, _)| path.extension().is_some_and(|end| end == "seg")).unwrap() - 1;
    fs::remove_file(&files[middle].0).unwrap();
    let disk = Disk::open(&folder.0, MANY_FILES, NOW).unwrap();
    assert_eq!(values(&disk), [None, None, None, None, None, Some(2)]);
}

#[test]
fn a_segment_that_was_only_begun_costs_nothing() {
    let folder = Folder::fast();
    let expected = write(&folder, ONE_FILE, true);
    let header = format::SegmentHeader { number: 2, boot: [0; 16] }.encode();
    for len in [0, 3, 8, 39] {
        fs::write(segment::path(&folder.0, 2), &header[..len]).unwrap();
        assert_eq!(survives(&folder, ONE_FILE, &[&expected], &format!("{len} bytes")), 4);
    }
}

#[test]
fn what_the_machine_lost_when_it_went_down_is_missing_and_no_more() {
    let folder = Folder::fast();
    write(&folder, ONE_FILE, false);
    let path = segment::path(&folder.0, 1);
    let mut bytes = fs::read(&path).unwrap();
    // Begun in another boot; one body damaged; a tail of zeros.
    let header = format::SegmentHeader { number: 1, boot: [7; 16] };
    bytes[..40].copy_from_slice(&header.encode());
    let body_of_4 = bytes.len() - 2 * (format::RECORD_OVERHEAD + 46) + format::RECORD_HEADER + 10;
    bytes[body_of_4] ^= 1;
    bytes.extend_from_slice(&[0; 300]);
    fs::write(&path, bytes).unwrap();
    let disk = open(&folder);
    assert_eq!(values(&disk), [Some(2), Some(2), None, None, None, Some(1)]);
    assert_eq!(disk.stats().damaged, 0, "seen at the start already");
}

#[test]
fn files_full_of_anything_are_survived() {
    let folder = Folder::fast();
    let mut dice = Dice::seeded(3);
    for round in 0..rounds(200, 20_000) {
        let mut bytes: Vec<u8> = (0..dice.below(600)).map(|_| dice.below(256) as u8).collect();
        if round % 2 == 0 && bytes.len() > 40 {
            bytes[..40].copy_from_slice(&format::SegmentHeader { number: 1, boot: [0; 16] }.encode());
        }
        restore(&folder, &[(segment::path(&folder.0, 1), bytes)]);
        survives(&folder, SMALL, &[&[None; 6]], &format!("round {round}"));
    }
}
