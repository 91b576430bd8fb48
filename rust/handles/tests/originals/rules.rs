//! Whose a handle is, how it is written, how long it lasts and what goes for what.

use std::os::unix::fs::PermissionsExt;

use omnimind_handles::{Bounds, Held, Original, Trouble, hex};
use proptest::prelude::*;

use crate::{Folder, HOUR, NOW, noise, text};

/// What the shortest original counts for.
const PAGE: u64 = 4_096;

#[test]
fn what_was_put_is_given_back_with_what_was_said_of_it() {
    let folder = Folder::new();
    let store = folder.store();
    let bytes = b"line one\nline two \xff\x00\n".repeat(500);
    let original = Original { bytes: &bytes, mime: "text/x-log; charset=utf-8", from: "git/log \u{1f4dc}" };
    let handle = store.put("ann", &original, NOW).unwrap();
    assert_eq!(handle, *blake3::hash(&bytes).as_bytes());
    for digits in [16, 17, 33, 64] {
        let kept = store.get("ann", &hex(&handle)[..digits], NOW + 1).unwrap().unwrap();
        assert_eq!(
            (kept.handle, &kept.bytes, &*kept.mime, &*kept.from),
            (handle, &bytes, original.mime, original.from)
        );
        assert_eq!((kept.put_ms, kept.until_ms), (NOW, NOW + 24 * HOUR));
    }
    assert!(matches!(store.get("ann", &hex(&handle)[..15], NOW), Err(Trouble::NoName)));
}

#[test]
fn nothing_and_everything_can_be_an_original() {
    let folder = Folder::new();
    let store = folder.store();
    for bytes in [Vec::new(), vec![0], vec![0; 20 << 20], noise(1, 3 << 20)] {
        let name = hex(&store.put("", &text(&bytes), NOW).unwrap());
        assert!(store.get("", &name, NOW).unwrap().unwrap().bytes == bytes);
    }
}

#[test]
fn a_handle_of_one_principal_is_not_found_for_another() {
    let folder = Folder::new();
    let store = folder.store();
    let names = ["ann", "an", "anna", "", "ANN", "ann ", "ann\0", "ann\0x", "änn", "a\u{308}nn", "%", "_nn", "'"];
    let handle = |name: &str| hex(&store.put(name, &text(format!("of {name:?}").as_bytes()), NOW).unwrap());
    let handles = names.map(handle);
    for principal in names {
        for (owner, handle) in names.iter().zip(&handles) {
            for name in [&handle[..], &handle[..16]] {
                let found = store.get(principal, name, NOW).unwrap();
                assert_eq!(found.is_some(), principal == *owner, "{principal:?} asks for what {owner:?} put");
            }
        }
        assert_eq!(store.held(Some(principal)).unwrap(), Held { originals: 1, bytes: PAGE });
    }
}

#[test]
fn two_who_put_the_same_each_have_their_own() {
    let folder = Folder::new();
    let store = folder.store();
    let name = hex(&store.put("ann", &text(b"both"), NOW).unwrap());
    store.put("bob", &Original { bytes: b"both", mime: "text/html", from: "bob's" }, NOW + HOUR).unwrap();
    let late = NOW + 24 * HOUR;
    assert!(store.get("ann", &name, late).unwrap().is_none());
    assert_eq!(store.get("bob", &name, late).unwrap().unwrap().from, "bob's");
}

#[test]
fn an_original_is_found_for_its_time_and_put_again_for_that_time_anew() {
    let folder = Folder::new();
    let store = folder.bounded(Bounds { ttl_ms: HOUR, ..Bounds::default() });
    let name = hex(&store.put("ann", &text(b"short-lived"), NOW).unwrap());
    let is_there = |now| store.get("ann", &name, now).unwrap().is_some();
    assert!(is_there(NOW + HOUR - 1));
    assert!(!is_there(NOW + HOUR), "its time is over");
    store.put("ann", &text(b"short-lived"), NOW + HOUR - 1).unwrap();
    assert!(is_there(NOW + 2 * HOUR - 2));
    assert!(!is_there(NOW + 2 * HOUR - 1));
    assert!(is_there(NOW), "a clock that was put back by less than that time");
    assert!(!is_there(NOW - 5), "a stamp from a far future is not believed");
    assert_eq!(store.held(None).unwrap().originals, 1);
}

#[test]
fn what_is_too_old_is_deleted_by_later_puts_and_its_space_given_back() {
    let folder = Folder::new();
    let store = folder.store();
    for seed in 0..150 {
        store.put("ann", &text(&noise(seed, 30_000)), NOW).unwrap();
    }
    assert_eq!(store.held(None).unwrap().originals, 150);
    let length = || std::fs::metadata(folder.handles().join("originals.sqlite")).unwrap().len();
    for seed in 0..40 {
        store.put("bob", &text(format!("{seed}").as_bytes()), NOW + 25 * HOUR).unwrap();
    }
    assert_eq!(store.held(None).unwrap(), Held { originals: 40, bytes: 40 * PAGE });
    // What is in the log is written into the file when the last one closes it.
    let before = length();
    drop(store);
    assert!(length() < 2 << 20, "{} bytes left of {before}", length());
}

#[test]
fn what_was_used_the_longest_ago_goes_first() {
    let folder = Folder::new();
    let store = folder.bounded(Bounds { principal_bytes: 4 * PAGE, ..Bounds::default() });
    let put = |number: u64| hex(&store.put("ann", &text(format!("{number}").as_bytes()), NOW + number).unwrap());
    let names: Vec<_> = (0..4).map(put).collect();
    let later = NOW + HOUR;
    assert!(store.get("ann", &names[0], later).unwrap().is_some());
    store.put("ann", &text(b"1"), later).unwrap();
    store.put("ann", &text(b"new"), later + 1).unwrap();
    let left: Vec<_> = names.iter().map(|name| store.get("ann", name, later).unwrap().is_some()).collect();
    assert_eq!(left, [true, true, false, true], "the first was read, the second put again");
}

#[test]
fn one_principal_takes_nothing_of_another_but_where_all_is_full() {
    let folder = Folder::new();
    let store = folder.bounded(Bounds { bytes: 12 * PAGE, principal_bytes: 8 * PAGE, ..Bounds::default() });
    let name = hex(&store.put("ann", &text(b"ann's"), NOW).unwrap());
    for number in 0..50 {
        store.put("bob", &text(format!("{number}").as_bytes()), NOW + number).unwrap();
    }
    assert_eq!(store.held(Some("bob")).unwrap().originals, 8);
    assert!(store.get("ann", &name, NOW).unwrap().is_some());
    for number in 0..8 {
        store.put("eve", &text(format!("{number}").as_bytes()), NOW + 100 + number).unwrap();
    }
    assert_eq!(store.held(None).unwrap(), Held { originals: 12, bytes: 12 * PAGE });
    assert!(store.get("ann", &name, NOW).unwrap().is_none(), "the oldest of all");
}

#[test]
fn what_is_larger_than_all_that_may_be_kept_is_refused_and_nothing_goes_for_it() {
    let folder = Folder::new();
    let store = folder.bounded(Bounds { principal_bytes: 10 * PAGE, ..Bounds::default() });
    let name = hex(&store.put("ann", &text(b"small"), NOW).unwrap());
    let refused = store.put("ann", &text(&noise(1, 50_000)), NOW).unwrap_err();
    assert!(matches!(refused, Trouble::TooLarge(53_248, 40_960)), "{refused}");
    assert!(store.get("ann", &name, NOW).unwrap().is_some());
    store.put("ann", &text(&noise(1, 40_000)), NOW + 1).unwrap();
    assert_eq!(store.held(None).unwrap(), Held { originals: 1, bytes: 10 * PAGE });
}

#[test]
fn a_bound_that_was_lowered_is_reached_in_steps() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 0..200 {
        store.put("ann", &text(format!("{number}").as_bytes()), NOW + number).unwrap();
    }
    let store = folder.bounded(Bounds { bytes: 20 * PAGE, ..Bounds::default() });
    let after = |number: u64| {
        store.put("ann", &text(format!("{number}").as_bytes()), NOW + number).unwrap();
        store.held(None).unwrap().originals
    };
    assert_eq!([after(1_000), after(1_001), after(1_002), after(1_003)], [137, 74, 20, 20]);
}

#[test]
fn the_file_stays_within_the_bound_and_what_the_log_may_take() {
    let folder = Folder::new();
    let bound = 4 << 20;
    let store = folder.bounded(Bounds { bytes: bound, ..Bounds::default() });
    for seed in 0_u16..700 {
        let length = usize::from(seed) * 7_919 % 40_000;
        store
            .put(["ann", "bob"][usize::from(seed) % 2], &text(&noise(seed.into(), length)), NOW + u64::from(seed))
            .unwrap();
    }
    let held = store.held(None).unwrap();
    assert!(held.bytes <= bound && held.bytes > bound * 9 / 10, "{held:?}");
    let length = |name: &str| std::fs::metadata(folder.handles().join(name)).unwrap().len();
    assert!(length("originals.sqlite-wal") <= 8 << 20);
    drop(store);
    assert!(length("originals.sqlite") <= bound + (256 << 10), "{}", length("originals.sqlite"));
}

#[test]
fn only_its_owner_can_read_the_folder_and_what_is_in_it() {
    let folder = Folder::new();
    std::fs::create_dir(folder.handles()).unwrap();
    std::fs::set_permissions(folder.handles(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = folder.store();
    store.put("ann", &text(b"secret"), NOW).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.handles()), 0o700);
    let files: Vec<_> = std::fs::read_dir(folder.handles()).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn the_key_is_made_once_and_the_same_for_all() {
    let folder = Folder::new();
    let random = |byte| move || Ok([byte; 32]);
    let open = |byte| omnimind_handles::Store::open(&folder.handles(), Bounds::default(), random(byte)).unwrap();
    let (first, second) = (open(1), open(2));
    assert_eq!((first.key(), second.key()), ([1; 32], [1; 32]));
    drop((first, second));
    assert_eq!(open(3).key(), [1; 32]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a list that does the same in the plainest way.
    #[test]
    fn the_sums_are_those_of_what_is_there(steps in prop::collection::vec((0_u8..3, 0_u64..20, 0_usize..9_000, 0_u64..HOUR), 1..60)) {
        let folder = Folder::new();
        let bounds = Bounds { bytes: 20 * PAGE, principal_bytes: 9 * PAGE, ttl_ms: 6 * HOUR };
        let store = folder.bounded(bounds);
        let mut now = NOW;
        let mut put = Vec::new();
        for (who, seed, length, passed) in steps {
            now += passed;
            let (principal, bytes) = (["ann", "bob", "eve"][usize::from(who)], noise(seed, length));
            put.push((principal, hex(&store.put(principal, &text(&bytes), now).unwrap()), bytes));
            let all = store.held(None).unwrap();
            let each = ["ann", "bob", "eve"].map(|principal| store.held(Some(principal)).unwrap());
            prop_assert_eq!(all.bytes, each.iter().map(|held| held.bytes).sum::<u64>());
            prop_assert!(all.bytes <= bounds.bytes && each.iter().all(|held| held.bytes <= bounds.principal_bytes));
        }
        put.sort();
        put.dedup();
        let mut found = 0;
        for (principal, name, bytes) in &put {
            if let Some(kept) = store.get(principal, name, now - HOUR).unwrap() {
                prop_assert_eq!(&kept.bytes, bytes);
                found += 1;
            }
        }
        prop_assert!(found <= store.held(None).unwrap().originals);
    }
}
