//! Entries go down and come up, end in time, and nothing that was removed comes back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use super::*;
use crate::compressed::enclose;
use crate::disk::DiskLimits;

const SERVER: u32 = 7;
const HOUR: u64 = 3_600_000;

fn key(number: u64) -> Key {
    let mut key = [0; 32];
    for (at, byte) in key.chunks_mut(8).zip(1_u64..) {
        at.copy_from_slice(
            &number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_mul(byte).to_le_bytes(),
        );
    }
    key
}

/// Of about 700 bytes, unlike any other, and packing well.
fn entry(number: u64, until_ms: u64) -> Entry {
    let life = Life { created_ms: 0, fresh_until_ms: until_ms, stale_until_ms: until_ms };
    let rows: Vec<String> = (0..20).map(|row| format!("{{\"row\":{row},\"of\":{number},\"name\":\"a\"}}")).collect();
    Entry { life, head: Bytes::from(format!("head {number}")), body: rows.concat().into() }
}

/// Room for `warm` entries in L1, and for many packed ones.
fn levels(warm: usize, disk: Option<Disk>) -> Levels {
    Levels::new(&LevelLimits::of(1 << 24, warm, 1 << 22), disk, 0)
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("omnimind-levels-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        Self(folder)
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.0, DiskLimits::of(1 << 24), 0).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Puts entries until `number`, which was asked for, has left L1.
fn push_out(levels: &Levels, number: u64) {
    for other in 1_000_000..1_010_000 {
        // A lookup would be a hit, and keep it.
        let mut there = false;
        levels.warm.retain(|at, _| {
            there |= *at == key(number);
            true
        });
        if !there {
            return;
        }
        put_and_ask(levels, other, HOUR);
        levels.warm.with(&key(other), 0, |_, _| ());
    }
    panic!("{number} never leaves");
}

fn put_and_ask(levels: &Levels, number: u64, until_ms: u64) {
    levels.put(&key(number), SERVER, entry(number, until_ms), 0);
    assert!(levels.get_blocking(&key(number), 0).is_some());
}

#[test]
fn an_entry_that_was_asked_for_goes_down_packed_and_comes_up_when_asked_again() {
    let levels = levels(50, None);
    put_and_ask(&levels, 1, HOUR);
    push_out(&levels, 1);
    let hit = levels.get_blocking(&key(1), 1).unwrap();
    assert_eq!((hit.level, hit.freshness, &hit.entry), (Level::Compressed, Freshness::Fresh, &entry(1, HOUR)));
    assert_eq!(levels.get_blocking(&key(1), 1).unwrap().level, Level::Ram);
    push_out(&levels, 1);
    let again = levels.get_blocking(&key(1), 1).unwrap();
    assert_eq!(again.level, Level::Compressed, "it came up because it was asked for");
    let stats = levels.stats();
    assert_eq!((stats.promoted, stats.overtaken), (2, 0));
    assert_eq!(stats.compressed.hits, 2);
}

#[test]
fn an_entry_nobody_asked_for_just_goes() {
    let levels = levels(50, None);
    (0..500).for_each(|number| _ = levels.put(&key(number), SERVER, entry(number, HOUR), 0));
    let stats = levels.stats();
    assert_eq!((stats.demoted, stats.compressed.entries), (0, 0));
    assert!(stats.ram.entries <= 50);
}

#[test]
fn the_disk_answers_the_next_run_with_dictionaries_and_frames() {
    let folder = Folder::new("run");
    let first = levels(100, Some(folder.disk()));
    for number in 0..2_000 {
        put_and_ask(&first, number, HOUR);
    }
    first.trainer.wait();
    assert!(first.stats().dictionaries > 0, "2,000 small entries teach a dictionary");
    first.put_through(&key(5_000), SERVER, entry(5_000, HOUR), 0);
    let mut long = entry(6_000, HOUR);
    long.body = long.body.repeat(20).into();
    first.put_through(&key(6_000), SERVER, long.clone(), 0);
    drop(first);

    let second = levels(100, Some(folder.disk()));
    let small = second.get_blocking(&key(5_000), 1).unwrap();
    assert_eq!((small.level, &small.entry, small.frame), (Level::Disk, &entry(5_000, HOUR), None));
    let hit = second.get_blocking(&key(6_000), 1).unwrap();
    assert_eq!((hit.level, &hit.entry), (Level::Disk, &long));
    let whole = enclose(b"<", &hit.frame.unwrap(), b">").unwrap();
    assert_eq!(zstd::stream::decode_all(&whole[..]).unwrap(), [b"<", &long.body[..], b">"].concat());
    assert_eq!(second.get_blocking(&key(6_000), 1).unwrap().level, Level::Ram);
    let found = (0..1_800).filter(|number| second.get_blocking(&key(*number), 1).is_some()).count();
    assert!(found > 1_700, "{found} of those that were asked for and left L1 are on the disk");
}

#[test]
fn no_level_gives_what_has_ended() {
    let folder = Folder::new("end");
    let levels = levels(50, Some(folder.disk()));
    for number in 0..3 {
        put_and_ask(&levels, number, 1_000);
        levels.put_through(&key(number + 10), SERVER, entry(number + 10, 1_000), 0);
    }
    push_out(&levels, 0);
    push_out(&levels, 10);
    levels.flush();
    for number in [0, 1, 2, 10, 11, 12] {
        assert!(levels.get_blocking(&key(number), 1_000).is_none(), "{number}");
    }
    assert_eq!(levels.get_blocking(&key(10), 999).unwrap().level, Level::Disk, "until then it was there");
}

#[test]
fn a_removed_or_replaced_or_cleared_entry_is_in_no_level() {
    let folder = Folder::new("remove");
    let levels = levels(50, Some(folder.disk()));
    let everywhere = |number| {
        levels.put_through(&key(number), SERVER, entry(number, HOUR), 0);
        assert!(levels.get_blocking(&key(number), 0).is_some());
        push_out(&levels, number);
        levels.flush();
    };
    everywhere(1);
    assert!(levels.remove(&key(1)) && !levels.remove(&key(1)));
    assert_eq!(levels.get_blocking(&key(1), 0), None);

    everywhere(2);
    let newer = Entry { body: Bytes::from("newer"), ..entry(2, HOUR) };
    levels.put(&key(2), SERVER, newer.clone(), 0);
    assert_eq!(levels.get_blocking(&key(2), 0).unwrap().entry, newer);
    push_out(&levels, 2);
    assert_eq!(levels.get_blocking(&key(2), 0).map(|hit| hit.entry), Some(newer));

    everywhere(3);
    levels.put(&key(4), SERVER + 1, entry(4, HOUR), 0);
    levels.clear(Some(SERVER));
    assert_eq!(levels.get_blocking(&key(3), 0), None);
    assert!(levels.get_blocking(&key(4), 0).is_some(), "another server's");
    levels.clear(None);
    assert_eq!(levels.get_blocking(&key(4), 0), None);
    let stats = levels.stats();
    assert_eq!([stats.ram.entries, stats.compressed.entries, stats.disk.entries], [0, 0, 0]);
}

/// Values of one key carry ascending numbers. A reader notes the number that was the last one put or removed before it
/// began to look, and must never see an older one; threads beside it keep the levels small and in motion.
#[test]
fn under_load_no_reader_sees_what_was_replaced_removed_or_cleared() {
    let folder = Folder::new("load");
    let rounds = if std::env::var_os("OMNIMIND_FULL").is_some() { 40_000 } else { 2_500 };
    let levels = levels(16, Some(folder.disk()));
    let settled: Vec<AtomicU64> = (0..24).map(|_| AtomicU64::new(0)).collect();
    let done = AtomicBool::new(false);
    let numbered = |name: u64, version: u64| {
        let body = format!("{version:>20}{}", "x".repeat(300 + usize::try_from(name).unwrap()));
        Entry { body: body.into(), ..entry(name, HOUR) }
    };
    let version = |hit: &Hit| std::str::from_utf8(&hit.entry.body[..20]).unwrap().trim().parse::<u64>().unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..=rounds {
                let name = round % 24;
                match round % 7 {
                    0 => _ = levels.remove(&key(name)),
                    1 if round % 70 == 1 => levels.clear(Some(SERVER)),
                    2 => _ = levels.put_through(&key(name), SERVER, numbered(name, round), 0),
                    _ => _ = levels.put(&key(name), SERVER, numbered(name, round), 0),
                }
                let names = if round % 70 == 1 && round % 7 == 1 { 0..24 } else { name..name + 1 };
                names.for_each(|name| settled[usize::try_from(name).unwrap()].store(round, Ordering::SeqCst));
            }
            done.store(true, Ordering::SeqCst);
        });
        let read = |start: u64| {
            let mut name = start;
            while !done.load(Ordering::SeqCst) {
                name = (name * 5 + 3) % 24;
                let least = settled[usize::try_from(name).unwrap()].load(Ordering::SeqCst);
                if let Some(hit) = levels.get_blocking(&key(name), 0) {
                    assert!(
                        version(&hit) >= least,
                        "{} found after {least} was settled, in {:?}",
                        version(&hit),
                        hit.level
                    );
                }
            }
        };
        let readers = [1, 2].map(|start| scope.spawn(move || read(start)));
        let filler = scope.spawn(|| {
            let mut other = 1_000;
            while !done.load(Ordering::SeqCst) {
                other += 1;
                levels.put(&key(other), SERVER + 1, entry(other, HOUR), 0);
                (0..2).for_each(|_| _ = levels.get_blocking(&key(other), 0));
            }
        });
        writer.join().unwrap();
        for reader in readers {
            reader.join().unwrap();
        }
        filler.join().unwrap();
    });
    let stats = levels.stats();
    assert!(stats.promoted > 0 && stats.demoted > 0, "{stats:?}");
    println!("promoted {} demoted {} overtaken {}", stats.promoted, stats.demoted, stats.overtaken);
}

#[test]
fn every_lookup_is_counted_once_at_each_level_it_reached() {
    let folder = Folder::new("stats");
    let levels = levels(50, Some(folder.disk()));
    let mut random = 1_u64;
    let lookups = 4_000;
    for _ in 0..lookups {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let number = (random >> 33) % 400;
        if levels.get_blocking(&key(number), 0).is_none() {
            levels.put(&key(number), SERVER, entry(number, HOUR), 0);
        }
    }
    let LevelsStats { ram, compressed, disk, .. } = levels.stats();
    assert_eq!(ram.hits + ram.misses, lookups);
    assert_eq!(compressed.hits + compressed.misses, ram.misses);
    assert_eq!(disk.hits + disk.misses, compressed.misses);
}

#[test]
fn the_disk_is_spared_beyond_its_hourly_bytes() {
    let folder = Folder::new("wear");
    let limits = LevelLimits { written_per_hour: 40_000, ..LevelLimits::of(1 << 24, 1_000, 1 << 22) };
    let levels = Levels::new(&limits, Some(folder.disk()), 0);
    (0..500).for_each(|number| _ = levels.put_through(&key(number), SERVER, entry(number, 2 * HOUR), 0));
    levels.flush();
    let stats = levels.stats();
    assert!(stats.spared > 0 && stats.disk.inserts > 0);
    assert_eq!(stats.disk.inserts + stats.spared, 500);
    levels.put_through(&key(1_000), SERVER, entry(1_000, 2 * HOUR), HOUR);
    levels.flush();
    assert_eq!(levels.stats().spared, stats.spared, "an hour later it may be written to again");
}

#[test]
fn a_level_that_is_off_says_why() {
    let levels = Levels::new(&LevelLimits::of(1 << 20, 100, 0), None, 0);
    for number in 0..300 {
        put_and_ask(&levels, number, HOUR);
    }
    let stats = levels.stats();
    assert_eq!((stats.ram.off.as_deref(), stats.demoted), (None, 0));
    assert!(stats.compressed.off.is_some() && stats.disk.off.is_some());
}
