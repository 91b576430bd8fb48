//! Disks that cannot be written.

use std::process::Command as Run;

use super::*;

/// A file system of its own, unmounted in the end. None where this user may not mount.
struct Mounted(Folder);

impl Mounted {
    fn new(size: &str) -> Option<Mounted> {
        let folder = Folder::new();
        let options = format!("size={size},mode=700");
        let done = Run::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder.0).output();
        if done.is_ok_and(|done| done.status.success()) {
            return Some(Mounted(folder));
        }
        eprintln!("SKIPPED: this user may not mount a file system");
        None
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Run::new("mount").args(["-o", &options]).arg(&self.0.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Run::new("umount").arg("-l").arg(&self.0.0).status();
    }
}

/// Puts until the level notices.
fn fill(disk: &Disk) {
    for number in 0..10_000 {
        disk.put(&key(number), record(number, 1, 1_000));
        if number % 100 == 0 && !disk.flush() {
            return;
        }
    }
}

#[test]
fn a_full_disk_turns_the_level_off_and_gives_the_space_back() {
    let Some(mounted) = Mounted::new("512k") else { return };
    let limits = DiskLimits { max_bytes: 4 << 20, ..SMALL };
    let disk = Disk::open(&mounted.0.0, limits, NOW).unwrap();
    fill(&disk);
    let stats = disk.stats();
    assert!(stats.off.as_ref().is_some_and(|why| why.contains("No space left")), "{stats:?}");
    assert_eq!((stats.entries, stats.bytes, disk.is_on()), (0, 0, false));
    assert_eq!(disk.put(&key(1), record(1, 2, 100)), Admitted::Off);
    assert!(matches!(disk.get(&key(1), NOW), Found::Miss));
    assert!(!disk.flush() && !disk.remove(&key(1)));
    disk.clear(None);
    drop(disk);
    let left: Vec<_> = fs::read_dir(&mounted.0.0).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, [LOCK]);
    // Opened again with what fits, it works.
    let disk = Disk::open(&mounted.0.0, DiskLimits { max_bytes: 256 << 10, ..SMALL }, NOW).unwrap();
    assert_eq!(disk.get_blocking(&key(1), NOW), None);
    fill(&disk);
    assert!(disk.is_on(), "{:?}", disk.stats().off);
}

#[test]
fn a_disk_that_becomes_read_only_turns_the_level_off() {
    let Some(mounted) = Mounted::new("4m") else { return };
    let disk = Disk::open(&mounted.0.0, SMALL, NOW).unwrap();
    disk.put(&key(1), record(1, 1, 100));
    disk.flush();
    drop(disk);
    mounted.remount("ro");
    assert!(matches!(Disk::open(&mounted.0.0, SMALL, NOW), Err(DiskRefused::Io(_))));
    mounted.remount("rw");
    let disk = Disk::open(&mounted.0.0, SMALL, NOW).unwrap();
    assert_eq!(disk.get_blocking(&key(1), NOW), Some(record(1, 1, 100)));
}

#[test]
fn a_folder_that_goes_away_turns_the_level_off() {
    let folder = Folder::fast();
    let disk = open(&folder);
    fs::remove_dir_all(&folder.0).unwrap();
    fill(&disk);
    assert!(disk.stats().off.is_some());
    assert!(matches!(disk.get(&key(0), NOW), Found::Miss));
    // The folder's owner removes it once more.
    drop(disk);
    fs::create_dir(&folder.0).unwrap();
}

#[test]
fn a_folder_that_is_no_folder_is_refused() {
    let folder = Folder::fast();
    let path = folder.0.join("file");
    fs::write(&path, "of another").unwrap();
    assert!(matches!(Disk::open(&path, SMALL, NOW), Err(DiskRefused::Io(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "of another");
}
