//! Readers, writers and eviction at once.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use super::*;

const KEYS: u64 = 400;

#[test]
fn no_reader_ever_sees_what_was_replaced_or_removed_before_it_asked() {
    let folder = Folder::fast();
    let limits = DiskLimits { max_bytes: 64 << 10, segment_bytes: 8 << 10, item_bytes: 2 << 10, queue_bytes: 32 << 10 };
    let disk = Disk::open(&folder.0, limits, NOW).unwrap();
    // Per key the oldest version that may still be seen.
    let floors: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let (stop, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let write = |writer: u64| {
        let mut dice = Dice::seeded(writer);
        let mut versions = [0; KEYS as usize];
        while !stop.load(Relaxed) {
            // Each key has one writer.
            let number = dice.below(KEYS / 2) * 2 + writer;
            let version = &mut versions[number as usize];
            *version += 1;
            match dice.below(20) {
                0 => _ = disk.remove(&key(number)),
                1 => disk.clear(Some((number % 7) as u32)),
                2 => assert_eq!(disk.put(&key(number), record(number, *version, 3_000)), Admitted::TooLarge),
                _ => _ = disk.put(&key(number), record(number, *version, 300)),
            }
            floors[number as usize].store(*version, SeqCst);
            if dice.below(100) == 0 {
                disk.flush();
            }
        }
    };
    let read = |reader: u64| {
        let mut dice = Dice::seeded(100 + reader);
        while !stop.load(Relaxed) {
            let number = dice.below(KEYS);
            let floor = floors[number as usize].load(SeqCst);
            if let Some(found) = disk.get_blocking(&key(number), NOW) {
                let version = version(number, &found);
                assert!(version >= floor, "key {number}: version {version} after {floor}");
                seen.fetch_add(1, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let (write, read) = (&write, &read);
        (0..2).for_each(|writer| _ = scope.spawn(move || write(writer)));
        (0..2).for_each(|reader| _ = scope.spawn(move || read(reader)));
        for _ in 0..rounds(10, 300) {
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Relaxed);
    });
    let stats = disk.stats();
    assert!(seen.load(Relaxed) > 1_000 && stats.evicted + stats.copied > 10, "{stats:?}");
    assert_eq!((stats.damaged, stats.off), (0, None));
    drop(disk);
    // What is read after a restart is no older.
    let disk = Disk::open(&folder.0, limits, NOW).unwrap();
    for number in 0..KEYS {
        let found = disk.get_blocking(&key(number), NOW).map(|found| version(number, &found));
        assert!(found.is_none_or(|found| found >= floors[number as usize].load(Relaxed)), "{number}");
    }
}

#[test]
fn lookups_go_on_while_the_writer_and_the_lock_of_changes_are_stuck() {
    let folder = Folder::fast();
    let disk = open(&folder);
    disk.put(&key(1), record(1, 1, 300));
    disk.flush();
    // The lock is held by this thread, so every change and the writer wait.
    let read = disk.shared.queue.change(0, |_| {
        let reader = std::thread::scope(|scope| {
            scope.spawn(|| (0..1_000).all(|_| disk.get_blocking(&key(1), NOW) == Some(record(1, 1, 300)))).join()
        });
        assert!(reader.unwrap());
        None
    });
    assert!(read);
}
