//! Disks that are full, or cannot be written: in a mount namespace of its own, where such a disk can be made.

use std::process::Command;

use omnimind_handles::{Bounds, Store, Trouble, hex};

use crate::{Folder, NOW, noise, open, text};

/// Runs a test of this file, as a process that has a small disk at `HANDLES_FOLDER`. False where that cannot be had.
fn on_a_disk(folder: &Folder, test: &str, after: &str) -> bool {
    let disk = folder.0.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=3m none {0} || exit 99; {after}; exec {1} --exact disks::{test} --ignored --nocapture",
        disk.display(),
        std::env::current_exe().unwrap().display(),
    );
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .env("HANDLES_FOLDER", disk.join("handles"));
    let Ok(output) = command.output() else { return false };
    if output.status.code() == Some(99) || String::from_utf8_lossy(&output.stderr).starts_with("unshare") {
        eprintln!("no disk can be made here: {}", String::from_utf8_lossy(&output.stderr));
        return false;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os("HANDLES_FOLDER").map(Into::into)
}

#[test]
fn a_full_disk_is_an_error_and_takes_nothing_that_was_there() {
    on_a_disk(&Folder::new(), "fills_its_disk", "true");
}

#[test]
#[ignore = "run by other tests"]
fn fills_its_disk() {
    let Some(folder) = folder() else { return };
    let store = open(&folder, Bounds::default());
    let mut names = Vec::new();
    let refused = loop {
        let bytes = noise(names.len() as u64, 60_000);
        match store.put("ann", &text(&bytes), NOW + names.len() as u64) {
            Ok(handle) => names.push((hex(&handle), bytes)),
            Err(refused) => break refused,
        }
        assert!(names.len() < 100, "a disk of 3 MiB took it all");
    };
    assert!(matches!(refused, Trouble::Full), "{refused}");
    assert_eq!(refused.to_string(), "the disk is full: the original was not kept");
    let check = |store: &Store| {
        for (name, bytes) in &names {
            assert!(store.get("ann", name, NOW + 100).unwrap().is_some_and(|kept| kept.bytes == *bytes));
        }
        assert_eq!(store.held(None).unwrap().originals, names.len() as u64);
        assert!(store.notices().is_empty());
    };
    check(&store);
    drop(store);
    check(&open(&folder, Bounds::default()));
}

#[test]
fn a_disk_that_cannot_be_written_is_said_to_be_one() {
    on_a_disk(&Folder::new(), "has_a_disk_that_cannot_be_written", "mount -o remount,ro $(dirname $HANDLES_FOLDER)");
}

#[test]
#[ignore = "run by other tests"]
fn has_a_disk_that_cannot_be_written() {
    let Some(folder) = folder() else { return };
    let refused = Store::open(&folder, Bounds::default(), || Ok([7; 32])).err().unwrap();
    let said = refused.to_string();
    assert!(said.contains("Read-only") && said.contains(folder.to_str().unwrap()), "{said}");
}
