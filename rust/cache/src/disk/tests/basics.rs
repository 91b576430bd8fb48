//! One process, nothing breaks.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn what_was_put_is_read_before_and_after_a_restart() {
    let folder = Folder::new();
    let disk = open(&folder);
    for number in 0..200 {
        assert_eq!(disk.put(&key(number), record(number, 1, 700)), Admitted::Queued);
    }
    assert!(disk.flush());
    let all = |disk: &Disk| (0..200).all(|number| disk.get_blocking(&key(number), NOW) == Some(record(number, 1, 700)));
    assert!(all(&disk));
    assert_eq!((disk.stats().hits, disk.stats().written, disk.stats().entries), (200, 200, 200));
    drop(disk);
    let disk = open(&folder);
    assert!(all(&disk));
    assert_eq!(disk.get_blocking(&key(200), NOW), None);
    assert_eq!((disk.stats().hits, disk.stats().misses), (200, 1));
}

#[test]
fn the_last_value_wins_at_once_and_after_restarts() {
    let folder = Folder::new();
    for version in 1..6 {
        let disk = open(&folder);
        assert_eq!(disk.get_blocking(&key(1), NOW), (version > 1).then(|| record(1, version - 1, 100)));
        disk.put(&key(1), record(1, version, 100));
        assert!(disk.get_blocking(&key(1), NOW).is_none_or(|found| found == record(1, version, 100)));
        disk.flush();
        assert_eq!(disk.get_blocking(&key(1), NOW), Some(record(1, version, 100)));
    }
}

#[test]
fn what_was_removed_is_gone_at_once_and_after_restarts() {
    let folder = Folder::new();
    let disk = open(&folder);
    disk.put(&key(1), record(1, 1, 100));
    assert!(disk.remove(&key(1)), "queued");
    assert!(!disk.remove(&key(1)));
    disk.put(&key(2), record(2, 1, 100));
    disk.flush();
    assert!(disk.remove(&key(2)), "written");
    disk.put(&key(3), record(3, 1, 100));
    disk.remove(&key(3));
    disk.put(&key(3), record(3, 2, 100));
    let left = |disk: &Disk| [1, 2, 3].map(|number| disk.get_blocking(&key(number), NOW));
    disk.flush();
    assert_eq!(left(&disk), [None, None, Some(record(3, 2, 100))]);
    assert_eq!(disk.stats().removed, 3);
    drop(disk);
    for _ in 0..2 {
        assert_eq!(left(&open(&folder)), [None, None, Some(record(3, 2, 100))]);
    }
}

#[test]
fn a_put_that_is_not_admitted_removes_what_was_there() {
    let folder = Folder::new();
    let disk = open(&folder);
    let _ = [1, 2].map(|number| disk.put(&key(number), record(number, 1, 100)));
    disk.flush();
    assert_eq!(disk.put(&key(1), record(1, 2, 20_000)), Admitted::TooLarge);
    assert_eq!(disk.get_blocking(&key(1), NOW), None);
    drop(disk);
    let disk = Disk::open(&folder.0, DiskLimits { queue_bytes: 100, ..SMALL }, NOW).unwrap();
    assert_eq!(disk.put(&key(2), record(2, 2, 100)), Admitted::Full);
    assert_eq!(disk.put(&key(3), record(3, 2, 100)), Admitted::Full);
    assert_eq!(disk.stats().refused, 2);
    assert_eq!(disk.get_blocking(&key(2), NOW), None);
    drop(disk);
    let disk = open(&folder);
    assert_eq!([1, 2, 3].map(|number| disk.get_blocking(&key(number), NOW)), [None, None, None]);
}

#[test]
fn a_group_or_everything_can_be_cleared_for_good() {
    let folder = Folder::new();
    let disk = open(&folder);
    (0..70).for_each(|number| _ = disk.put(&key(number), record(number, 1, 100)));
    disk.flush();
    (70..140).for_each(|number| _ = disk.put(&key(number), record(number, 1, 100)));
    disk.clear(Some(3));
    disk.put(&key(3), record(3, 2, 100));
    disk.flush();
    let check = |disk: &Disk| {
        for number in (0..140).filter(|number| *number != 3) {
            assert_eq!(disk.get_blocking(&key(number), NOW).is_some(), number % 7 != 3, "{number}");
        }
        assert_eq!(disk.get_blocking(&key(3), NOW), Some(record(3, 2, 100)));
    };
    check(&disk);
    drop(disk);
    let disk = open(&folder);
    check(&disk);
    disk.clear(None);
    assert_eq!((disk.stats().entries, disk.get_blocking(&key(0), NOW)), (0, None));
    disk.put(&key(0), record(0, 2, 100));
    disk.flush();
    assert!(disk.stats().bytes < 1_000);
    drop(disk);
    let disk = open(&folder);
    assert_eq!((disk.stats().entries, disk.get_blocking(&key(0), NOW)), (1, Some(record(0, 2, 100))));
}

#[test]
fn an_entry_is_given_only_while_it_lives() {
    let folder = Folder::new();
    let disk = open(&folder);
    disk.put(&key(1), record(1, 1, 100));
    let mut forever = record(2, 1, 100);
    forever.entry.life = Life { created_ms: NOW, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };
    disk.put(&key(2), forever.clone());
    disk.flush();
    let lives = |at: u64| disk.get_blocking(&key(1), at).is_some();
    assert_eq!([NOW - 1_001, NOW, NOW + 999, NOW + 1_999, NOW + 2_000].map(lives), [false, true, true, true, false]);
    assert_eq!(disk.get_blocking(&key(2), u64::MAX - 1), Some(forever));
    let stats = disk.stats();
    assert_eq!((stats.hits, stats.stale_hits, stats.misses), (3, 1, 2));
}

#[test]
fn a_folder_is_used_by_one_level_at_a_time() {
    let folder = Folder::new();
    let disk = open(&folder);
    assert!(matches!(Disk::open(&folder.0, SMALL, NOW), Err(DiskRefused::Locked)));
    drop(disk);
    open(&folder);
}

#[test]
fn nobody_else_may_read_what_is_kept() {
    let folder = Folder::new();
    let inner = folder.0.join("made/by us");
    let disk = Disk::open(&inner, SMALL, NOW).unwrap();
    disk.put(&key(1), record(1, 1, 100));
    disk.flush();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    let files: Vec<_> = fs::read_dir(&inner).unwrap().map(|file| mode(&file.unwrap().path())).collect();
    assert_eq!(files, [0o600, 0o600]);
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = Folder::new();
    let names = ["notes.txt", "dictionary-7", "00000000.seg", "00000009.seg", "0000000A.seg", "1.seg", "80000000.seg"];
    let _ = names.map(|name| fs::write(folder.0.join(name), format!("of another: {name}")).unwrap());
    fs::create_dir(folder.0.join("00000007.seg")).unwrap();
    std::os::unix::fs::symlink("notes.txt", folder.0.join("00000008.seg")).unwrap();
    for version in 1..4 {
        let disk = open(&folder);
        assert_eq!(disk.get_blocking(&key(1), NOW), (version > 1).then(|| record(1, version - 1, 100)));
        disk.put(&key(1), record(1, version, 100));
        (2..200).for_each(|number| _ = disk.put(&key(number), record(number, 1, 500)));
        disk.flush();
    }
    for name in names {
        assert_eq!(fs::read_to_string(folder.0.join(name)).unwrap(), format!("of another: {name}"));
    }
    assert!(folder.0.join("00000007.seg").is_dir() && folder.0.join("00000008.seg").is_symlink());
}

#[test]
fn a_segment_of_another_version_is_ignored_and_deleted() {
    let folder = Folder::new();
    drop({
        let disk = open(&folder);
        disk.put(&key(1), record(1, 1, 100));
        disk
    });
    let path = segment::path(&folder.0, 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] += 1;
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..32]).to_le_bytes();
    bytes[32..40].copy_from_slice(&checksum);
    fs::write(&path, bytes).unwrap();
    let disk = open(&folder);
    assert_eq!(disk.get_blocking(&key(1), NOW), None);
    assert!(!path.exists() && segment::path(&folder.0, 2).exists());
}

#[test]
fn limits_that_do_not_fit_together_are_made_to_fit() {
    let odd = |bytes| DiskLimits { max_bytes: bytes, segment_bytes: bytes, item_bytes: bytes, queue_bytes: 1 << 20 };
    for limits in
        [odd(0), odd(1 << 20), odd(u64::MAX), DiskLimits::of(0), DiskLimits::of(100 << 20), DiskLimits::of(1 << 50)]
    {
        let fitted = limits.fitted();
        assert!(
            fitted.item_bytes * 4 <= fitted.segment_bytes && fitted.segment_bytes * 4 <= fitted.max_bytes,
            "{limits:?}"
        );
        assert!(
            fitted.segment_bytes <= 64 << 20 && fitted.item_bytes >= 1 << 10 || limits.item_bytes == 0,
            "{limits:?}"
        );
        let folder = Folder::fast();
        let disk = Disk::open(&folder.0, limits, NOW).unwrap();
        disk.put(&key(1), record(1, 1, 500));
        disk.flush();
        assert_eq!(disk.get_blocking(&key(1), NOW).is_some(), limits.item_bytes > 0);
    }
}
