//! A level that is full.

use super::*;

const TINY: DiskLimits =
    DiskLimits { max_bytes: 64 << 10, segment_bytes: 8 << 10, item_bytes: 2 << 10, queue_bytes: 1 << 20 };

fn on_disk(folder: &Folder) -> u64 {
    fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn files_never_take_more_than_they_may() {
    let folder = Folder::fast();
    let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
    let mut most = 0;
    for number in 0..2_000 {
        disk.put(&key(number), record(number, 1, 100 + (number as usize * 37) % 900));
        // Read again, so that as much as possible is copied.
        disk.get_blocking(&key(number.saturating_sub(20)), NOW);
        if number % 10 == 0 {
            assert!(disk.flush());
            most = most.max(on_disk(&folder));
            assert_eq!(on_disk(&folder), disk.stats().bytes);
        }
    }
    assert!(most <= TINY.max_bytes && most > TINY.max_bytes * 3 / 4, "{most}");
    let stats = disk.stats();
    assert!(stats.evicted > 1_000 && stats.copied > 100, "{stats:?}");
    // What was evicted is closed as well, because an open file keeps its space; the last may just be synced.
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let ours: Vec<_> = open.filter(|path| path.starts_with(&folder.0)).collect();
    assert!(ours.len() as u64 <= stats.segments + 2, "{ours:?}");
}

#[test]
fn what_is_read_again_and_again_outlives_many_times_its_segment() {
    let folder = Folder::fast();
    let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
    disk.put(&key(0), record(0, 1, 300));
    for number in 1..1_000 {
        disk.put(&key(number), record(number, 1, 500));
        if number % 8 == 0 {
            disk.flush();
            assert_eq!(disk.get_blocking(&key(0), NOW), Some(record(0, 1, 300)), "{number}");
        }
    }
    assert_eq!(disk.get_blocking(&key(1), NOW), None);
    assert!(disk.stats().copied >= 5);
}

#[test]
fn what_expired_is_not_copied() {
    let folder = Folder::fast();
    let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
    disk.put(&key(0), record(0, 1, 300));
    disk.flush();
    assert!(disk.get_blocking(&key(0), NOW).is_some());
    assert_eq!(disk.get_blocking(&key(0), NOW + 5_000), None);
    for number in 1..200 {
        disk.put(&key(number), record(number, 1, 500));
    }
    disk.flush();
    assert_eq!(disk.stats().copied, 0);
}

#[test]
fn a_removal_outlives_what_it_removed() {
    let folder = Folder::fast();
    // Old values in the oldest segments, their removals behind them; then evict segment after segment, and look after
    // each restart. The removal's segment must never go before the record's.
    let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
    for number in 0..20 {
        disk.put(&key(number), record(number, 1, 200));
        disk.flush();
        // Hit, so that eviction would like to keep it.
        disk.get_blocking(&key(number), NOW);
    }
    (0..20).for_each(|number| _ = disk.remove(&key(number)));
    drop(disk);
    for round in 0..60 {
        let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
        assert!((0..20).all(|number| disk.get_blocking(&key(number), NOW).is_none()), "round {round}");
        (0..5)
            .for_each(|number| _ = disk.put(&key(100 + round * 5 + number), record(100 + round * 5 + number, 1, 700)));
        disk.flush();
    }
}

#[test]
fn a_smaller_limit_takes_effect_at_the_next_start() {
    let folder = Folder::fast();
    let disk = Disk::open(&folder.0, SMALL, NOW).unwrap();
    (0..900).for_each(|number| _ = disk.put(&key(number), record(number, 1, 1_000)));
    assert!(disk.flush() && on_disk(&folder) > 900_000);
    drop(disk);
    let disk = Disk::open(&folder.0, DiskLimits { max_bytes: 300 << 10, ..SMALL }, NOW).unwrap();
    disk.flush();
    assert!(on_disk(&folder) <= 300 << 10, "{}", on_disk(&folder));
    assert_eq!(disk.get_blocking(&key(899), NOW), Some(record(899, 1, 1_000)));
}

#[test]
fn files_are_little_more_than_what_they_keep() {
    let folder = Folder::fast();
    let limits = DiskLimits::of(16 << 20);
    let disk = Disk::open(&folder.0, limits, NOW).unwrap();
    let mut payload = 0;
    for number in 0..8_000 {
        let record = record(number, 1, 1_024);
        payload += record.entry.head.len() + record.entry.body.len();
        disk.put(&key(number), record);
        if number % 500 == 0 {
            disk.flush();
        }
    }
    drop(disk);
    let (files, payload) = (on_disk(&folder), payload as u64);
    assert!(files * 10 <= payload * 11, "{files} bytes for {payload}");
}

#[test]
fn a_reader_keeps_what_it_found_while_its_segment_goes() {
    let folder = Folder::new();
    let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
    disk.put(&key(0), record(0, 1, 300));
    drop(disk);
    let disk = Disk::open(&folder.0, TINY, NOW).unwrap();
    let file = File::open(segment::path(&folder.0, 1)).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let Found::Cold(cold) = disk.get(&key(0), NOW) else {
        eprintln!("SKIPPED: this file system keeps all in memory");
        return;
    };
    let Found::Cold(other) = disk.get(&key(0), NOW) else { unreachable!("nothing read it") };
    assert_eq!(cold.read(), Some(record(0, 1, 300)));
    assert_eq!(disk.stats().cold, 2);
    // Now it is in memory; a removal counts although the other lookup came before it.
    assert!(matches!(disk.get(&key(0), NOW), Found::Here(_)));
    disk.remove(&key(0));
    assert_eq!(other.read(), None);
}
